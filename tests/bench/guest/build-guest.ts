/** Makes the benchmark's initrd: busybox, the workloads as one static i386 program, and an init that runs them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PrivateApt, Tree, cacheFolder, cpio, runTool } from '@tomei/cli';

const SOURCES = import.meta.dirname;
/** The same time on every file: 2024-01-01 00:00 UTC. */
export const FILE_TIME = 1_704_067_200;
const BUSYBOX_NAMES = [
  ...['awk', 'cat', 'echo', 'gzip', 'md5sum', 'mount', 'poweroff', 'seq', 'sh', 'tr', 'true', 'wc'],
];
const COMMON = ['-m32', '-march=i686', '-Wall'];
/** Floating point twice: once for the x87, once for SSE2 with vectors. */
const UNITS = [
  { source: 'fp.c', object: 'x87.o', options: ['-O2', '-mno-sse', '-mfpmath=387', '-DNAME=nbody_x87'] },
  {
    source: 'fp.c',
    object: 'sse.o',
    options: ['-O3', '-march=pentium4', '-msse2', '-mfpmath=sse', '-ffast-math', '-DNAME=nbody_sse', '-DSIMD'],
  },
  { source: 'times.c', object: 'times.o', options: ['-O2'] },
  { source: 'main.c', object: 'main.o', options: ['-O2'] },
  { source: 'compute.c', object: 'compute.o', options: ['-O2'] },
  { source: 'system.c', object: 'system.o', options: ['-O2'] },
] as const;

export interface BenchGuest {
  readonly initrd: string;
  /** The workloads as a program of this host: its results are the ones to compare with. */
  readonly program: string;
}

/** Names of all workloads: those of the program, and those that init.sh makes of the shell and of busybox. */
export function workloadNames(program: string): { own: readonly string[]; all: readonly string[] } {
  const own = execFileSync(program, { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '');
  const script = readFileSync(join(SOURCES, 'init.sh'), 'utf8');
  const shell = [...script.matchAll(/^ {4}([a-z0-9]+)\) run/gm)].map(([, name]) => name!);
  return { own, all: [...own, ...shell] };
}

/** Writes the initrd and the program into a folder. Needs gcc-multilib, and a network the first time. */
export async function buildBenchGuest(folder: string): Promise<BenchGuest> {
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'tomei-bench-'));
  try {
    const program = join(folder, 'work');
    for (const { source, object, options } of UNITS)
      await runTool('gcc', [...COMMON, ...options, '-c', join(SOURCES, source), '-o', join(work, object)]);
    const objects = UNITS.map(({ object }) => join(work, object));
    await runTool('gcc', ['-m32', '-static', '-s', ...objects, '-o', program, '-lm']);

    const tree = new Tree();
    for (const path of ['dev', 'proc', 'sys', 'tmp']) tree.directory(path);
    tree.characterDevice('dev/console', 5, 1);
    tree.file('bin/busybox', await busybox(work), 0o755);
    for (const name of BUSYBOX_NAMES) tree.link(`bin/${name}`, 'busybox');
    tree.file('bin/work', readFileSync(program), 0o755);
    tree.file('init', readFileSync(join(SOURCES, 'init.sh')), 0o755);
    const initrd = join(folder, 'initrd.gz');
    writeFileSync(initrd, gzipSync(cpio(tree, FILE_TIME), { level: 9 }));
    return { initrd, program };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function busybox(work: string): Promise<Uint8Array> {
  const apt = new PrivateApt(join(cacheFolder(), 'debian', 'i386'), 'i386');
  const fetched = (): Promise<string[]> => apt.download(['busybox-static'], () => undefined);
  // The lists that building a guest has left will mostly do.
  const packages = await fetched().catch(async () => {
    await apt.update(() => undefined);
    return fetched();
  });
  for (const path of packages) await runTool('dpkg-deb', ['-x', path, work]);
  return readFileSync(join(work, 'bin/busybox'));
}
