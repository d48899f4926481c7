/** Causes, mask and throttling of the controller's interrupt (82540EM software developer's manual, 3.4 and 13.4.17 to 13.4.20). */
import { deadline, pod, u32, whole, type Nanoseconds, type StateOf } from '@tomei/kit';
import { CAUSES } from './registers.ts';

export const interruptState = pod({
  cause: u32(),
  mask: u32(),
  /** The line does not rise before this. */
  quietUntil: whole(),
  /** When a cause that came too early is to be shown. */
  due: deadline(),
}).check((s) => ((s.cause | s.mask) & ~CAUSES) === 0 || "field 'cause' or 'mask' has reserved bits set");
export type Interrupts = StateOf<typeof interruptState>;

const wanted = (s: Interrupts): boolean => (s.cause & s.mask) !== 0;

/** Whether the line is up: a cause is enabled and not waiting for the throttle. */
export const isAsserted = (s: Interrupts): boolean => wanted(s) && s.due === null;

/** After causes or mask have changed. `was` is whether the line was up, `intervalNs` the least time between two rises. */
export function moderate(s: Interrupts, was: boolean, now: Nanoseconds, intervalNs: number): void {
  if (!wanted(s)) {
    s.due = null;
    return;
  }
  if (was) return;
  s.due = now < s.quietUntil ? s.quietUntil : null;
  if (s.due === null) s.quietUntil = now + intervalNs;
}

/** The throttle's time is over. */
export function release(s: Interrupts, now: Nanoseconds, intervalNs: number): void {
  s.due = null;
  if (wanted(s)) s.quietUntil = now + intervalNs;
}
