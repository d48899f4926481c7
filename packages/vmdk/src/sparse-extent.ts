/**
 * A hosted sparse extent, read and written. A grain's first write goes to the end of the file; the pointer to it is saved by `flush`,
 * and only when the data is on stable storage, so that a crash at any moment leaves what the last flush left.
 */
import { TomeiError } from '@tomei/kit';
import { checkRange, refuseWrite, SECTOR_BYTES, settleAll, type BlockDevice } from './block-device.ts';
import { GrainSpace } from './grain-space.ts';
import { repairRedundant } from './grain-repair.ts';
import { saveTables } from './grain-saver.ts';
import { GrainTables, type GrainTable } from './grain-tables.ts';
import type { HostFile } from './host-file.ts';
import { UNCLEAN_SHUTDOWN_AT, type SparseHeader } from './sparse-header.ts';

/** New grains that may wait for a flush (32 MiB with the usual ones); the write that fills it saves them on its way. */
const UNSAVED_GRAINS = 512;

/** The part of a request that lies in one grain; `at` counts from the start of the request. */
interface Span {
  readonly entry: number;
  readonly within: number;
  readonly at: number;
  readonly length: number;
}

export class SparseExtent implements BlockDevice {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly file: HostFile;
  readonly header: SparseHeader;
  readonly tables: GrainTables;
  /** What the user should know, from opening. */
  readonly warnings: string[] = [];
  private readonly space: GrainSpace;
  private readonly grainBytes: number;
  private readonly zeros: Uint8Array;
  private readonly unsaved = new Set<GrainTable>();
  private unsavedGrains = 0;
  /** Whether anything was written since the last sync. */
  private written = false;
  private marked: Promise<void> | undefined;
  private nextFlush: Promise<void> | undefined;
  private lastFlush: Promise<void> = Promise.resolve();
  private closed: Promise<void> | undefined;

  private constructor(file: HostFile, header: SparseHeader, tables: GrainTables, sizeBytes: number) {
    this.file = file;
    this.header = header;
    this.tables = tables;
    this.sizeBytes = sizeBytes;
    this.readOnly = !file.writable;
    this.grainBytes = header.grainSize * SECTOR_BYTES;
    this.space = new GrainSpace(file, header.grainSize);
    this.zeros = new Uint8Array(this.grainBytes);
  }

  /** Opens an extent whose header was read. Owns the file. Throws what `GrainTables.open` does, and `vmdk.unsupported`. */
  static async open(file: HostFile, header: SparseHeader, sizeBytes: number): Promise<SparseExtent> {
    if (file.writable && header.version === 3) {
      const what = `${file.path}: version 3 (changed block tracking) can only be read; open it read-only`;
      throw new TomeiError('vmdk.unsupported', what, { data: { file: file.path, field: 'version' } });
    }
    const tables = await GrainTables.open(file, header);
    const repaired = header.uncleanShutdown && file.writable ? await repairRedundant(tables) : 0;
    const extent = new SparseExtent(file, header, tables, sizeBytes);
    if (header.uncleanShutdown) {
      const copies =
        repaired === 0 ? '' : `; ${repaired} redundant grain tables were brought in line with the primary ones`;
      extent.warnings.push(`${file.path} was not closed cleanly by whoever wrote it last${copies}`);
    }
    return extent;
  }

  /** Whether there are pointers that only memory knows. */
  get hasUnsaved(): boolean {
    return this.unsaved.size > 0;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(this.file.path, this.sizeBytes, offset, into.length);
    for (const [index, spans] of this.split(offset, into.length)) {
      await this.withTable(index, async (table) => {
        await settleAll(this.readSpans(table, spans, into));
      });
    }
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    if (this.readOnly) refuseWrite(this.file.path);
    checkRange(this.file.path, this.sizeBytes, offset, from.length);
    await this.markUnclean();
    for (const [index, spans] of this.split(offset, from.length)) {
      await this.withTable(index, async (table) => {
        for (let busy = this.arriving(table, spans); busy.length > 0; busy = this.arriving(table, spans)) {
          await Promise.allSettled(busy);
        }
        // Marked when done, not when begun: a flush in between covers only what was done.
        await settleAll(this.writeSpans(table, spans, from)).finally(() => {
          this.written = true;
        });
      });
    }
    if (this.unsavedGrains >= UNSAVED_GRAINS) await this.flush();
  }

  /** Forgets grains that lie in the range as a whole. */
  async discard(offset: number, length: number): Promise<void> {
    if (this.readOnly) refuseWrite(this.file.path);
    checkRange(this.file.path, this.sizeBytes, offset, length);
    await this.markUnclean();
    for (const [index, spans] of this.split(offset, length)) {
      await this.withTable(index, async (table) => {
        for (let busy = this.arriving(table, spans); busy.length > 0; busy = this.arriving(table, spans)) {
          await Promise.allSettled(busy);
        }
        for (const span of spans) {
          const sector = table.entries[span.entry]!;
          if (span.length < this.grainBytes || this.tables.isHole(sector)) continue;
          this.point(table, span.entry, 0);
          table.leaving.push(sector);
        }
      });
    }
  }

  /** One flush at a time; a call while one is running waits for the next one, which starts after every write made by then. */
  flush(): Promise<void> {
    this.nextFlush ??= this.lastFlush.then(() => {
      this.nextFlush = undefined;
      const running = this.flushNow();
      this.lastFlush = running.catch(() => undefined);
      return running;
    });
    return this.nextFlush;
  }

  close(): Promise<void> {
    this.closed ??= this.closeNow();
    return this.closed;
  }

  private async closeNow(): Promise<void> {
    try {
      await this.flush();
      if (this.marked !== undefined || (!this.readOnly && this.header.uncleanShutdown)) {
        await this.file.write(UNCLEAN_SHUTDOWN_AT, Uint8Array.of(0));
        await this.file.sync();
      }
    } finally {
      await this.file.close();
    }
  }

