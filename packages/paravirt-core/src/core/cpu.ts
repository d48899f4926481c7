/** One processor: its state in linear memory, seen from TypeScript, and what follows from a change of mode. */
import { CS, DS, EFLAGS, ES, SS } from '../isa/build.ts';
import { FAMILY_MODEL_STEPPING } from './cpuid.ts';
import {
  CODE_KEY,
  COMPILED,
  OFFSET,
  SEGMENT,
  SEGMENT_BYTES,
  STATE_BYTES,
  TLB,
  UNIT,
  cpuBlock,
  type FieldName,
} from './layout.ts';
import type { PhysicalMap } from './physical.ts';

/** CR0 and CR4 bits (SDM vol. 3, 2.5). */
export const CR0 = {
  PE: 1,
  MP: 2,
  EM: 4,
  TS: 8,
  ET: 16,
  NE: 32,
  WP: 1 << 16,
  AM: 1 << 18,
  NW: 1 << 29,
  CD: 1 << 30,
  PG: 0x80000000,
} as const;
export const CR4 = {
  VME: 1,
  PVI: 2,
  TSD: 4,
  DE: 8,
  PSE: 16,
  PAE: 32,
  MCE: 64,
  PGE: 128,
  PCE: 256,
  OSFXSR: 512,
  OSXMMEXCPT: 1024,
} as const;

/** IA32_EFER bits (SDM vol. 3, 2.2.1). */
export const EFER = { SCE: 1, LME: 0x100, LMA: 0x400, NXE: 0x800 } as const;

/** Thrown by services once the fault is recorded in the processor's state; never leaves the core. */
export const GUEST_FAULT = Symbol('guest fault');

/** What the processor sees of the board. Addresses are guest-physical, values unsigned. Nothing throws. */
export interface CpuBus {
  portRead(port: number, width: 1 | 2 | 4): number;
  portWrite(port: number, width: 1 | 2 | 4, value: number): void;
  /** Many accesses of one port in a row, for string instructions; returns the bytes that were moved, perhaps none. */
  portReadBlock?(port: number, width: 1 | 2 | 4, into: Uint8Array): number;
  portWriteBlock?(port: number, width: 1 | 2 | 4, from: Uint8Array): number;
  memoryRead(address: number, width: 1 | 2 | 4): number;
  memoryWrite(address: number, width: 1 | 2 | 4, value: number): void;
  /** The interrupt controller's acknowledge cycle: a vector. */
  acknowledgeInterrupt(): number;
  /** The time stamp counter, before the guest's own offset: an integer below 2^53. */
  timestamp(): number;
  /**
   * Whether an access may be made now. False when it is not known what time it is: the fault by which the instruction is done once
   * more is recorded then. For what guests poll with; the accesses themselves unwind, which is slow.
   */
  isTimeExact?(): boolean;
  /** How many accesses of a port in a row find the same board, where time is work: the next alarm is behind them. */
  blockRoom?(): number;
  /** IA32_TSC_DEADLINE, which the local APIC has (SDM vol. 3, 11.5.4.1). */
  readDeadline(): bigint;
  /** It was written. `reached`: what `timestamp` says when the guest's counter gets there; null when that is no number below 2^53. */
  writeDeadline(low: number, high: number, reached: number | null): void;
  /** IA32_APIC_BASE was written. */
  apicBase(value: number): void;
  /**
   * FERR# with CR0.NE clear: an unmasked x87 exception waits, or it no longer does. Returns IGNNE#: whether execution may go on
   * in spite of it. A board that leaves it out always lets it.
   */
  fpuError?(asserted: boolean): boolean;
}

/** A fault that is none: the instruction is tried again after interrupts have been looked at. */
export const HOLD = 0x100;
/** The same, for an access outside of the processor: the instruction is done once more by itself, at its exact time. */
export const STEP = 0x101;
/** An instruction breakpoint of the guest (#DB as a fault that does not set RF), and one of a debugger outside of it. */
export const BREAKPOINT = 0x102;
export const STOP = 0x103;

/** Bits of a segment's `attributes`: the descriptor's bits 8..23 moved to 0 (SDM vol. 3, figure 3-8). */
export const ATTRIBUTE = {
  accessed: 1,
  writable: 2,
  readable: 2,
  expandDown: 4,
  conforming: 4,
  code: 8,
  system: 0,
  s: 0x10,
  present: 0x80,
  big: 0x4000,
  granular: 0x8000,
} as const;
const SEGMENT_WORDS = SEGMENT_BYTES / 4;
/** Segments of real-address mode: 64 KiB of writable data, CS as well (SDM vol. 3, table 10-1). */
const REAL_LIMIT = 0xffff,
  REAL_ATTRIBUTES = 0x93,
  VIRTUAL_ATTRIBUTES = 0xf3;
