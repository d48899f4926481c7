/**
 * `Build<V>` for compiled code: the same semantics as the interpreter's, over registers and flags in WebAssembly locals and operands
 * that are known. Whatever is not plain work on registers and memory ends in a *bail*: compiled code is left before the instruction,
 * which the interpreter then executes, faults and device accesses included.
 */
import {
  CS,
  DS,
  ES,
  SS,
  type MemoryType,
  type Operand,
  type SegmentRef,
  type Size,
  type StateField,
  type StatusFlag,
} from '../isa/build.ts';
import type { Instruction } from '../isa/decode.ts';
import type { HandlerBuild } from '../core/interpreter/emit.ts';
import { RECORD } from '../core/interpreter/record.ts';
import { BYTES, LOAD, STORE, TYPE, type Value } from '../core/interpreter/value.ts';
import { OFFSET, SEGMENT, segmentOffset } from '../core/layout.ts';
import type { Code } from '../wasm/module.ts';
import type { ValueType } from '../wasm/ops.ts';
import { folded, type Origin } from './folding.ts';
import type { PendingFlags } from './pending-flags.ts';
import type { Place } from './region.ts';
import { NumberBuild } from './number-build.ts';
import type { UnitsFrame } from './unit-build.ts';
import { CONDITIONAL_FLAGS, UNSUPPORTED } from './unsupported.ts';
import { lookUp } from './look-up.ts';
import type { Linear, Windows } from './windows.ts';

/** What an instruction needs of the region that it is emitted into. */
export interface RegionFrame extends UnitsFrame {
  readonly tlb: number;
  /** Bit of a TLB entry that allows reading in this mode; writing is the bit above. */
  readonly readBit: number;
  /** Locals. */
  readonly gpr: readonly number[];
  readonly flagResult: number;
  readonly flagAux: number;
  readonly pageEip: number;
  readonly flags: PendingFlags;
  readonly windows: Windows;
  /** Function index of `Mmu.look`. */
  readonly look: number;
  /** Function index of what loads segment registers (flat-services.ts). */
  readonly loadSegment: number;
  /** A local that lives as long as what is known in this block does. */
  takeEntry(): number;
  registerUsed(index: number, written: boolean): void;
  /** Leaves compiled code behind the current instruction, to look at what has happened. */
  stop(build: RegionBuild, nest: number, eip: Value): void;
  /** Leaves the region before the current instruction; `nest` blocks are open around it. `isOdd`: for a number that was not expected. */
  bail(nest: number, isOdd: boolean): void;
  /** Goes on elsewhere behind the current instruction: at a place that is known, or at what the value says. */
  leave(build: RegionBuild, nest: number, to: Place | undefined, eip: Value): void;
}

/** Services that are the last thing an instruction does on the path that calls them. */
const LAST = new Set(['shadowNext', 'flagsChanged']);
const FLAT = new Set<SegmentRef>([ES, SS, DS]);
/** Operations whose results are recognized later. */
const TRACED = /^i(32|64)\./;

export class RegionBuild extends NumberBuild {
  private readonly region: RegionFrame;
  protected readonly instruction: Instruction;
  private readonly at: Place;
  private readonly flagsInPlace: boolean;
  private readonly places = new Map<Value, Place>();
  private readonly linears = new Map<Value, Linear>();
  private readonly origins = new Map<Value, Origin>();

  constructor(
    region: RegionFrame,
    base: ConstructorParameters<typeof HandlerBuild>,
    placed: { readonly at: Place; readonly instruction: Instruction },
    flagsInPlace: boolean,
  ) {
    super(...base);
    this.region = region;
    this.instruction = placed.instruction;
    this.at = placed.at;
    this.flagsInPlace = flagsInPlace;
  }

