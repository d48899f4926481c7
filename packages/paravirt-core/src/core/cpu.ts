/** One processor: its state in linear memory, seen from TypeScript, and what follows from a change of mode. */
import { CS, EFLAGS, SS } from '../isa/build.ts';
import {
  CODE_KEY,
  OFFSET,
  SEGMENT,
  STATE_BYTES,
  TLB,
  UNIT,
  cpuBlock,
  segmentOffset,
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

/** Thrown by services once the fault is recorded in the processor's state; never leaves the core. */
export const GUEST_FAULT = Symbol('guest fault');

/** What the processor sees of the board. Addresses are guest-physical, values unsigned. Nothing throws. */
export interface CpuBus {
  portRead(port: number, width: 1 | 2 | 4): number;
  portWrite(port: number, width: 1 | 2 | 4, value: number): void;
  memoryRead(address: number, width: 1 | 2 | 4): number;
  memoryWrite(address: number, width: 1 | 2 | 4, value: number): void;
  /** The interrupt controller's acknowledge cycle: a vector. */
  acknowledgeInterrupt(): number;
  /** The time stamp counter, before the guest's own offset. */
  timestamp(): bigint;
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
export const dplOf = (attributes: number): number => (attributes >> 5) & 3;

export class Cpu {
  readonly memory: WebAssembly.Memory;
  readonly base: number;
  readonly physical: PhysicalMap;
  readonly bus: CpuBus;
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  readonly data: DataView;
  /** Kept outside the guest's view of time: what WRMSR to IA32_TIME_STAMP_COUNTER added. */
  timestampOffset = 0n;
  /** Called when CPL, paging or a TLB-relevant bit changes; the MMU and the code cache listen. */
  onModeChange: () => void = () => {};

  constructor(memory: WebAssembly.Memory, index: number, physical: PhysicalMap, bus: CpuBus) {
    this.memory = memory;
    this.base = cpuBlock(index);
    this.physical = physical;
    this.bus = bus;
    this.i32 = new Int32Array(memory.buffer);
    this.u8 = new Uint8Array(memory.buffer);
    this.data = new DataView(memory.buffer);
  }

  /** A 32-bit field, unsigned. */
  get(field: FieldName): number {
    return this.i32[(this.base + OFFSET[field]) >> 2]! >>> 0;
  }
  set(field: FieldName, value: number): void {
    this.i32[(this.base + OFFSET[field]) >> 2] = value;
  }
  getRegister(index: number): number {
    return this.i32[(this.base + OFFSET.gpr + index * 8) >> 2]! >>> 0;
  }
  setRegister(index: number, value: number): void {
    this.i32[(this.base + OFFSET.gpr + index * 8) >> 2] = value;
  }
  /** A part of a segment register, unsigned. */
  segment(index: number, part: keyof typeof SEGMENT): number {
    return this.i32[(this.base + segmentOffset(index) + SEGMENT[part]) >> 2]! >>> 0;
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

  get isProtected(): boolean {
    return (this.get('cr0') & CR0.PE) !== 0;
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
    const at = (this.base + segmentOffset(index)) >> 2;
    this.i32[at + SEGMENT.selector / 4] = selector & 0xffff;
    this.i32[at + SEGMENT.base / 4] = base;
    this.i32[at + SEGMENT.limit / 4] = limit;
    this.i32[at + SEGMENT.attributes / 4] = attributes;
    this.i32[at + SEGMENT.readBound / 4] = boundOf(limit, attributes, false);
    this.i32[at + SEGMENT.writeBound / 4] = boundOf(limit, attributes, true);
    if (index === SS) this.set('stackMask', (attributes & ATTRIBUTE.big) !== 0 ? -1 : 0xffff);
    if (index === CS) {
      this.set('codeLimit', limit);
      this.set('codeBound', Math.max(0, (limit >>> 0) - 4094));
      this.refreshMode();
    }
  }
  setSelector(index: number, selector: number): void {
    this.i32[(this.base + segmentOffset(index)) >> 2] = selector & 0xffff;
  }
  setCpl(cpl: number): void {
    this.set('cpl', cpl);
    this.refreshMode();
  }
  /** Recomputes what handlers read instead of CPL, CS.D and CR0. */
  refreshMode(): void {
    const user = this.get('cpl') === 3;
    // With alignment checking on, every access has to be looked at: no TLB entry has this bit.
    const alignmentChecked = user && (this.get('cr0') & CR0.AM) !== 0 && (this.get('systemFlags') & EFLAGS.AC) !== 0;
    this.set('accessRead', alignmentChecked ? TLB.never : user ? TLB.userRead : TLB.supervisorRead);
    this.set(
      'codeKey',
      CODE_KEY.valid |
        (user ? CODE_KEY.user : 0) |
        ((this.segment(CS, 'attributes') & ATTRIBUTE.big) !== 0 ? CODE_KEY.big : 0),
    );
    const cr0 = this.get('cr0'),
      cr4 = this.get('cr4');
    const off = (cr0 & (CR0.EM | CR0.TS)) !== 0;
    let denied = off ? UNIT.x87 | UNIT.mmx | UNIT.sse | UNIT.fxsr : 0;
    if ((cr4 & CR4.OSFXSR) === 0) denied |= UNIT.sse;
    this.set('unitDenied', denied);
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
    for (let i = 0; i < 6; i++) this.setSegment(i, 0, 0, 0xffff, i === CS ? 0x9b : 0x93);
    this.setSegment(CS, 0xf000, 0xffff0000, 0xffff, 0x9b);
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

/** What CPUID.1:EAX and EDX after reset say: family 6, model 13, stepping 8 (the last 32-bit-only line with SSE2, so that kernels expect no more than is there). */
export const FAMILY_MODEL_STEPPING = 0x06d8;
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
