/** Remembers what a guest was built from, so that a second build does nothing, and never throws away what a guest wrote. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtFiles, guestFiles } from './files.ts';
import type { LoadedRecipe } from './recipe.ts';

interface Stamp {
  /** Raised when this program makes something else from the same recipe. */
  readonly builder: number;
  readonly recipe: string;
  readonly packages: readonly string[];
  /** The disk as it was built; another time or size means that a guest has written to it. */
  readonly disk: { readonly modifiedMs: number; readonly sizeBytes: number };
}
const BUILDER = 1;

/**
 * `absent`: nothing is there, or not all of it. `current`: it is what a build would make. `outdated`: the recipe has changed.
 * `outdated-used`: likewise, but a guest has written to the disk since.
 */
export type BuildState = 'absent' | 'current' | 'outdated' | 'outdated-used';

export function buildState(out: string, recipe: LoadedRecipe): BuildState {
  const { fingerprint } = recipe;
  const files = guestFiles(recipe);
  if ([...builtFiles(files), files.stamp].some((file) => !existsSync(join(out, file)))) return 'absent';
  let stamp: Partial<Stamp> | null;
  try {
    stamp = JSON.parse(readFileSync(join(out, files.stamp), 'utf8')) as Partial<Stamp> | null;
  } catch {
    return 'outdated-used';
  }
  if (stamp?.recipe === fingerprint && stamp.builder === BUILDER) return 'current';
  const disk = statSync(join(out, files.disk));
  const untouched = stamp?.disk?.modifiedMs === disk.mtimeMs && stamp.disk.sizeBytes === disk.size;
  return untouched ? 'outdated' : 'outdated-used';
}

export function writeStamp(out: string, recipe: LoadedRecipe, packages: readonly string[]): void {
  const files = guestFiles(recipe);
  const disk = statSync(join(out, files.disk));
  const stamp: Stamp = {
    builder: BUILDER,
    recipe: recipe.fingerprint,
    packages,
    disk: { modifiedMs: disk.mtimeMs, sizeBytes: disk.size },
  };
  writeFileSync(join(out, files.stamp), `${JSON.stringify(stamp, null, 2)}\n`);
}
