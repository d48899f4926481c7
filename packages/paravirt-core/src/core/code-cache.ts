/**
 * Decoded code, by guest-physical page. Each page that executes has a map from page offset to record; records of one run lie
 * side by side. A write to bytes that were decoded drops the page: its records then look their address up again, so that code
 * which changes itself, by any alias or by a device, runs what is in memory.
 */
import { CS, EXCEPTION } from '../isa/build.ts';
import { MAX_LENGTH, type Decoder, type Instruction, type NoInstruction } from '../isa/decode.ts';
import { CodeTlb } from './code-tlb.ts';
import { ATTRIBUTE, GUEST_FAULT, type Cpu } from './cpu.ts';
import { CrossingCache } from './crossing-cache.ts';
import type { CompiledCode, RegionEntry } from './compiled-code.ts';
import { PSEUDO, PSEUDO_COUNT, RECORD, RECORD_BYTES } from './interpreter/record.ts';
import { RecordWriter } from './interpreter/lower.ts';
import { LEAVING_RECORDS, SCRATCH_RECORDS } from './layout.ts';
import type { Mmu } from './mmu.ts';
import type { CodeCachePlan } from './plan.ts';
import { endsRun, isPause, pseudoOf } from './run-ends.ts';
import type { CodeStops, CodeWatcher } from './watchers.ts';

/** Bytes of one page map: an i32 for each offset. */
export const PAGE_MAP_BYTES = 4096 * 4;
/** A run is cut after this many instructions, so that decoding stays close to what executes. */
const RUN_LIMIT = 64;
/** A write of more bytes fills a page with something else. */
const LONG_WRITE = 32;
/** A page that was dropped this often has instructions that are patched. */
const DROPS_OF_PATCHED = 64;
/** A page that is written this often between two instructions decoded in it is no code any more. */
const MOST_HITS = 64;
/** No run starts with less room than this. */
const RUN_ROOM = (RUN_LIMIT * 2 + 2) * RECORD_BYTES;

interface CodePage {
  /** Page maps for CS.D = 0 and 1; 0 = none yet. */
  readonly maps: [number, number];
  /** Which bytes have been decoded: one bit each. */
  readonly decoded: Uint8Array;
  /** Writes to decoded bytes since something was decoded. */
  hits: number;
}

