/**
 * `Build<V>` for the interpreter: semantics become WebAssembly over one decoded record.
 * The same class writes handlers that lie inline under the dispatch and handlers behind a call; they differ in how they end.
 */
import {
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
} from '../../isa/build.ts';
import type { Form, OperandSpec } from '../../isa/model.ts';
import { Code } from '../../wasm/module.ts';
import { opInfo, type ValueType } from '../../wasm/ops.ts';
import { OFFSET, SEGMENT, UNIT_OF, segmentOffset, type FieldName } from '../layout.ts';
import { RECORD, STATUS } from './record.ts';

/** A value: a constant, or what a local holds. */
export interface Value {
  readonly type: ValueType;
  readonly constant?: number | bigint;
  readonly local?: number;
}

/** Indices of the functions that handlers call. */
export interface Imports {
  /** By name; signature i32 x n -> i32. */
  service(name: string, parameters: number): number;
  /** By name and types of the parameters, one letter each; the result is an i32. */
  leaf(name: string, parameters: string): number;
}

/** Where the state that all handlers share lies, and how control leaves a handler. */
export interface Frame {
  readonly cpu: number;
  readonly record: number;
  readonly tlb: number;
  readonly readBit: number;
  readonly writeBit: number;
  readonly pageEip: number;
  readonly target: number;
  /** Inline handlers: branch depths, seen from the handler's outermost level. */
  readonly labels: { readonly fault: number; readonly jump: number; readonly exit: number } | null;
  /** Inline handlers: the local that counts instructions still to run. */
  readonly left: number;
}

const MASK: Readonly<Record<Size, number>> = { 8: 0xff, 16: 0xffff, 32: -1 };
const BYTES: Readonly<Record<MemoryType, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, v128: 16 };
const LOAD: Readonly<Record<MemoryType, string>> = {
  u8: 'i32.load8_u',
  u16: 'i32.load16_u',
  u32: 'i32.load',
  u64: 'i64.load',
  v128: 'v128.load',
};
const STORE: Readonly<Record<MemoryType, string>> = {
  u8: 'i32.store8',
  u16: 'i32.store16',
  u32: 'i32.store',
  u64: 'i64.store',
  v128: 'v128.store',
};
const TYPE: Readonly<Record<MemoryType, ValueType>> = { u8: 'i', u16: 'i', u32: 'i', u64: 'l', v128: 'v' };
const integerType = (size: Size): MemoryType => (size === 8 ? 'u8' : size === 16 ? 'u16' : 'u32');

/** Allocates locals by type; a handler gives all of them back when it ends. */
export class Locals {
  readonly types: ValueType[] = [];
  private readonly free = new Map<ValueType, number[]>();
  private used: number[] = [];
  private readonly first: number;

  constructor(first: number) {
    this.first = first;
  }
  take(type: ValueType): number {
    const pool = this.free.get(type);
    const local = pool !== undefined && pool.length > 0 ? pool.pop()! : this.first + this.types.push(type) - 1;
    this.used.push(local);
    return local;
  }
  /** A local that is never given back. */
  fixed(type: ValueType): number {
    return this.first + this.types.push(type) - 1;
  }
  reset(): void {
    for (const local of this.used.reverse()) {
      const type = this.types[local - this.first]!;
      const pool = this.free.get(type);
      if (pool === undefined) this.free.set(type, [local]);
      else pool.push(local);
    }
    this.used = [];
  }
}

export class HandlerBuild implements Build<Value> {
  readonly code: Code;
  readonly size: 16 | 32;
  readonly addressSize: 16 | 32;
  /** A service was called: it may have asked to leave after this instruction. */
  mayExit = false;
  private nest = 0;
  private readonly form: Form;
  private readonly frame: Frame;
  private readonly locals: Locals;
  private readonly imports: Imports;

  constructor(form: Form, frame: Frame, locals: Locals, imports: Imports, code = new Code()) {
    this.form = form;
    this.size = form.size;
    this.addressSize = form.addressSize;
    this.frame = frame;
    this.locals = locals;
    this.imports = imports;
    this.code = code;
  }

