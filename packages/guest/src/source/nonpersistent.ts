/** Disks whose writes are dropped at power-off: what a guest writes goes to a temporary file of its own. */
import { open, mkdtemp, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TomeiError, messageOf } from '@tomei/kit';
import { SECTOR_BYTES } from '@tomei/vmdk';
import type { GuestDisk } from './guest-source.ts';

/** Sectors whose marks lie in one piece of memory: 32 MiB of the disk. */
const MARKS = 65_536;

/** Which sectors were written. Takes memory for the parts of the disk that were. */
class WrittenSectors {
  private readonly pieces = new Map<number, Uint8Array>();

  mark(sector: number, count: number): void {
    for (let at = sector; at < sector + count; at++) {
      const piece = this.pieces.get(Math.floor(at / MARKS)) ?? new Uint8Array(MARKS / 8);
      this.pieces.set(Math.floor(at / MARKS), piece);
      const bit = at % MARKS;
      piece[bit >> 3]! |= 1 << (bit & 7);
    }
  }
  has(sector: number): boolean {
    const piece = this.pieces.get(Math.floor(sector / MARKS));
    const bit = sector % MARKS;
    return piece !== undefined && (piece[bit >> 3]! & (1 << (bit & 7))) !== 0;
  }
  get isEmpty(): boolean {
    return this.pieces.size === 0;
  }
  /** How many sectors from here on, at most `limit`, are as this one is. */
  run(sector: number, limit: number): number {
    const first = this.has(sector);
    let count = 1;
    while (count < limit && this.has(sector + count) === first) count++;
    return count;
  }
}

/**
 * `base`, which is only read, with writes beside it. `name` is the disk's, for messages. The temporary file has no name any more
 * when this returns, so that it goes with the process.
 */
export async function nonpersistent(base: GuestDisk, name: string, directory = tmpdir()): Promise<GuestDisk> {
  const file = await temporaryFile(name, directory);
  const written = new WrittenSectors();
  const failed = (cause: unknown): never => {
    throw new TomeiError(
      'disk.io',
      `${name}: the temporary file of this nonpersistent disk fails: ${messageOf(cause)}`,
      { cause },
    );
  };
  return {
    sizeBytes: base.sizeBytes,
    readOnly: false,
    warnings: base.warnings,
    async read(offset, into) {
      for (let done = 0; done < into.length;) {
        const sector = (offset + done) / SECTOR_BYTES;
        const bytes = written.run(sector, (into.length - done) / SECTOR_BYTES) * SECTOR_BYTES;
        const part = into.subarray(done, done + bytes);
        if (written.has(sector)) await file.read(part, 0, bytes, offset + done).catch(failed);
        else await base.read(offset + done, part);
        done += bytes;
      }
    },
    async write(offset, from) {
      if (offset < 0 || offset + from.length > base.sizeBytes)
        throw new TomeiError('disk.out-of-range', `${from.length} bytes at ${offset} are not within ${name}`);
      await file.write(from, 0, from.length, offset).catch(failed);
      written.mark(offset / SECTOR_BYTES, from.length / SECTOR_BYTES);
    },
    // Nothing outlives the guest: there is nothing to make stable.
    flush: () => Promise.resolve(),
    async close() {
      await Promise.allSettled([file.close(), base.close()]);
    },
    async pinContentId() {
      if (written.isEmpty) return base.pinContentId();
      const what = `${name} is nonpersistent and was written: a snapshot would not hold its contents; use "persistent"`;
      throw new TomeiError('snapshot.nonpersistent', what);
    },
  };
}

async function temporaryFile(name: string, directory: string): Promise<FileHandle> {
  try {
    const folder = await mkdtemp(join(directory, 'tomei-'));
    try {
      return await open(join(folder, 'writes'), 'wx+', 0o600);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } catch (cause) {
    const what = `${name}: no temporary file for this nonpersistent disk in ${directory}: ${messageOf(cause)}`;
    throw new TomeiError('disk.io', what, { cause });
  }
}
