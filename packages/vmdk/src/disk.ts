/** Opening a `.vmdk`: its descriptor, its extents in a row, the lock. */
import { realpath } from 'node:fs/promises';
import { TomeiError } from '@tomei/kit';
import { checkRange, refuseWrite, SECTOR_BYTES, settleAll, type BlockDevice } from './block-device.ts';
import { findCid, type Descriptor } from './descriptor.ts';
import { FlatExtent } from './flat-extent.ts';
import { HostFile, hostError } from './host-file.ts';
import { layOut, type DescriptorPlace, type OpenExtent } from './layout.ts';
import { DiskLock } from './lock.ts';
import { SparseExtent } from './sparse-extent.ts';

export interface OpenOptions {
  readonly readOnly?: boolean;
  /**
   * New grains are saved this many milliseconds after a write at the latest, for guests that never flush; 0 leaves it to `flush`.
   * Default 1000.
   */
  readonly saveAfterMs?: number;
  /** Lets a descriptor name extents outside of its own directory. Default false: a foreign disk could name any file of the user. */
  readonly allowOutsideExtents?: boolean;
}

/** An open disk. */
export interface VmdkDisk extends BlockDevice {
  readonly path: string;
  readonly createType: string;
  /** What the user should know: an unclean shutdown, a lock taken over. */
  readonly warnings: readonly string[];
  discard(offset: number, length: number): Promise<void>;
  /**
   * Flushes, and returns the content id of the disk as it is now: the next write gives it another. Undefined for a disk without
   * a descriptor. Call when no write is in flight.
   */
  pinContentId(): Promise<string | undefined>;
}

/**
 * Opens a disk. For writing it takes the lock beside the file first.
 * Throws `disk.missing`, `disk.read-only`, `disk.locked`, `disk.io` and the `vmdk.*` errors, each naming file and field.
 */
