/** Keeps account of the processor thread's host time: slices of the guest, what lies between them, and sleep. */
import type { SliceEnd } from '@tomei/paravirt-core';
import type { TimeUse } from './guest-stats.ts';

/** Guest time between two samples of what runs, in milliseconds. A look walks through page tables: some microseconds, with cold caches. */
const SAMPLE_MS = 10;

/** Parts of guest time that somebody else measures, in milliseconds up to now. */
export interface MeasuredElsewhere {
  readonly devices: number;
  readonly system: number;
  readonly translating: number;
}

export class TimeAccount {
  /** In slices, and asleep. */
  guestMs = 0;
  idleMs = 0;
  halts = 0;
  slices = 0;
  /** Between slices. */
  betweenMs = 0;
  private began = 0;
  private last: number | undefined;
  private sampledAt = 0;
  private readonly sampled = { interpreted: 0, compiled: 0 };
  private readonly isAtCompiledCode: () => boolean;

  /** `isAtCompiledCode` is asked between two slices. */
  constructor(isAtCompiledCode: () => boolean) {
    this.isAtCompiledCode = isAtCompiledCode;
  }

  /** A slice begins. Times are of one clock. */
  begin(now: number): void {
    if (this.last !== undefined) this.betweenMs += now - this.last;
    this.began = now;
  }
  /** It ends, as `SliceEnd` says. */
  end(now: number, how: SliceEnd['kind']): void {
    this.guestMs += now - this.began;
    this.last = now;
    if (how === 'halted') this.halts++;
    else this.slices++;
    const since = this.guestMs - this.sampledAt;
    if (since < SAMPLE_MS) return;
    // A guest that halts has woken for a moment: delivering what woke it takes most of that.
    const isCompiled = how === 'running' && this.isAtCompiledCode();
    this.sampled[isCompiled ? 'compiled' : 'interpreted'] += since;
    this.sampledAt = this.guestMs;
  }
  /** The thread slept so long, just now, since the guest is halted. */
  slept(ms: number): void {
    this.idleMs += ms;
    if (this.last !== undefined) this.last += ms;
  }
  /** The machine stood still until now, which counts as nothing. */
  stood(): void {
    this.last = undefined;
  }

  /** Up to the end of the last slice. */
  use({ devices, system, translating }: MeasuredElsewhere): TimeUse {
    const { interpreted, compiled } = this.sampled,
      sampled = interpreted + compiled,
      share = sampled === 0 ? 0 : compiled / sampled;
    // Estimates are estimates: no share is below nothing.
    const inDevices = Math.min(devices, this.guestMs),
      inSystem = Math.min(system, this.guestMs - inDevices),
      inTranslating = Math.min(translating, this.guestMs - inDevices - inSystem),
      code = this.guestMs - inDevices - inSystem - inTranslating;
    return {
      interpreted: code * (1 - share),
      compiled: code * share,
      translating: inTranslating,
      devices: inDevices + this.betweenMs,
      system: inSystem,
      idle: this.idleMs,
    };
  }
}
