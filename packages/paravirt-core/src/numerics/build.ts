/** Compiles the leaf numerics (AssemblyScript) to `gen/numerics.wasm`. Run as `pnpm build:numerics`, or called by tests. */
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { TomeiError, messageOf } from '@tomei/kit';
import { NUMERICS_WASM } from './numerics.ts';

/** Where the sources are, and where the compiler resolves its arguments. */
const SOURCE_DIRECTORY = fileURLToPath(new URL('./assembly', import.meta.url));

/**
 * The module works on the guest's memory: it imports it, shared and of any size up to 4 GiB, and may place nothing there,
 * so there is no runtime, no data segment and no start function.
 */
const OPTIONS = [
  ...['--runtime', 'stub', '--importMemory', '--noExportMemory', '--sharedMemory'],
  ...['--initialMemory', '1', '--maximumMemory', '65536', '--memoryBase', '0'],
  ...['--enable', 'threads', '--enable', 'bulk-memory', '--enable', 'nontrapping-f2i', '--enable', 'sign-extension'],
  ...['--noAssert', '--use', 'abort=', '-O3', '--converge'],
];

/** Compiles, checks that the module keeps out of memory it does not own, and replaces `gen/numerics.wasm` in one step. */
export async function buildNumerics(): Promise<void> {
  let text = '';
  const print = { write: (chunk: string | Uint8Array) => ((text += String(chunk)), true) };
  let bytes: Uint8Array | undefined;
  const { error } = await asc.main(['index.ts', '--baseDir', SOURCE_DIRECTORY, '-o', 'numerics.wasm', ...OPTIONS], {
    stdout: print,
    stderr: print,
    readFile: (name, base) => readFile(`${base}/${name}`, 'utf8').catch(() => null),
    writeFile: (_name, contents) => {
      bytes = contents as unknown as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error !== null || bytes === undefined) {
    throw new TomeiError('numerics.not-compiled', `${SOURCE_DIRECTORY}: ${messageOf(error)}\n${text}`);
  }
  assertOwnsNothing(bytes);
  const directory = fileURLToPath(new URL('.', NUMERICS_WASM));
  await mkdir(directory, { recursive: true });
  const temporary = `${directory}numerics.${process.pid}.tmp`;
  try {
    await writeFile(temporary, bytes);
    await rename(temporary, fileURLToPath(NUMERICS_WASM));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Builds unless `gen/numerics.wasm` is newer than every source: what tests call first. */
export async function ensureNumerics(): Promise<void> {
  const built = await stat(NUMERICS_WASM).catch(() => undefined);
  const sources = (await readdir(SOURCE_DIRECTORY)).map((name) => `${SOURCE_DIRECTORY}/${name}`);
  const times = await Promise.all(sources.map(async (path) => (await stat(path)).mtimeMs));
  if (built === undefined || times.some((time) => time > built.mtimeMs)) await buildNumerics();
}

/** Sections of a module that would write to, or run on, the guest's memory (WebAssembly core specification, 5.5.2). */
const FORBIDDEN_SECTIONS: Readonly<Record<number, string>> = { 8: 'a start function', 11: 'data segments' };

function assertOwnsNothing(bytes: Uint8Array): void {
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at++]!;
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const what = FORBIDDEN_SECTIONS[id];
    if (what !== undefined) {
      throw new TomeiError('numerics.not-compiled', `${SOURCE_DIRECTORY}: the compiled module has ${what}`);
    }
    at += size;
  }
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(Uint8Array.from(bytes)));
  if (imports.some((i) => i.kind !== 'memory')) {
    const names = imports.map((i) => `${i.module}.${i.name}`).join(', ');
    throw new TomeiError('numerics.not-compiled', `${SOURCE_DIRECTORY}: the compiled module imports ${names}`);
  }
}

if (import.meta.main) await buildNumerics();
