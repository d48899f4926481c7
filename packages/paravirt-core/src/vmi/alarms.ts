/** The two alarms of a processor, one for each time counter (VMI 2.0 specification, "time model"). Times are in nanoseconds. */
import { bool, pod, whole, type Nanoseconds, type StateOf } from '@tomei/kit';

/** Interrupts nearer to each other than this are merged: no guest can serve them, and a hostile one could stall the host. */
const MIN_INTERVAL = 20_000;
/** Beyond all time: machines end before it. */
export const NEVER = Number.MAX_SAFE_INTEGER;

/** How an alarm is heard: not set, as the timer's interrupt line, by the local vector table's timer entry. */
export const alarmState = pod({
  armed: bool(),
  /** It was last set for IRQ0, and has not been cancelled. */
  usesLine: bool(),
  periodic: bool(),
  /** On its counter. */
  expiry: whole(),
  period: whole(),
}).check((s) => !s.armed || !s.periodic || s.period > 0 || "field 'period' of a periodic alarm is 0");
export type AlarmState = StateOf<typeof alarmState>;

/** 64 bits as two halves; what does not fit a time is never. */
export const timeOf = (low: number, high: number): Nanoseconds => Math.min((high >>> 0) * 2 ** 32 + (low >>> 0), NEVER);

/** Arms an alarm. A period of 0 is one shot, whatever was asked for. */
export function arm(
  alarm: AlarmState,
  how: { line: boolean; periodic: boolean; expiry: number; period: number },
): void {
  alarm.armed = true;
  alarm.usesLine = how.line;
  alarm.periodic = how.periodic && how.period > 0;
  alarm.expiry = how.expiry;
  alarm.period = how.period;
}
/** Answers whether it was armed. */
export function disarm(alarm: AlarmState): boolean {
  const was = alarm.armed;
  alarm.armed = false;
  alarm.usesLine = false;
  return was;
}
/** An armed alarm has expired at `now` on its counter: the next expiry e0 + k * p behind it, however many were missed. */
export function advance(alarm: AlarmState, now: Nanoseconds): void {
  if (!alarm.periodic) {
    alarm.armed = false;
    return;
  }
  const after = now + MIN_INTERVAL - 1,
    past = Math.max(0, after - alarm.expiry);
  const next = alarm.expiry + (past - (past % alarm.period)) + alarm.period;
  alarm.expiry = Math.min(next, NEVER);
}
