/**
 * `Build<V>` for the interpreter: semantics become WebAssembly over one decoded record. Values, flags and memory are in files of their
 * own below this one; here are the operands. The same class writes handlers that lie inline under the dispatch and handlers behind a
 * call; they differ in how they end.
 */
import { setTag, tagOf } from '../../isa/x87-tags.ts';
import { CS, type Build, type MemoryType, type Operand, type Size } from '../../isa/build.ts';
import type { OperandSpec } from '../../isa/model.ts';
import { plainOperand } from '../../isa/operand.ts';
import { ES } from '../../isa/x87.ts';
import { OFFSET, SEGMENT, segmentOffset } from '../layout.ts';
import type { Code } from '../../wasm/module.ts';
import { MemoryBuild } from './build-memory.ts';
import { RECORD } from './record.ts';
import { LOAD, MASK, STORE, integerType, type Value } from './value.ts';

export class HandlerBuild extends MemoryBuild implements Build<Value> {
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
      case 'xmm0':
        return this.plain(() => this.loadField(OFFSET.xmm, 'v128.load', 'v'));
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
  protected relativeTarget(): Value {
    const target = this.op('i32.add', [{ type: 'i', local: this.frame.pageEip }, this.recordField(RECORD.immediate)]);
    return this.size === 16 ? this.op('i32.and', [target, this.imm(0xffff)]) : target;
  }
  protected plain(read: () => Value, write?: (v: Value) => void): Operand<Value> {
    return plainOperand(this.form.row, read, write);
  }
  protected registerOperand(field: number, size: Size): Operand<Value> {
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
  protected wideOperand(spec: OperandSpec, field: number): Operand<Value> {
    const half = spec.size === 64;
    return {
      ...this.plain(
        () => {
          this.wideAddress(spec, field, false).memory(half ? 'v128.load64_zero' : 'v128.load');
          return this.pop('v');
        },
        (v) => {
          this.wideAddress(spec, field, true);
          this.push(v);
          if (!half) this.code.memory('v128.store');
          else {
            // Sign and exponent of the x87 register that an MMX register lies in become ones (SDM vol. 1, 9.5.1).
            this.code.op('i64x2.extract_lane', 0).memory('i64.store');
            this.wideAddress(spec, field, true).i32(0xffff).memory('i32.store16', 8);
          }
        },
      ),
      address: () => {
        this.wideAddress(spec, field, false);
        return this.pop('i');
      },
    };
  }
  /** Pushes where the MMX or XMM register of an operand lies. */
  protected wideAddress(_spec: OperandSpec, field: number, _written: boolean): Code {
    return this.code.get(this.frame.record).memory('i32.load16_u', field);
  }
  isEmpty(register: Value): Value {
    return tagOf<Value>(this, register);
  }
  setEmpty(register: Value, empty: boolean): void {
    setTag<Value>(this, register, empty);
  }
  /**
   * What the x87 unit remembers of an instruction that is no control instruction: where it began, and where its operand lay. The opcode
   * is noted only when an unmasked exception waits (SDM vol. 1, 8.1.9).
   */
  recordPointers(memory: Operand<Value> | undefined): void {
    this.recordPlace();
    this.storeField(OFFSET.fpuCs, this.loadField(segmentOffset(CS) + SEGMENT.selector));
    if (memory !== undefined) {
      this.storeField(OFFSET.fpuDp, memory.offset());
      this.push(this.segmentAddress()).memory('i32.load', SEGMENT.selector);
      this.storeField(OFFSET.fpuDs, this.pop('i'));
    }
    this.recordOpcode();
  }
  protected recordPlace(): void {
    this.storeField(OFFSET.fpuIp, this.currentEip());
  }
  protected recordOpcode(): void {
    const waiting = this.op('i32.and', [this.loadField(OFFSET.fpuStatus), this.imm(ES)]);
    this.if(waiting, () =>
      this.storeField(
        OFFSET.fpuOpcode,
        this.op('i32.and', [this.recordField(RECORD.opcode, 'i32.load16_u'), this.imm(0x7ff)]),
      ),
    );
  }
  protected effectiveOffset(): () => Value {
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
  /** A part of memory that lies in an operand's segment, below zeros. */
  protected loadVector(offset: Value, type: MemoryType): Value {
    return this.inVector(this.load('operand', offset, type));
  }
  private inVector(v: Value): Value {
    return this.op(v.type === 'l' ? 'i64x2.replace_lane' : 'i32x4.replace_lane', [this.imm128(0n), v], [0]);
  }
  private memoryOperand(spec: OperandSpec, offset: () => Value): Operand<Value> {
    const bits = spec.memorySize ?? spec.size;
    const wide = spec.kind === 'mmrm' || spec.kind === 'xmmrm' || spec.size === 128;
    const actual = bits === 'v' ? this.size : bits;
    const type: MemoryType =
      actual === 64 ? 'u64' : actual === 128 ? 'v128' : actual === 8 ? 'u8' : actual === 16 ? 'u16' : 'u32';
    let update: ((v: Value) => void) | undefined;
    // Semantics may read or write in only one arm of an `if`: the offset is computed where every path has it.
    if (spec.access !== 'none') offset();
    const fromVector = (v: Value): Value => {
      if (!wide || type === 'v128') return v;
      if (type === 'u64') return this.op('i64x2.extract_lane', [v], [0]);
      return this.op('i32x4.extract_lane', [v], [0]);
    };
    return {
      isMemory: true,
      read: () => {
        const asVector = wide && type !== 'v128';
        if (spec.access !== 'rw')
          return asVector ? this.loadVector(offset(), type) : this.load('operand', offset(), type);
        const { value, store } = this.loadForUpdate('operand', offset(), type);
        update = store;
        return asVector ? this.inVector(value) : value;
      },
      write: (v) => {
        if (update === undefined) this.store('operand', offset(), type, fromVector(v));
        else update(fromVector(v));
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