export class CodeCache implements CodeWatcher {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly decoder: Decoder;
  readonly plan: CodeCachePlan;
  private readonly writer: RecordWriter;
  private readonly i32: Int32Array;
  private readonly pages = new Map<number, CodePage>();
  private readonly marked = new Uint8Array(1 << 20);
  /**
   * For threads that translate, by guest-physical page: where the map of its 32-bit code lies (0 = none), and how often what was decoded
   * there has been forgotten.
   */
  readonly directory = {
    maps: new Uint32Array(new SharedArrayBuffer(4 << 20)),
    generations: new Uint32Array(new SharedArrayBuffer(4 << 20)),
  };
  /** How often each page was dropped, up to DROPS_OF_PATCHED. */
  private readonly drops = new Uint8Array(1 << 20);
  private readonly crossings: CrossingCache;
  private readonly tlb: CodeTlb;
  private mapsUsed = 0;
  /** Maps of pages that were dropped: all zero. */
  private freeMaps: number[] = [];
  private recordsUsed = 0;
  /** Set by the compiler. */
  compiled: CompiledCode = { dropped: () => undefined };
  /** Set by the processor. */
  stops: CodeStops = { hasCode: () => false, check: () => {} };
  /** The record whose place a stop has taken, and what was there. */
  private stopped = { at: 0, handler: 0 };
  /** Where others execute the same memory: who hears that control has come to PAUSE, which is executed by itself then. */
  onPause: (() => void) | undefined;
  /** Has writes to a page of code come here from now on; others that execute the same memory are to be told too. */
  watchWrites: (physicalPage: number) => void = (physicalPage) => this.mmu.protectCode(physicalPage);
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
    this.tlb = new CodeTlb(cpu, plan, {
      // Pages with a breakpoint are in no code TLB.
      frameOf: (page) => (this.stops.hasCode(page * 4096) ? -1 : mmu.localFrame(page)),
      mapOf: (frame) => this.directory.maps[frame]!,
    });
    mmu.code = this;
    mmu.codeTlb = this.tlb;
  }

  hasCode(address: number): boolean {
    return this.marked[address >>> 12] !== 0;
  }

  /**
   * Drops a page when one of the written bytes was decoded. A page that runs again each time it was dropped keeps what was not
   * written from then on; when it is written and written and runs no more it is data.
   */
  written(address: number, length: number): void {
    for (let page = address >>> 12; page <= (address + length - 1) >>> 12; page++) {
      const code = this.marked[page] === 0 ? undefined : this.pages.get(page);
      if (code === undefined) continue;
      const first = Math.max(address, page * 4096) & 0xfff,
        last = Math.min(address + length - 1, page * 4096 + 4095) & 0xfff;
      for (let i = first; i <= last; i++) {
        if ((code.decoded[i >> 3]! & (1 << (i & 7))) !== 0) {
          const isPatch = this.drops[page]! >= DROPS_OF_PATCHED && last - i < LONG_WRITE && ++code.hits <= MOST_HITS;
          if (isPatch) this.forgetInstructions(page, code, i, last);
          else this.drop(page, code);
          break;
        }
      }
    }
  }
  /** Programs that patch an instruction before they come to it, as boot loaders do for each call of the BIOS, keep the rest. */
  private forgetInstructions(page: number, code: CodePage, first: number, last: number): void {
    this.counts.invalidations++;
    this.compiled.dropped(page);
    this.directory.generations[page]!++;
    for (const map of code.maps) {
      if (map === 0) continue;
      for (let offset = Math.max(0, first - MAX_LENGTH + 1); offset <= last; offset++) {
        const record = this.i32[(map >> 2) + offset]!;
        if (record === 0) continue;
        // Whoever runs into the record looks its address up again.
        this.cpu.data.setUint16(record + RECORD.handler, PSEUDO.lookup, true);
        this.i32[(map >> 2) + offset] = 0;
      }
    }
  }
  /** Forgets a page, so that it is plain memory again; if it runs once more it is decoded once more. */
  private drop(page: number, code: CodePage): void {
    this.counts.invalidations++;
    this.compiled.dropped(page);
    // The maps may serve other pages from now on.
    this.tlb.forgetMaps(code.maps);
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
    this.drops[page] = code.hits > MOST_HITS ? 0 : Math.min(DROPS_OF_PATCHED, this.drops[page]! + 1);
    this.pages.delete(page);
    this.marked[page] = 0;
    this.directory.maps[page] = 0;
    this.directory.generations[page]!++;
  }

  /**
   * Guest-physical addresses are something else than before (memory appeared, went, or cannot be written any more): what was
   * decoded and translated there is forgotten. Code that is executing there is left after the current instruction.
   */
  forgetRange(address: number, size: number): void {
    const first = Math.floor(address / 4096),
      end = Math.ceil((address + size) / 4096);
    // Few pages have code, and a range may be the whole address space.
    for (const [page, code] of this.pages) if (page >= first && page < end) this.drop(page, code);
    this.mmu.flush(true);
    this.cpu.set('exit', 1);
  }

  /** Forgets everything decoded. What is executing is left after the current instruction: nobody watches its bytes any more. */
  flush(): void {
    this.forget();
    this.cpu.set('exit', 1);
  }
  private forget(): void {
    this.counts.flushes++;
    this.compiled.dropped(-1);
    this.cpu.u8.fill(0, this.plan.maps, this.plan.maps + this.mapsUsed * PAGE_MAP_BYTES);
    for (const page of this.pages.keys()) {
      this.marked[page] = 0;
      this.directory.maps[page] = 0;
      this.directory.generations[page]!++;
    }
    this.pages.clear();
    this.mapsUsed = 0;
    this.freeMaps = [];
    this.recordsUsed = 0;
    this.mmu.flush(true); // pages may be writable again
  }
  /** Compiled code goes. */
  forgetJumps(): void {
    this.tlb.forgetJumps(true);
  }

  private get isBig(): boolean {
    return (this.cpu.segment(CS, 'attributes') & ATTRIBUTE.big) !== 0;
  }

  /** The record for `eip`, decoding if need be; sets pageEip and pageMap. 0 after recording a fault. */
  resolve(eip: number): number {
    eip >>>= 0;
    const { cpu, plan } = this;
    const linear = (cpu.segment(CS, 'base') + eip) >>> 0;
    const watched = this.stops.hasCode(linear);
    if (watched) this.stops.check(linear, true);
    if (eip > cpu.get('codeLimit')) cpu.raise(EXCEPTION.GP, 0);
    const physical = this.mmu.translateFetch(linear, cpu.get('cpl') === 3);
    if (physical < 0) throw GUEST_FAULT;
    const pageEip = (eip - (linear & 0xfff)) | 0;
    // Where CS ends within the page, a breakpoint lies in it, or the bytes are a device's, nothing is kept.
    const whole = (pageEip + cpu.get('codeSkew')) >>> 0 <= cpu.get('codeBound') && !watched;
    cpu.set('pageEip', pageEip);
    if (!whole || cpu.physical.hostPage(physical) === 0) {
      cpu.set('pageMap', plan.emptyMap);
      return this.once(eip, linear);
    }
    const big = this.isBig,
      map = this.mapOf(physical >>> 12, big);
    cpu.set('pageMap', map);
    this.tlb.enter(linear, map, this.mmu.isGlobal(linear));
    const known = this.i32[(map >> 2) + (linear & 0xfff)]!;
    if (known !== 0) return known;
    if (this.onPause !== undefined && isPause(cpu.u8, cpu.physical.hostPage(physical), physical & 0xfff)) {
      this.onPause();
      return this.scratch(eip, linear, PSEUDO.exit);
    }
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
    code ??= this.begin(page);
    const map = (code.maps[which] = this.freeMaps.pop() ?? this.plan.maps + this.mapsUsed++ * PAGE_MAP_BYTES);
    if (big) this.directory.maps[page] = map;
    return map;
  }

  /** Watches a page for writes from now on. */
  private begin(page: number): CodePage {
    const code: CodePage = { maps: [0, 0], decoded: new Uint8Array(512), hits: 0 };
    this.pages.set(page, code);
    this.marked[page] = 1;
    this.watchWrites(page * 4096);
    return code;
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
    code.hits = 0;
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
      if (this.onPause !== undefined && isPause(bytes, 0, offset)) {
        at = writer.pseudo(at, PSEUDO.lookup, offset);
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
      const physical = this.mmu.translateFetch(at, user);
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
    const record =
      roomy && this.crossings.load(linear, this.isBig, first) ? first : this.scratch(eip, linear, PSEUDO.lookup, roomy);
    this.noteCrossing(linear, record);
    return record;
  }
  /**
   * Leaves in the record of PSEUDO.cross where its second part lies, for who compiles it: `immediate` is the guest-physical page,
   * `immediate2` that page's generation and 1. Its bytes there count as decoded, until the page is dropped.
   */
  private noteCrossing(linear: number, scratch: number): void {
    const { cpu, i32 } = this,
      { data } = cpu,
      map = cpu.get('pageMap');
    const led = map === this.plan.emptyMap ? 0 : i32[(map >> 2) + (linear & 0xfff)]!,
      record = led === 0 ? 0 : this.instructionRecord(led);
    if (record === 0 || data.getUint16(record + RECORD.handler, true) !== PSEUDO.cross) return;
    const physical = this.mmu.translateFetch((linear | 0xfff) + 1, cpu.get('cpl') === 3),
      page = physical >>> 12,
      mark = (this.directory.generations[page]! + 1) | 0;
    if (i32[(record + RECORD.immediate2) >> 2] === mark && i32[(record + RECORD.immediate) >> 2] === page) return;
    if (physical < 0 || physical >= 2 ** 32 || cpu.physical.hostPage(physical) === 0) return;
    const code = this.pages.get(page) ?? this.begin(page),
      bytes = data.getUint8(scratch + RECORD.length) - (4096 - (linear & 0xfff));
    for (let i = 0; i < bytes; i++) code.decoded[i >> 3]! |= 1 << (i & 7);
    i32[(record + RECORD.immediate) >> 2] = page;
    Atomics.store(i32, (record + RECORD.immediate2) >> 2, mark);
  }
  /**
   * A scratch record that runs one instruction and leaves. Sets pageEip and pageMap. 0 or GUEST_FAULT as `resolve`. With `resumed`,
   * EFLAGS.RF holds back the guest's breakpoints.
   */
  single(eip: number, resumed = false): number {
    const { cpu } = this;
    const linear = (cpu.segment(CS, 'base') + eip) >>> 0;
    if (this.stops.hasCode(linear)) this.stops.check(linear, !resumed);
    if (eip > cpu.get('codeLimit')) cpu.raise(EXCEPTION.GP, 0);
    cpu.set('pageEip', (eip - (linear & 0xfff)) | 0);
    cpu.set('pageMap', this.plan.emptyMap);
    const record = this.scratch(eip, linear, PSEUDO.exit);
    if (this.onPause !== undefined && isPause(this.fetched, 0, 0)) this.onPause();
    return record;
  }
  /**
   * The record for `eip` as `resolve`, where a run that leaves at its first transfer also leaves after `count` instructions.
   * `unstop` takes that back.
   */
  stopAfter(eip: number, count: number): number {
    const first = this.instructionRecord(this.resolve(eip)),
      { data } = this.cpu;
    let at = first;
    for (let n = 0; ; at += RECORD_BYTES) {
      const handler = data.getUint16(at + RECORD.handler, true);
      if (n === count) {
        this.stopped = { at, handler };
        data.setUint16(at + RECORD.handler, PSEUDO.exit, true);
        return first;
      }
      if (handler >= PSEUDO_COUNT) n++;
      else if (handler !== PSEUDO.address16) return first;
    }
  }
  /** The record of the instruction itself where a map leads to compiled code. */
  private instructionRecord(record: number): number {
    const { data } = this.cpu;
    const isRegion = data.getUint16(record + RECORD.handler, true) === PSEUDO.region;
    return isRegion ? data.getUint32(record + RECORD.immediate2, true) : record;
  }

  /** The guest-physical address of a record that a map leads to; -1 when it is none, or none of 32-bit code. */
  addressOf(record: number): number {
    const { cpu } = this,
      map = cpu.get('pageMap'),
      offset = cpu.data.getUint16(record + RECORD.pageOffset, true);
    if (map === this.plan.emptyMap || this.i32[(map >> 2) + offset] !== record) return -1;
    const physical = this.mmu.translateFetch((cpu.get('pageEip') + offset) >>> 0, cpu.get('cpl') === 3);
    return this.pages.get(physical >>> 12)?.maps[1] === map ? physical : -1;
  }
  /**
   * Has control that lands on decoded 32-bit code at `physical` enter compiled code: `index` in the table of regions, for a mode of
   * COMPILED. Undefined when there is no such code any more, or no room for a record.
   */
  enterRegion(physical: number, index: number, mode: number): RegionEntry | undefined {
    const page = physical >>> 12,
      offset = physical & 0xfff,
      map = this.pages.get(page)?.maps[1] ?? 0;
    if (map === 0 || this.recordsUsed + RECORD_BYTES > this.plan.recordBytes) return undefined;
    const at = (map >> 2) + offset,
      instruction = this.i32[at]!,
      { data } = this.cpu;
    if (instruction === 0 || data.getUint16(instruction + RECORD.handler, true) === PSEUDO.region) return undefined;
    const record = this.plan.records + this.recordsUsed;
    this.recordsUsed = this.writer.pseudo(record, PSEUDO.region, offset, index) - this.plan.records;
    data.setInt32(record + RECORD.immediate2, instruction, true);
    data.setInt32(record + RECORD.displacement, mode, true);
    this.i32[at] = record;
    return { page, offset, record, instruction };
  }
  /** The record that control landing on 32-bit code at a guest-physical address goes on with. */
  recordAt(physical: number): number | undefined {
    const map = this.pages.get(physical >>> 12)?.maps[1] ?? 0;
    return map === 0 ? undefined : this.i32[(map >> 2) + (physical & 0xfff)];
  }
  /** Has `hot` be asked about a region's record after it was entered so many times, less than 2^16. */
  countEntries({ record }: RegionEntry, entries: number, hotLandings: number): void {
    this.cpu.data.setUint16(record + RECORD.landings, (hotLandings - entries) & 0xffff, true);
  }
  /** The place in the table of regions that a record leads to; undefined when it is an instruction's. */
  regionOf(record: number): number | undefined {
    const { data } = this.cpu;
    const isRegion = data.getUint16(record + RECORD.handler, true) === PSEUDO.region;
    return isRegion ? data.getUint32(record + RECORD.immediate, true) : undefined;
  }
  /** Takes back what `enterRegion` did, before anything is forgotten. */
  leaveRegion({ page, offset, record, instruction }: RegionEntry): void {
    const map = this.pages.get(page)!.maps[1];
    this.i32[(map >> 2) + offset] = instruction;
    this.cpu.data.setUint16(record + RECORD.handler, PSEUDO.lookup, true);
    // It may get hot once more.
    this.cpu.data.setUint16(instruction + RECORD.landings, 0, true);
  }

  unstop(): void {
    const { at, handler } = this.stopped,
      { data } = this.cpu;
    // The page may have been dropped since.
    if (at !== 0 && data.getUint16(at + RECORD.handler, true) === PSEUDO.exit)
      data.setUint16(at + RECORD.handler, handler, true);
    this.stopped = { at: 0, handler: 0 };
  }
  /**
   * For handlers that cannot leave: a copy of their record, so that going on from it ends the run. EIP behind it is the next
   * instruction's.
   */
  leaveAfter(record: number): number {
    const { u8, data, base } = this.cpu,
      copy = base + LEAVING_RECORDS;
    u8.copyWithin(copy, record, record + RECORD_BYTES);
    const next = data.getUint16(copy + RECORD.pageOffset, true) + data.getUint8(copy + RECORD.length);
    this.writer.pseudo(copy + RECORD_BYTES, PSEUDO.exit, next);
    return copy;
  }
  /** The instruction at `eip`, for the oracle and traces. */
  instructionAt(eip: number): Instruction | NoInstruction {
    if (eip > this.cpu.get('codeLimit')) this.cpu.raise(EXCEPTION.GP, 0);
    return this.fetch(eip, (this.cpu.segment(CS, 'base') + eip) >>> 0);
  }
}
