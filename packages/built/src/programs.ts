/** Programs out of a few files instead of hundreds of modules, each of which takes Node a fifth of a millisecond to find. */
import { readFileSync } from 'node:fs';
import { areUnchanged, type Sources } from './sources.ts';

/** What paths of sources start from. */
export const REPOSITORY = new URL('../../../', import.meta.url);
export const BUILT = new URL('../dist/', import.meta.url);
/** Beside what was built. */
export const MANIFEST = 'programs.json';

export interface Manifest {
  readonly sources: Sources;
  /** By the path of the source that a program starts with: the name of what was made of it. */
  readonly programs: Readonly<Record<string, string>>;
  /** All files of this build. */
  readonly files: readonly string[];
}

/**
 * What `pnpm build` has made of a program, given the source that it starts with, where that would be made now: where it is not,
 * the source itself, which Node runs as well.
 */
export function builtFrom(source: URL, built: URL = BUILT): URL {
  if (!source.href.startsWith(REPOSITORY.href)) return source;
  try {
    const { sources, programs } = JSON.parse(readFileSync(new URL(MANIFEST, built), 'utf8')) as Manifest;
    const name = programs[source.href.slice(REPOSITORY.href.length)];
    return name !== undefined && areUnchanged(sources, REPOSITORY) ? new URL(name, built) : source;
  } catch {
    // There is none, or it is damaged.
    return source;
  }
}
