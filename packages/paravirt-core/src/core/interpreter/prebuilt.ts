/**
 * The interpreter of the whole table, generated beforehand (`pnpm build`): generating takes as long as a guest needs to its first output.
 * Where the build could, its machine code is there too (wasm/machine-code.ts). It is of use while the sources that it was made from are
 * as they were; what was changed since is generated when it is needed.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import { areUnchanged, sourcesOf, type Sources } from '@tomei/built';
import type { GeneratedInterpreter } from './generate.ts';

const FILE = new URL('../../../gen/interpreter.bin', import.meta.url);
/** Folders of `src` that hold all that decides what is generated. */
export const SOURCE_FOLDERS = ['isa', 'wasm', 'core'] as const;
const SOURCES = new URL('../../', import.meta.url);

/** What a build makes. */
export interface Prebuilt {
  readonly generated: GeneratedInterpreter;
  /** As `optimizedCode` gave it for `generated.bytes`. */
  readonly code?: Uint8Array<ArrayBuffer>;
}
/** What the file holds. */
interface Kept extends Prebuilt {
  readonly sources: Sources;
  /** The version of V8 that is to compile it, and to read the file. */
  readonly v8: string;
}

function sourceFiles(): string[] {
  return SOURCE_FOLDERS.flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, SOURCES), { recursive: true, encoding: 'utf8' })
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts')),
  );
}

/** Undefined when there is none, or none of these sources. */
export function readPrebuilt(file: URL = FILE): Prebuilt | undefined {
  try {
    const { sources, v8, ...prebuilt } = deserialize(readFileSync(file)) as Kept;
    return v8 === process.versions.v8 && areUnchanged(sources, SOURCES) ? prebuilt : undefined;
  } catch {
    // Without it all works: it only takes longer to begin.
    return undefined;
  }
}

/** Replaces the file in one step. */
export function writePrebuilt(prebuilt: Prebuilt, file: URL = FILE): void {
  const kept: Kept = { sources: sourcesOf(SOURCES, sourceFiles()), v8: process.versions.v8, ...prebuilt };
  mkdirSync(new URL('.', file), { recursive: true });
  const temporary = `${fileURLToPath(file)}.${process.pid}.tmp`;
  writeFileSync(temporary, serialize(kept));
  renameSync(temporary, file);
}
