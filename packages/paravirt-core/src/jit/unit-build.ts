/**
 * `Build<V>` in compiled code for the x87, MMX and SSE units: their fields in locals, and XMM registers too.
 */
import type { MemoryType, Operand, SlotField } from '../isa/build.ts';
import type { ValueType } from '../wasm/ops.ts';
import type { OperandSpec } from '../isa/model.ts';
import type { Instruction } from '../isa/decode.ts';
import { RECORD } from '../core/interpreter/record.ts';
import type { Value } from '../core/interpreter/value.ts';
import { OFFSET, SEGMENT, segmentOffset } from '../core/layout.ts';
import type { Code } from '../wasm/module.ts';
import type { FieldLocals } from './fields.ts';
import { FpuBuild } from './fpu-build.ts';
import type { FpuStack } from './fpu-stack.ts';
import { UNSUPPORTED } from './unsupported.ts';
import type { XmmRegisters } from './xmm-registers.ts';

/** What a region keeps of the units. */
export interface UnitsFrame {
  readonly cpuBase: number;
  readonly fields: FieldLocals;
  readonly fpu: FpuStack;
  readonly xmm: XmmRegisters;
  /** Whether numbers are expected to be plain (number-build.ts). */
  readonly speculates: boolean;
}

export abstract class UnitBuild extends FpuBuild {
  protected abstract readonly units: UnitsFrame;
  protected abstract readonly instruction: Instruction;
  /** XMM registers whose addresses were asked for, to be written to: leaves do so. */
  private readonly addressed = new Set<number>();
  private readonly xmmSlots = new Map<Value, number>();

  /** An XMM register was read, or is going to be written. */
  protected abstract wasRead(value: Value, n: number): void;
  protected abstract wasWritten(value: Value, n: number): void;

  protected override get stack(): FpuStack {
    return this.units.fpu;
  }
  protected override get speculates(): boolean {
    return this.units.speculates;
  }
  protected override get fields(): FieldLocals {
    return this.units.fields;
  }
  protected get segmentIndex(): number {
    return this.instruction.memory?.segment ?? this.instruction.segment;
  }
  override recordPointers(memory: Operand<Value> | undefined): void {
    super.recordPointers(undefined);
    if (memory === undefined) return;
    // The selector is one that a local holds.
    this.storeField(OFFSET.fpuDp, memory.offset());
    this.storeField(OFFSET.fpuDs, this.loadField(segmentOffset(this.segmentIndex) + SEGMENT.selector));
  }

  // --- MMX and XMM registers

  private wideNumber(field: number): number {
    return field === RECORD.reg ? this.instruction.reg : this.instruction.rm;
  }
  protected override wideAddress(spec: OperandSpec, field: number, written: boolean): Code {
    const isMmx = spec.kind.startsWith('mm');
    if (written) this.effect();
    if (written && isMmx) this.stack.forgetContents();
    const first = isMmx ? OFFSET.fpr : OFFSET.xmm;
    return this.code.i32(this.units.cpuBase + first + this.wideNumber(field) * 16);
  }
  protected override wideOperand(spec: OperandSpec, field: number): Operand<Value> {
    const plain = super.wideOperand(spec, field);
    if (spec.kind.startsWith('mm')) return plain;
    const { xmm } = this.units,
      n = this.wideNumber(field);
    return {
      ...plain,
      // A copy: what was read stays what it was when the register changes.
      read: () => this.readXmm(n),
      write: (value) => this.writeXmm(n, value),
      address: () => {
        this.xmmPlace(n).get(xmm.local(n)).memory('v128.store');
        if (spec.access !== 'r') this.addressed.add(n);
        return plain.address();
      },
    };
  }
  private xmmPlace(n: number): Code {
    return this.code.i32(this.units.cpuBase + OFFSET.xmm + n * 16);
  }
  private readXmm(n: number): Value {
    this.code.get(this.units.xmm.local(n));
    const value = this.pop('v');
    this.wasRead(value, n);
    return value;
  }
  private writeXmm(n: number, value: Value): void {
    const { xmm } = this.units;
    this.effect();
    this.push(value);
    this.code.set(xmm.local(n));
    // What is done on one path only leaves nothing known.
    if (this.nest > 0) xmm.learn(n, undefined);
    else this.wasWritten(value, n);
  }
  protected override loadField(offset: number, op = 'i32.load', type: ValueType = 'i'): Value {
    return offset === OFFSET.xmm && type === 'v' ? this.readXmm(0) : super.loadField(offset, op, type);
  }
  override push(value: Value): Code {
    // Machine code makes a constant of two halves each time, but moves a local.
    if (value.type !== 'v' || value.constant === undefined || value.constant === 0n) return super.push(value);
    return this.code.get(this.units.xmm.constant(BigInt(value.constant)));
  }
  override leaf(name: string, ...args: Value[]): Value {
    const result = super.leaf(name, ...args);
    const { xmm } = this.units;
    for (const n of this.addressed) {
      this.xmmPlace(n).memory('v128.load').set(xmm.local(n));
      xmm.learn(n, undefined);
    }
    return result;
  }
  override slotAddress(field: SlotField, index: Value): Value {
    const n = Number(index.constant ?? -1);
    // Operands that no encoding names: the interpreter's handler has all of them in memory.
    if (field === 'xmm' && !this.units.xmm.isWritten(n)) throw UNSUPPORTED;
    const value = super.slotAddress(field, index);
    if (field === 'xmm') this.xmmSlots.set(value, n);
    return value;
  }
  override peek(address: Value, type: MemoryType, delta: number): Value {
    if (this.xmmSlots.has(address)) throw UNSUPPORTED;
    return super.peek(address, type, delta);
  }
  override poke(address: Value, type: MemoryType, delta: number, value: Value): void {
    const n = this.xmmSlots.get(address);
    if (n === undefined) super.poke(address, type, delta, value);
    else if (type === 'v128') this.writeXmm(n, value);
    else throw UNSUPPORTED;
  }
}
