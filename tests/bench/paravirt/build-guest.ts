/**
 * Makes the image of `pnpm bench paravirt`: the tiny guest's kernel and initrd, which has the drivers of both modes, with the workloads
 * laid over it, and two disks: one with a file system, one without.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Tree, cpio, runTool } from '@tomei/cli';
import { importRaw } from '@tomei/vmdk';
import { FILE_TIME, buildBenchGuest } from '../guest/build-guest.ts';

const SOURCES = join(import.meta.dirname, 'guest');
const MAIN = join(import.meta.dirname, '../../../packages/cli/tomei.js');
const PROGRAM_SOURCES = ['main.c', 'memory.c', 'disk.c', 'net.c', '../../guest/times.c'];
const DISK_MIB = 96;
const BUSYBOX_NAMES = [
  ...[
    'awk',
    'basename',
    'gunzip',
    'gzip',
    'ip',
    'md5sum',
    'poweroff',
    'readlink',
    'seq',
    'sort',
    'stty',
    'sync',
    'tr',
    'true',
  ],
];

export interface PairGuest {
  readonly kernel: string;
  readonly initrd: string;
  /** As each run finds them: to be copied. The first one has an ext4 file system. */
  readonly disks: readonly string[];
}

/** Writes all of it into a folder. Needs gcc-multilib and mke2fs, and a network the first time. */
export async function buildPairGuest(folder: string): Promise<PairGuest> {
  mkdirSync(folder, { recursive: true });
  const tiny = join(folder, 'tiny'),
    work = mkdtempSync(join(tmpdir(), 'tomei-bench-'));
  try {
    await runTool(process.execPath, [MAIN, 'guest', 'build', 'tiny', '--out', tiny]);
    const { program } = await buildBenchGuest(folder);
    const own = join(work, 'pv');
    const sources = PROGRAM_SOURCES.map((name) => join(SOURCES, name));
    await runTool('gcc', ['-m32', '-march=i686', '-Wall', '-O2', '-static', '-s', ...sources, '-o', own]);

    const tree = new Tree();
    for (const path of ['bin', 'data', 'tmp']) tree.directory(path);
    for (const name of BUSYBOX_NAMES) tree.link(`bin/${name}`, 'busybox');
    tree.file('bin/work', readFileSync(program), 0o755);
    tree.file('bin/pv', readFileSync(own), 0o755);
    tree.file('init', readFileSync(join(SOURCES, 'init.sh')), 0o755);
    const initrd = join(folder, 'paravirt.gz'),
      // The kernel unpacks archives one behind the other (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
      overlay = gzipSync(cpio(tree, FILE_TIME), { level: 9 });
    writeFileSync(initrd, Buffer.concat([readFileSync(join(tiny, 'initrd.gz')), overlay]));
    return {
      kernel: join(tiny, 'vmlinuz'),
      initrd,
      disks: [await disk(folder, work, true), await disk(folder, work, false)],
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function disk(folder: string, work: string, isFormatted: boolean): Promise<string> {
  const image = join(work, 'image'),
    vmdk = join(folder, isFormatted ? 'files.vmdk' : 'raw.vmdk');
  rmSync(image, { force: true });
  writeFileSync(image, '');
  truncateSync(image, DISK_MIB * 2 ** 20);
  const extended = ['-E', 'lazy_itable_init=0,lazy_journal_init=0'];
  if (isFormatted) await runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-m', '0', ...extended, image]);
  rmSync(vmdk, { force: true });
  await importRaw(image, vmdk);
  return vmdk;
}
