/** Time as a parameter. One nanosecond count from the machine's power-on; nobody below `vm` asks the host for the time. */

/** Nanoseconds since power-on: a whole number below 2^53 (104 days). */
export type Nanoseconds = number;

export interface Clock {
  now(): Nanoseconds;
}

/** One pending call at a time; setting it again replaces the old time. */
export interface Alarm {
  set(at: Nanoseconds): void;
  cancel(): void;
}

interface Entry {
  at: number | null;
  readonly fire: () => void;
  readonly order: number;
}

/**
 * Alarms ordered by time, then by age. The owner of time calls `fireDue` and asks `next` how long it may sleep.
 * A machine has a dozen alarms, so a scan beats a heap.
 */
export class Alarms {
  private readonly entries: Entry[] = [];
  /** The first one that is due. */
  private first: Entry | undefined;
  private cachedNext: number | null = null;

  create(fire: () => void): Alarm {
    const entry: Entry = { at: null, fire, order: this.entries.length };
    this.entries.push(entry);
    return {
      set: (at) => {
        entry.at = Math.max(0, Math.ceil(at));
        this.refresh();
      },
      cancel: () => {
        entry.at = null;
        this.refresh();
      },
    };
  }

  /** The earliest pending time, or null when nothing is pending. */
  next(): Nanoseconds | null {
    return this.cachedNext;
  }

  /** Fires everything due at `now`, earliest first, including what an alarm sets for a time that is already past. */
  fireDue(now: Nanoseconds): void {
    while (this.cachedNext !== null && this.cachedNext <= now) {
      const entry = this.first!;
      entry.at = null;
      this.refresh();
      entry.fire();
    }
  }

  private refresh(): void {
    const { entries } = this;
    let first: Entry | undefined,
      next: number | null = null;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!,
        { at } = entry;
      if (at === null || (next !== null && at >= next)) continue;
      first = entry;
      next = at;
    }
    this.first = first;
    this.cachedNext = next;
  }
}

/** A clock that moves when a test says so, firing alarms on the way at their own times. */
export class ManualClock implements Clock {
  readonly alarms = new Alarms();
  private time: Nanoseconds;

  constructor(start: Nanoseconds = 0) {
    this.time = start;
  }

  now(): Nanoseconds {
    return this.time;
  }

  advance(by: Nanoseconds): void {
    const end = this.time + by;
    for (let next = this.alarms.next(); next !== null && next <= end; next = this.alarms.next()) {
      this.time = Math.max(this.time, next);
      this.alarms.fireDue(this.time);
    }
    this.time = end;
  }
}

export const us = (n: number): Nanoseconds => n * 1_000;
export const ms = (n: number): Nanoseconds => n * 1_000_000;
export const seconds = (n: number): Nanoseconds => n * 1_000_000_000;
