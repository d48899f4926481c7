/**
 * `Build<V>` in compiled code for the x87, MMX and SSE units: their fields in locals, and XMM registers as far as `XmmRegisters` knows
 * them.
 */
import type { MemoryType, Operand, SlotField } from '../isa/build.ts';
import type { OperandSpec } from '../isa/model.ts';
import type { Instruction } from '../isa/decode.ts';
import { RECORD } from '../core/interpreter/record.ts';
import type { Value } from '../core/interpreter/value.ts';
import { OFFSET, SEGMENT, segmentOffset } from '../core/layout.ts';
import type { Code } from '../wasm/module.ts';
import type { FieldLocals } from './fields.ts';
import { FpuBuild } from './fpu-build.ts';
import type { FpuStack } from './fpu-stack.ts';
import type { XmmRegisters } from './xmm-registers.ts';

/** What a region keeps of the units. */
export interface UnitsFrame {
  readonly cpuBase: number;
  readonly fields: FieldLocals;
  readonly fpu: FpuStack;
  readonly xmm: XmmRegisters;
}

export abstract class UnitBuild extends FpuBuild {
  protected abstract readonly units: UnitsFrame;
  protected abstract readonly instruction: Instruction;
  /** XMM registers whose addresses were asked for: leaves write there. */
  private readonly addressed = new Set<number>();
  private readonly xmmSlots = new Set<Value>();

  protected override get stack(): FpuStack {
    return this.units.fpu;
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
    if (written && isMmx) this.stack.forgetRegisters();
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
      read: () => {
        if (!xmm.knows(n)) {
          const value = plain.read();
          if (this.nest > 0) return value;
          this.push(value);
          this.code.set(xmm.local(n));
          xmm.learn(n, true);
        }
        // A copy: what was read stays what it was when the register changes.
        this.code.get(xmm.local(n));
        return this.pop('v');
      },
      write: (value) => {
        plain.write(value);
        if (this.nest === 0) {
          this.push(value);
          this.code.set(xmm.local(n));
        }
        xmm.learn(n, this.nest === 0);
      },
      address: () => {
        this.addressed.add(n);
        return plain.address();
      },
    };
  }
  override leaf(name: string, ...args: Value[]): Value {
    const result = super.leaf(name, ...args);
    for (const n of this.addressed) this.units.xmm.learn(n, false);
    return result;
  }
  override slotAddress(field: SlotField, index: Value): Value {
    const value = super.slotAddress(field, index);
    if (field === 'xmm') this.xmmSlots.add(value);
    return value;
  }
  override poke(address: Value, type: MemoryType, delta: number, value: Value): void {
    super.poke(address, type, delta, value);
    if (!this.xmmSlots.has(address)) return;
    this.effect();
    this.units.xmm.forget();
  }
}