export const dplOf = (attributes: number): number => (attributes >> 5) & 3;

export class Cpu {
  readonly memory: WebAssembly.Memory;
  readonly base: number;
  readonly physical: PhysicalMap;
  readonly bus: CpuBus;
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  readonly data: DataView;
  /** Where general and segment registers begin, as indices of `i32`: every event reads many of them. */
  private readonly registersAt: number;
  private readonly segmentsAt: number;
  /** Kept outside the guest's view of time: what WRMSR to IA32_TIME_STAMP_COUNTER added. */
  timestampOffset = 0n;
  /** Called when CPL, paging or a TLB-relevant bit changes; the MMU and the code cache listen. */
  onModeChange: () => void = () => {};
  /** Cleared where each instruction has to be looked at: compiled code is not entered then. */
  private compiledAllowed = true;
  /** Called at reset, so that what is kept elsewhere is as after power-on too. */
  onReset: () => void = () => {};

  constructor(memory: WebAssembly.Memory, index: number, physical: PhysicalMap, bus: CpuBus) {
    this.memory = memory;
    this.base = cpuBlock(index);
    this.physical = physical;
    this.bus = bus;
    this.i32 = new Int32Array(memory.buffer);
    this.u8 = new Uint8Array(memory.buffer);
    this.data = new DataView(memory.buffer);
    this.registersAt = (this.base + OFFSET.gpr) >> 2;
    this.segmentsAt = (this.base + OFFSET.segments) >> 2;
  }

  /** A 32-bit field, unsigned. */
  get(field: FieldName): number {
    return this.i32[(this.base + OFFSET[field]) >> 2]! >>> 0;
  }
  set(field: FieldName, value: number): void {
    this.i32[(this.base + OFFSET[field]) >> 2] = value;
  }
  getRegister(index: number): number {
    return this.i32[this.registersAt + index * 2]! >>> 0;
  }
  setRegister(index: number, value: number): void {
    this.i32[this.registersAt + index * 2] = value;
  }
  /** A part of a segment register, unsigned. */
  segment(index: number, part: keyof typeof SEGMENT): number {
    return this.i32[this.segmentsAt + index * SEGMENT_WORDS + SEGMENT[part] / 4]! >>> 0;
  }

  /** Records an exception; it is delivered when the instruction has been left. */
  setFault(vector: number, errorCode: number): void {
    this.set('fault', 1);
    this.set('faultVector', vector);
    this.set('faultCode', errorCode);
  }
  /** Records an exception and unwinds the service. */
  raise(vector: number, errorCode = -1): never {
    this.setFault(vector, errorCode);
    throw GUEST_FAULT;
  }

  /** Protected mode proper: neither real-address nor virtual-8086 mode. */
  get isProtected(): boolean {
    return (this.get('cr0') & CR0.PE) !== 0 && (this.get('systemFlags') & EFLAGS.VM) === 0;
  }
  /** EFLAGS.VM, which is clear outside of protected mode's tasks. */
  get isVirtual8086(): boolean {
    return (this.get('systemFlags') & EFLAGS.VM) !== 0;
  }

  /** EFLAGS as one word. */
  get eflags(): number {
    const result = this.i32[(this.base + OFFSET.flagResult) >> 2]!,
      aux = this.i32[(this.base + OFFSET.flagAux) >> 2]!;
    const carry = aux >>> 31,
      overflow = (aux ^ (aux << 1)) >>> 31;
    let byte = (result ^ (aux >>> 8)) & 0xff;
    byte ^= byte >> 4;
    const parity = (0x9669 >> (byte & 15)) & 1;
    const sign = (result >>> 31) ^ (aux & 1);
    const status =
      carry | (parity << 2) | (((aux >> 3) & 1) << 4) | ((result === 0 ? 1 : 0) << 6) | (sign << 7) | (overflow << 11);
    return (this.get('systemFlags') | status) >>> 0;
  }
  set eflags(value: number) {
    this.setStatusFlags(value);
    this.set('systemFlags', (value & ~STATUS_MASK & EFLAGS_IMPLEMENTED) | 2);
  }
  setStatusFlags(value: number): void {
    const carry = value & 1,
      overflow = (value >> 11) & 1;
    this.set('flagResult', (value & 0x40) === 0 ? 0x100 : 0);
    this.set(
      'flagAux',
      (carry << 31) |
        ((carry ^ overflow) << 30) |
        (((value >> 4) & 1) << 3) |
        ((((value >> 2) & 1) ^ 1) << 8) |
        ((value >> 7) & 1),
    );
  }