export async function openVmdk(path: string, options: OpenOptions = {}): Promise<VmdkDisk> {
  const real = await realpath(path).catch((error: unknown) => {
    throw hostError(error, path, 'read');
  });
  const readOnly = options.readOnly ?? false;
  if (!readOnly) await (await HostFile.open(real, true)).close(); // before the lock: a missing permission is the better error
  const lock = readOnly ? undefined : await DiskLock.acquire(real);
  try {
    const layout = await layOut(real, { writable: !readOnly, outside: options.allowOutsideExtents ?? false });
    const warnings = [...(lock?.notice === undefined ? [] : [lock.notice]), ...layout.warnings];
    const { descriptor, place, extents } = layout;
    return new Disk({
      path: real,
      readOnly,
      lock,
      warnings,
      descriptor,
      place,
      extents,
      saveAfterMs: options.saveAfterMs ?? 1000,
    });
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

/** A raw image (an ISO, a `dd` copy) as a block device; a last partial sector is left out. Takes the lock when it may be written. */
export async function openRaw(path: string, options: { readOnly?: boolean } = {}): Promise<BlockDevice> {
  const readOnly = options.readOnly ?? false;
  const file = await HostFile.open(path, !readOnly);
  let lock: DiskLock | undefined;
  try {
    lock = readOnly ? undefined : await DiskLock.acquire(path);
  } catch (error) {
    await file.close();
    throw error;
  }
  const flat = new FlatExtent(file, 0, file.sizeBytes - (file.sizeBytes % SECTOR_BYTES));
  return {
    sizeBytes: flat.sizeBytes,
    readOnly,
    read: (offset, into) => flat.read(offset, into),
    write: (offset, from) => flat.write(offset, from),
    flush: () => flat.flush(),
    close: async () => {
      await flat.close().finally(() => lock?.release());
    },
  };
}

interface DiskParts {
  readonly path: string;
  readonly readOnly: boolean;
  readonly lock: DiskLock | undefined;
  readonly warnings: readonly string[];
  readonly descriptor: Descriptor | undefined;
  readonly place: DescriptorPlace | undefined;
  readonly extents: readonly OpenExtent[];
  readonly saveAfterMs: number;
}

class Disk implements VmdkDisk {
  readonly path: string;
  readonly createType: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly warnings: readonly string[];
  private readonly parts: DiskParts;
  private contentIdRenewed: Promise<string | undefined> | undefined;
  /** As the descriptor has it now; eight digits or fewer. */
  private contentId: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed: Promise<void> | undefined;

  constructor(parts: DiskParts) {
    this.parts = parts;
    this.path = parts.path;
    this.readOnly = parts.readOnly;
    this.warnings = parts.warnings;
    this.createType = parts.descriptor?.createType ?? 'monolithicSparse';
    this.contentId = parts.descriptor?.cid;
    const last = parts.extents.at(-1)!;
    this.sizeBytes = last.startBytes + last.device.sizeBytes;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.refuseClosed();
    checkRange(this.path, this.sizeBytes, offset, into.length);
    await settleAll(
      this.pieces(offset, into.length).map((p) => p.device.read(p.offset, into.subarray(p.at, p.at + p.length))),
    );
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.refuseClosed();
    if (this.readOnly) refuseWrite(this.path);
    checkRange(this.path, this.sizeBytes, offset, from.length);
    await this.renewContentId();
    await settleAll(
      this.pieces(offset, from.length).map((p) => p.device.write(p.offset, from.subarray(p.at, p.at + p.length))),
    );
    this.saveSoon();
  }

  async discard(offset: number, length: number): Promise<void> {
    this.refuseClosed();
    if (this.readOnly) refuseWrite(this.path);
    checkRange(this.path, this.sizeBytes, offset, length);
    await this.renewContentId();
    await settleAll(this.pieces(offset, length).flatMap((p) => p.device.discard?.(p.offset, p.length) ?? []));
    this.saveSoon();
  }

  async flush(): Promise<void> {
    this.refuseClosed();
    await settleAll(this.parts.extents.map((extent) => extent.device.flush()));
  }

  close(): Promise<void> {
    this.closed ??= this.closeNow();
    return this.closed;
  }

  private async closeNow(): Promise<void> {
    clearTimeout(this.timer);
    try {
      await settleAll(this.parts.extents.map((extent) => extent.device.close()));
    } finally {
      await this.parts.place?.file.close();
      await this.parts.lock?.release();
    }
  }

  private refuseClosed(): void {
    if (this.closed === undefined) return;
    throw new TomeiError('disk.closed', `${this.path} is closed`, { data: { file: this.path } });
  }

  private pieces(
    offset: number,
    length: number,
  ): { device: BlockDevice; offset: number; at: number; length: number }[] {
    const end = offset + length;
    return this.parts.extents.flatMap(({ device, startBytes }) => {
      const from = Math.max(offset, startBytes);
      const to = Math.min(end, startBytes + device.sizeBytes);
      return from < to ? [{ device, offset: from - startBytes, at: from - offset, length: to - from }] : [];
    });
  }

  async pinContentId(): Promise<string | undefined> {
    await this.flush();
    await this.contentIdRenewed;
    this.contentIdRenewed = undefined;
    return this.contentId;
  }

  /** By the content id a child disk or a snapshot knows that the disk was written since; it changes once, with the first write. */
  private async renewContentId(): Promise<void> {
    const { place } = this.parts;
    if (place === undefined) return;
    this.contentIdRenewed ??= writeContentId(place).catch((error: unknown) => {
      this.contentIdRenewed = undefined;
      throw error;
    });
    this.contentId = (await this.contentIdRenewed) ?? this.contentId;
  }

  private saveSoon(): void {
    const unsaved = this.parts.extents.some(({ device }) => device instanceof SparseExtent && device.hasUnsaved);
    if (!unsaved || this.timer !== undefined || this.parts.saveAfterMs === 0) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      // What fails here stays unsaved, and the next flush meets the same trouble and reports it.
      if (this.closed === undefined) void this.flush().catch(() => undefined);
    }, this.parts.saveAfterMs);
    this.timer.unref();
  }
}

/** Puts new digits over as many old ones and returns them: a few bytes of one sector, so the text is never half written. */
async function writeContentId(place: DescriptorPlace): Promise<string | undefined> {
  const found = findCid(place.bytes);
  if (found === undefined) return undefined;
  const digits = contentId().slice(0, found.digits);
  await place.file.write(place.position + found.at, new TextEncoder().encode(digits));
  return digits;
}

/** Eight random hexadecimal digits; not the two values with a meaning of their own (no parent, no id). */
export function contentId(): string {
  const [word] = crypto.getRandomValues(new Uint32Array(1));
  return Math.min(word!, 0xffff_fffd).toString(16).padStart(8, '0');
}
