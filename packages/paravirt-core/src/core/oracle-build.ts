/**
 * `Build<V>` over numbers and bigints: one decoded instruction, executed at once, by definition rather than by speed. Flags are
 * computed from the SDM's words and kept in one image; memory goes through the MMU's slow path. What the interpreter and
 * translated code do is held against this.
 */
import { setTag, tagOf } from '../isa/x87-tags.ts';
import {
  CS,
  EXCEPTION,
  type Build,
  type MemoryType,
  type Operand,
  type SegmentRef,
  type Size,
  type SlotField,
  type StateField,
  type StatusFlag,
  type Variable,
} from '../isa/build.ts';
import type { Instruction } from '../isa/decode.ts';
import type { OperandSpec } from '../isa/model.ts';
import { plainOperand } from '../isa/operand.ts';
import type { Cpu } from './cpu.ts';
import type { Leaf } from './interpreter/engine.ts';
import { OFFSET, SEGMENT, UNIT_OF, segmentOffset } from './layout.ts';
import type { Mmu } from './mmu.ts';
import { IMPLEMENTATIONS } from './oracle-ops.ts';
import type { OracleValue } from './oracle-vector.ts';
import type { Service } from './services.ts';

/** Thrown by `poll` to leave between two repetitions. */
export const LEAVE = Symbol('leave');

export interface OracleParts {
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly services: Readonly<Record<string, Service>>;
  readonly leaves: Readonly<Record<string, Leaf>>;
}

const BYTES: Readonly<Record<MemoryType, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, v128: 16 };
const POSITION: Readonly<Record<StatusFlag, number>> = { C: 0, P: 2, A: 4, Z: 6, S: 7, O: 11 };
/** A value of `size` bits, unsigned and signed. */
const unsigned = (size: number, v: OracleValue): number => Number(BigInt.asUintN(size, BigInt(v)));
const signed = (size: number, v: OracleValue): number => Number(BigInt.asIntN(size, BigInt(v)));
const number = (v: OracleValue): number => v as number;

export class OracleBuild implements Build<OracleValue> {
  readonly size: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly shortcuts = false;
  /** Where `jump` went. */
  target: number | undefined;
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly services: OracleParts['services'];
  private readonly leaves: OracleParts['leaves'];
  private readonly insn: Instruction;
  private readonly next: number;