  protected override leaveBefore(isOdd = false): void {
    if (this.effects) throw UNSUPPORTED;
    this.bail(isOdd);
  }
  protected override recordPlace(): void {
    if (this.nest > 0) super.recordPlace();
    else this.stack.lastPlace = this.at;
  }
  private bail(isOdd = false): void {
    if (this.stackChanged) throw UNSUPPORTED;
    this.region.bail(this.nest, isOdd);
    this.gaveUpAt = this.code.length;
  }
  protected override get units(): UnitsFrame {
    return this.region;
  }

  // --- for the flags, which keep what they need in locals of their own

  /** Copies a value into a local that outlives the instruction. */
  keep(value: Value, local: number): void {
    this.push(value);
    this.code.set(local);
  }
  /** The two words of the flags as the interpreter would have them, of values in locals. */
  placeFlags(kind: 'add' | 'sub' | 'logic', size: Size, result: Value, x: Value, y: Value): void {
    super.setFlags(kind, size, result, x, y);
  }
  placeFlagsWith(size: Size, result: Value, carry: Value, overflow: Value, adjust: Value): void {
    super.setFlagsWith(size, result, carry, overflow, adjust);
  }
  placeFlag(flag: 'C' | 'O', value: Value): void {
    super.setFlag(flag, value);
  }
  /** Where a value of this instruction comes from; undefined where that is not of this instruction, or not arithmetic. */
  readonly originOf = (value: Value): Origin | undefined => this.origins.get(value);
  get depth(): number {
    return this.nest;
  }
  /** Whether a value was computed by this operation from these operands. */
  comesFrom(value: Value, name: string, x: Value, y: Value): boolean {
    const origin = this.origins.get(value);
    const same = (a: Value, b: Value): boolean => a === b || (a.constant !== undefined && a.constant === b.constant);
    return origin?.name === name && same(origin.args[0]!, x) && same(origin.args[1]!, y);
  }
  /** A value of its own, where the local of another one may change. */
  copy(value: Value): Value {
    this.push(value);
    return this.pop(value.type);
  }
  override op(name: string, args: readonly Value[], lanes: readonly number[] = []): Value {
    const known = folded(name, args, this.originOf);
    if (known !== undefined) return known;
    const value = super.op(name, args, lanes);
    if (TRACED.test(name)) this.origins.set(value, { name, args });
    if (name === 'i32.add' || name === 'i32.sub') this.trace(value, name, args);
    return value;
  }
  private trace(value: Value, name: string, [x, y]: readonly Value[]): void {
    const sign = name === 'i32.add' ? 1 : -1;
    const from =
      y!.constant !== undefined
        ? this.linearOf(x!)
        : sign > 0 && x!.constant !== undefined
          ? this.linearOf(y!)
          : undefined;
    if (from === undefined) return;
    const by = Number(y!.constant ?? x!.constant);
    this.linears.set(value, { root: from.root, delta: (from.delta + sign * by) | 0 });
  }
  private linearOf(value: Value): Linear | undefined {
    return value.constant === undefined
      ? this.linears.get(value)
      : this.region.windows.constant(Number(value.constant));
  }
  /** What one arm has done does not count in the other. */
  override if(condition: Value, then: () => void, otherwise?: () => void): void {
    if (condition.constant !== undefined) return condition.constant === 0 ? otherwise?.() : then();
    const before = this.effects;
    let after = before;
    const arm = (body: () => void) => (): void => {
      this.effects = before;
      body();
      after ||= this.effects;
    };
    super.if(condition, arm(then), otherwise === undefined ? undefined : arm(otherwise));
    this.effects = after;
  }

  // --- registers and fields

