/** VMI: its option ROM, and the device behind it. */
export type { ApState } from './ap-state.ts';
export { ANSWERS, EVERY_CALL, type Answers } from './answers.ts';
export { CALL, HYPERCALL_BASE, type CallName } from './interface.ts';
export { ROM_ALIGNMENT, vmiRom, type VmiRom } from './rom.ts';
export { VMI_MODES, type VmiMode } from './mode.ts';
export { vmi, vmiProcessors, type VmiProcessor } from './vmi.ts';
