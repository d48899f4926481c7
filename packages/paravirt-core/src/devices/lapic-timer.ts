/**
 * The local APIC's timer (Intel SDM vol. 3, 11.5.4): a count-down at one tick a nanosecond (a 1 GHz bus) before division, or a value
 * of the processor's time stamp counter at which it interrupts once (11.5.4.1). The counter is the processor's, which says when, on the
 * machine's clock, it shows that value.
 */
import { deadline, pod, u32, u8, type Field, type Nanoseconds, type StateOf } from '@tomei/kit';

/** Interrupts nearer to each other than this are merged: no guest can serve them, and a hostile one could stall the host. */
const MIN_INTERVAL_NS = 20_000;
const DIVIDE_WRITABLE = 0x0b;

/** A moment that may lie before power-on, as the start of a count does after its divider was changed. */
const moment: Field<number> = {
  initial: () => 0,
  check: (v) => (Number.isSafeInteger(v) && Math.abs(v as number) < 2 ** 52 ? undefined : 'is not a moment'),
  copy: (v) => v,
};

export const timerState = pod({
  initial: u32(),
  divide: u8(),
  /** When the count stood at `initial`. */
  start: moment,
  /** When it interrupts next; null while it does not. */
  due: deadline(),
  /** IA32_TSC_DEADLINE; 0 while nothing is armed. */
  deadlineLow: u32(),
  deadlineHigh: u32(),
  /** When the time stamp counter reaches it; null: not in the machine's time. */
  reached: deadline(),
})
  .check((s) => (s.divide & ~DIVIDE_WRITABLE) === 0 || "field 'divide' has reserved bits set")
  .check((s) => s.reached === null || isArmed(s) || "field 'reached' is of a deadline that is not armed");
export type TimerState = StateOf<typeof timerState>;

/** States before there was a deadline. */
export const withoutDeadline = { deadlineLow: 0, deadlineHigh: 0, reached: null } as const;

/** Whether a deadline is to come, or was while nobody looked. */
export const isArmed = (s: { readonly deadlineLow: number; readonly deadlineHigh: number }): boolean =>
  (s.deadlineLow | s.deadlineHigh) !== 0;
/** `reached` is when the time stamp counter reaches the deadline; what is 0 disarms. */
export function armDeadline(s: TimerState, low: number, high: number, reached: Nanoseconds | null): void {
  s.deadlineLow = low;
  s.deadlineHigh = high;
  s.reached = isArmed(s) ? reached : null;
}

/** Divide configuration register, figure 11-10: bits 3, 1 and 0 give 2, 4, .. 128, 1. */
const divisor = (divide: number): number => 1 << (((((divide & 8) >> 1) | (divide & 3)) + 1) & 7);
const length = (s: TimerState): Nanoseconds => s.initial * divisor(s.divide);

/** The current count register. */
export function currentCount(s: TimerState, now: Nanoseconds, periodic: boolean): number {
  if (s.initial === 0) return 0;
  const ticks = Math.max(0, Math.floor((now - s.start) / divisor(s.divide)));
  if (!periodic) return Math.max(0, s.initial - ticks);
  return s.initial - (ticks % s.initial);
}

export function startCount(s: TimerState, now: Nanoseconds, initial: number): void {
  s.initial = initial;
  s.start = now;
}

/** The count goes on from where it is, at the new speed. */
export function setDivide(s: TimerState, now: Nanoseconds, value: number, periodic: boolean): void {
  const counted = s.initial - currentCount(s, now, periodic);
  s.divide = value & DIVIDE_WRITABLE;
  s.start = now - counted * divisor(s.divide);
}

/** When the count reaches zero next, strictly after `now`, or null. `fired` says that it just did. */
export function nextExpiry(s: TimerState, now: Nanoseconds, periodic: boolean, fired = false): Nanoseconds | null {
  if (s.initial === 0) return null;
  if (!periodic) return s.start + length(s) > now ? s.start + length(s) : null;
  const after = fired ? now + MIN_INTERVAL_NS - 1 : now;
  return s.start + (Math.max(0, Math.floor((after - s.start) / length(s))) + 1) * length(s);
}
