/** What of VMI a guest finds: nothing; its ROM, with answers by measurement; or with answers that each call is to be called. */
export const VMI_MODES = ['off', 'measured', 'every-call'] as const;
export type VmiMode = (typeof VMI_MODES)[number];
