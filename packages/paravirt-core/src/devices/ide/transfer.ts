/**
 * How a drive's data moves: between the I/O side and the guest's memory by the bus master, or through the drive's buffer and the data
 * register in DRQ blocks. What a command is, and what status and interrupts tell, is the protocol's business.
 */
import type { Host, Staging } from '../../machine/device.ts';
import { scatter, gather, slice } from '../virtio/segments.ts';
import type { BusMaster, Piece } from './bus-master.ts';
import type { Mover } from './mover.ts';
import { BUFFER_BYTES, BUFFER_SECTORS, SECTOR, type Transfer } from './state.ts';

/** Sectors of one request of the bus master: 1 MiB. */
const DMA_SECTORS = 2048;

/** What the protocol does at the turning points of a command. */
export interface Protocol {
  /** The drive works, and the guest waits. */
  busy(): void;
  /** The guest can move a DRQ block of this many bytes. `quiet`: it is the first that the guest gives, and waits for already. */
  block(bytes: number, quiet: boolean): void;
  /** The drive waits for the bus master. */
  dmaRequest(): void;
  /** A command packet is complete in the buffer. */
  packet(): void;
  /** All is moved; `read` when the guest took the last of it from the data register. */
  done(read: boolean): void;
  /** The I/O side could not do it; `sector` is the first of those that were not moved. */
  failed(sector: number): void;
}

export interface TransferParts {
  readonly state: () => Transfer;
  readonly host: Pick<Host, 'memory'>;
  readonly mover: Mover;
  readonly staging: Staging;
  readonly busMaster: BusMaster;
  readonly protocol: Protocol;
}

export class DataTransfer {
  private readonly parts: TransferParts;
  /** The loop of the bus master runs: a completion that comes at once is its next turn, not a call within. */
  private pumping = false;

  constructor(parts: TransferParts) {
    this.parts = parts;
  }

  private get t(): Transfer {
    return this.parts.state();
  }
  get phase(): Transfer['phase'] {
    return this.t.phase;
  }

  /** Moves `count` sectors from `sector` on; they exist. */
  read(sector: number, count: number, dma: boolean, block = SECTOR): void {
    this.begin({ kind: 'read', sector, left: count, dma, block });
    if (dma) this.awaitBusMaster();
    else this.fetch();
  }
  write(sector: number, count: number, dma: boolean, block = SECTOR): void {
    this.begin({ kind: 'write', sector, left: count, dma, block });
    if (dma) this.awaitBusMaster();
    else this.takeChunk(true);
  }
  flush(): void {
    this.begin({ kind: 'flush', sector: 0, left: 0, dma: false, block: SECTOR });
    this.work();
  }
  /** Gives the guest bytes of the drive's own, at most the buffer's size. */
  reply(bytes: Uint8Array, dma: boolean, block: number): void {
    this.begin({ kind: 'reply', sector: 0, left: 0, dma, block });
    this.t.buffer.set(bytes);
    this.t.end = bytes.length;
    if (dma) this.awaitBusMaster();
    else this.openBlock('in');
  }
  /** Takes a command packet, or a parameter list, of `bytes` into the buffer. */
  take(bytes: number): void {
    this.begin({ kind: 'packet', sector: 0, left: 0, dma: false, block: bytes });
    this.t.end = bytes;
    this.openBlock('out', true);
  }

  /** A reset or a new command: what moves is given up. */
  abort(): void {
    this.parts.mover.abandon();
    const { t } = this;
    t.phase = 'idle';
    t.position = t.blockEnd = t.end = 0;
  }

  /** After restore: the I/O side is asked again for what it had not completed. */
  settle(sectors: number): void {
    const { t } = this;
    this.parts.mover.abandon();
    const within = t.sector + t.left + (t.phase === 'idle' ? 0 : t.chunk) <= sectors;
    if (t.phase === 'idle' || t.kind === 'reply' || t.kind === 'packet') return;
    if (!within) return this.fail();
    if (t.phase === 'dma') return this.pump();
    if (t.phase !== 'working') return;
    if (t.dma) {
      t.phase = 'dma';
      this.pump();
    } else this.work();
  }

