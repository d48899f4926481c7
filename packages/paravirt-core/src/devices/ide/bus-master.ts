/**
 * The bus master of one channel (SFF-8038i 1.0; Intel 82371SB datasheet, 290550, 2.7): sixteen bytes of registers for two channels,
 * and a table of physical region descriptors in RAM that the guest may change at any time. It is read when a piece of it is
 * used, never further than 64 KiB, and believed in nothing.
 */
import type { GuestMemory } from '../../machine/device.ts';
import type { Segment } from '../virtio/segments.ts';
import { BM_ACTIVE, BM_CAPABLE, BM_ERROR, BM_INTERRUPT, BM_START, BM_TO_MEMORY } from './registers.ts';
import { PRD_ENTRIES, SECTOR, type BusMasterState } from './state.ts';

const PRD_BYTES = 8;
const PRD_END = 0x8000_0000;
/** A byte count of 0 means 64 KiB. */
const PRD_LARGEST = 0x1_0000;
/** Pieces of one request, looked at where sectors end. */
const MOST_PIECES = 256;

/** A part of the guest's memory that the table names next. */
export interface Piece {
  /** What was asked for, or less where the table ends. */
  readonly segments: readonly Segment[];
  readonly length: number;
  /** Whether all of it is RAM. */
  readonly isRam: boolean;
  /** Moves on behind it. */
  commit(): void;
}

export interface BusMasterHost {
  readonly memory: GuestMemory;
  /** Whether the PCI command register lets the function be a master. */
  readonly mayMaster: () => boolean;
  /** The guest started the engine. */
  readonly started: () => void;
}

export class BusMaster {
  private readonly state: () => BusMasterState;
  private readonly host: BusMasterHost;
  /** Counts starts: a piece of an earlier start does not move the table of a later one. */
  private starts = 0;

  constructor(state: () => BusMasterState, host: BusMasterHost) {
    this.state = state;
    this.host = host;
  }

  get isActive(): boolean {
    return (this.state().status & BM_ACTIVE) !== 0;
  }

  /** Offsets 0..7 of the channel's half, byte by byte. */
  read(offset: number): number {
    const s = this.state();
    if (offset === 0) return s.command;
    if (offset === 2) return s.status;
    return offset < 4 ? 0 : (s.table >>> (8 * (offset - 4))) & 0xff;
  }

  write(offset: number, value: number): void {
    const s = this.state();
    if (offset === 0) this.command(value & (BM_START | BM_TO_MEMORY));
    else if (offset === 2) {
      const kept = s.status & (BM_ACTIVE | ((BM_ERROR | BM_INTERRUPT) & ~value));
      s.status = kept | (value & BM_CAPABLE);
    } else if (offset >= 4) {
      const shift = 8 * (offset - 4);
      s.table = ((s.table & ~(0xff << shift)) | (value << shift)) >>> 0;
      s.table = (s.table & ~3) >>> 0;
    }
  }

  private command(value: number): void {
    const s = this.state();
    const before = s.command;
    s.command = value;
    if ((value & BM_START) === 0) s.status &= ~BM_ACTIVE;
    else if ((before & BM_START) === 0) {
      s.status |= BM_ACTIVE;
      s.entry = 0;
      s.done = 0;
      this.starts++;
      this.host.started();
    }
  }

  /** The channel's interrupt line rose. */
  interrupted(): void {
    this.state().status |= BM_INTERRUPT;
  }

  /** The drive has no more to move: with the table at its end the engine stops. */
  finished(): void {
    if (this.isActive && this.peek() === 'end') this.stop();
  }

  /** Stops for want of descriptors; the guest finds neither "active" nor an interrupt. */
  stop(): void {
    this.state().status &= ~BM_ACTIVE;
  }

  /**
   * The next part of memory of at most `bytes`, cut at a multiple of 512 bytes where it has many pieces. Undefined when the engine
   * does not run, or has just stopped because its table is not to be had.
   */
  next(bytes: number): Piece | undefined {
    const s = this.state();
    if (!this.isActive) return undefined;
    const segments: { address: number; length: number }[] = [];
    let { entry, done } = s;
    let length = 0;
    let isRam = true;
    while (length < bytes && !(segments.length >= MOST_PIECES && length % SECTOR === 0)) {
      const region = this.region(entry);
      if (region === 'abort') return this.abort();
      if (region === undefined) break;
      const limit = segments.length >= MOST_PIECES ? SECTOR - (length % SECTOR) : bytes - length;
      // A guest that changes a descriptor in use may leave less than is done already.
      const taken = Math.max(0, Math.min(region.length - done, limit));
      const address = region.address + done;
      const last = segments.at(-1);
      if (last !== undefined && last.address + last.length === address) last.length += taken;
      else if (taken > 0) segments.push({ address, length: taken });
      isRam &&= this.host.memory.contains(address, taken);
      length += taken;
      done += taken;
      if (done < region.length) continue;
      done = 0;
      entry = region.isLast ? PRD_ENTRIES : entry + 1;
    }
    const { starts } = this;
    return {
      segments,
      length,
      isRam,
      commit: () => {
        if (starts !== this.starts) return;
        const now = this.state();
        now.entry = entry;
        now.done = done;
      },
    };
  }

  private peek(): 'end' | 'more' {
    return this.state().entry >= PRD_ENTRIES ? 'end' : 'more';
  }

  private region(entry: number): { address: number; length: number; isLast: boolean } | 'abort' | undefined {
    const { memory, mayMaster } = this.host;
    if (entry >= PRD_ENTRIES) return undefined;
    const at = this.state().table + entry * PRD_BYTES;
    if (!mayMaster() || !memory.contains(at, PRD_BYTES)) return 'abort';
    const count = memory.read32(at + 4);
    return {
      address: (memory.read32(at) & ~1) >>> 0,
      length: (count & 0xfffe) === 0 ? PRD_LARGEST : count & 0xfffe,
      isLast: (count & PRD_END) !== 0,
    };
  }

  /** Nobody answers on the bus where the table should be. */
  private abort(): undefined {
    this.state().status |= BM_ERROR;
    this.stop();
    return undefined;
  }
}