  /** Loads a segment register's visible and hidden parts without any check. */
  setSegment(index: number, selector: number, base: number, limit: number, attributes: number): void {
    const at = this.segmentsAt + index * SEGMENT_WORDS;
    this.i32[at + SEGMENT.selector / 4] = selector & 0xffff;
    // Systems load what is loaded already all the time. What follows from CS depends on more than CS.
    const isSame =
      this.i32[at + SEGMENT.base / 4] === (base | 0) &&
      this.i32[at + SEGMENT.limit / 4] === (limit | 0) &&
      this.i32[at + SEGMENT.attributes / 4] === attributes;
    if (isSame && index !== CS) return;
    this.i32[at + SEGMENT.base / 4] = base;
    this.i32[at + SEGMENT.limit / 4] = limit;
    this.i32[at + SEGMENT.attributes / 4] = attributes;
    this.i32[at + SEGMENT.readBound / 4] = boundOf(limit, attributes, false);
    this.i32[at + SEGMENT.writeBound / 4] = boundOf(limit, attributes, true);
    if (index === SS) this.set('stackMask', (attributes & ATTRIBUTE.big) !== 0 ? -1 : 0xffff);
    if (index < CS || index === SS || index === DS) this.refreshCompiledMode();
    if (index === CS) {
      this.set('codeLimit', limit);
      // Where EIP itself wraps within a page, its last byte says nothing: the first one has to do then.
      const wraps = limit >>> 0 >= 0xffff_f000 && (base & 0xfff) !== 0;
      this.set('codeSkew', wraps ? 0 : 4095);
      this.set('codeBound', wraps ? limit - 4095 : limit);
      this.refreshMode();
    }
  }
  /**
   * Loads a segment register as real-address or virtual-8086 mode does. In the former the base follows the selector, limit and
   * size stay what they were, so that segments made large in protected mode remain so (SDM vol. 3, 9.9.2 and 20.1.1). What a null
   * selector closed opens again.
   */
  setRealSegment(index: number, selector: number): void {
    if (this.isVirtual8086) return this.setVirtualSegment(index, selector);
    const attributes = this.segment(index, 'attributes');
    const limit = attributes === 0 ? REAL_LIMIT : this.segment(index, 'limit');
    const size = attributes & (ATTRIBUTE.big | ATTRIBUTE.granular);
    this.setSegment(index, selector, selector << 4, limit, size | REAL_ATTRIBUTES);
  }
  /** Loads a segment register as virtual-8086 mode does: 64 KiB at selector * 16, of DPL 3 (SDM vol. 3, 20.2.1). */
  setVirtualSegment(index: number, selector: number): void {
    this.setSegment(index, selector, selector << 4, REAL_LIMIT, VIRTUAL_ATTRIBUTES);
  }
  setSelector(index: number, selector: number): void {
    this.i32[this.segmentsAt + index * SEGMENT_WORDS] = selector & 0xffff;
  }
  setCpl(cpl: number): void {
    this.set('cpl', cpl);
    this.refreshMode();
  }
  /** Recomputes what handlers read instead of CPL, CS.D and CR0. */
  refreshMode(): void {
    const user = this.get('cpl') === 3,
      cr0 = this.get('cr0');
    // With alignment checking on, every access has to be looked at: no TLB entry has this bit.
    const alignmentChecked = user && (cr0 & CR0.AM) !== 0 && (this.get('systemFlags') & EFLAGS.AC) !== 0;
    this.set('accessRead', alignmentChecked ? TLB.never : user ? TLB.userRead : TLB.supervisorRead);
    this.set(
      'codeKey',
      CODE_KEY.valid |
        (user ? CODE_KEY.user : 0) |
        ((this.segment(CS, 'attributes') & ATTRIBUTE.big) !== 0 ? CODE_KEY.big : 0),
    );
    const off = (cr0 & (CR0.EM | CR0.TS)) !== 0;
    let denied = off ? UNIT.x87 | UNIT.mmx | UNIT.sse | UNIT.fxsr : 0;
    if ((this.get('cr4') & CR4.OSFXSR) === 0) denied |= UNIT.sse;
    this.set('unitDenied', denied);
    this.refreshCompiledMode();
  }
  /** Whether compiled code may be entered at all. */
  allowCompiled(allowed: boolean): void {
    if (allowed === this.compiledAllowed) return;
    this.compiledAllowed = allowed;
    this.refreshCompiledMode();
  }
  private refreshCompiledMode(): void {
    const usable =
      this.compiledAllowed &&
      (this.get('accessRead') & TLB.never) === 0 &&
      this.get('stackMask') === 0xffff_ffff &&
      (this.get('codeKey') & CODE_KEY.big) !== 0 &&
      this.isFlat(DS) &&
      this.isFlat(ES) &&
      this.isFlat(SS) &&
      this.segment(CS, 'base') === 0 &&
      this.segment(CS, 'limit') === 0xffff_ffff;
    this.set('compiledMode', usable ? COMPILED.flat | (this.get('cpl') === 3 ? COMPILED.user : 0) : 0);
  }
  /** Whether a data segment is all of the linear address space, to be read and written. */
  private isFlat(index: number): boolean {
    const at = this.segmentsAt + index * SEGMENT_WORDS;
    return this.i32[at + SEGMENT.base / 4] === 0 && this.i32[at + SEGMENT.writeBound / 4] === WHOLE_BOUND;
  }

