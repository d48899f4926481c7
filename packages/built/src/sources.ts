/** Files that something was made of, and whether they are still what they were. */
import { readFileSync, statSync } from 'node:fs';

export interface Sources {
  /** By their paths below a root. */
  readonly files: readonly (readonly [path: string, sizeBytes: number, modifiedMs: number])[];
  /** Of all paths and contents. */
  readonly fingerprint: string;
}

export function sourcesOf(root: URL, paths: Iterable<string>): Sources {
  const sorted = [...paths].sort();
  const files = sorted.map((path): Sources['files'][number] => {
    const { size, mtimeMs } = statSync(new URL(path, root));
    return [path, size, mtimeMs];
  });
  return { files, fingerprint: fingerprint(root, sorted) };
}

/**
 * A look at sizes and times is what it costs where nothing was touched. Files that were only copied or checked out anew, which gives them
 * other times, are read.
 */
export function areUnchanged({ files, fingerprint: made }: Sources, root: URL): boolean {
  let isTouched = false;
  for (const [path, sizeBytes, modifiedMs] of files) {
    const now = statSync(new URL(path, root), { throwIfNoEntry: false });
    if (now?.size !== sizeBytes) return false;
    isTouched ||= now.mtimeMs !== modifiedMs;
  }
  return (
    !isTouched ||
    fingerprint(
      root,
      files.map(([path]) => path),
    ) === made
  );
}

function fingerprint(root: URL, paths: readonly string[]): string {
  // It takes Node longer to load than files take to be looked at.
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256');
  for (const path of paths) hash.update(`\0${path}\0`).update(readFileSync(new URL(path, root)));
  return hash.digest('hex');
}
