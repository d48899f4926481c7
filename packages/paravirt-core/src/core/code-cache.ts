/**
 * Decoded code, by guest-physical page. Each page that executes has a map from page offset to record; records of one run lie
 * side by side. A write to bytes that were decoded drops the page: its records then look their address up again, so that code
 * which changes itself, by any alias or by a device, runs what is in memory.
 */
import { CS, EXCEPTION } from '../isa/build.ts';
import { MAX_LENGTH, type Decoder, type Instruction, type NoInstruction } from '../isa/decode.ts';
import { ATTRIBUTE, GUEST_FAULT, type Cpu } from './cpu.ts';
import { CrossingCache } from './crossing-cache.ts';
import { PSEUDO, RECORD, RECORD_BYTES } from './interpreter/record.ts';
import { RecordWriter } from './interpreter/lower.ts';
import { CODE_TLB_ENTRIES, SCRATCH_RECORDS } from './layout.ts';
import type { CodeWatcher, Mmu } from './mmu.ts';

/** Bytes of one page map: an i32 for each offset. */
export const PAGE_MAP_BYTES = 4096 * 4;
/** A run is cut after this many instructions, so that decoding stays close to what executes. */
const RUN_LIMIT = 64;
/** No run starts with less room than this. */
const RUN_ROOM = (RUN_LIMIT * 2 + 2) * RECORD_BYTES;

/** Where the cache lies in linear memory. */
export interface CodeCachePlan {
  readonly codeTlb: number;
  /** One page map that is always zero: pages whose code is decoded anew each time. */
  readonly emptyMap: number;
  readonly maps: number;
  readonly mapCount: number;
  readonly records: number;
  readonly recordBytes: number;
}

interface CodePage {
  /** Page maps for CS.D = 0 and 1; 0 = none yet. */
  readonly maps: [number, number];
  /** Which bytes have been decoded: one bit each. */
  readonly decoded: Uint8Array;
}

export class CodeCache implements CodeWatcher {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly decoder: Decoder;
  private readonly plan: CodeCachePlan;
  private readonly writer: RecordWriter;
  private readonly i32: Int32Array;
  private readonly pages = new Map<number, CodePage>();
  private readonly marked = new Uint8Array(1 << 20);
  private readonly crossings: CrossingCache;
  /** Code TLB entries that are not empty: the index of each one's tag. */
  private readonly tlbSlots = new Uint32Array(CODE_TLB_ENTRIES);
  private tlbUsed = 0;
  private mapsUsed = 0;
  /** Maps of pages that were dropped: all zero. */
  private freeMaps: number[] = [];
  private recordsUsed = 0;
  private readonly fetched = new Uint8Array(MAX_LENGTH + 1);
  /** Decoded instructions, pages dropped, whole flushes: for --stats. */
  readonly counts = { decoded: 0, invalidations: 0, flushes: 0, crossings: 0 };

