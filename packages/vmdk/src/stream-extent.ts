/** A stream-optimized extent: compressed grains, written once, read only here (Virtual Disk Format 5.0, "Stream-Optimized"). */
import { inflate } from 'node:zlib';
import { promisify } from 'node:util';
import { messageOf, TomeiError } from '@tomei/kit';
import { checkRange, refuseWrite, SECTOR_BYTES, type BlockDevice } from './block-device.ts';
import { GrainTables, type GrainTable } from './grain-tables.ts';
import type { HostFile } from './host-file.ts';
import { FLAG_MARKERS, parseSparseHeader, type SparseHeader } from './sparse-header.ts';

const inflateBytes = promisify(inflate);
/** Grains kept unpacked: 1 MiB with the usual ones. */
const KEPT_GRAINS = 16;
/** Deflate adds a few bytes to what it cannot shrink. */
const DEFLATE_SLACK = 64 * 1024;

/** The header that counts: the footer's when the directory is at the end. Throws what `parseSparseHeader` does. */
export async function readStreamHeader(file: HostFile, header: SparseHeader): Promise<SparseHeader> {
  if (!header.gdAtEnd) return header;
  const bytes = new Uint8Array(SECTOR_BYTES);
  // The last sector is the end-of-stream marker, the one before it the footer.
  const at = (Math.floor(file.sizeBytes / SECTOR_BYTES) - 2) * SECTOR_BYTES;
  await file.read(Math.max(0, at), bytes);
  let footer: SparseHeader;
  try {
    footer = parseSparseHeader(bytes, `${file.path} (footer)`, file.sizeBytes);
  } catch (error) {
    const what = `${file.path}: the stream has no valid footer, so it was cut off: ${messageOf(error)}`;
    throw new TomeiError('vmdk.truncated', what, { cause: error, data: { file: file.path } });
  }
  if (!footer.gdAtEnd && footer.grainSize === header.grainSize) return footer;
  throw new TomeiError('vmdk.bad-header', `${file.path} (footer): it does not match the header`, {
    data: { file: file.path },
  });
}

export class StreamExtent implements BlockDevice {
  readonly readOnly = true;
  readonly sizeBytes: number;
  readonly file: HostFile;
  readonly header: SparseHeader;
  readonly tables: GrainTables;
  private readonly grainBytes: number;
  private readonly kept = new Map<number, Promise<Uint8Array>>();

  private constructor(file: HostFile, header: SparseHeader, tables: GrainTables, sizeBytes: number) {
    this.file = file;
    this.header = header;
    this.tables = tables;
    this.sizeBytes = sizeBytes;
    this.grainBytes = header.grainSize * SECTOR_BYTES;
  }

  /** Owns the file. Throws what `GrainTables.open` does. */
  static async open(file: HostFile, header: SparseHeader, sizeBytes: number): Promise<StreamExtent> {
    const tables = await GrainTables.open(file, header);
    return new StreamExtent(file, header, tables, sizeBytes);
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(this.file.path, this.sizeBytes, offset, into.length);
    const perTable = this.header.numGTEsPerGT;
    for (let at = 0; at < into.length;) {
      const grain = Math.floor((offset + at) / this.grainBytes);
      const within = (offset + at) % this.grainBytes;
      const part = Math.min(this.grainBytes - within, into.length - at);
      const table = await this.tables.use(Math.floor(grain / perTable));
      try {
        const bytes = await this.grain(table, grain % perTable);
        if (bytes === undefined) into.fill(0, at, at + part);
        else into.set(bytes.subarray(within, within + part), at);
      } finally {
        this.tables.release(table);
      }
      at += part;
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is a rejection, as of every other device
  async write(): Promise<void> {
    refuseWrite(this.file.path);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /** Unpacks the grain of an entry and checks that it can be; undefined for a hole. */
  async grain(table: GrainTable, entry: number): Promise<Uint8Array | undefined> {
    const position = this.tables.locate(table, entry, 0, SECTOR_BYTES);
    if (position === undefined) return undefined;
    let promise = this.kept.get(position);
    this.kept.delete(position);
    promise ??= this.unpack(table.index * this.header.numGTEsPerGT + entry, position);
    this.kept.set(position, promise);
    if (this.kept.size > KEPT_GRAINS) this.kept.delete(this.kept.keys().next().value!);
    return promise;
  }

  private async unpack(grain: number, position: number): Promise<Uint8Array> {
    const fail = (what: string): never => {
      const data = { file: this.file.path, grain };
      throw new TomeiError('vmdk.bad-grain', `${this.file.path}: compressed grain ${grain}: ${what}`, { data });
    };
    const marked = (this.header.flags & FLAG_MARKERS) !== 0;
    const marker = new Uint8Array(marked ? 12 : 4);
    await this.file.read(position, marker);
    const view = new DataView(marker.buffer);
    const size = view.getUint32(marked ? 8 : 0, true);
    const sector = marked ? view.getBigUint64(0, true) : BigInt(grain * this.header.grainSize);
    if (sector !== BigInt(grain * this.header.grainSize)) fail(`its marker is of sector ${sector}`);
    if (size === 0 || size > this.grainBytes + DEFLATE_SLACK) fail(`its size of ${size} bytes is absurd`);
    const packed = new Uint8Array(size);
    await this.file.read(position + marker.length, packed);
    const unpacked = new Uint8Array(this.grainBytes);
    try {
      unpacked.set(await inflateBytes(packed, { maxOutputLength: this.grainBytes }));
    } catch (error) {
      fail(messageOf(error));
    }
    return unpacked;
  }
}
