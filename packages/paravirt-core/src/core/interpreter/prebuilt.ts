/**
 * The interpreter of the whole table, generated beforehand (`pnpm build`): generating takes as long as a guest needs to its first output.
 * It is of use while the sources that it was made from are as they were; what was changed since is generated when it is needed.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import type { GeneratedInterpreter } from './generate.ts';

const FILE = new URL('../../../gen/interpreter.bin', import.meta.url);
/** Folders of `src` that hold all that decides what is generated. */
export const SOURCE_FOLDERS = ['isa', 'wasm', 'core'] as const;
const SOURCES = new URL('../../', import.meta.url);

interface Prebuilt {
  readonly fingerprint: string;
  readonly generated: GeneratedInterpreter;
}

/** Of the sources' names and contents, and of what reads the file. */
function fingerprint(): string {
  const hash = createHash('sha256').update(process.versions.v8);
  for (const folder of SOURCE_FOLDERS) {
    const root = new URL(`${folder}/`, SOURCES);
    const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .map((name) => name.replaceAll('\\', '/'))
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
    for (const name of names.sort()) hash.update(`\0${folder}/${name}\0`).update(readFileSync(new URL(name, root)));
  }
  return hash.digest('hex');
}

/** Undefined when there is none, or none of these sources. */
export function readPrebuilt(file: URL = FILE): GeneratedInterpreter | undefined {
  try {
    const { fingerprint: made, generated } = deserialize(readFileSync(file)) as Prebuilt;
    return made === fingerprint() ? generated : undefined;
  } catch {
    // Without it all works: it only takes longer to begin.
    return undefined;
  }
}

/** Replaces the file in one step. */
export function writePrebuilt(generated: GeneratedInterpreter, file: URL = FILE): void {
  const prebuilt: Prebuilt = { fingerprint: fingerprint(), generated };
  mkdirSync(new URL('.', file), { recursive: true });
  const temporary = `${fileURLToPath(file)}.${process.pid}.tmp`;
  writeFileSync(temporary, serialize(prebuilt));
  renameSync(temporary, file);
}