  /** Power-on state (SDM vol. 3, table 10-1), except that the caller decides where execution starts. */
  reset(): void {
    const keep = { tlb: this.get('tlb'), codeTlb: this.get('codeTlb') };
    this.u8.fill(0, this.base, this.base + STATE_BYTES);
    this.set('tlb', keep.tlb);
    this.set('codeTlb', keep.codeTlb);
    this.timestampOffset = 0n;
    this.set('cr0', CR0.ET | CR0.NW | CR0.CD);
    this.eflags = 2;
    this.setRegister(2, FAMILY_MODEL_STEPPING);
    for (let i = 0; i < 6; i++) this.setSegment(i, 0, 0, REAL_LIMIT, REAL_ATTRIBUTES);
    this.setSegment(CS, 0xf000, 0xffff0000, REAL_LIMIT, REAL_ATTRIBUTES);
    this.setSegment(6, 0, 0, 0xffff, 0x82);
    this.setSegment(7, 0, 0, 0xffff, 0x8b);
    this.set('gdtLimit', 0xffff);
    this.set('idtLimit', 0xffff);
    this.set('eip', 0xfff0);
    this.i32[(this.base + OFFSET.dr + 24) >> 2] = 0xffff0ff0 | 0;
    this.i32[(this.base + OFFSET.dr + 28) >> 2] = 0x400;
    this.set('fpuControl', 0x40);
    // Registers hold +0 and are not empty; FNINIT makes them so (SDM vol. 3, table 10-1).
    this.set('fpuTags', 0);
    this.set('mxcsr', 0x1f80);
    this.onReset();
    this.refreshMode();
    this.onModeChange();
  }

  /** The state as bytes, and back. Derived addresses stay this processor's own. */
  save(): Uint8Array {
    return this.u8.slice(this.base, this.base + STATE_BYTES);
  }
  restore(state: Uint8Array): void {
    const keep = { tlb: this.get('tlb'), codeTlb: this.get('codeTlb') };
    this.u8.set(state.subarray(0, STATE_BYTES), this.base);
    this.set('tlb', keep.tlb);
    this.set('codeTlb', keep.codeTlb);
    this.refreshMode();
    this.onModeChange();
  }
}

/** `readBound` and `writeBound` of a segment of 4 GiB. */
export const WHOLE_BOUND = (0xffff_ffff - 14) | 0;
export const STATUS_MASK = 0x8d5;
const EFLAGS_IMPLEMENTED =
  EFLAGS.TF |
  EFLAGS.IF |
  EFLAGS.DF |
  EFLAGS.IOPL |
  EFLAGS.NT |
  EFLAGS.RF |
  EFLAGS.VM |
  EFLAGS.AC |
  EFLAGS.VIF |
  EFLAGS.VIP |
  EFLAGS.ID;

/** The offset below which 16 bytes can be accessed without looking at the limit: 0 where every access must look. */
function boundOf(limit: number, attributes: number, write: boolean): number {
  const isCode = (attributes & ATTRIBUTE.code) !== 0;
  if ((attributes & ATTRIBUTE.s) === 0 || (attributes & ATTRIBUTE.present) === 0) return 0;
  if (isCode ? write || (attributes & ATTRIBUTE.readable) === 0 : write && (attributes & ATTRIBUTE.writable) === 0)
    return 0;
  if (!isCode && (attributes & ATTRIBUTE.expandDown) !== 0) return 0;
  return Math.max(0, (limit >>> 0) - 14) >>> 0;
}
