/** Extents without metadata: raw bytes in a file, and zeros in no file. */
import { TomeiError } from '@tomei/kit';
import { checkRange, refuseWrite, type BlockDevice } from './block-device.ts';
import type { HostFile } from './host-file.ts';

/** `sizeBytes` bytes of a raw file from `startBytes` on. Owns the file. */
export class FlatExtent implements BlockDevice {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly file: HostFile;
  private readonly startBytes: number;
  private dirty = false;

  /** Throws `vmdk.truncated` when the file is shorter than it should be. */
  constructor(file: HostFile, startBytes: number, sizeBytes: number) {
    if (startBytes + sizeBytes > file.sizeBytes) {
      const what = `${file.path} has ${file.sizeBytes} bytes, but the extent needs ${startBytes + sizeBytes}: it was cut off`;
      throw new TomeiError('vmdk.truncated', what, { data: { file: file.path } });
    }
    this.file = file;
    this.startBytes = startBytes;
    this.sizeBytes = sizeBytes;
    this.readOnly = !file.writable;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(this.file.path, this.sizeBytes, offset, into.length);
    await this.file.read(this.startBytes + offset, into);
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    if (this.readOnly) refuseWrite(this.file.path);
    checkRange(this.file.path, this.sizeBytes, offset, from.length);
    // Marked when done, not when begun: a flush in between covers only what was done.
    await this.file.write(this.startBytes + offset, from).finally(() => {
      this.dirty = true;
    });
  }

  async flush(): Promise<void> {
    if (!this.dirty) return;
    this.dirty = false;
    try {
      await this.file.sync();
    } catch (error) {
      this.dirty = true;
      throw error;
    }
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.file.close();
    }
  }
}

/** A ZERO extent: reads as zeros. It has no file to write to. */
export class ZeroExtent implements BlockDevice {
  readonly readOnly = true;
  readonly sizeBytes: number;
  private readonly name: string;

  constructor(name: string, sizeBytes: number) {
    this.name = name;
    this.sizeBytes = sizeBytes;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(this.name, this.sizeBytes, offset, into.length);
    into.fill(0);
    return Promise.resolve();
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is a rejection, as of every other device
  async write(): Promise<void> {
    throw new TomeiError('disk.read-only', `${this.name}: a ZERO extent cannot be written`, {
      data: { file: this.name },
    });
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