  // --- values

  imm(n: number): Value {
    return { type: 'i', constant: n | 0 };
  }
  imm64(n: bigint): Value {
    return { type: 'l', constant: BigInt.asIntN(64, n) };
  }
  imm128(n: bigint): Value {
    return { type: 'v', constant: n };
  }
  /** Puts a value on the stack. */
  push(v: Value): Code {
    if (v.local !== undefined) return this.code.get(v.local);
    if (v.type === 'i') return this.code.i32(Number(v.constant));
    if (v.type === 'l') return this.code.i64(BigInt(v.constant!));
    return this.code.v128(BigInt(v.constant!));
  }
  /** Takes the stack's top into a local. */
  pop(type: ValueType): Value {
    const local = this.locals.take(type);
    this.code.set(local);
    return { type, local };
  }
  op(name: string, args: readonly Value[], lanes: readonly number[] = []): Value {
    const info = opInfo(name);
    for (const arg of args) this.push(arg);
    this.code.op(name, ...lanes);
    return this.pop(info.result);
  }
  select(condition: Value, a: Value, b: Value): Value {
    this.push(a);
    this.push(b);
    this.push(condition);
    if (a.type === 'v') this.code.raw(0x1c, 1, 0x7b);
    else this.code.select();
    return this.pop(a.type);
  }
  variable(initial: Value): Variable<Value> {
    const local = this.locals.take(initial.type);
    this.push(initial);
    this.code.set(local);
    return {
      // A copy: what was read stays what it was when the variable changes.
      get: () => {
        this.code.get(local);
        return this.pop(initial.type);
      },
      set: (value) => {
        this.push(value);
        this.code.set(local);
      },
    };
  }

  // --- processor state

  private loadField(offset: number, op = 'i32.load', type: ValueType = 'i'): Value {
    this.code.get(this.frame.cpu).memory(op, offset);
    return this.pop(type);
  }
  private storeField(offset: number, value: Value, op = 'i32.store'): void {
    this.code.get(this.frame.cpu);
    this.push(value);
    this.code.memory(op, offset);
  }
  private recordField(offset: number, op = 'i32.load'): Value {
    this.code.get(this.frame.record).memory(op, offset);
    return this.pop('i');
  }
  private static registerOffset(size: Size, index: number): number {
    return size === 8 ? OFFSET.gpr + (index & 3) * 8 + (index >> 2) : OFFSET.gpr + index * 8;
  }
  getRegister(size: Size, index: number): Value {
    return this.loadField(HandlerBuild.registerOffset(size, index), LOAD[integerType(size)]);
  }
  setRegister(size: Size, index: number, value: Value): void {
    this.storeField(HandlerBuild.registerOffset(size, index), value, STORE[integerType(size)]);
  }
  get(field: StateField): Value {
    return this.loadField(OFFSET[field as FieldName]);
  }
  set(field: StateField, value: Value): void {
    this.storeField(OFFSET[field as FieldName], value);
  }

  // --- flags: see layout.ts for what the two words hold

