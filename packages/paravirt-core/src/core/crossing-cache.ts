/**
 * Instructions that reach into the next page. Their records belong to no one page, so they are kept by linear page boundary and
 * serve only while the very same bytes lie there: whatever was written or mapped since shows in the bytes.
 */
import { MAX_LENGTH } from '../isa/decode.ts';
import type { Cpu } from './cpu.ts';
import { RECORD_BYTES } from './interpreter/record.ts';
import type { Mmu } from './mmu.ts';

/** One instruction ends at most every page; boundaries that share a place evict each other. */
const PLACES = 4096;

interface Crossing {
  readonly linear: number;
  readonly big: boolean;
  readonly bytes: Uint8Array;
  readonly records: Int32Array;
}

export class CrossingCache {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly places: (Crossing | undefined)[] = new Array<Crossing | undefined>(PLACES).fill(undefined);

  constructor(cpu: Cpu, mmu: Mmu) {
    this.cpu = cpu;
    this.mmu = mmu;
  }

  /** Puts the records of the instruction at `linear` to `at`; false when they are not known or a look at the page tables is due. */
  load(linear: number, big: boolean, at: number): boolean {
    const known = this.places[(linear >>> 12) % PLACES];
    if (known === undefined || known.linear !== linear || known.big !== big) return false;
    const first = this.mmu.executableHost(linear),
      second = this.mmu.executableHost((linear + 4096) & ~0xfff);
    if (first === 0 || second === 0) return false;
    const { u8 } = this.cpu,
      inFirst = 4096 - (linear & 0xfff);
    for (let i = 0; i < known.bytes.length; i++) {
      if (u8[i < inFirst ? first + i : second + i - inFirst] !== known.bytes[i]) return false;
    }
    this.cpu.i32.set(known.records, at >> 2);
    return true;
  }

  /** Remembers the records between `at` and `end` as those of `bytes`. */
  store(linear: number, big: boolean, bytes: Uint8Array, at: number, end: number): void {
    if (bytes.length > MAX_LENGTH || (end - at) % RECORD_BYTES !== 0) return;
    const records = this.cpu.i32.slice(at >> 2, end >> 2);
    this.places[(linear >>> 12) % PLACES] = { linear, big, bytes: bytes.slice(), records };
  }
}
