/** The time of one processor as VMI counts it, and its two alarms (VMI 2.0 specification, "time model"). Times are in nanoseconds. */
import { array, nested, whole, type Infer, type Nanoseconds } from '@tomei/kit';
import type { Host } from '../machine/device.ts';
import { NEVER, advance, alarmState, arm, disarm, timeOf } from './alarms.ts';
import { ALARM, COUNTER } from './interface.ts';

export const clockFields = {
  /** By counter: real time, available time. */
  alarms: array(2, () => nested(alarmState)),
  /** Nanoseconds for which the processor was ready and had none of the host's, or another one's turn. */
  stolen: whole(),
  /** The most that the counter of available time has shown. */
  available: whole(),
} as const;
export type ClockState = Infer<typeof clockFields>;

/** How an alarm of the processor is heard. */
export interface AlarmOutputs {
  /** The timer's interrupt line, which all processors share. */
  line(): void;
  /** The timer's entry in the local vector table of the processor. */
  local(): void;
}

export class ProcessorClock {
  private readonly host: Host;
  private readonly state: () => ClockState;
  private readonly outputs: AlarmOutputs;
  /** Each alarm on the machine's clock. */
  private readonly timers;

  /** `state` is asked for each time: a restored one is another object. */
  constructor(host: Host, state: () => ClockState, outputs: AlarmOutputs) {
    this.host = host;
    this.state = state;
    this.outputs = outputs;
    this.timers = [COUNTER.REAL, COUNTER.AVAILABLE].map((which) => host.alarm(() => this.expire(which)));
  }

  /** What a counter shows; 0 for one that there is not. */
  counter(which: number): Nanoseconds {
    const state = this.state(),
      now = Math.floor(this.host.clock.now());
    if (which === COUNTER.REAL) return now;
    // What was stolen is told of later, when the guest may have seen it as its own: counters do not go back.
    if (which === COUNTER.AVAILABLE) return (state.available = Math.max(state.available, now - state.stolen));
    return which === COUNTER.STOLEN ? state.stolen : 0;
  }
  /** The processor has waited for so many nanoseconds more. */
  stolen(nanoseconds: Nanoseconds): void {
    this.state().stolen += nanoseconds;
    this.settle(COUNTER.AVAILABLE);
  }

  /** SetAlarm with its arguments on an alarm that there is. */
  set(
    which: number,
    flags: number,
    [low, high, periodLow, periodHigh]: readonly [number, number, number, number],
  ): void {
    arm(this.state().alarms[which]!, {
      line: (flags & ALARM.LVTT) === 0,
      periodic: (flags & ALARM.PERIODIC) !== 0,
      expiry: timeOf(low, high),
      period: timeOf(periodLow, periodHigh),
    });
    this.settle(which);
  }
  /** Answers whether it was armed. */
  cancel(which: number): boolean {
    const was = disarm(this.state().alarms[which]!);
    this.settle(which);
    return was;
  }
  cancelAll(): void {
    this.cancel(COUNTER.REAL);
    this.cancel(COUNTER.AVAILABLE);
  }
  /** Whether an alarm comes, or came last, on the timer's line. */
  get usesLine(): boolean {
    return this.state().alarms.some(({ usesLine }) => usesLine);
  }
  /** Sets the machine's alarms by the state. */
  settleAll(): void {
    this.settle(COUNTER.REAL);
    this.settle(COUNTER.AVAILABLE);
  }

  private settle(which: number): void {
    const state = this.state(),
      { armed, expiry } = state.alarms[which]!,
      at = expiry + (which === COUNTER.AVAILABLE ? state.stolen : 0);
    if (armed && at < NEVER) this.timers[which]!.set(at);
    else this.timers[which]!.cancel();
  }
  private expire(which: number): void {
    const alarm = this.state().alarms[which]!,
      now = this.counter(which);
    if (alarm.armed && now >= alarm.expiry) {
      const { usesLine } = alarm;
      advance(alarm, now);
      if (usesLine) this.outputs.line();
      else this.outputs.local();
    }
    this.settle(which);
  }
}
