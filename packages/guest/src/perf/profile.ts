/** Where a guest spent its time, by samples of its instruction pointer. Plain data. */

import type { Symbols } from '../trace/symbols.ts';

/** A place that was met, with its callers. */
export interface ProfiledStack {
  /** Linear addresses: the instruction, then return addresses, the innermost first. */
  readonly addresses: readonly number[];
  /** 0 (kernel) to 3 (user). */
  readonly ring: number;
  /** CR3 of user code: which process; 0 where that does not matter. */
  readonly space: number;
  /** Processor time that it stands for, in milliseconds. */
  readonly ms: number;
}
export interface Profile {
  readonly samples: number;
  /** Processor time of the guest, and how long it was halted. */
  readonly ms: number;
  readonly idleMs: number;
  readonly stacks: readonly ProfiledStack[];
  /** Names of the kernel's functions, where it has told them itself. */
  readonly symbols?: Symbols;
}
