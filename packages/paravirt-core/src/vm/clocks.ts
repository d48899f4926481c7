/** The two kinds of machine time: the host's, and one that counts instructions. Both start at 0 and can be put to a saved time. */
// The global of that name is a getter, which would be called for each look.
import { performance } from 'node:perf_hooks';
import type { Clock, Nanoseconds } from '@tomei/kit';

/** A machine's time, owned by its run loop. */
export interface MachineClock extends Clock {
  /** The run loop executed this many instructions. */
  executed(instructions: number): void;
  /** The guest reached beyond the processor: a port, a device's memory, the time stamp counter. That takes time too, each time. */
  touched(times?: number): void;
  /** How many instructions that reach beyond the processor may be executed, one after the other, with the next one before `time`. */
  touchesBefore(time: Nanoseconds): number;
  /** Sleeps are over at once where time does not pass by itself. */
  skipTo(time: Nanoseconds): void;
  /** Makes this moment `time`. */
  set(time: Nanoseconds): void;
  /** How many instructions may be executed before it is `time`, at least one; Infinity where time passes by itself. */
  instructionsUntil(time: Nanoseconds): number;
  /** Whether waiting makes time pass. */
  readonly isReal: boolean;
  /** Whether a halted machine's time goes to the next alarm at once. Otherwise its owner calls `skipTo`. */
  readonly skipsIdle: boolean;
}

/** Time as the host's monotonic clock passes, from 0 at creation. A paused machine calls `set` when it goes on. */
export class HostClock implements MachineClock {
  readonly isReal = true;
  readonly skipsIdle = false;
  private offset = -performance.now() * 1e6;

  now(): Nanoseconds {
    return Math.max(0, Math.floor(performance.now() * 1e6 + this.offset));
  }
  executed(): void {}
  touched(): void {}
  touchesBefore(): number {
    return Infinity;
  }
  skipTo(): void {}
  instructionsUntil(): number {
    return Infinity;
  }
  set(time: Nanoseconds): void {
    this.offset = time - performance.now() * 1e6;
  }
}

/**
 * The time that devices see: it stands still within one access. A device that looks twice, to start a count and to compute its
 * end, would otherwise miss a count that ended in between.
 */
export class HeldClock implements Clock {
  private readonly real: Clock;
  private time: Nanoseconds;

  constructor(real: Clock) {
    this.real = real;
    this.time = real.now();
  }
  now(): Nanoseconds {
    return this.time;
  }
  /** Goes to the real clock's time. */
  look(): void {
    this.time = this.real.now();
  }
}

/** Nanoseconds that an access outside of the processor takes. */
const TOUCH = 100;

/** Time by instructions: the same inputs give the same run. Halted processors jump to the next alarm. */
export class InstructionClock implements MachineClock {
  readonly isReal = false;
  readonly skipsIdle: boolean;
  private time: Nanoseconds = 0;
  private readonly perInstruction: number;

  /** `perInstruction` in nanoseconds; 2 makes a processor of 500 MIPS. */
  constructor(perInstruction = 2, { skipsIdle = true }: { readonly skipsIdle?: boolean } = {}) {
    this.perInstruction = perInstruction;
    this.skipsIdle = skipsIdle;
  }
  now(): Nanoseconds {
    return this.time;
  }
  executed(instructions: number): void {
    this.time += instructions * this.perInstruction;
  }
  /** A loop that polls a counter sees it move, though instructions are only counted between slices. */
  touched(times = 1): void {
    this.time += times * TOUCH;
  }
  touchesBefore(time: Nanoseconds): number {
    return Math.max(0, Math.ceil((time - this.time) / (this.perInstruction + TOUCH)) - 1);
  }
  skipTo(time: Nanoseconds): void {
    this.time = Math.max(this.time, time);
  }
  instructionsUntil(time: Nanoseconds): number {
    return Math.max(1, Math.ceil((time - this.time) / this.perInstruction));
  }
  set(time: Nanoseconds): void {
    this.time = time;
  }
}
