/** What a way of building a guest is given, and gives. */
import type { Progress, Step } from './progress.ts';
import type { LoadedRecipe, Recipe } from './recipe.ts';

/** One time on every file, so that the same packages give the same guest: 2024-01-01 00:00 UTC, in seconds since 1970. */
export const FILE_TIME = 1_704_067_200;
/** A 32-bit PC. */
export const ARCHITECTURE = 'i386';

export interface Builder<R extends Recipe> {
  /** Its steps with their usual share of the time. */
  readonly steps: readonly Step[];
  /** Writes the guest's files into `work`. Returns the names of the package files that they were made from. */
  readonly assemble: (recipe: LoadedRecipe<R>, work: string, cache: string, progress: Progress) => Promise<string[]>;
}
