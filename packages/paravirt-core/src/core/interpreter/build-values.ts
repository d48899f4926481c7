/** Numeric operations, control structure and the processor's fields: the ground floor of the emitter. */
import type { Size, StateField, Variable } from '../../isa/build.ts';
import type { Form } from '../../isa/model.ts';
import { Code } from '../../wasm/module.ts';
import { opInfo, type ValueType } from '../../wasm/ops.ts';
import { OFFSET, type FieldName } from '../layout.ts';
import { LOAD, STORE, integerType, type Frame, type Imports, type Locals, type Value } from './value.ts';

export class ValueBuild {
  readonly code: Code;
  readonly size: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly shortcuts = true;
  /** A service was called: it may have asked to leave after this instruction. */
  mayExit = false;
  protected nest = 0;
  protected readonly form: Form;
  protected readonly frame: Frame;
  protected readonly locals: Locals;
  protected readonly imports: Imports;

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

  protected loadField(offset: number, op = 'i32.load', type: ValueType = 'i'): Value {
    this.code.get(this.frame.cpu).memory(op, offset);
    return this.pop(type);
  }
  protected storeField(offset: number, value: Value, op = 'i32.store'): void {
    this.code.get(this.frame.cpu);
    this.push(value);
    this.code.memory(op, offset);
  }
  protected recordField(offset: number, op = 'i32.load'): Value {
    this.code.get(this.frame.record).memory(op, offset);
    return this.pop('i');
  }
  protected static registerOffset(size: Size, index: number): number {
    return size === 8 ? OFFSET.gpr + (index & 3) * 8 + (index >> 2) : OFFSET.gpr + index * 8;
  }
  getRegister(size: Size, index: number): Value {
    return this.loadField(ValueBuild.registerOffset(size, index), LOAD[integerType(size)]);
  }
  setRegister(size: Size, index: number, value: Value): void {
    this.storeField(ValueBuild.registerOffset(size, index), value, STORE[integerType(size)]);
  }
  get(field: StateField): Value {
    return this.loadField(OFFSET[field as FieldName]);
  }
  set(field: StateField, value: Value): void {
    this.storeField(OFFSET[field as FieldName], value);
  }

  // --- control

  /** How long the code was when it last left the instruction for something unusual. */
  protected gaveUpAt = -1;

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    this.push(condition);
    const at = this.code.length;
    this.code.if();
    this.nest++;
    then();
    // What ends in a fault or gives up is not what usually happens.
    if (this.gaveUpAt === this.code.length) this.code.hintSeldom(at);
    if (otherwise !== undefined) {
      this.code.else();
      otherwise();
    }
    this.nest--;
    this.code.end();
  }
  seldom(condition: Value, then: () => void, otherwise?: () => void): void {
    this.push(condition);
    this.code.ifSeldom();
    this.nest++;
    then();
    if (otherwise !== undefined) {
      this.code.else();
      otherwise();
    }
    this.nest--;
    this.code.end();
  }
  unlikely(condition: Value, rare: () => void, usual: () => void): void {
    this.if(condition, rare, usual);
  }
  attempt(usual: (unless: (condition: Value) => void) => void, otherwise: () => void): void {
    const { code } = this;
    code.block().block();
    this.nest += 2;
    const level = this.nest;
    usual((condition) => {
      this.push(condition);
      code.brIfSeldom(this.nest - level);
    });
    code.br(1).end();
    this.nest--;
    otherwise();
    this.nest--;
    code.end();
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
}