  /** One access to the data register of 1, 2 or 4 bytes; 0 where there is nothing to read. */
  readData(width: number): number {
    const { t } = this;
    if (t.phase !== 'in') return 0;
    const { buffer, position } = t;
    let value = buffer[position]!;
    if (width > 1) value |= (buffer[position + 1] ?? 0) << 8;
    if (width > 2) value = (value | ((buffer[position + 2] ?? 0) << 16) | ((buffer[position + 3] ?? 0) << 24)) >>> 0;
    this.moved(width === 4 ? 4 : 2);
    return value;
  }
  writeData(width: number, value: number): void {
    const { t } = this;
    if (t.phase !== 'out') return;
    const { buffer, position } = t;
    for (let i = 0; i < (width === 4 ? 4 : 2) && position + i < t.blockEnd; i++)
      buffer[position + i] = value >>> (8 * i);
    this.moved(width === 4 ? 4 : 2);
  }
  /**
   * As many reads of the data register in a row as the block has bytes for, at most `into.length`; whole multiples of `width`. The
   * last one of a block, after which the drive goes on, has a time of its own and is left to a single access.
   */
  readBlock(width: number, into: Uint8Array): number {
    const { t } = this;
    if (t.phase !== 'in') return 0;
    const bytes = this.inBlock(width, into.length);
    if (bytes === 0) return 0;
    into.set(t.buffer.subarray(t.position, t.position + bytes));
    this.moved(bytes);
    return bytes;
  }
  writeBlock(width: number, from: Uint8Array): number {
    const { t } = this;
    if (t.phase !== 'out') return 0;
    const bytes = this.inBlock(width, from.length);
    if (bytes === 0) return 0;
    t.buffer.set(from.subarray(0, bytes), t.position);
    this.moved(bytes);
    return bytes;
  }

  private inBlock(width: number, most: number): number {
    const { t } = this;
    return Math.max(0, Math.floor(Math.min(most, t.blockEnd - t.position - width) / width)) * width;
  }

