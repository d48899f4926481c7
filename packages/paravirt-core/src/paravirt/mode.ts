/** What a guest may find of its hypervisor: nothing, which makes its machine a plain PC, or the interface that KVM has. */
export const PARAVIRT_MODES = ['off', 'kvm'] as const;
export type ParavirtMode = (typeof PARAVIRT_MODES)[number];
