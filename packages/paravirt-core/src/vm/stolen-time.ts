/** Tells a guest now and then for how long the host gave its processor's thread no processor. */
import type { Clock, Nanoseconds } from '@tomei/kit';

/** Asking the host takes some microseconds: no more than about one part in a thousand. */
const INTERVAL: Nanoseconds = 10_000_000;

/** Who is told. */
export interface StolenTimeGuest {
  wantsStolenTime(): boolean;
  stolen(nanoseconds: number): void;
}

export class StolenTime {
  private readonly guest: StolenTimeGuest;
  private readonly hostWait: () => number | undefined;
  private readonly clock: Clock;
  /** When the host is asked next, and what it said last: undefined before that. */
  private next: Nanoseconds = 0;
  private last: number | undefined;

  /** `hostWait` is that of `MachineBackends`. */
  constructor(guest: StolenTimeGuest, hostWait: () => number | undefined, clock: Clock) {
    this.guest = guest;
    this.hostWait = hostWait;
    this.clock = clock;
  }

  /** Call between slices, as often as you like. What was waited before the guest first asked is not told. */
  tell(): void {
    const now = this.clock.now();
    if (this.last !== undefined && now < this.next) return;
    if (!this.guest.wantsStolenTime()) {
      this.last = undefined;
      return;
    }
    this.next = now + INTERVAL;
    const waited = this.hostWait();
    if (waited === undefined) return;
    if (this.last !== undefined && waited > this.last) this.guest.stolen(waited - this.last);
    this.last = waited;
  }
}
