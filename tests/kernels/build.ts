/**
 * Builds the test kernels with the host's gcc: freestanding 32-bit code, linked at 1 MiB, booted by multiboot.
 * Results are kept by a hash of every source, so that a run without changes builds nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const CACHE = fileURLToPath(new URL('../../artefacts/kernels/', import.meta.url));

const FLAGS = [
  ...['-m32', '-march=i686', '-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter'],
  ...['-ffreestanding', '-fno-pic', '-fno-pie', '-fno-stack-protector', '-fno-asynchronous-unwind-tables'],
  ...[
    '-fcf-protection=none',
    '-fno-builtin',
    '-mgeneral-regs-only',
    '-fno-strict-aliasing',
    '-fmax-errors=3',
    '-ftrack-macro-expansion=0',
    `-I${ROOT}lib`,
  ],
];
const LINK = ['-m32', '-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,-z,norelro'];

/** Names of the kernels, one for each file in `sources/`. */
export function kernelNames(): string[] {
  return readdirSync(`${ROOT}sources`)
    .filter((name) => /\.[cS]$/.test(name))
    .map((name) => name.slice(0, -2))
    .toSorted();
}

/** Why kernels cannot be built here, or undefined. */
export function missingCompiler(): string | undefined {
  return spawnSync('gcc', ['--version']).status === 0
    ? undefined
    : 'gcc is not installed (Debian package gcc): test kernels cannot be built';
}

/** Builds every kernel that is not in the cache and returns the directory with `NAME.elf`. Throws with gcc's own words. */
export function buildKernels(): string {
  const files = ['lib', 'sources'].flatMap((folder) =>
    readdirSync(ROOT + folder)
      .toSorted()
      .map((name) => `${ROOT}${folder}/${name}`),
  );
  const hash = createHash('sha256').update(JSON.stringify([FLAGS, LINK]));
  for (const file of files) hash.update(`${file.slice(ROOT.length)}\0`).update(readFileSync(file));
  const target = `${CACHE}${hash.digest('hex').slice(0, 16)}`;
  if (existsSync(target)) return target;
  // Another process may build the same, so each works in a folder of its own.
  const work = `${target}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    buildInto(work, files);
    // Only a complete build becomes the cached one; the loser of a race drops its own.
    if (!existsSync(target)) renameSync(work, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return target;
}

function buildInto(work: string, files: readonly string[]): void {
  const library = files.filter((file) => /\/lib\/.*\.[cS]$/.test(file)).map((file) => compile(file, work));
  for (const file of files.filter((name) => /\/sources\/.*\.[cS]$/.test(name))) {
    const object = compile(file, work);
    gcc([
      ...LINK,
      `-Wl,-T,${ROOT}lib/link.ld`,
      object,
      ...library,
      '-o',
      object.replace('sources-', '').replace(/\.o$/, '.elf'),
    ]);
  }
}

function compile(file: string, folder: string): string {
  const object = `${folder}/${file
    .slice(ROOT.length)
    .replace('/', '-')
    .replace(/\.[cS]$/, '')}.o`;
  gcc([...FLAGS, '-c', file, '-o', object]);
  return object;
}

function gcc(args: readonly string[]): void {
  execFileSync('gcc', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
