/**
 * How often something is done, and about how long all of it takes. Looking at the host's clock costs as much as many an access to a
 * device does: what is frequent is timed now and then, and each time stands for all since the last one.
 */

/** Each of so many is timed by itself: what is rare is known exactly. */
const EXACT = 512;
/** Of more, one in so many: a prime, so that it does not keep step with what a driver repeats. */
const STRIDE = 31;
/** What takes longer was interrupted by the host, in most cases, and stands for itself alone: thirty-one times that would be noise. */
const LONGEST_MS = 0.5;

export class Meter {
  count = 0;
  /** Host time of all of them, estimated. */
  milliseconds = 0;
  private readonly now: () => number;
  private untilTimed = 1;
  /** For how many the one that is being timed stands. */
  private weight = 1;

  /** `now` gives host time in milliseconds. */
  constructor(now: () => number) {
    this.now = now;
  }

  /** Counts one; whether it is to be timed: by `begin` and `end`, or by nothing if it does not come to its end. */
  get isTimed(): boolean {
    this.count++;
    return --this.untilTimed <= 0;
  }
  begin(): number {
    this.weight = this.count < EXACT ? 1 : STRIDE;
    this.untilTimed = this.weight;
    return this.now();
  }
  /** `began` is what `begin` gave. */
  end(began: number): void {
    const took = this.now() - began;
    this.milliseconds += took > LONGEST_MS ? took : took * this.weight;
  }
  /** One that is long enough to be timed by itself, whatever came before. */
  alone<T>(work: () => T): T {
    this.count++;
    const began = this.now(),
      value = work();
    this.milliseconds += this.now() - began;
    return value;
  }
}
