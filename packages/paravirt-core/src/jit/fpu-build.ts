/**
 * The x87 side of `Build<V>` in compiled code: where registers of the stack are by number, what they hold and whether they are empty,
 * as far as `FpuStack` knows it. What holds hardly ever is not compiled: the region is left before the instruction.
 */
import type { Build, MemoryType, Number80, Rounding, SlotField, StateField } from '../isa/build.ts';
import { C1, C1_SHIFT, MODERATE_RANGE, isModerate, numberAt } from '../isa/x87-quick.ts';
import { OFFSET } from '../core/layout.ts';
import { HandlerBuild } from '../core/interpreter/emit.ts';
import type { Value } from '../core/interpreter/value.ts';
import type { FieldLocals } from './fields.ts';
import type { FpuStack } from './fpu-stack.ts';

/** Leaves that only read the registers they are given. */
const READERS = new Set(['f80_compare', 'f80_test', 'f80_examine', 'f80_meets_denormal']);
const partOf = (type: MemoryType, delta: number): 'significand' | 'high' | undefined =>
  type === 'u64' && delta === 0 ? 'significand' : type === 'u16' && delta === 8 ? 'high' : undefined;

export abstract class FpuBuild extends HandlerBuild {
  protected abstract readonly stack: FpuStack;
  /** Whether numbers are expected to be plain (number-build.ts). */
  protected abstract readonly speculates: boolean;
  /** Values that are the number of a register, and sums that will be when they are taken modulo 8. */
  private readonly numbers = new Map<Value, number>();
  private readonly sums = new Map<Value, number>();
  /** Addresses of registers; undefined: of one that is not known. */
  private readonly slots = new Map<Value, number | undefined>();
  /** Values that say whether a register is empty, and those that say the opposite. */
  private readonly tests = new Map<Value, readonly number[]>();
  private readonly oppositeTests = new Map<Value, number>();
  /** TOP or a tag has become something else, which what leaves before the instruction would write. */
  protected stackChanged = false;

  /** What is found out now holds for all that comes behind it in the block. */
  private isExpecting = false;

  /** Something that cannot be done twice has been done. */
  protected effects = false;
  protected effect(): void {
    this.effects = true;
  }
  /** Leaves the region before the instruction, out of the blocks that are open. `isOdd`: for a number that was not expected. */
  protected abstract leaveBefore(isOdd?: boolean): void;
  protected abstract readonly fields: FieldLocals;

  // --- what holds for a whole block once it was found

  protected override requireUnit(mask: number): void {
    if ((this.stack.allowed & mask) === mask) return;
    super.requireUnit(mask);
    if (this.nest === 0) this.stack.allowed |= mask;
  }
  protected override reportPending(): void {
    if (this.stack.hasNoError) return;
    super.reportPending();
    if (this.nest === 0) this.stack.hasNoError = true;
  }
  protected override recordOpcode(): void {
    if (!this.stack.hasNoError) super.recordOpcode();
  }
  /** Writes what is late of the stack: on one path alone, where there are several. */
  private late(): void {
    if (this.nest === 0) this.stack.settle();
    else this.stack.emitLate();
  }
  /** One arm does not know what the other has written. */
  override if(condition: Value, then: () => void, otherwise?: () => void): void {
    if (this.nest === 0) this.late();
    super.if(condition, then, otherwise);
  }
  override loop(body: (leave: (condition: Value) => void) => void): void {
    if (this.nest === 0) this.late();
    super.loop(body);
  }

  // --- the status word

  leaveIf(condition: Value): void {
    if (condition.constant === 0) return;
    this.push(condition);
    this.code.ifSeldom();
    this.nest++;
    this.leaveBefore();
    this.nest--;
    this.code.end();
  }
  noteRounding(rounding: Rounding<Value> | undefined): void {
    const { up, lost } = this.fields.rounding!;
    this.effect();
    this.fields.toWrite(OFFSET.fpuStatus);
    this.push(rounding?.up ?? this.imm(0)).set(up);
    if (rounding === undefined) return;
    this.code.get(lost);
    this.push(rounding.lost).op('i64.or').set(lost);
  }
  noteFlags(flags: Value, defined: number): void {
    const { up } = this.fields.rounding!;
    this.effect();
    const others = defined & ~C1,
      status = this.loadField(OFFSET.fpuStatus);
    const kept = others === 0 ? status : this.op('i32.and', [status, this.imm(~others)]);
    this.storeField(OFFSET.fpuStatus, this.op('i32.or', [kept, this.op('i32.and', [flags, this.imm(~C1)])]));
    if ((defined & C1) === 0) return;
    this.push(flags).i32(C1_SHIFT).op('i32.shr_u').i32(1).op('i32.and').set(up);
  }

  // --- numbers of registers

