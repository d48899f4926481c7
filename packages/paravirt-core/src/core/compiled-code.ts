/** What the code cache and the compiler (jit/) know of each other. */

/** Whoever has made compiled code out of pages (jit/). */
export interface CompiledCode {
  /** What was decoded from a guest-physical page is about to be forgotten; -1: from all pages. */
  dropped(page: number): void;
}
/** Where compiled code is entered: made by `enterRegion`. */
export interface RegionEntry {
  /** Guest-physical page, and the offset in it. */
  readonly page: number;
  readonly offset: number;
  /** The record in the map, and that of the instruction itself. */
  readonly record: number;
  readonly instruction: number;
}