  flag(flag: StatusFlag): Value {
    const result = (): Value => this.loadField(OFFSET.flagResult);
    const aux = (): Value => this.loadField(OFFSET.flagAux);
    const i = (n: number): Value => this.imm(n);
    switch (flag) {
      case 'C':
        return this.op('i32.shr_u', [aux(), i(31)]);
      case 'Z':
        return this.op('i32.eqz', [result()]);
      case 'A':
        return this.op('i32.and', [this.op('i32.shr_u', [aux(), i(3)]), i(1)]);
      case 'O': {
        const a = aux();
        return this.op('i32.shr_u', [this.op('i32.xor', [a, this.op('i32.shl', [a, i(1)])]), i(31)]);
      }
      case 'S':
        return this.op('i32.xor', [this.op('i32.shr_u', [result(), i(31)]), this.op('i32.and', [aux(), i(1)])]);
      case 'P': {
        const byte = this.op('i32.and', [this.op('i32.xor', [result(), this.op('i32.shr_u', [aux(), i(8)])]), i(0xff)]);
        return this.op('i32.and', [this.op('i32.xor', [this.op('i32.popcnt', [byte]), i(1)]), i(1)]);
      }
    }
  }
  setFlag(flag: StatusFlag, value: Value): void {
    const i = (n: number): Value => this.imm(n);
    if (flag === 'C') {
      // C changes, O stays: both upper bits follow.
      const aux = this.loadField(OFFSET.flagAux);
      const change = this.op('i32.xor', [this.op('i32.shr_u', [aux, i(31)]), value]);
      this.storeField(OFFSET.flagAux, this.op('i32.xor', [aux, this.op('i32.mul', [change, i(0xc0000000)])]));
    } else if (flag === 'O') {
      const aux = this.loadField(OFFSET.flagAux);
      const carry = this.op('i32.shr_u', [aux, i(31)]);
      const bit30 = this.op('i32.shl', [this.op('i32.xor', [carry, value]), i(30)]);
      this.storeField(OFFSET.flagAux, this.op('i32.or', [this.op('i32.and', [aux, i(~(1 << 30))]), bit30]));
    } else {
      const position = { P: 2, A: 4, Z: 6, S: 7 }[flag];
      const image = this.statusFlags();
      this.setStatusFlags(
        this.op('i32.or', [this.op('i32.and', [image, i(~(1 << position))]), this.op('i32.shl', [value, i(position)])]),
      );
    }
  }
  statusFlags(): Value {
    let image = this.flag('C');
    for (const [flag, position] of [
      ['P', 2],
      ['A', 4],
      ['Z', 6],
      ['S', 7],
      ['O', 11],
    ] as const) {
      image = this.op('i32.or', [image, this.op('i32.shl', [this.flag(flag), this.imm(position)])]);
    }
    return image;
  }
  setStatusFlags(image: Value): void {
    const i = (n: number): Value => this.imm(n);
    const bit = (n: number): Value => this.op('i32.and', [this.op('i32.shr_u', [image, i(n)]), i(1)]);
    // The result is 0 for Z, else 0x100 (low byte 0: even parity, sign clear); aux turns P and S where they differ from that.
    const zero = bit(6),
      carry = bit(0);
    const parts = [
      this.op('i32.shl', [carry, i(31)]),
      this.op('i32.shl', [this.op('i32.xor', [carry, bit(11)]), i(30)]),
      this.op('i32.shl', [bit(4), i(3)]),
      this.op('i32.shl', [this.op('i32.xor', [bit(2), i(1)]), i(8)]),
      bit(7),
    ];
    this.storeField(OFFSET.flagResult, this.op('i32.shl', [this.op('i32.xor', [zero, i(1)]), i(8)]));
    this.storeField(
      OFFSET.flagAux,
      parts.reduce((a, b) => this.op('i32.or', [a, b])),
    );
  }
  condition(code: number): Value {
    const or = (a: Value, b: Value): Value => this.op('i32.or', [a, b]);
    const base = code >> 1;
    const less = (): Value => this.op('i32.xor', [this.flag('S'), this.flag('O')]);
    const value =
      base === 0
        ? this.flag('O')
        : base === 1
          ? this.flag('C')
          : base === 2
            ? this.flag('Z')
            : base === 3
              ? or(this.flag('C'), this.flag('Z'))
              : base === 4
                ? this.flag('S')
                : base === 5
                  ? this.flag('P')
                  : base === 6
                    ? less()
                    : or(this.flag('Z'), less());
    return (code & 1) === 0 ? value : this.op('i32.xor', [value, this.imm(1)]);
  }
  private signExtended(size: Size, v: Value): Value {
    return size === 32 ? v : this.op(size === 8 ? 'i32.extend8_s' : 'i32.extend16_s', [v]);
  }
  setFlags(kind: 'add' | 'sub' | 'logic', size: Size, result: Value, x?: Value, y?: Value): void {
    const wide = this.signExtended(size, result);
    if (kind === 'logic') {
      this.storeField(OFFSET.flagResult, wide);
      this.storeField(OFFSET.flagAux, this.imm(0));
      return;
    }
    // The carries out of every bit: add (x & y) | ((x | y) & ~r); subtract with x inverted and r as it is.
    const not = (v: Value): Value => this.op('i32.xor', [v, this.imm(-1)]);
    const and = (a: Value, b: Value): Value => this.op('i32.and', [a, b]);
    const or = (a: Value, b: Value): Value => this.op('i32.or', [a, b]);
    const left = kind === 'add' ? x! : not(x!);
    const carries = or(and(left, y!), and(or(left, y!), kind === 'add' ? not(result) : result));
    const top = size === 32 ? carries : this.op('i32.shl', [carries, this.imm(32 - size)]);
    const aux =
      size === 32
        ? and(carries, this.imm(0xc0000008 | 0))
        : or(and(top, this.imm(0xc0000000 | 0)), and(carries, this.imm(8)));
    this.storeField(OFFSET.flagResult, wide);
    this.storeField(OFFSET.flagAux, aux);
  }
  setFlagsWith(size: Size, result: Value, carry: Value, overflow: Value, adjust: Value): void {
    const shl = (v: Value, n: number): Value => this.op('i32.shl', [v, this.imm(n)]);
    const aux = this.op('i32.or', [
      this.op('i32.or', [shl(carry, 31), shl(this.op('i32.xor', [carry, overflow]), 30)]),
      shl(adjust, 3),
    ]);
    this.storeField(OFFSET.flagResult, this.signExtended(size, result));
    this.storeField(OFFSET.flagAux, aux);
  }

