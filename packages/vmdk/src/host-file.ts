/** A regular file of the host, read and written whole ranges at a time, with errors that name the file. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { messageOf, TomeiError } from '@tomei/kit';

/** Turns an error of the host into a TomeiError: `disk.full`, `disk.missing`, `disk.read-only`, `disk.denied` or `disk.io`. */
export function hostError(error: unknown, path: string, doing: string): TomeiError {
  if (error instanceof TomeiError) return error;
  const errno = (error as NodeJS.ErrnoException).code ?? '';
  const options = { cause: error, data: { file: path, errno } };
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG': {
      const what = `no room to write ${path}: ${messageOf(error)}; what was flushed before is safe`;
      return new TomeiError('disk.full', what, { ...options, retryable: true });
    }
    case 'ENOENT':
      return new TomeiError('disk.missing', `${path} does not exist`, options);
    case 'EROFS':
    case 'ETXTBSY':
      return new TomeiError('disk.read-only', `${path} cannot be written: ${messageOf(error)}`, options);
    case 'EACCES':
    case 'EPERM': {
      const writing = doing === 'write';
      const what = `${path} may not be ${writing ? 'written' : 'read'}: ${messageOf(error)}`;
      return new TomeiError(writing ? 'disk.read-only' : 'disk.denied', what, options);
    }
    default:
      return new TomeiError('disk.io', `cannot ${doing} ${path}: ${messageOf(error)}`, options);
  }
}

export class HostFile {
  readonly path: string;
  readonly writable: boolean;
  private readonly handle: FileHandle;
  private size: number;
  /** Set when a sync failed: the kernel may have dropped what it could not write, so nothing after that can be trusted. */
  private failed: TomeiError | undefined;
  private closed = false;

  private constructor(path: string, handle: FileHandle, size: number, writable: boolean) {
    this.path = path;
    this.handle = handle;
    this.size = size;
    this.writable = writable;
  }

  /** Opens a file that exists. Only regular files: a named pipe would hang, a device is not ours to touch. */
  static async open(path: string, writable: boolean): Promise<HostFile> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, (writable ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK);
      const about = await handle.stat();
      if (!about.isFile()) throw new TomeiError('disk.io', `${path} is not a regular file`, { data: { file: path } });
      // The superuser may write files without any write permission; whoever took it away did not mean that.
      if (writable && (about.mode & 0o222) === 0) {
        const what = `${path} is marked read-only; open the disk read-only or allow writing (chmod u+w)`;
        throw new TomeiError('disk.read-only', what, { data: { file: path } });
      }
      return new HostFile(path, handle, about.size, writable);
    } catch (error) {
      await handle?.close();
      throw hostError(error, path, writable ? 'write' : 'read');
    }
  }

  /** Creates a file; throws `disk.exists` when there is one. */
  static async create(path: string): Promise<HostFile> {
    try {
      return new HostFile(path, await open(path, 'wx+', 0o644), 0, true);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
        throw new TomeiError('disk.exists', `${path} exists already`, { cause: error, data: { file: path } });
      }
      throw hostError(error, path, 'write');
    }
  }

  /** Bytes, as of opening and our own writes. */
  get sizeBytes(): number {
    return this.size;
  }

  /** Bytes that the file takes up on the host. */
  async allocatedBytes(): Promise<number> {
    return (await this.handle.stat()).blocks * 512;
  }

  /** Fills `into`; throws `vmdk.truncated` when the file ends before. */
  async read(position: number, into: Uint8Array): Promise<void> {
    let done = 0;
    while (done < into.length) {
      let count: number;
      try {
        ({ bytesRead: count } = await this.handle.read(into, done, into.length - done, position + done));
      } catch (error) {
        throw hostError(error, this.path, 'read');
      }
      if (count === 0) {
        const what = `${this.path} ends at byte ${position + done}, within what it says it holds (to ${position + into.length})`;
        throw new TomeiError('vmdk.truncated', what, { data: { file: this.path, position: position + done } });
      }
      done += count;
    }
  }

  async write(position: number, from: Uint8Array): Promise<void> {
    if (!this.writable) throw new TomeiError('disk.read-only', `${this.path} is open for reading only`);
    if (this.failed !== undefined) throw this.failed;
    let done = 0;
    while (done < from.length) {
      try {
        done += (await this.handle.write(from, done, from.length - done, position + done)).bytesWritten;
      } catch (error) {
        throw hostError(error, this.path, 'write');
      }
    }
    this.size = Math.max(this.size, position + from.length);
  }

  /** Writes several buffers one behind the other. */
  async writeParts(position: number, parts: readonly Uint8Array[]): Promise<void> {
    let at = position;
    for (const part of parts) {
      if (part.length > 0) await this.write(at, part);
      at += part.length;
    }
  }

  async truncate(sizeBytes: number): Promise<void> {
    try {
      await this.handle.truncate(sizeBytes);
      this.size = sizeBytes;
    } catch (error) {
      throw hostError(error, this.path, 'write');
    }
  }

  /** Puts everything on stable storage (fdatasync). */
  async sync(): Promise<void> {
    if (this.failed !== undefined) throw this.failed;
    try {
      await this.handle.datasync();
    } catch (error) {
      this.failed = hostError(error, this.path, 'sync');
      throw this.failed;
    }
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.handle.close();
  }
}