  private register(offset: number): number | undefined {
    const n = offset - OFFSET.gpr;
    return n >= 0 && n < 64 ? n : undefined;
  }
  protected override loadField(offset: number, op = 'i32.load', type: ValueType = 'i'): Value {
    const n = this.register(offset),
      { region, code } = this;
    if (n !== undefined) {
      region.registerUsed(n >> 3, false);
      code.get(region.gpr[n >> 3]!);
      if (op === 'i32.load16_u') code.i32(0xffff).op('i32.and');
      else if (op === 'i32.load8_u') {
        if ((n & 7) === 1) code.i32(8).op('i32.shr_u');
        code.i32(0xff).op('i32.and');
      } else if (op !== 'i32.load') throw UNSUPPORTED;
      const value = this.pop('i');
      if (op === 'i32.load') this.linears.set(value, region.windows.register(n >> 3));
      return value;
    }
    if (offset === OFFSET.flagResult || offset === OFFSET.flagAux) {
      code.get(offset === OFFSET.flagResult ? region.flagResult : region.flagAux);
      return this.pop('i');
    }
    const field = op === 'i32.load' ? region.fields.of(offset) : undefined;
    if (field !== undefined) {
      code.get(field);
      return this.pop('i');
    }
    return super.loadField(offset, op, type);
  }
  protected override storeField(offset: number, value: Value, op = 'i32.store'): void {
    const n = this.register(offset),
      { region, code } = this;
    if (n !== undefined) {
      this.effects = true;
      const local = region.gpr[n >> 3]!;
      region.registerUsed(n >> 3, true);
      // What is done on one path only leaves nothing known.
      const linear = op === 'i32.store' && this.nest === 0 ? this.linearOf(value) : undefined;
      region.windows.setRegister(n >> 3, linear ?? region.windows.fresh());
      if (op === 'i32.store') this.push(value);
      else {
        const shift = (n & 7) * 8,
          mask = op === 'i32.store16' ? 0xffff : 0xff;
        code
          .get(local)
          .i32(~(mask << shift))
          .op('i32.and');
        this.push(value).i32(mask).op('i32.and');
        if (shift > 0) code.i32(shift).op('i32.shl');
        code.op('i32.or');
      }
      code.set(local);
    } else if (offset === OFFSET.flagResult || offset === OFFSET.flagAux) {
      this.push(value);
      code.set(offset === OFFSET.flagResult ? region.flagResult : region.flagAux);
    } else {
      if (offset !== OFFSET.mxcsr && offset !== OFFSET.scratch) this.effects = true;
      const field = region.fields.toWrite(offset);
      if (field === undefined) super.storeField(offset, value, op);
      else {
        this.push(value);
        code.set(field);
      }
    }
  }
  override get(field: StateField): Value {
    // What the mode of the region says.
    if (field === 'stackMask' || field === 'codeLimit') return this.imm(-1);
    return super.get(field);
  }

  // --- operands

  protected override recordField(offset: number, op = 'i32.load'): Value {
    const { instruction, region } = this;
    switch (offset) {
      case RECORD.immediate:
        return this.imm(instruction.immediate);
      case RECORD.immediate2:
        return this.imm(instruction.immediate2);
      case RECORD.length:
        return this.imm(instruction.length);
      case RECORD.reg:
        return this.imm(instruction.reg);
      case RECORD.number:
        return this.imm(instruction.rm);
      case RECORD.opcode:
        return this.imm(instruction.opcode);
      case RECORD.segment:
        return this.imm(region.cpuBase + segmentOffset(this.segmentIndex));
      default:
        return super.recordField(offset, op);
    }
  }
  protected override registerOperand(field: number, size: Size): Operand<Value> {
    const n = field === RECORD.reg ? this.instruction.reg : this.instruction.rm;
    return this.plain(
      () => this.getRegister(size, n),
      (v) => this.setRegister(size, n, v),
    );
  }
  protected override effectiveOffset(): () => Value {
    let known: Value | undefined;
    return () => (known ??= this.computeOffset());
  }
  private computeOffset(): Value {
    const memory = this.instruction.memory!;
    const parts: Value[] = [];
    if (memory.base >= 0) parts.push(this.getRegister(32, memory.base));
    if (memory.index >= 0) {
      const index = this.getRegister(32, memory.index);
      parts.push(memory.scale === 0 ? index : this.op('i32.shl', [index, this.imm(memory.scale)]));
    }
    if (memory.displacement !== 0 || parts.length === 0) parts.push(this.imm(memory.displacement));
    const sum = parts.reduce((a, b) => this.op('i32.add', [a, b]));
    return memory.addressSize === 16 ? this.op('i32.and', [sum, this.imm(0xffff)]) : sum;
  }

