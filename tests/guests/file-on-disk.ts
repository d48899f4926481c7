/** What a guest left on its disk, read by tools that are not ours. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The tool that is not installed, undefined when all are there. */
export const diskToolMissing = (): string | undefined =>
  ['qemu-img', 'debugfs'].find((tool) => spawnSync(tool, ['-V']).error !== undefined);

/** A file of the ext4 file system that fills the disk. */
export async function fileOnDisk(disk: string, path: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tomei-disk-'));
  try {
    const raw = join(folder, 'disk.raw');
    execFileSync('qemu-img', ['convert', '-f', 'vmdk', '-O', 'raw', disk, raw]);
    return execFileSync('debugfs', ['-R', `cat ${path}`, raw], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } finally {
    await rm(folder, { recursive: true });
  }
}