  constructor(cpu: Cpu, mmu: Mmu, decoder: Decoder, handlerOf: Uint16Array, plan: CodeCachePlan) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.decoder = decoder;
    this.plan = plan;
    this.writer = new RecordWriter(cpu.memory, cpu.base, handlerOf);
    this.i32 = cpu.i32;
    this.crossings = new CrossingCache(cpu, mmu);
    cpu.set('codeTlb', plan.codeTlb);
    mmu.code = this;
    mmu.onFlush = () => this.flushTlb();
  }

  hasCode(address: number): boolean {
    return this.marked[address >>> 12] !== 0;
  }

  /** Drops a page when one of the written bytes was decoded. */
  written(address: number, length: number): void {
    for (let page = address >>> 12; page <= (address + length - 1) >>> 12; page++) {
      const code = this.marked[page] === 0 ? undefined : this.pages.get(page);
      if (code === undefined) continue;
      const first = Math.max(address, page * 4096) & 0xfff,
        last = Math.min(address + length - 1, page * 4096 + 4095) & 0xfff;
      for (let i = first; i <= last; i++) {
        if ((code.decoded[i >> 3]! & (1 << (i & 7))) !== 0) {
          this.drop(page, code);
          break;
        }
      }
    }
  }
  /** Forgets a page, so that it is plain memory again; if it runs once more it is decoded once more. */
  private drop(page: number, code: CodePage): void {
    this.counts.invalidations++;
    for (const map of code.maps) {
      if (map === 0) continue;
      for (let i = map >> 2, end = i + 4096; i < end; i++) {
        const record = this.i32[i]!;
        if (record === 0) continue;
        // Whoever still runs into the record looks its address up again.
        this.cpu.data.setUint16(record + RECORD.handler, PSEUDO.lookup, true);
        this.i32[i] = 0;
      }
      this.freeMaps.push(map);
    }
    this.pages.delete(page);
    this.marked[page] = 0;
    // The maps may serve other pages from now on.
    this.flushTlb();
  }

  /** Forgets everything decoded. What is executing is left after the current instruction: nobody watches its bytes any more. */
  flush(): void {
    this.forget();
    this.cpu.set('exit', 1);
  }
  private forget(): void {
    this.counts.flushes++;
    this.cpu.u8.fill(0, this.plan.maps, this.plan.maps + this.mapsUsed * PAGE_MAP_BYTES);
    for (const page of this.pages.keys()) this.marked[page] = 0;
    this.pages.clear();
    this.mapsUsed = 0;
    this.freeMaps = [];
    this.recordsUsed = 0;
    this.mmu.flush(true); // pages may be writable again
  }
  private flushTlb(): void {
    // Few entries are in use between two flushes, and filling shared memory is slow.
    for (let i = 0; i < this.tlbUsed; i++) this.i32[this.tlbSlots[i]!] = 0;
    this.tlbUsed = 0;
  }

  private get isBig(): boolean {
    return (this.cpu.segment(CS, 'attributes') & ATTRIBUTE.big) !== 0;
  }

  /** The record for `eip`, decoding if need be; sets pageEip and pageMap. 0 after recording a fault. */
  resolve(eip: number): number {
    eip >>>= 0;
    const { cpu, plan } = this;
    if (eip > cpu.get('codeLimit')) cpu.raise(EXCEPTION.GP, 0);
    const linear = (cpu.segment(CS, 'base') + eip) >>> 0;
    const physical = this.mmu.translate(linear, false, cpu.get('cpl') === 3);
    if (physical < 0) throw GUEST_FAULT;
    const pageEip = (eip - (linear & 0xfff)) | 0;
    // Where CS begins or ends within the page, or the bytes are a device's, nothing is kept.
    const whole = pageEip >>> 0 < cpu.get('codeBound');
    cpu.set('pageEip', pageEip);
    if (!whole || cpu.physical.hostPage(physical) === 0) {
      cpu.set('pageMap', plan.emptyMap);
      return this.once(eip, linear);
    }
    const big = this.isBig,
      map = this.mapOf(physical >>> 12, big);
    cpu.set('pageMap', map);
    const slot = (plan.codeTlb >> 2) + (((linear >>> 12) & (CODE_TLB_ENTRIES - 1)) << 1);
    if (this.i32[slot] === 0) this.tlbSlots[this.tlbUsed++] = slot;
    this.i32[slot] = (linear & ~0xfff) | cpu.get('codeKey');
    this.i32[slot + 1] = map;
    const known = this.i32[(map >> 2) + (linear & 0xfff)]!;
    if (known !== 0) return known;
    return this.decodeRun(physical, map, big);
  }

  private mapOf(page: number, big: boolean): number {
    let code = this.pages.get(page);
    const which = big ? 1 : 0;
    if (code !== undefined && code.maps[which] !== 0) return code.maps[which];
    if (this.mapsUsed === this.plan.mapCount && this.freeMaps.length === 0) {
      this.forget();
      code = undefined;
    }
    if (code === undefined) {
      code = { maps: [0, 0], decoded: new Uint8Array(512) };
      this.pages.set(page, code);
      this.marked[page] = 1;
      this.mmu.protectCode(page * 4096);
    }
    return (code.maps[which] = this.freeMaps.pop() ?? this.plan.maps + this.mapsUsed++ * PAGE_MAP_BYTES);
  }

  /** Decodes from a guest-physical address to the next transfer, known instruction or page end. */
  private decodeRun(physical: number, map: number, big: boolean): number {
    const { cpu, plan, writer } = this;
    if (this.recordsUsed + RUN_ROOM > plan.recordBytes) {
      this.forget();
      map = this.mapOf(physical >>> 12, big);
      cpu.set('pageMap', map);
    }
    const code = this.pages.get(physical >>> 12)!,
      page = cpu.physical.hostPage(physical);
    const bytes = cpu.u8.subarray(page, page + 4096);
    const first = plan.records + this.recordsUsed;
    let at = first,
      offset = physical & 0xfff;
    for (let n = 0; ; n++) {
      if (offset >= 4096 || n === RUN_LIMIT) {
        at = writer.pseudo(at, PSEUDO.lookup, offset);
        break;
      }
      const known = this.i32[(map >> 2) + offset]!;
      if (known !== 0) {
        at = writer.pseudo(at, PSEUDO.join, offset, known);
        break;
      }
      this.i32[(map >> 2) + offset] = at;
      const insn = this.decoder.decode(bytes, offset, 4096, big);
      const end = typeof insn === 'string' ? Math.min(4096, offset + MAX_LENGTH) : offset + insn.length;
      for (let i = offset; i < end; i++) code.decoded[i >> 3]! |= 1 << (i & 7);
      if (typeof insn === 'string') {
        at = writer.pseudo(at, insn === 'need-more' ? PSEUDO.cross : pseudoOf(insn), offset);
        break;
      }
      this.counts.decoded++;
      at = writer.instruction(at, insn, offset);
      offset += insn.length;
      if (endsRun(insn)) {
        at = writer.pseudo(at, PSEUDO.lookup, offset);
        break;
      }
    }
    this.recordsUsed = at - plan.records;
    return first;
  }

  /** Bytes of the instruction at a linear address, across pages, up to the limit of CS; a fault where the first missing byte is. */
  private fetch(eip: number, linear: number): Instruction | NoInstruction {
    const { cpu } = this,
      user = cpu.get('cpl') === 3,
      limit = cpu.get('codeLimit');
    for (let n = 0; n < MAX_LENGTH;) {
      if (eip + n > limit) {
        const insn = this.decoder.decode(this.fetched, 0, n, this.isBig);
        if (insn === 'need-more') cpu.raise(EXCEPTION.GP, 0);
        return insn;
      }
      const at = (linear + n) >>> 0;
      const physical = this.mmu.translate(at, false, user);
      if (physical < 0) throw GUEST_FAULT;
      // As far as this page goes, then see whether that is enough.
      const until = Math.min(MAX_LENGTH, n + 4096 - (at & 0xfff), limit - eip + 1);
      for (let p = physical; n < until; n++, p++) this.fetched[n] = this.mmu.readPhysical(p, 1);
      const insn = this.decoder.decode(this.fetched, 0, n, this.isBig);
      if (insn !== 'need-more') return insn;
    }
    return 'too-long';
  }

  /** The instruction at `eip` in the scratch records, followed by `then`. */
  private scratch(eip: number, linear: number, then: number, remember = false): number {
    const { writer } = this;
    const first = this.cpu.base + SCRATCH_RECORDS,
      offset = linear & 0xfff;
    const insn = this.fetch(eip, linear);
    if (typeof insn === 'string') writer.pseudo(first, pseudoOf(insn), offset);
    else {
      const end = writer.pseudo(writer.instruction(first, insn, offset), then, offset + insn.length);
      if (remember) this.crossings.store(linear, this.isBig, this.fetched.subarray(0, insn.length), first, end);
    }
    return first;
  }
  private once(eip: number, linear: number): number {
    return this.scratch(eip, linear, PSEUDO.lookup);
  }
  /** The instruction at `eip`, which reaches into the next page. */
  cross(eip: number): number {
    this.counts.crossings++;
    const linear = (this.cpu.segment(CS, 'base') + eip) >>> 0,
      first = this.cpu.base + SCRATCH_RECORDS;
    // Where CS ends within the next page the limit has to be looked at.
    const roomy = this.cpu.get('codeLimit') - eip >= MAX_LENGTH;
    if (roomy && this.crossings.load(linear, this.isBig, first)) return first;
    return this.scratch(eip, linear, PSEUDO.lookup, roomy);
  }
  /** A scratch record that runs one instruction and leaves. Sets pageEip and pageMap. 0 or GUEST_FAULT as `resolve`. */
  single(eip: number): number {
    const { cpu } = this;
    if (eip > cpu.get('codeLimit')) cpu.raise(EXCEPTION.GP, 0);
    const linear = (cpu.segment(CS, 'base') + eip) >>> 0;
    cpu.set('pageEip', (eip - (linear & 0xfff)) | 0);
    cpu.set('pageMap', this.plan.emptyMap);
    return this.scratch(eip, linear, PSEUDO.exit);
  }
  /** The instruction at `eip`, for the oracle and traces. */
  instructionAt(eip: number): Instruction | NoInstruction {
    if (eip > this.cpu.get('codeLimit')) this.cpu.raise(EXCEPTION.GP, 0);
    return this.fetch(eip, (this.cpu.segment(CS, 'base') + eip) >>> 0);
  }
}

const pseudoOf = (why: NoInstruction): number => (why === 'too-long' ? PSEUDO.tooLong : PSEUDO.undefined);
/** Conditional branches fall through, so the run goes on behind them. */
const endsRun = (insn: Instruction): boolean => {
  const { row } = insn.form;
  return (
    row.transfers === true && !(row.operands[0]?.kind === 'rel' && row.mnemonic !== 'jmp' && row.mnemonic !== 'call')
  );
};