  // --- where control goes

  /** EIP at a place. */
  eipOf(place: Place): Value {
    return this.op('i32.add', [{ type: 'i', local: this.region.pageEip }, this.imm(place)]);
  }
  protected override currentEip(): Value {
    return this.eipOf(this.at);
  }
  override nextEip(): Value {
    if (this.size === 16) throw UNSUPPORTED;
    return this.eipOf(this.at + this.instruction.length);
  }
  protected override relativeTarget(): Value {
    if (this.size === 16) throw UNSUPPORTED;
    const place = this.at + this.instruction.length + this.instruction.immediate;
    const value = this.eipOf(place);
    this.places.set(value, place);
    return value;
  }
  override checkTarget(): void {
    // CS is all of the address space.
  }
  override jump(eip: Value): void {
    this.region.leave(this, this.nest, this.places.get(eip), eip);
  }
  override raise(): void {
    this.bail();
  }
  protected override faultIfSet(): void {
    throw UNSUPPORTED;
  }
  override service(name: string, ...args: Value[]): Value {
    if (name === 'selector') return super.service(name, ...args);
    if (name === 'loadSegment') return this.loadSegment(args[0]!, args[1]!);
    if (LAST.has(name)) {
      // The instruction is done; what was asked for happens between it and the next one.
      this.code.call(this.imports.service(name, 0)).drop();
      this.region.stop(this, this.nest, this.nextEip());
      return this.imm(0);
    }
    // A path of its own is left; an instruction that always needs the core ends the region.
    if (this.nest === 0 || this.effects) throw UNSUPPORTED;
    this.bail();
    return this.imm(0);
  }
  /** Segments over which windows lie stay flat, or it is left to the interpreter. */
  private loadSegment(index: Value, selector: Value): Value {
    if (this.effects || index.constant === SS) throw UNSUPPORTED;
    this.push(index);
    this.push(selector);
    this.code.call(this.region.loadSegment).op('i32.eqz').ifSeldom();
    this.region.bail(this.nest + 1, false);
    this.code.end();
    this.effects = true;
    return this.imm(0);
  }
  override poll(): void {
    throw UNSUPPORTED;
  }

  // --- flags

  override flag(flag: StatusFlag): Value {
    return this.region.flags.flag(this, flag) ?? super.flag(flag);
  }
  override condition(code: number): Value {
    return this.region.flags.condition(this, code) ?? super.condition(code);
  }
  override setFlags(kind: 'add' | 'sub' | 'logic', size: Size, result: Value, x?: Value, y?: Value): void {
    if (this.flagsInPlace) return super.setFlags(kind, size, result, x, y);
    if (this.nest > 0) throw CONDITIONAL_FLAGS;
    this.region.flags.set(this, kind, size, result, x ?? this.imm(0), y ?? this.imm(0));
  }
  override setFlag(flag: StatusFlag, value: Value): void {
    if (this.flagsInPlace) return super.setFlag(flag, value);
    if (this.nest > 0) throw CONDITIONAL_FLAGS;
    const { flags } = this.region;
    if (flag === 'C') return flags.setCarry(this, value);
    if (flag === 'O' && flags.setOverflow(this, value)) return;
    flags.settle(this);
    super.setFlag(flag, value);
    flags.forget();
  }
  override setFlagsWith(size: Size, result: Value, carry: Value, overflow: Value, adjust: Value): void {
    if (!this.flagsInPlace) {
      if (this.nest > 0) throw CONDITIONAL_FLAGS;
      if (this.region.flags.setGiven(this, size, result, [carry, overflow, adjust])) return;
    }
    this.replacing();
    super.setFlagsWith(size, result, carry, overflow, adjust);
  }
  override setStatusFlags(image: Value): void {
    this.replacing();
    super.setStatusFlags(image);
  }
  override keepFlags(): () => void {
    throw UNSUPPORTED;
  }
  /** All flags are about to be replaced in place. */
  private replacing(): void {
    if (this.flagsInPlace) return;
    if (this.nest > 0) throw CONDITIONAL_FLAGS;
    this.region.flags.forget();
  }

