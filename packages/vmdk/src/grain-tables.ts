/**
 * The two levels of pointers of a sparse extent: a grain directory of grain tables, and its redundant copy
 * (VMware Virtual Disk Format 5.0, "Hosted Sparse Extent Metadata"). Tables are loaded when needed and forgotten when idle.
 */
import { TomeiError } from '@tomei/kit';
import { SECTOR_BYTES } from './block-device.ts';
import type { HostFile } from './host-file.ts';
import { directoryEntries, FLAG_ZEROED_GRAIN, hasRedundant, tableSectors, type SparseHeader } from './sparse-header.ts';

/** Loaded tables that nobody uses are kept up to this many: 2 MiB, the map of 32 GiB. */
const IDLE_TABLES = 1024;

export interface GrainTable {
  /** Which entry of the directory. */
  readonly index: number;
  /** Sectors of the grains; 0 for a grain that is not there. Holds only pointers to data that is written. */
  readonly entries: Uint32Array;
  /** Requests that use this table; it is not forgotten meanwhile. */
  users: number;
  /** Entries `from .. to - 1` differ from the file. */
  unsaved: { from: number; to: number } | null;
  /** Grains being written for the first time, by entry. */
  readonly arriving: Map<number, Promise<void>>;
  /** Sectors of discarded grains, free once the cleared pointers are saved and nobody can be reading them. */
  readonly leaving: number[];
}

export class GrainTables {
  readonly file: HostFile;
  readonly header: SparseHeader;
  /** Sectors of the tables; 0 where there is none yet. */
  readonly directory: Uint32Array;
  /** Of the redundant copies; absent when the extent has none. */
  readonly redundant: Uint32Array | undefined;
  private readonly loaded = new Map<number, Promise<GrainTable>>();
  private forgetting = false;

  private constructor(
    file: HostFile,
    header: SparseHeader,
    directories: { primary: Uint32Array; redundant: Uint32Array | undefined },
  ) {
    this.file = file;
    this.header = header;
    this.directory = directories.primary;
    this.redundant = directories.redundant;
  }

  /** Reads the directories. Throws `vmdk.grain-table-outside` or `vmdk.grain-table-shared` when one cannot be trusted. */
  static async open(file: HostFile, header: SparseHeader): Promise<GrainTables> {
    const primary = await readDirectory(file, header, header.gdOffset, 'grain directory');
    const second = hasRedundant(header)
      ? await readDirectory(file, header, header.rgdOffset, 'redundant grain directory')
      : undefined;
    if (file.writable) refuseShared(file.path, second === undefined ? [primary] : [primary, second]);
    return new GrainTables(file, header, { primary, redundant: second });
  }

  /** The table, in use until `release`. */
  async use(index: number): Promise<GrainTable> {
    let promise = this.loaded.get(index);
    this.loaded.delete(index);
    promise ??= this.load(index);
    this.loaded.set(index, promise); // moved to the end: the map is in order of use
    try {
      const table = await promise;
      table.users++;
      // It may have been forgotten between loading and now; then the one that took its place counts.
      if (this.loaded.get(index) === promise) return table;
      table.users--;
      return await this.use(index);
    } catch (error) {
      if (this.loaded.get(index) === promise) this.loaded.delete(index);
      throw error;
    }
  }

  release(table: GrainTable): void {
    table.users--;
    if (this.loaded.size > IDLE_TABLES && !this.forgetting) void this.forgetIdle();
  }

  /**
   * Byte offset in the file of an entry's grain plus `within`, or undefined for a hole. Throws `vmdk.grain-outside` when the
   * `length` bytes from there are not within the file's data.
   */
  locate(table: GrainTable, entry: number, within: number, length: number): number | undefined {
    const sector = table.entries[entry]!;
    if (this.isHole(sector)) return undefined;
    const position = sector * SECTOR_BYTES + within;
    if (sector >= this.header.overHead && position + length <= this.file.sizeBytes) return position;
    const where = `grain table ${table.index}, entry ${entry}`;
    const what = `${this.file.path}: ${where} points to sector ${sector}, outside of the file's data; run a disk check`;
    throw new TomeiError('vmdk.grain-outside', what, {
      data: { file: this.file.path, table: table.index, entry, sector },
    });
  }

  /** Whether a pointer means "no data": 0, and 1 where the extent uses zeroed grains. */
  isHole(sector: number): boolean {
    return sector === 0 || (sector === 1 && (this.header.flags & FLAG_ZEROED_GRAIN) !== 0);
  }

  /** Reads a table from its place in the file (0: a table of holes). */
  async readTable(sector: number): Promise<Uint32Array> {
    const entries = new Uint32Array(this.header.numGTEsPerGT);
    if (this.isHole(sector)) return entries;
    const bytes = new Uint8Array(tableSectors(this.header) * SECTOR_BYTES);
    await this.file.read(sector * SECTOR_BYTES, bytes);
    readLittleEndian(bytes, entries);
    return entries;
  }

  private async load(index: number): Promise<GrainTable> {
    const entries = await this.readTable(this.directory[index]!);
    return { index, entries, users: 0, unsaved: null, arriving: new Map(), leaving: [] };
  }

  private async forgetIdle(): Promise<void> {
    this.forgetting = true;
    for (const [index, promise] of [...this.loaded]) {
      if (this.loaded.size <= IDLE_TABLES) break;
      const table = await promise.catch(() => undefined);
      const idle = table === undefined || (table.users === 0 && table.unsaved === null && table.leaving.length === 0);
      if (idle && this.loaded.get(index) === promise) this.loaded.delete(index);
    }
    this.forgetting = false;
  }
}

export function readLittleEndian(bytes: Uint8Array, into: Uint32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < into.length; i++) into[i] = view.getUint32(4 * i, true);
}

export function littleEndian(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setUint32(4 * i, word, true));
  return bytes;
}

async function readDirectory(file: HostFile, header: SparseHeader, offset: number, name: string): Promise<Uint32Array> {
  const words = new Uint32Array(directoryEntries(header));
  const bytes = new Uint8Array(words.length * 4);
  await file.read(offset * SECTOR_BYTES, bytes);
  readLittleEndian(bytes, words);
  const sectors = Math.floor(file.sizeBytes / SECTOR_BYTES);
  const zeroed = (header.flags & FLAG_ZEROED_GRAIN) !== 0;
  words.forEach((sector, i) => {
    if (sector === 0 || (sector === 1 && zeroed)) return;
    if (sector > 0 && sector + tableSectors(header) <= sectors) return;
    const what = `${name}, entry ${i}: the grain table at sector ${sector} is outside of the file (${sectors} sectors)`;
    throw new TomeiError('vmdk.grain-table-outside', `${file.path}: ${what}`, {
      data: { file: file.path, entry: i, sector },
    });
  });
  return words;
}

/** Two directory entries with one table: writing either part of the disk would change the other. */
function refuseShared(path: string, directories: readonly Uint32Array[]): void {
  const seen = new Set<number>();
  for (const directory of directories) {
    directory.forEach((sector, i) => {
      if (sector <= 1) return;
      if (seen.has(sector)) {
        const what = `${path}: grain directory, entry ${i}: the table at sector ${sector} is used twice; open it read-only`;
        throw new TomeiError('vmdk.grain-table-shared', what, { data: { file: path, entry: i, sector } });
      }
      seen.add(sector);
    });
  }
}