  override get(field: StateField): Value {
    const { stack } = this;
    if (field === 'fpuTags' || field === 'fpuIp') this.late();
    if (field === 'fpuStatus') this.fields.mergeStatus(this.code);
    if (field !== 'fpuTop') return super.get(field);
    if (stack.top === undefined) {
      if (this.nest > 0) return super.get(field);
      this.keepIn(super.get(field), stack.base);
      stack.begin();
    }
    return this.numbered(stack.top!);
  }
  override set(field: StateField, value: Value): void {
    const { stack } = this,
      n = this.numbers.get(value);
    if (field === 'fpuTop' || field === 'fpuTags') {
      this.effect();
      this.stackChanged = true;
    }
    if (field === 'fpuTop' && n !== undefined && this.nest === 0) {
      stack.top = n;
      return;
    }
    if (field === 'fpuTop' || field === 'fpuTags' || field === 'fpuIp') this.late();
    super.set(field, value);
    if (field === 'fpuControl') stack.usualControl = 0;
    if (field === 'fpuTop') stack.loseTop();
    else if (field === 'fpuTags') stack.forgetTags();
    else if (field === 'fpuStatus') {
      this.fields.splitStatus(this.code);
      stack.hasNoError = false;
    }
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
      stack.learn(n, part);
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
    if (n === undefined) return stack.forgetContents();
    if (part === undefined || this.nest > 0) return stack.forgetNumber(n);
    this.push(value);
    if (part === 'high') this.code.i32(0xffff).op('i32.and');
    this.code.set(stack.local(n, part));
    stack.put(n, part);
  }
  override leaf(name: string, ...args: Value[]): Value {
    const result = super.leaf(name, ...args);
    // Leaves write where their first operands say; those that get a place elsewhere read registers only.
    if (!this.slots.has(args[0]!) || READERS.has(name)) return result;
    for (const arg of args) {
      if (!this.slots.has(arg)) continue;
      const n = this.slots.get(arg);
      if (n === undefined) this.stack.forgetContents();
      else this.stack.forgetNumber(n);
    }
    return result;
  }

  // --- numbers: where it is expected that they are 0 or normal, and what is computed of them too

  get expect(): Build<Value>['expect'] {
    return this.speculates ? (usual) => this.expected(usual) : undefined;
  }
  private expected<R>(usual: (unless: (condition: Value) => void) => R): R {
    let result: R;
    this.isExpecting = this.nest === 0;
    this.attempt(
      (unless) => (result = usual(unless)),
      () => this.leaveBefore(true),
    );
    this.isExpecting = false;
    return result!;
  }
  protected leaveOddIf(condition: Value): void {
    this.seldom(condition, () => this.leaveBefore(true));
  }
  knownAt(at: Value): Partial<Number80<Value>> | undefined {
    const { stack } = this,
      n = this.slots.get(at);
    if (n === undefined) return undefined;
    const range = stack.rangeOf(n);
    if (!stack.knows(n, 'exponent')) return { range };
    this.code.get(stack.local(n, 'exponent'));
    return { range, exponent: this.pop('i') };
  }
  operandAt(at: Value): Number80<Value> | undefined {
    const n = this.slots.get(at);
    if (n === undefined || this.nest > 0 || !this.speculates) return undefined;
    const { stack } = this,
      number = numberAt<Value>(this, at);
    if (number.range !== undefined) return number;
    const exponent = this.op('i32.and', [number.high, this.imm(0x7fff)]);
    isModerate<Value>(this, (condition) => this.leaveOddIf(condition), number, exponent);
    this.keepIn(exponent, stack.local(n, 'exponent'));
    stack.learn(n, 'exponent');
    stack.learnRange(n, MODERATE_RANGE);
    return { ...number, exponent, range: MODERATE_RANGE };
  }
  noteNumber(at: Value, { exponent, range }: Number80<Value>): void {
    const { stack } = this,
      n = this.slots.get(at);
    if (n === undefined || this.nest > 0) return;
    stack.learnRange(n, range);
    if (exponent === undefined) return;
    this.keepIn(exponent, stack.local(n, 'exponent'));
    stack.learn(n, 'exponent');
  }
  roundsQuickly(fields: number, found = false): boolean {
    const { stack } = this;
    if (found && this.isExpecting) stack.usualControl |= fields;
    return (stack.usualControl & fields) === fields;
  }

  // --- tags

  override isEmpty(register: Value): Value {
    const n = this.numbers.get(register);
    const known = n === undefined ? undefined : this.stack.isEmpty(n);
    if (known !== undefined) return this.imm(known ? 1 : 0);
    if (n === undefined || (!this.stack.hasTags && this.nest > 0)) return super.isEmpty(register);
    const value = this.tagOf(n);
    this.tests.set(value, [n]);
    return value;
  }
  /** Of a register of which nothing is known. All tags are put in order from the base once, instead of by a shift for each. */
  private tagOf(n: number): Value {
    const { stack, code } = this;
    if (!stack.hasTags) {
      const tags = this.loadField(OFFSET.fpuTags);
      this.push(tags).i32(0x101).op('i32.mul').get(stack.base).op('i32.shr_u').set(stack.tags);
      stack.hasTags = true;
    }
    code.get(stack.tags).i32(n).op('i32.shr_u').i32(1).op('i32.and');
    return this.pop('i');
  }
  override setEmpty(register: Value, empty: boolean): void {
    const n = this.numbers.get(register);
    if (n === undefined || this.nest > 0) return super.setEmpty(register, empty);
    this.effect();
    this.stackChanged = true;
    this.stack.setEmpty(n, empty);
  }
  override unlikely(condition: Value, _rare: () => void, usual: () => void): void {
    this.leaveIf(condition);
    if (this.nest === 0) {
      for (const n of this.tests.get(condition) ?? []) this.stack.learnTag(n, false);
      const opposite = this.oppositeTests.get(condition);
      if (opposite !== undefined) this.stack.learnTag(opposite, true);
    }
    usual();
  }
}