  // --- memory

  override linear(segment: SegmentRef, offset: Value): Value {
    return this.isFlat(segment) ? offset : super.linear(segment, offset);
  }
  private isFlat(segment: SegmentRef): boolean {
    return FLAT.has(segment === 'operand' ? this.segmentIndex : segment);
  }
  /** Finds where an access lies in linear memory, or bails. Returns what pushes the address. */
  private host(segment: SegmentRef, offset: Value, bytes: number, write: boolean): () => Code {
    const { region } = this;
    const index = segment === 'operand' ? this.segmentIndex : segment;
    let linear = offset;
    if (!FLAT.has(index)) {
      const at = segmentOffset(index);
      const bound = this.loadField(at + (write && index !== CS ? SEGMENT.writeBound : SEGMENT.readBound));
      if (write && index === CS) throw UNSUPPORTED;
      this.if(this.op('i32.ge_u', [offset, bound]), () => this.bail());
      linear = this.op('i32.add', [this.loadField(at + SEGMENT.base), offset]);
    }
    const known = this.linearOf(linear);
    const entry =
      (known === undefined ? undefined : region.windows.find(known, bytes, write)) ??
      this.lookUp(linear, known, bytes, write);
    return () => {
      this.code.get(entry);
      return this.push(linear).op('i32.add');
    };
  }
  /** Puts the upper part of a TLB entry into a local, or bails. */
  private lookUp(linear: Value, known: Linear | undefined, bytes: number, write: boolean): number {
    const { code, region } = this;
    const stays = known !== undefined && this.nest === 0;
    const entry = stays ? region.takeEntry() : this.locals.take('i');
    const places = lookUp(code, region, { linear: () => this.push(linear), entry, bytes, write, stays }, () => {
      this.nest++;
      this.bail();
      this.nest--;
    });
    if (stays) region.windows.add(known, bytes, write, entry, places);
    return entry;
  }
  override load(segment: SegmentRef, offset: Value, type: MemoryType): Value {
    this.alignmentChecked(segment, offset, type);
    this.host(segment, offset, BYTES[type], false)().memory(LOAD[type]);
    return this.pop(TYPE[type]);
  }
  protected override loadVector(offset: Value, type: MemoryType): Value {
    if (type !== 'u32' && type !== 'u64') return super.loadVector(offset, type);
    this.alignmentChecked('operand', offset, type);
    this.host('operand', offset, BYTES[type], false)().memory(`v128.load${8 * BYTES[type]}_zero`);
    return this.pop('v');
  }
  override store(segment: SegmentRef, offset: Value, type: MemoryType, value: Value): void {
    this.alignmentChecked(segment, offset, type);
    const host = this.host(segment, offset, BYTES[type], true);
    host();
    this.push(value).memory(STORE[type]);
    this.effects = true;
  }
  protected override loadForUpdate(
    segment: SegmentRef,
    offset: Value,
    type: MemoryType,
  ): { value: Value; store: (v: Value) => void } {
    this.alignmentChecked(segment, offset, type);
    const host = this.host(segment, offset, BYTES[type], true);
    host().memory(LOAD[type]);
    return {
      value: this.pop(TYPE[type]),
      store: (v) => {
        host();
        this.push(v).memory(STORE[type]);
        this.effects = true;
      },
    };
  }
  override probeStore(segment: SegmentRef, offset: Value, type: MemoryType): void {
    this.host(segment, offset, BYTES[type], true);
  }
}