  constructor({ cpu, mmu, services, leaves }: OracleParts, insn: Instruction) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.services = services;
    this.leaves = leaves;
    this.insn = insn;
    this.size = insn.form.size;
    this.addressSize = insn.form.addressSize;
    this.next = (cpu.get('eip') + insn.length) >>> 0;
  }

  // --- values

  imm(n: number): OracleValue {
    return n | 0;
  }
  imm64(n: bigint): OracleValue {
    return BigInt.asUintN(64, n);
  }
  imm128(n: bigint): OracleValue {
    return BigInt.asUintN(128, n);
  }
  op(name: string, args: readonly OracleValue[], lanes: readonly number[] = []): OracleValue {
    const implementation = IMPLEMENTATIONS.get(name);
    if (implementation === undefined) throw new Error(`no WebAssembly instruction '${name}'`);
    return implementation(args, lanes);
  }
  select(condition: OracleValue, a: OracleValue, b: OracleValue): OracleValue {
    return number(condition) !== 0 ? a : b;
  }
  variable(initial: OracleValue): Variable<OracleValue> {
    let value = initial;
    return { get: () => value, set: (v) => void (value = v) };
  }

  // --- processor state

  getRegister(size: Size, index: number): OracleValue {
    const whole = this.cpu.getRegister(size === 8 ? index & 3 : index);
    return size === 8 ? (whole >>> (index >= 4 ? 8 : 0)) & 0xff : size === 16 ? whole & 0xffff : whole | 0;
  }
  setRegister(size: Size, index: number, value: OracleValue): void {
    const register = size === 8 ? index & 3 : index,
      shift = size === 8 && index >= 4 ? 8 : 0;
    const mask = size === 32 ? -1 : (2 ** size - 1) << shift;
    this.cpu.setRegister(register, (this.cpu.getRegister(register) & ~mask) | ((number(value) << shift) & mask));
  }
  get(field: StateField): OracleValue {
    return this.cpu.get(field) | 0;
  }
  set(field: StateField, value: OracleValue): void {
    this.cpu.set(field, number(value));
  }

  isEmpty(register: OracleValue): OracleValue {
    return tagOf<OracleValue>(this, register);
  }
  setEmpty(register: OracleValue, empty: boolean): void {
    setTag<OracleValue>(this, register, empty);
  }
  flag(flag: StatusFlag): OracleValue {
    return (this.cpu.eflags >>> POSITION[flag]) & 1;
  }
  setFlag(flag: StatusFlag, value: OracleValue): void {
    const mask = 1 << POSITION[flag];
    this.cpu.setStatusFlags((this.cpu.eflags & ~mask) | (number(value) !== 0 ? mask : 0));
  }
  statusFlags(): OracleValue {
    return Object.values(POSITION).reduce((image, at) => image | (this.cpu.eflags & (1 << at)), 0);
  }
  setStatusFlags(image: OracleValue): void {
    this.cpu.setStatusFlags(number(image));
  }
  keepFlags(): () => void {
    const image = this.statusFlags();
    return () => this.setStatusFlags(image);
  }
  /** SDM vol. 2, appendix B, table B-10. */
  condition(code: number): OracleValue {
    const [c, p, z, s, o] = (['C', 'P', 'Z', 'S', 'O'] as const).map((flag) => this.flag(flag) === 1) as [
      boolean,
      boolean,
      boolean,
      boolean,
      boolean,
    ];
    const holds = [o, c, z, c || z, s, p, s !== o, z || s !== o][code >> 1]!;
    return Number(holds !== ((code & 1) === 1));
  }
  setFlags(
    kind: 'add' | 'sub' | 'logic',
    size: Size,
    result: OracleValue,
    x: OracleValue = 0,
    y: OracleValue = 0,
  ): void {
    if (kind === 'logic') return this.setAll(size, result, false, false, false);
    const sign = kind === 'add' ? 1 : -1;
    const of = (how: (v: OracleValue) => number): number => how(x) + sign * how(y);
    // What came in besides the operands: the carry of ADC, the borrow of SBB.
    const carry = unsigned(size, sign * (unsigned(size, result) - of((v) => unsigned(size, v))));
    const whole = of((v) => unsigned(size, v)) + sign * carry;
    const asSigned = of((v) => signed(size, v)) + sign * carry;
    const low = of((v) => unsigned(4, v)) + sign * carry;
    const limit = 2 ** (size - 1);
    this.setAll(
      size,
      result,
      whole < 0 || whole >= 2 ** size,
      asSigned < -limit || asSigned >= limit,
      low < 0 || low > 15,
    );
  }
  setFlagsWith(size: Size, result: OracleValue, carry: OracleValue, overflow: OracleValue, adjust: OracleValue): void {
    this.setAll(size, result, number(carry) !== 0, number(overflow) !== 0, number(adjust) !== 0);
  }
  private setAll(size: Size, result: OracleValue, carry: boolean, overflow: boolean, adjust: boolean): void {
    const ones = [...unsigned(8, result).toString(2)].filter((digit) => digit === '1').length;
    const flags: Readonly<Record<StatusFlag, boolean>> = {
      C: carry,
      P: ones % 2 === 0,
      A: adjust,
      Z: unsigned(size, result) === 0,
      S: signed(size, result) < 0,
      O: overflow,
    };
    const image = Object.entries(flags).reduce(
      (bits, [flag, on]) => bits | (on ? 1 << POSITION[flag as StatusFlag] : 0),
      0,
    );
    this.cpu.setStatusFlags(image);
  }

  // --- control

  if(condition: OracleValue, then: () => void, otherwise?: () => void): void {
    if (number(condition) !== 0) then();
    else otherwise?.();
  }
  unlikely(condition: OracleValue, rare: () => void, usual: () => void): void {
    this.if(condition, rare, usual);
  }
  loop(body: (leave: (condition: OracleValue) => void) => void): void {
    const left = Symbol('left');
    for (;;) {
      try {
        body((condition) => {
          if (number(condition) !== 0) throw left;
        });
      } catch (thrown) {
        if (thrown === left) return;
        throw thrown;
      }
    }
  }
  raise(vector: number, errorCode?: number): void {
    this.cpu.raise(vector, errorCode ?? -1);
  }
  nextEip(): OracleValue {
    return this.size === 16 ? this.next & 0xffff : this.next | 0;
  }
  checkTarget(eip: OracleValue): void {
    if (unsigned(32, eip) > this.cpu.get('codeLimit')) this.raise(EXCEPTION.GP, 0);
  }
  jump(eip: OracleValue): void {
    this.target = unsigned(32, eip);
  }
  service(name: string, ...args: OracleValue[]): OracleValue {
    // Moving whole runs is the interpreter's shortcut; here every element is moved by itself.
    if (name === 'bulkMove' || name === 'bulkStore' || name === 'bulkIn' || name === 'bulkOut') return 0;
    const service = this.services[name];
    if (service === undefined) throw new Error(`the core has no service '${name}'`);
    const [a = 0, b = 0, c = 0, d = 0] = args.map(number);
    return (service(a, b, c, d) ?? 0) | 0;
  }
  leaf(name: string, ...args: OracleValue[]): OracleValue {
    const leaf = this.leaves[name] as ((...args: OracleValue[]) => unknown) | undefined;
    if (leaf === undefined) throw new Error(`the core has no leaf '${name}'`);
    return Number(leaf(...args) ?? 0) | 0;
  }
  slotAddress(field: SlotField, index: OracleValue): OracleValue {
    return this.cpu.base + OFFSET[field] + number(index) * 16;
  }
  peek(address: OracleValue, type: MemoryType, delta: number): OracleValue {
    return this.hostRead(number(address) + delta, type);
  }
  poke(address: OracleValue, type: MemoryType, delta: number, value: OracleValue): void {
    this.hostWrite(number(address) + delta, type, value);
  }
  poll(): void {
    const left = (this.cpu.get('pollBudget') - 1) | 0;
    this.cpu.set('pollBudget', left);
    if (left < 0 || this.cpu.get('exit') !== 0) throw LEAVE;
  }

  /** The checks that come before the semantics: privilege, availability of the unit (SDM vol. 3, 2.5 and 5.9). */
  prologue(): void {
    const { row } = this.insn.form;
    if (row.protectedOnly === true && !this.cpu.isProtected) this.raise(EXCEPTION.UD);
    if (row.cpl0 === true && this.cpu.get('cpl') !== 0) this.raise(EXCEPTION.GP, 0);
    if (row.unit !== undefined) {
      const mask = UNIT_OF[row.unit];
      if ((this.cpu.get('unitDenied') & mask) !== 0) this.service('unitUnavailable', mask);
      const waits = row.unit === 'x87' || row.unit === 'mmx' || row.unit === 'sse-mmx';
      if (waits && (this.cpu.get('fpuStatus') & 0x80) !== 0) this.service('reportFpuError');
    }
    if (row.transfers === true) this.cpu.set('eip', this.next);
  }
  /** What the x87 unit remembers of an instruction (SDM vol. 1, 8.1.8); its opcode only when an unmasked exception waits. */
  recordPointers(): void {
    const { cpu, insn } = this;
    cpu.set('fpuIp', cpu.get('eip'));
    cpu.set('fpuCs', cpu.segment(CS, 'selector'));
    if (insn.memory !== null) {
      cpu.set('fpuDp', number(this.effectiveOffset()));
      cpu.set('fpuDs', cpu.segment(insn.memory.segment, 'selector'));
    }
    if ((cpu.get('fpuStatus') & 0x80) !== 0) cpu.set('fpuOpcode', insn.opcode & 0x7ff);
  }
  /** Where control goes: the jump's target, what a service set, or the next instruction. */
  finish(): void {
    if (this.target !== undefined) this.cpu.set('eip', this.target);
    else if (this.insn.form.row.transfers !== true) this.cpu.set('eip', this.next);
  }

  // --- memory

  private segmentAt(segment: SegmentRef): number {
    const index = segment === 'operand' ? (this.insn.memory?.segment ?? this.insn.segment) : segment;
    return this.cpu.base + segmentOffset(index);
  }
  segmentAddress(): OracleValue {
    return this.segmentAt('operand');
  }
  linear(segment: SegmentRef, offset: OracleValue): OracleValue {
    return (this.cpu.i32[(this.segmentAt(segment) + SEGMENT.base) >> 2]! + number(offset)) | 0;
  }
  private hostRead(at: number, type: MemoryType): OracleValue {
    const { data } = this.cpu;
    if (type === 'u64') return data.getBigUint64(at, true);
    if (type === 'v128') return data.getBigUint64(at, true) | (data.getBigUint64(at + 8, true) << 64n);
    return type === 'u8' ? data.getUint8(at) : type === 'u16' ? data.getUint16(at, true) : data.getInt32(at, true);
  }
  private hostWrite(at: number, type: MemoryType, value: OracleValue): void {
    const bits = BigInt.asUintN(128, BigInt(value));
    for (let i = 0; i < BYTES[type]; i++) this.cpu.u8[at + i] = Number((bits >> BigInt(8 * i)) & 0xffn);
  }
  /** SSE operands of 16 bytes that must be aligned (SDM vol. 1, 4.1.1). */
  private checkAlignment(segment: SegmentRef, offset: OracleValue, type: MemoryType): void {
    if (type === 'v128' && this.insn.form.row.aligned === true && (number(this.linear(segment, offset)) & 15) !== 0)
      this.raise(EXCEPTION.GP, 0);
  }
  private read(segment: SegmentRef, offset: OracleValue, type: MemoryType, update: boolean): OracleValue {
    this.checkAlignment(segment, offset, type);
    const at = this.segmentAt(segment),
      bytes = BYTES[type];
    const value = update
      ? this.mmu.readForUpdate(at, number(offset), bytes)
      : this.mmu.readMemory(at, number(offset), bytes);
    return bytes > 4 ? this.hostRead(this.cpu.base + OFFSET.scratch, type) : value | 0;
  }
  load(segment: SegmentRef, offset: OracleValue, type: MemoryType): OracleValue {
    return this.read(segment, offset, type, false);
  }
  store(segment: SegmentRef, offset: OracleValue, type: MemoryType, value: OracleValue): void {
    this.checkAlignment(segment, offset, type);
    const bytes = BYTES[type];
    if (bytes > 4) this.hostWrite(this.cpu.base + OFFSET.scratch, type, value);
    this.mmu.writeMemory(this.segmentAt(segment), number(offset), bytes, bytes > 4 ? 0 : unsigned(bytes * 8, value));
  }
  probeStore(segment: SegmentRef, offset: OracleValue, type: MemoryType): void {
    this.mmu.probeWrite(this.segmentAt(segment), number(offset), BYTES[type]);
  }

  // --- operands

  operands(): Operand<OracleValue>[] {
    return this.insn.form.row.operands.map((spec) => this.operand(spec));
  }
  private operand(spec: OperandSpec): Operand<OracleValue> {
    const { insn } = this;
    const size = (spec.size === 'v' ? this.size : spec.size) as Size;
    switch (spec.kind) {
      case 'mem':
      case 'moffs':
        return this.memoryOperand(spec, this.effectiveOffset());
      case 'rm':
        return insn.form.memory
          ? this.memoryOperand(spec, this.effectiveOffset())
          : this.registerOperand(size, insn.rm);
      case 'mmrm':
      case 'xmmrm':
        return insn.form.memory ? this.memoryOperand(spec, this.effectiveOffset()) : this.wideOperand(spec, insn.rm);
      case 'mmreg':
      case 'xmmreg':
        return this.wideOperand(spec, insn.rm);
      case 'mm':
      case 'xmm':
        return this.wideOperand(spec, insn.reg);
      case 'rmreg':
        return this.registerOperand(size, insn.rm);
      case 'reg':
      case 'opreg':
        return this.registerOperand(size, insn.reg);
      case 'xmm0':
        return this.wideOperand(spec, 0);
      case 'fixed':
        return this.registerOperand(size, spec.register!);
      case 'imm':
      case 'simm':
        return this.plain(() => (size === 32 ? this.immediateOf(spec) | 0 : unsigned(size, this.immediateOf(spec))));
      case 'one':
        return this.plain(() => 1);
      case 'rel':
        return this.plain(() =>
          this.size === 16 ? (this.next + insn.immediate) & 0xffff : (this.next + insn.immediate) | 0,
        );
      case 'far':
        return { ...this.plain(() => insn.immediate), number: () => insn.immediate2 };
      case 'sreg':
        return {
          ...this.plain(
            () => this.service('selector', insn.reg),
            (v) => void this.service('loadSegment', insn.reg, v),
          ),
          number: () => insn.reg,
        };
      case 'creg':
      case 'dreg':
        return { ...this.plain(() => 0), number: () => insn.reg };
      case 'st':
        return { ...this.plain(() => 0), number: () => insn.rm };
    }
  }
  /** Rows with two immediates name them in order. */
  private immediateOf(spec: OperandSpec): number {
    const immediates = this.insn.form.row.operands.filter((o) => o.kind === 'imm' || o.kind === 'simm');
    return immediates.indexOf(spec) === 1 ? this.insn.immediate2 : this.insn.immediate;
  }
  private plain(read: () => OracleValue, write?: (v: OracleValue) => void): Operand<OracleValue> {
    return plainOperand(this.insn.form.row, read, write);
  }
  private registerOperand(size: Size, index: number): Operand<OracleValue> {
    const byte = size === 8 ? (index & 3) * 8 + (index >> 2) : index * 8;
    return {
      ...this.plain(
        () => this.getRegister(size, index),
        (v) => this.setRegister(size, index, v),
      ),
      address: () => this.cpu.base + OFFSET.gpr + byte,
    };
  }
  private wideOperand(spec: OperandSpec, index: number): Operand<OracleValue> {
    const half = spec.size === 64,
      at = this.cpu.base + (half ? OFFSET.fpr : OFFSET.xmm) + index * 16;
    return {
      ...this.plain(
        () => this.hostRead(at, half ? 'u64' : 'v128'),
        (v) => {
          this.hostWrite(at, half ? 'u64' : 'v128', v);
          // Sign and exponent of the x87 register that an MMX register lies in become ones (SDM vol. 1, 9.5.1).
          if (half) this.hostWrite(at + 8, 'u16', 0xffff);
        },
      ),
      address: () => at,
    };
  }
  /** The offset that ModRM, SIB and displacement name; computed once, before anything changes. */
  private effectiveOffset(): OracleValue {
    const memory = this.insn.memory!;
    const part = (register: number): number => (register < 0 ? 0 : this.cpu.getRegister(register));
    const sum = (part(memory.base) + (part(memory.index) << memory.scale) + memory.displacement) | 0;
    return memory.addressSize === 16 ? sum & 0xffff : sum;
  }
  private memoryOperand(spec: OperandSpec, offset: OracleValue): Operand<OracleValue> {
    const bits = spec.memorySize ?? spec.size,
      actual = bits === 'v' ? this.size : bits;
    const type: MemoryType =
      actual === 64 ? 'u64' : actual === 128 ? 'v128' : actual === 8 ? 'u8' : actual === 16 ? 'u16' : 'u32';
    // MMX and XMM operands are vectors, however little of them lies in memory.
    const vector = spec.kind === 'mmrm' || spec.kind === 'xmmrm' || spec.size === 128;
    const at = (delta: number): OracleValue => (number(offset) + delta) | 0;
    return {
      isMemory: true,
      read: () => {
        const value = this.read('operand', offset, type, spec.access === 'rw');
        return vector && typeof value === 'number' ? BigInt.asUintN(32, BigInt(value)) : value;
      },
      write: (v) => this.store('operand', offset, type, v),
      offset: () => offset,
      load: (t, delta) => this.load('operand', at(delta), t),
      store: (t, delta, v) => this.store('operand', at(delta), t, v),
      moved: (delta) => {
        const sum = number(at(number(delta)));
        return this.memoryOperand(spec, this.addressSize === 16 ? sum & 0xffff : sum);
      },
      number: () => 0,
      address: () => 0,
    };
  }
}