  // --- control

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    this.push(condition);
    this.code.if();
    this.nest++;
    then();
    if (otherwise !== undefined) {
      this.code.else();
      otherwise();
    }
    this.nest--;
    this.code.end();
  }
  loop(body: (leave: (condition: Value) => void) => void): void {
    this.code.block().loop();
    this.nest += 2;
    const level = this.nest;
    body((condition) => {
      this.push(condition);
      this.code.brIf(this.nest - level + 1);
    });
    this.code.br(0);
    this.nest -= 2;
    this.code.end().end();
  }
  private goFault(): void {
    if (this.frame.labels === null) this.code.i32(STATUS.fault).return();
    else this.code.br(this.nest + this.frame.labels.fault);
  }
  private faultIfSet(): void {
    this.code.get(this.frame.cpu).memory('i32.load', OFFSET.fault);
    this.code.if();
    this.nest++;
    this.goFault();
    this.nest--;
    this.code.end();
  }
  raise(vector: number, errorCode?: number): void {
    this.storeField(OFFSET.faultVector, this.imm(vector));
    this.storeField(OFFSET.faultCode, this.imm(errorCode ?? -1));
    this.storeField(OFFSET.fault, this.imm(1));
    this.goFault();
  }
  /** Page start plus offset plus length. */
  nextEip(): Value {
    const next = this.op('i32.add', [this.currentEip(), this.recordField(RECORD.length, 'i32.load8_u')]);
    return this.size === 16 ? this.op('i32.and', [next, this.imm(0xffff)]) : next;
  }
  private currentEip(): Value {
    return this.op('i32.add', [
      { type: 'i', local: this.frame.pageEip },
      this.recordField(RECORD.pageOffset, 'i32.load16_u'),
    ]);
  }
  checkTarget(eip: Value): void {
    this.if(this.op('i32.gt_u', [eip, this.loadField(OFFSET.codeLimit)]), () => this.raise(EXCEPTION.GP, 0));
  }
  jump(eip: Value): void {
    if (this.frame.labels === null) {
      this.storeField(OFFSET.eip, eip);
      this.code.i32(STATUS.jump).return();
    } else {
      this.push(eip);
      this.code.set(this.frame.target).br(this.nest + this.frame.labels.jump);
    }
  }
  service(name: string, ...args: Value[]): Value {
    for (const arg of args) this.push(arg);
    this.code.call(this.imports.service(name, args.length));
    const result = this.pop('i');
    this.faultIfSet();
    this.mayExit = true;
    return result;
  }
  leaf(name: string, ...args: Value[]): Value {
    for (const arg of args) this.push(arg);
    this.code.call(this.imports.leaf(name, args.map((arg) => arg.type).join('')));
    return this.pop('i');
  }
  slotAddress(field: SlotField, index: Value): Value {
    const first = this.op('i32.add', [{ type: 'i', local: this.frame.cpu }, this.imm(OFFSET[field])]);
    return this.op('i32.add', [first, this.op('i32.shl', [index, this.imm(4)])]);
  }
  peek(address: Value, type: MemoryType, delta: number): Value {
    this.push(address).memory(LOAD[type], delta);
    return this.pop(TYPE[type]);
  }
  poke(address: Value, type: MemoryType, delta: number, value: Value): void {
    this.push(address);
    this.push(value);
    this.code.memory(STORE[type], delta);
  }
  poll(): void {
    if (this.frame.labels !== null) throw new Error('a repeated instruction lies behind a call');
    const left = this.op('i32.sub', [this.loadField(OFFSET.pollBudget), this.imm(1)]);
    this.storeField(OFFSET.pollBudget, left);
    this.if(this.op('i32.lt_s', [left, this.imm(0)]), () => void this.code.i32(STATUS.restart).return());
  }
  /** The checks that come before the semantics: privilege, availability of the unit. */
  prologue(): void {
    const { row } = this.form;
    if (row.cpl0 === true) this.if(this.loadField(OFFSET.cpl), () => this.raise(EXCEPTION.GP, 0));
    if (row.unit !== undefined) {
      const mask = UNIT_OF[row.unit];
      const denied = this.op('i32.and', [this.loadField(OFFSET.unitDenied), this.imm(mask)]);
      this.if(denied, () => void this.service('unitUnavailable', this.imm(mask)));
      if (row.unit === 'x87' || row.unit === 'mmx' || row.unit === 'sse-mmx') {
        // A pending unmasked exception is reported by the next waiting instruction (SDM vol. 1, 8.7).
        const pending = this.op('i32.and', [this.loadField(OFFSET.fpuStatus), this.imm(0x80)]);
        this.if(pending, () => void this.service('reportFpuError'));
      }
    }
    // Services that transfer control start from the next instruction's EIP.
    if (row.transfers === true && this.frame.labels === null) {
      const next = this.op('i32.add', [this.currentEip(), this.recordField(RECORD.length, 'i32.load8_u')]);
      this.storeField(OFFSET.eip, next);
    }
  }
  /** The end of a handler behind a call. */
  epilogue(): void {
    this.code.i32(this.form.row.transfers === true ? STATUS.jump : STATUS.next);
  }

  // --- memory

  /** A segment register's block: pushes the address, returns the static offset to add. */
  private segmentBase(segment: SegmentRef): { at: Value; offset: number } {
    if (segment === 'operand') return { at: this.recordField(RECORD.segment, 'i32.load16_u'), offset: 0 };
    return { at: { type: 'i', local: this.frame.cpu }, offset: segmentOffset(segment) };
  }
  segmentAddress(): Value {
    return this.recordField(RECORD.segment, 'i32.load16_u');
  }
  linear(segment: SegmentRef, offset: Value): Value {
    const s = this.segmentBase(segment);
    this.push(s.at).memory('i32.load', s.offset + SEGMENT.base);
    const base = this.pop('i');
    return this.op('i32.add', [base, offset]);
  }
  /** Finds where an access goes: `host` holds the address, or 0 when the core must do it. */
  private locate(
    segment: SegmentRef,
    offset: Value,
    bytes: number,
    write: boolean,
  ): { host: number; segmentAddress: Value } {
    const s = this.segmentBase(segment);
    const linear = this.locals.take('i'),
      entry = this.locals.take('i'),
      host = this.locals.take('i');
    const { code } = this;
    this.push(s.at).memory('i32.load', s.offset + SEGMENT.base);
    this.push(offset);
    code.op('i32.add').tee(linear).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and');
    code.get(this.frame.tlb).op('i32.add').memory('i32.load').set(entry);
    // host = (entry & ~0xfff) + linear, where segment, rights and page allow; else 0
    code.get(entry).i32(-4096).op('i32.and').get(linear).op('i32.add');
    code.i32(0);
    this.push(offset);
    this.push(s.at)
      .memory('i32.load', s.offset + (write ? SEGMENT.writeBound : SEGMENT.readBound))
      .op('i32.lt_u');
    code
      .get(entry)
      .get(write ? this.frame.writeBit : this.frame.readBit)
      .op('i32.and')
      .i32(0)
      .op('i32.ne')
      .op('i32.and');
    if (bytes > 1)
      code
        .get(linear)
        .i32(0xfff)
        .op('i32.and')
        .i32(4096 - bytes)
        .op('i32.le_u')
        .op('i32.and');
    code.select().set(host);
    const segmentAddress = s.offset === 0 ? s.at : this.op('i32.add', [s.at, this.imm(s.offset)]);
    return { host, segmentAddress };
  }
  /** Integers and 128 bits through the fast path, anything else through the core. */
  private access(
    place: { host: number; segmentAddress: Value },
    offset: Value,
    type: MemoryType,
    value: Value | null,
    service: string,
  ): Value | null {
    const { code } = this,
      bytes = BYTES[type];
    const result = value === null ? this.locals.take(TYPE[type]) : -1;
    const wide = bytes > 4;
    code.get(place.host).if();
    this.nest++;
    code.get(place.host);
    if (value === null) code.memory(LOAD[type]).set(result);
    else {
      this.push(value);
      code.memory(STORE[type]);
    }
    code.else();
    if (value !== null && wide) this.storeField(OFFSET.scratch, value, STORE[type]);
    this.push(place.segmentAddress);
    this.push(offset);
    code.i32(bytes);
    if (value !== null) {
      if (wide) code.i32(0);
      else this.push(value);
    }
    code.call(this.imports.service(service, value === null ? 3 : 4));
    if (value === null && !wide) code.set(result);
    else code.drop();
    this.faultIfSet();
    if (value === null && wide) code.get(this.frame.cpu).memory(LOAD[type], OFFSET.scratch).set(result);
    this.leaveSoon();
    this.nest--;
    code.end();
    return value === null ? { type: TYPE[type], local: result } : null;
  }
  /**
   * A device answered and asked to leave. Inline handlers leave at the next transfer, by giving their budget back; handlers
   * behind a call are followed by a check anyway.
   */
  private leaveSoon(): void {
    const { code, frame } = this;
    if (frame.labels === null) return;
    code.get(frame.cpu).memory('i32.load', OFFSET.exit).if();
    code.get(frame.cpu).get(frame.cpu).memory('i32.load', OFFSET.instructionsReturned).get(frame.left).op('i32.add');
    code.memory('i32.store', OFFSET.instructionsReturned).i32(0).set(frame.left).end();
  }
  private alignmentChecked(segment: SegmentRef, offset: Value, type: MemoryType): void {
    if (type !== 'v128' || this.form.row.aligned !== true) return;
    this.if(this.op('i32.and', [this.linear(segment, offset), this.imm(15)]), () => this.raise(EXCEPTION.GP, 0));
  }
  load(segment: SegmentRef, offset: Value, type: MemoryType): Value {
    this.alignmentChecked(segment, offset, type);
    return this.access(this.locate(segment, offset, BYTES[type], false), offset, type, null, 'readMemory')!;
  }
  store(segment: SegmentRef, offset: Value, type: MemoryType, value: Value): void {
    this.alignmentChecked(segment, offset, type);
    this.access(this.locate(segment, offset, BYTES[type], true), offset, type, value, 'writeMemory');
  }
  probeStore(segment: SegmentRef, offset: Value, type: MemoryType): void {
    const place = this.locate(segment, offset, BYTES[type], true);
    this.code.get(place.host).op('i32.eqz').if();
    this.nest++;
    this.push(place.segmentAddress);
    this.push(offset);
    this.code.i32(BYTES[type]).call(this.imports.service('probeWrite', 3)).drop();
    this.faultIfSet();
    this.nest--;
    this.code.end();
  }

  // --- operands

  operands(): Operand<Value>[] {
    return this.form.row.operands.map((spec) => this.operand(spec));
  }
  private operand(spec: OperandSpec): Operand<Value> {
    const size = (spec.size === 'v' ? this.size : spec.size) as Size;
    const memory = this.form.memory;
    switch (spec.kind) {
      case 'mem':
        return this.memoryOperand(spec, this.effectiveOffset());
      case 'moffs':
        return this.memoryOperand(spec, this.effectiveOffset());
      case 'rm':
        return memory ? this.memoryOperand(spec, this.effectiveOffset()) : this.registerOperand(RECORD.rm, size);
      case 'mmrm':
      case 'xmmrm':
        return memory ? this.memoryOperand(spec, this.effectiveOffset()) : this.wideOperand(spec, RECORD.rm);
      case 'mmreg':
      case 'xmmreg':
        return this.wideOperand(spec, RECORD.rm);
      case 'mm':
      case 'xmm':
        return this.wideOperand(spec, RECORD.reg);
      case 'rmreg':
        return this.registerOperand(RECORD.rm, size);
      case 'reg':
      case 'opreg':
        return this.registerOperand(RECORD.reg, size);
      case 'fixed':
        return this.plain(
          () => this.getRegister(size, spec.register!),
          (v) => this.setRegister(size, spec.register!, v),
        );
      case 'imm':
      case 'simm': {
        const unsigned = (): Value => this.narrow(size, this.recordField(this.immediateField(spec)));
        return this.plain(unsigned);
      }
      case 'one':
        return this.plain(() => this.imm(1));
      case 'rel':
        return this.plain(() => this.relativeTarget());
      case 'far':
        return {
          ...this.plain(() => this.recordField(RECORD.immediate)),
          number: () => this.recordField(RECORD.immediate2),
        };
      case 'sreg': {
        const number = (): Value => this.recordField(RECORD.reg, 'i32.load16_u');
        return {
          ...this.plain(
            () => this.service('selector', number()),
            (v) => void this.service('loadSegment', number(), v),
          ),
          number,
        };
      }
      case 'creg':
      case 'dreg':
        return { ...this.plain(() => this.imm(0)), number: () => this.recordField(RECORD.reg, 'i32.load16_u') };
      case 'st':
        return { ...this.plain(() => this.imm(0)), number: () => this.recordField(RECORD.number, 'i32.load16_u') };
    }
  }
  /** Rows with two immediates name them in order. */
  private immediateField(spec: OperandSpec): number {
    const immediates = this.form.row.operands.filter((o) => o.kind === 'imm' || o.kind === 'simm');
    return immediates.indexOf(spec) === 1 ? RECORD.immediate2 : RECORD.immediate;
  }
  private narrow(size: Size, v: Value): Value {
    return size === 32 ? v : this.op('i32.and', [v, this.imm(MASK[size])]);
  }
  private relativeTarget(): Value {
    const target = this.op('i32.add', [{ type: 'i', local: this.frame.pageEip }, this.recordField(RECORD.immediate)]);
    return this.size === 16 ? this.op('i32.and', [target, this.imm(0xffff)]) : target;
  }
  private plain(read: () => Value, write?: (v: Value) => void): Operand<Value> {
    const never = (): never => {
      throw new Error(`${this.form.row.mnemonic} ${this.form.row.encoding}: no such access to this operand`);
    };
    return {
      isMemory: false,
      read,
      write: write ?? never,
      offset: never,
      load: never,
      store: never,
      moved: never,
      number: never,
      address: never,
    };
  }
  private registerOperand(field: number, size: Size): Operand<Value> {
    const address = (): Value => this.recordField(field, 'i32.load16_u');
    return {
      ...this.plain(
        () => {
          this.code.get(this.frame.record).memory('i32.load16_u', field).memory(LOAD[integerType(size)]);
          return this.pop('i');
        },
        (v) => {
          this.code.get(this.frame.record).memory('i32.load16_u', field);
          this.push(v);
          this.code.memory(STORE[integerType(size)]);
        },
      ),
      address,
    };
  }
  private wideOperand(spec: OperandSpec, field: number): Operand<Value> {
    const half = spec.size === 64;
    return {
      ...this.plain(
        () => {
          this.code
            .get(this.frame.record)
            .memory('i32.load16_u', field)
            .memory(half ? 'v128.load64_zero' : 'v128.load');
          return this.pop('v');
        },
        (v) => {
          this.code.get(this.frame.record).memory('i32.load16_u', field);
          this.push(v);
          if (!half) this.code.memory('v128.store');
          else {
            // Sign and exponent of the x87 register that an MMX register lies in become ones (SDM vol. 1, 9.5.1).
            this.code.op('i64x2.extract_lane', 0).memory('i64.store');
            this.code.get(this.frame.record).memory('i32.load16_u', field).i32(0xffff).memory('i32.store16', 8);
          }
        },
      ),
      address: () => this.recordField(field, 'i32.load16_u'),
    };
  }
  private effectiveOffset(): () => Value {
    let known: Value | undefined;
    return () => {
      if (known !== undefined) return known;
      const { code } = this,
        { record } = this.frame;
      code.get(record).memory('i32.load16_u', RECORD.rm).memory('i32.load');
      code.get(record).memory('i32.load16_u', RECORD.index).memory('i32.load');
      code.get(record).memory('i32.load8_u', RECORD.scale).op('i32.shl').op('i32.add');
      code.get(record).memory('i32.load', RECORD.displacement).op('i32.add');
      known = this.pop('i');
      return known;
    };
  }
  private memoryOperand(spec: OperandSpec, offset: () => Value): Operand<Value> {
    const bits = spec.memorySize ?? spec.size;
    const wide = spec.kind === 'mmrm' || spec.kind === 'xmmrm' || spec.size === 128;
    const actual = bits === 'v' ? this.size : bits;
    const type: MemoryType =
      actual === 64 ? 'u64' : actual === 128 ? 'v128' : actual === 8 ? 'u8' : actual === 16 ? 'u16' : 'u32';
    let update: { host: number; segmentAddress: Value } | undefined;
    // Semantics may read or write in only one arm of an `if`: the offset is computed where every path has it.
    if (spec.access !== 'none') offset();
    const asVector = (v: Value): Value => {
      if (!wide || type === 'v128') return v;
      const zero = this.imm128(0n);
      return type === 'u64'
        ? this.op('i64x2.replace_lane', [zero, v], [0])
        : this.op('i32x4.replace_lane', [zero, v], [0]);
    };
    const fromVector = (v: Value): Value => {
      if (!wide || type === 'v128') return v;
      if (type === 'u64') return this.op('i64x2.extract_lane', [v], [0]);
      return this.op('i32x4.extract_lane', [v], [0]);
    };
    return {
      isMemory: true,
      read: () => {
        if (spec.access !== 'rw') return asVector(this.load('operand', offset(), type));
        this.alignmentChecked('operand', offset(), type);
        update = this.locate('operand', offset(), BYTES[type], true);
        return asVector(this.access(update, offset(), type, null, 'readForUpdate')!);
      },
      write: (v) => {
        if (update === undefined) this.store('operand', offset(), type, fromVector(v));
        else this.access(update, offset(), type, fromVector(v), 'writeMemory');
      },
      offset,
      load: (t, delta) =>
        this.load('operand', delta === 0 ? offset() : this.op('i32.add', [offset(), this.imm(delta)]), t),
      store: (t, delta, v) =>
        this.store('operand', delta === 0 ? offset() : this.op('i32.add', [offset(), this.imm(delta)]), t, v),
      moved: (delta) => {
        const sum = this.op('i32.add', [offset(), delta]);
        const at = this.addressSize === 16 ? this.op('i32.and', [sum, this.imm(MASK[16])]) : sum;
        return this.memoryOperand(spec, () => at);
      },
      number: () => this.imm(0),
      address: () => this.imm(0),
    };
  }
}