  /** Runs the bus master as far as it goes. */
  pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.t.phase === 'dma' && this.moveByBusMaster());
    } finally {
      this.pumping = false;
    }
  }

  private begin(given: Pick<Transfer, 'kind' | 'sector' | 'left' | 'dma' | 'block'>): void {
    Object.assign(this.t, given, { chunk: 0, position: 0, blockEnd: 0, end: 0 });
  }
  private awaitBusMaster(): void {
    this.t.phase = 'dma';
    this.parts.protocol.dmaRequest();
    this.pump();
  }
  private finish(read = false): void {
    this.t.phase = 'idle';
    this.parts.protocol.done(read);
  }
  private fail(): void {
    const { sector } = this.t;
    this.abort();
    this.parts.protocol.failed(sector);
  }

  private fetch(): void {
    const { t } = this;
    t.chunk = Math.min(t.left, BUFFER_SECTORS);
    t.left -= t.chunk;
    this.work();
  }
  private takeChunk(quiet = false): void {
    const { t } = this;
    t.chunk = Math.min(t.left, BUFFER_SECTORS);
    t.left -= t.chunk;
    t.position = 0;
    t.end = t.chunk * SECTOR;
    this.openBlock('out', quiet);
  }
  private openBlock(phase: 'in' | 'out', quiet = false): void {
    const { t } = this;
    t.phase = phase;
    t.blockEnd = Math.min(t.position + t.block, t.end);
    this.parts.protocol.block(t.blockEnd - t.position, quiet);
  }
  private moved(bytes: number): void {
    const { t } = this;
    t.position = Math.min(t.position + bytes, t.blockEnd);
    if (t.position < t.blockEnd) return;
    const { phase } = t;
    if (t.blockEnd < t.end) return this.openBlock(phase as 'in' | 'out');
    if (phase === 'out') {
      if (t.kind === 'write') return this.work();
      t.phase = 'idle';
      return this.parts.protocol.packet();
    }
    t.sector += t.chunk;
    t.chunk = 0;
    if (t.left > 0) this.fetch();
    else this.finish(true);
  }

  /** Has the I/O side do what the current chunk needs, through the staging memory. */
  private work(): void {
    const { t, parts } = this;
    const bytes = t.chunk * SECTOR;
    t.phase = 'working';
    parts.protocol.busy();
    if (t.kind === 'write') parts.staging.bytes.set(t.buffer.subarray(0, bytes));
    const segments = bytes === 0 ? [] : [{ address: parts.staging.address, length: bytes }];
    const kind = t.kind as 'read' | 'write' | 'flush';
    parts.mover.ask(kind, t.sector, t.chunk, segments, (ok) => this.worked(ok));
  }
  private worked(ok: boolean): void {
    const { t } = this;
    if (!ok) return this.fail();
    if (t.kind === 'read') {
      const bytes = t.chunk * SECTOR;
      t.buffer.set(this.parts.staging.bytes.subarray(0, bytes));
      t.position = 0;
      t.end = bytes;
      return this.openBlock('in');
    }
    t.sector += t.chunk;
    t.chunk = 0;
    if (t.left > 0) this.takeChunk();
    else this.finish();
  }

  /** One piece; false when the engine rests or the I/O side is at work. */
  private moveByBusMaster(): boolean {
    const { t, parts } = this;
    const own = t.kind === 'reply';
    const wanted = own ? t.end - t.position : Math.min(t.left, DMA_SECTORS) * SECTOR;
    let piece = parts.busMaster.next(wanted);
    if (piece === undefined) return false;
    // Through a buffer where the guest names what is no memory.
    if (!own && !piece.isRam) piece = parts.busMaster.next(Math.min(wanted, BUFFER_BYTES));
    if (piece === undefined) return false;
    if (own) return this.moveReply(piece);
    const count = Math.floor(piece.length / SECTOR);
    if (count === 0) {
      parts.busMaster.stop();
      return false;
    }
    this.moveSectors(piece, count);
    return this.t.phase === 'dma';
  }
  private moveReply(piece: Piece): boolean {
    const { t, parts } = this;
    const bytes = t.buffer.subarray(t.position, t.position + piece.length);
    deliver(parts.host.memory, piece, bytes);
    piece.commit();
    t.position += piece.length;
    t.blockEnd = t.position;
    if (t.position < t.end) parts.busMaster.stop();
    else this.finish();
    return false;
  }
  private moveSectors(piece: Piece, count: number): void {
    const { t, parts } = this;
    const length = count * SECTOR;
    const direct = piece.isRam;
    const segments = direct ? slice(piece.segments, 0, length) : [{ address: parts.staging.address, length }];
    if (!direct && t.kind === 'write') parts.staging.bytes.set(collect(parts.host.memory, piece, length));
    t.phase = 'working';
    parts.protocol.busy();
    parts.mover.ask(t.kind as 'read' | 'write', t.sector, count, segments, (ok) => {
      if (!ok) return this.fail();
      if (!direct && t.kind === 'read') deliver(parts.host.memory, piece, parts.staging.bytes.subarray(0, length));
      piece.commit();
      t.sector += count;
      t.left -= count;
      if (t.left === 0) return this.finish();
      t.phase = 'dma';
      parts.protocol.dmaRequest();
      this.pump();
    });
  }
}

/** Writes into the parts of a piece that are RAM; the rest goes nowhere. */
function deliver(memory: Host['memory'], piece: Piece, bytes: Uint8Array): void {
  let at = 0;
  for (const segment of piece.segments) {
    const part = bytes.subarray(at, at + segment.length);
    if (memory.contains(segment.address, part.length)) scatter(memory, [segment], part);
    at += segment.length;
  }
}
/** Reads from the parts of a piece that are RAM; the rest is a bus that nobody drives. */
function collect(memory: Host['memory'], piece: Piece, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xff);
  let at = 0;
  for (const segment of slice(piece.segments, 0, length)) {
    if (memory.contains(segment.address, segment.length)) bytes.set(gather(memory, [segment], segment.length), at);
    at += segment.length;
  }
  return bytes;
}
