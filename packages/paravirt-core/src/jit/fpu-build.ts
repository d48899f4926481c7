/**
 * The x87 side of `Build<V>` in compiled code: where registers of the stack are by number, what they hold and whether they are empty,
 * as far as `FpuStack` knows it. What holds hardly ever is not compiled: the region is left before the instruction.
 */
import type { MemoryType, SlotField, StateField } from '../isa/build.ts';
import { HandlerBuild } from '../core/interpreter/emit.ts';
import type { Value } from '../core/interpreter/value.ts';
import type { FpuStack, Part } from './fpu-stack.ts';

/** Leaves that only read the registers they are given. */
const READERS = new Set(['f80_compare', 'f80_test', 'f80_examine', 'f80_meets_denormal']);
const partOf = (type: MemoryType, delta: number): Part | undefined =>
  type === 'u64' && delta === 0 ? 'significand' : type === 'u16' && delta === 8 ? 'high' : undefined;

export abstract class FpuBuild extends HandlerBuild {
  protected abstract readonly stack: FpuStack;
  /** Values that are the number of a register, and sums that will be when they are taken modulo 8. */
  private readonly numbers = new Map<Value, number>();
  private readonly sums = new Map<Value, number>();
  /** Addresses of registers; undefined: of one that is not known. */
  private readonly slots = new Map<Value, number | undefined>();
  /** Values that say whether a register is empty, and those that say the opposite. */
  private readonly tests = new Map<Value, readonly number[]>();
  private readonly oppositeTests = new Map<Value, number>();
  private settingTag = false;

  /** Something that cannot be done twice has been done. */
  protected abstract effect(): void;
  /** Leaves the region before the instruction, out of the blocks that are open. `isOdd`: for a number that was not expected. */
  protected abstract leaveBefore(isOdd?: boolean): void;

  // --- numbers of registers

  override get(field: StateField): Value {
    if (field !== 'fpuTop') return super.get(field);
    const { stack } = this;
    if (stack.top === undefined) {
      if (this.nest > 0) return super.get(field);
      this.keepIn(super.get(field), stack.base);
      stack.top = 0;
    }
    return this.numbered(stack.top);
  }
  override set(field: StateField, value: Value): void {
    super.set(field, value);
    if (field === 'fpuTop') {
      this.effect();
      this.stack.top = this.nest === 0 ? this.numbers.get(value) : undefined;
    } else if (field === 'fpuTags' && !this.settingTag) this.stack.forgetTags();
  }
  private keepIn(value: Value, local: number): void {
    this.push(value);
    this.code.set(local);
  }
  private numbered(n: number): Value {
    this.code.get(this.stack.base);
    if (n !== 0) this.code.i32(n).op('i32.add').i32(7).op('i32.and');
    const value = this.pop('i');
    this.numbers.set(value, n);
    return value;
  }
  override op(name: string, args: readonly Value[], lanes: readonly number[] = []): Value {
    const [x, y] = args as [Value, Value | undefined];
    if (name === 'i32.and' && y?.constant === 7) {
      const n = this.sums.get(x) ?? this.numbers.get(x);
      if (n !== undefined) return this.numbered(n & 7);
    }
    const value = super.op(name, args, lanes);
    if (name === 'i32.add' && y?.constant !== undefined) {
      const n = this.numbers.get(x);
      if (n !== undefined) this.sums.set(value, n + Number(y.constant));
    } else if (name === 'i32.or') {
      const [p, q] = [this.tests.get(x), this.tests.get(y!)];
      const [r, s] = [this.oppositeTests.get(x), this.oppositeTests.get(y!)];
      if (p !== undefined || q !== undefined) this.tests.set(value, [...(p ?? []), ...(q ?? [])]);
      if ((r ?? s) !== undefined) this.oppositeTests.set(value, (r ?? s)!);
    } else if (name === 'i32.eqz') {
      const tested = this.tests.get(x);
      if (tested?.length === 1) this.oppositeTests.set(value, tested[0]!);
    }
    return value;
  }

  // --- what registers hold

  override slotAddress(field: SlotField, index: Value): Value {
    const value = super.slotAddress(field, index);
    if (field === 'fpr') this.slots.set(value, this.numbers.get(index));
    return value;
  }
  override peek(address: Value, type: MemoryType, delta: number): Value {
    const { stack } = this,
      n = this.slots.get(address),
      part = partOf(type, delta);
    if (n === undefined || part === undefined) return super.peek(address, type, delta);
    const local = stack.local(n, part),
      held = part === 'significand' ? 'l' : 'i';
    if (!stack.knows(n, part)) {
      const value = super.peek(address, type, delta);
      if (this.nest > 0) return value;
      this.keepIn(value, local);
      stack.learn(n, part, true);
    }
    // A copy: what was read stays what it was when the register changes.
    this.code.get(local);
    return this.pop(held);
  }
  override poke(address: Value, type: MemoryType, delta: number, value: Value): void {
    super.poke(address, type, delta, value);
    if (!this.slots.has(address)) return;
    this.effect();
    const { stack } = this,
      n = this.slots.get(address),
      part = partOf(type, delta);
    if (n === undefined) return stack.forgetRegisters();
    if (part === undefined || this.nest > 0) {
      stack.learn(n, 'significand', false);
      stack.learn(n, 'high', false);
      return;
    }
    this.push(value);
    if (part === 'high') this.code.i32(0xffff).op('i32.and');
    this.code.set(stack.local(n, part));
    stack.learn(n, part, true);
  }
  override leaf(name: string, ...args: Value[]): Value {
    const result = super.leaf(name, ...args);
    // Leaves write where their first operands say; those that get a place elsewhere read registers only.
    if (!this.slots.has(args[0]!) || READERS.has(name)) return result;
    for (const arg of args) {
      if (!this.slots.has(arg)) continue;
      const n = this.slots.get(arg);
      if (n === undefined) this.stack.forgetRegisters();
      else {
        this.stack.learn(n, 'significand', false);
        this.stack.learn(n, 'high', false);
      }
    }
    return result;
  }

  // --- tags

  override isEmpty(register: Value): Value {
    const n = this.numbers.get(register);
    const known = n === undefined ? undefined : this.stack.isEmpty(n);
    if (known !== undefined) return this.imm(known ? 1 : 0);
    const value = super.isEmpty(register);
    if (n !== undefined) this.tests.set(value, [n]);
    return value;
  }
  override setEmpty(register: Value, empty: boolean): void {
    this.effect();
    this.settingTag = true;
    super.setEmpty(register, empty);
    this.settingTag = false;
    const n = this.numbers.get(register);
    if (n === undefined) this.stack.forgetTags();
    else this.stack.setEmpty(n, this.nest === 0 ? empty : undefined);
  }
  override unlikely(condition: Value, _rare: () => void, usual: () => void): void {
    if (condition.constant !== 0) {
      this.push(condition);
      this.code.ifSeldom();
      this.nest++;
      this.leaveBefore();
      this.nest--;
      this.code.end();
    }
    if (this.nest === 0) {
      for (const n of this.tests.get(condition) ?? []) this.stack.setEmpty(n, false);
      const opposite = this.oppositeTests.get(condition);
      if (opposite !== undefined) this.stack.setEmpty(opposite, true);
    }
    usual();
  }
}
