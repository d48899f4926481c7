/** How often to look at a screen: soon while things change or somebody types, seldom while nothing does. Knows no clock. */

/** About 30 looks a second. */
export const SHORTEST_MS = 33;
/** About 5. */
export const LONGEST_MS = 230;
/** Typed input takes this long to be seen, at best. */
const ECHO_MS = 8;
const BACK_OFF = 1.3;
/** A change of so few dots may be a cursor that blinks: no reason to hurry. */
const SMALL_CHANGE = 1024;

export class Pace {
  private pauseMs = SHORTEST_MS;

  /** Milliseconds until the next look, after one that found so many dots changed. */
  after(changedDots: number): number {
    this.pauseMs = changedDots > SMALL_CHANGE ? SHORTEST_MS : Math.min(this.pauseMs * BACK_OFF, LONGEST_MS);
    return this.pauseMs;
  }
  /** Somebody typed, so many milliseconds after the last look. Milliseconds from now until the next one. */
  hurry(sinceMs: number): number {
    this.pauseMs = SHORTEST_MS;
    return Math.max(ECHO_MS, SHORTEST_MS - sinceMs);
  }
}
