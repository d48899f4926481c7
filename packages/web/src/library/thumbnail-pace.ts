/** How often a small screen is looked at: sooner while it changes, seldom while it stands still. Pure. */

const FASTEST_MS = 2000;
const SLOWEST_MS = 15_000;

/** The wait after an answer that did or did not bring a new picture, given the wait before it. */
export function nextPaceMs(beforeMs: number, hasChanged: boolean): number {
  if (hasChanged) return FASTEST_MS;
  return Math.min(SLOWEST_MS, Math.max(FASTEST_MS, Math.round(beforeMs * 1.6)));
}
