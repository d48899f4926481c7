/** Snapshots as files: written beside their name and moved there when whole, read in order. */
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { crc32, deflateRaw, inflateRaw } from 'node:zlib';
import { TomeiError, messageOf } from '@tomei/kit';
import {
  readSnapshotMemory,
  readSnapshotState,
  writeSnapshot,
  type MemoryArea,
  type SnapshotSource,
  type SnapshotState,
  type SnapshotTools,
} from '@tomei/paravirt-core';

/** Owner only: a snapshot holds all that the guest had in memory, keys and passwords included. */
const MODE = 0o600;
const READ_AHEAD = 1 << 20;

const deflate = promisify<Uint8Array, { level: number }, Buffer>(deflateRaw),
  inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);
export const tools: SnapshotTools = {
  // The fastest level: most of what is left after zero pages is code and text, and the guest waits.
  deflate: (bytes) => deflate(bytes, { level: 1 }),
  inflate: (bytes, maxOutputLength) => inflate(bytes, { maxOutputLength }),
  crc32: (bytes, before) => crc32(bytes, before),
};

/**
 * Writes a snapshot so that the name holds a whole one or what was there before, whatever happens. Throws `snapshot.unwritable`
 * with the host's error as its cause.
 */
export async function saveSnapshotFile(
  path: string,
  state: SnapshotState,
  areas: readonly MemoryArea[],
): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  let file: FileHandle | undefined;
  try {
    file = await open(draft, 'wx', MODE);
    const handle = file;
    await writeSnapshot({ write: (bytes) => writeAll(handle, bytes) }, state, areas, tools);
    await file.sync();
    await file.close();
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await file?.close().catch(() => undefined);
    if (file !== undefined) await rm(draft, { force: true }).catch(() => undefined);
    if (cause instanceof TomeiError) throw cause;
    const what = `cannot write the snapshot ${path}: ${messageOf(cause)}`;
    throw new TomeiError('snapshot.unwritable', what, { cause, data: { file: path } });
  }
}
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done)).bytesWritten;
}
/** A name that was changed is on stable storage when its folder is (fsync(2)). */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A snapshot that is being read: its state at once, its memory when there is a machine to put it into. */
export class SnapshotFile {
  readonly path: string;
  readonly state: SnapshotState;
  private readonly file: FileHandle;
  private readonly source: SnapshotSource;

  private constructor(path: string, file: FileHandle, source: SnapshotSource, state: SnapshotState) {
    this.path = path;
    this.file = file;
    this.source = source;
    this.state = state;
  }

  /** Throws `snapshot.missing`, `snapshot.unreadable` and what `readSnapshotState` throws. */
  static async open(path: string): Promise<SnapshotFile> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (cause) {
      throw unreadable(path, cause);
    }
    try {
      if (!(await file.stat()).isFile())
        throw new TomeiError('snapshot.unreadable', `${path} is not a file`, { data: { file: path } });
      const source = sourceOf(file, path);
      return new SnapshotFile(path, file, source, await readSnapshotState(source, tools, path));
    } catch (error) {
      await file.close();
      throw error;
    }
  }
  /** Fills areas that are zero. Throws as `readSnapshotMemory`. */
  readMemory(areas: readonly MemoryArea[]): Promise<void> {
    return readSnapshotMemory(this.source, areas, tools, this.path);
  }
  close(): Promise<void> {
    return this.file.close();
  }
}

function unreadable(path: string, cause: unknown): TomeiError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const what = missing
    ? `the snapshot ${path} does not exist`
    : `cannot read the snapshot ${path}: ${messageOf(cause)}`;
  return new TomeiError(missing ? 'snapshot.missing' : 'snapshot.unreadable', what, { cause, data: { file: path } });
}

/** Reads ahead, so that a snapshot's many small headers are not many small reads. */
function sourceOf(file: FileHandle, path: string): SnapshotSource {
  let buffer: Uint8Array = new Uint8Array(0);
  return {
    async read(length) {
      while (buffer.length < length) {
        const more = new Uint8Array(Math.max(READ_AHEAD, length - buffer.length));
        const { bytesRead } = await file.read(more, 0, more.length).catch((cause: unknown) => {
          throw unreadable(path, cause);
        });
        if (bytesRead === 0) break;
        buffer = Buffer.concat([buffer, more.subarray(0, bytesRead)]);
      }
      const taken = buffer.subarray(0, length);
      buffer = buffer.subarray(length);
      return taken;
    },
  };
}