  private async flushNow(): Promise<void> {
    if (!this.written) return;
    this.written = false;
    const tables = [...this.unsaved];
    const grains = this.unsavedGrains;
    this.unsaved.clear();
    this.unsavedGrains = 0;
    try {
      await saveTables(this.tables, this.space, tables);
    } catch (error) {
      this.written = true;
      this.unsavedGrains += grains;
      for (const table of tables) if (table.unsaved !== null) this.unsaved.add(table);
      throw error;
    }
  }

  private async withTable(index: number, work: (table: GrainTable) => Promise<void>): Promise<void> {
    const table = await this.tables.use(index);
    try {
      await work(table);
    } finally {
      this.tables.release(table);
    }
  }

  /** The parts of a request, by grain table. */
  private *split(offset: number, length: number): Generator<[number, Span[]]> {
    const perTable = this.header.numGTEsPerGT;
    let spans: Span[] = [];
    let index = -1;
    for (let at = 0; at < length;) {
      const grain = Math.floor((offset + at) / this.grainBytes);
      const within = (offset + at) % this.grainBytes;
      const part = Math.min(this.grainBytes - within, length - at);
      const table = Math.floor(grain / perTable);
      if (table !== index && spans.length > 0) {
        yield [index, spans];
        spans = [];
      }
      index = table;
      spans.push({ entry: grain % perTable, within, at, length: part });
      at += part;
    }
    if (spans.length > 0) yield [index, spans];
  }

  /** First writes under way to these grains. When there are none, that holds until the caller's next await. */
  private arriving(table: GrainTable, spans: readonly Span[]): Promise<void>[] {
    return table.arriving.size === 0 ? [] : spans.flatMap((span) => table.arriving.get(span.entry) ?? []);
  }

  private readSpans(table: GrainTable, spans: readonly Span[], into: Uint8Array): Promise<void>[] {
    const runs = this.inPlace(table, spans);
    for (const span of spans) {
      if (this.tables.isHole(table.entries[span.entry]!)) into.fill(0, span.at, span.at + span.length);
    }
    return runs.map((run) => this.file.read(run.position, into.subarray(run.at, run.at + run.length)));
  }

  /** Existing grains are written where they are; runs of missing ones are put at the end of the file in one piece. */
  private writeSpans(table: GrainTable, spans: readonly Span[], from: Uint8Array): Promise<void>[] {
    const runs = this.inPlace(table, spans);
    const work = runs.map((run) => this.file.write(run.position, from.subarray(run.at, run.at + run.length)));
    let missing: Span[] = [];
    for (const span of spans) {
      const part = from.subarray(span.at, span.at + span.length);
      const hole = this.tables.isHole(table.entries[span.entry]!);
      // Zeros into a hole change nothing, and keep the file small.
      if (hole && !this.isZero(part)) {
        missing.push(span);
        continue;
      }
      if (missing.length > 0) work.push(this.addGrains(table, missing, from));
      missing = [];
    }
    if (missing.length > 0) work.push(this.addGrains(table, missing, from));
    return work;
  }

  private isZero(part: Uint8Array): boolean {
    return Buffer.compare(part, this.zeros.subarray(0, part.length)) === 0;
  }

  /** The spans whose grains exist, as pieces of the file, neighbours joined. */
  private inPlace(table: GrainTable, spans: readonly Span[]): { position: number; at: number; length: number }[] {
    const runs: { position: number; at: number; length: number }[] = [];
    for (const span of spans) {
      const position = this.tables.locate(table, span.entry, span.within, span.length);
      if (position === undefined) continue;
      const last = runs.at(-1);
      if (last !== undefined && last.position + last.length === position && last.at + last.length === span.at) {
        last.length += span.length;
      } else {
        runs.push({ position, at: span.at, length: span.length });
      }
    }
    return runs;
  }

  /** Writes grains that are not there yet, whole, and then points to them. Called for neighbours only. */
  private addGrains(table: GrainTable, spans: readonly Span[], from: Uint8Array): Promise<void> {
    const first = spans[0]!;
    const last = spans.at(-1)!;
    let sector: number;
    try {
      sector = this.space.take(spans.length);
    } catch (error) {
      return Promise.reject(error as Error); // the caller has I/O under way already and must wait for it
    }
    const head = this.zeros.subarray(0, first.within);
    const tail = this.zeros.subarray(last.within + last.length);
    const data = from.subarray(first.at, last.at + last.length);
    const arrival = this.file.writeParts(sector * SECTOR_BYTES, [head, data, tail]).then(
      () => spans.forEach((span, i) => this.point(table, span.entry, sector + i * this.header.grainSize)),
      (error: unknown) => {
        this.space.giveBack(sector, spans.length);
        throw error;
      },
    );
    const arrived = arrival.finally(() => {
      for (const span of spans) table.arriving.delete(span.entry);
    });
    for (const span of spans) table.arriving.set(span.entry, arrived);
    return arrived;
  }

  private point(table: GrainTable, entry: number, sector: number): void {
    table.entries[entry] = sector;
    const { from, to } = table.unsaved ?? { from: entry, to: entry + 1 };
    table.unsaved = { from: Math.min(from, entry), to: Math.max(to, entry + 1) };
    this.unsaved.add(table);
    this.unsavedGrains++;
    this.written = true;
  }

  /** Says in the header that the file is in use; the close takes it back. */
  private markUnclean(): Promise<void> {
    this.marked ??= this.file.write(UNCLEAN_SHUTDOWN_AT, Uint8Array.of(1)).catch((error: unknown) => {
      this.marked = undefined;
      throw error;
    });
    return this.marked;
  }
}
