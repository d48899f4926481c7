/**
 * SSE arithmetic in compiled code, on plain numbers (number-range.ts): what a block has not computed itself is looked at once, and its
 * results are known to be plain from what they were made of. Operands that are not plain leave the region, and so does MXCSR where it asks
 * for more than plain results; where that happens often, the region is made anew and looks at each operation by itself (isa/sse-quick.ts).
 */
import type { FloatForm, FloatOperation, Operand, StateField } from '../isa/build.ts';
import { FLOAT_FORMS, MXCSR_CONTROL, MXCSR_QUICK, vectorResult } from '../isa/sse-quick.ts';
import type { Value } from '../core/interpreter/value.ts';
import {
  INTEGER,
  NUMBERS,
  ZERO,
  either,
  isPlain,
  isSafe,
  plain,
  rangeOf,
  type Bits,
  type NumberRange,
} from './number-range.ts';
import { UnitBuild } from './unit-build.ts';
import { ALL_LANES, joined, plainLanes, type Lanes } from './xmm-registers.ts';

/** What a number has to be besides plain. */
type Need = 'plain' | 'not zero' | 'not negative';
/** A number that is in no lane. */
interface Part extends NumberRange {
  readonly bits: Bits;
}
const splat32 = (n: number): bigint => {
  const word = BigInt(n >>> 0);
  return word | (word << 32n) | (word << 64n) | (word << 96n);
};
/** Of a mask of 32-bit lanes, those that have the upper halves of doubles, or all singles. */
const UPPER = { 32: 15, 64: 10 } as const;

/** What the result of an operation is, learned from its operands. */
type Learning = (b: NumberBuild, value: Value, args: readonly Value[], lanes: readonly number[]) => void;

export abstract class NumberBuild extends UnitBuild {
  /** By operation: most tell nothing of numbers. What is rounded to fewer digits stays a multiple of the unit. */
  private static readonly learning: ReadonlyMap<string, Learning> = new Map<string, Learning>([
    ...(['i32x4', 'f32x4', 'i64x2', 'f64x2'] as const).flatMap((shape): [string, Learning][] => {
      const bits = shape.endsWith('x4') ? 32 : 64;
      return [
        [`${shape}.extract_lane`, (b, value, [from], [lane]) => b.extracted(value, bits, from!, lane!)],
        [`${shape}.replace_lane`, (b, value, args, [lane]) => b.replaced(value, bits, args, lane!)],
      ];
    }),
    ['i8x16.shuffle', (b, value, args, from) => b.shuffled(value, args, from)],
    ['f32.convert_i32_s', (b, value) => void b.parts.set(value, { bits: 32, ...INTEGER })],
    ['f64.convert_i32_s', (b, value) => void b.parts.set(value, { bits: 64, ...INTEGER })],
    ['f32x4.convert_i32x4_s', (b, value) => void b.known.set(value, { bits: 32, lanes: 15, ...INTEGER })],
    ['f64x2.convert_low_i32x4_s', (b, value) => void b.known.set(value, { bits: 64, lanes: 3, ...INTEGER })],
    ['f64.promote_f32', (b, value, [from]) => b.partConverted(value, from!, 32, 64)],
    ['f32.demote_f64', (b, value, [from]) => b.partConverted(value, from!, 64, 32)],
    ['f64x2.promote_low_f32x4', (b, value, [from]) => b.pairConverted(value, from!, 32, 64)],
    ['f32x4.demote_f64x2_zero', (b, value, [from]) => b.pairConverted(value, from!, 64, 32)],
  ]);
  private readonly known = new Map<Value, Lanes>();
  private readonly parts = new Map<Value, Part>();
  /** Values that were read from registers. */
  private readonly registers = new Map<Value, number>();

  // --- what is known of values

  protected override wasRead(value: Value, n: number): void {
    this.registers.set(value, n);
    const lanes = this.units.xmm.lanes(n);
    if (lanes !== undefined) this.known.set(value, lanes);
  }
  protected override wasWritten(value: Value, n: number): void {
    this.units.xmm.learn(n, this.lanesOf(value));
  }
  private lanesOf(value: Value, bits?: Bits): Lanes | undefined {
    const known = value.constant === 0n ? ({ bits: 0, lanes: 15, ...ZERO } as const) : this.known.get(value);
    return known?.bits === 0 && bits !== undefined ? { ...known, bits, lanes: ALL_LANES[bits] } : known;
  }
  numbersIn(value: Value, bits: Bits, lanes: number): NumberRange | undefined {
    const known = this.lanesOf(value, bits);
    return known?.bits === bits && (known.lanes & lanes) === lanes ? known : undefined;
  }
  expectNumbers(value: Value, bits: Bits, lanes: number, spread: number = NUMBERS[bits].spread): void {
    if (!this.units.speculates || this.nest > 0 || (lanes !== 1 && lanes !== ALL_LANES[bits])) return;
    const known = this.numbersIn(value, bits, lanes),
      wanted = plain(bits, spread);
    if (known !== undefined && known.unit >= wanted.unit && known.most <= wanted.most) return;
    this.checked(value, bits, lanes, 'plain', spread);
  }
  roundsSimdQuickly(): boolean {
    const { xmm, speculates } = this.units;
    if (xmm.controlIsQuick) return true;
    if (!speculates || this.nest > 0) return false;
    const control = this.op('i32.and', [this.get('mxcsr'), this.imm(MXCSR_CONTROL)]);
    this.leaveOddIf(this.op('i32.ne', [control, this.imm(MXCSR_QUICK)]));
    xmm.controlIsQuick = true;
    return true;
  }
  constantOf({ type, constant }: Value): number | undefined {
    return type === 'i' && constant !== undefined ? Number(constant) : undefined;
  }
  override op(name: string, args: readonly Value[], lanes: readonly number[] = []): Value {
    const [x, y] = args;
    if (
      name === 'v128.xor' &&
      this.registers.get(x!) !== undefined &&
      this.registers.get(x!) === this.registers.get(y!)
    )
      return this.imm128(0n);
    const value = super.op(name, args, lanes);
    NumberBuild.learning.get(name)?.(this, value, args, lanes);
    return value;
  }
  private partConverted(value: Value, from: Value, before: Bits, after: Bits): void {
    const part = this.parts.get(from);
    if (part?.bits === before && isSafe(after, part)) this.parts.set(value, { ...part, bits: after });
  }
  /** Of the two lower lanes; lanes above are 0. */
  private pairConverted(value: Value, from: Value, before: Bits, after: Bits): void {
    const known = this.numbersIn(from, before, 3);
    if (known === undefined || !isSafe(after, known)) return;
    this.known.set(value, { bits: after, lanes: ALL_LANES[after], unit: known.unit, most: known.most });
  }
  private extracted(value: Value, bits: Bits, from: Value, lane: number): void {
    const known = this.lanesOf(from, bits);
    if (known?.bits === bits && ((known.lanes >> lane) & 1) !== 0)
      this.parts.set(value, { bits, unit: known.unit, most: known.most });
  }
  private replaced(value: Value, bits: Bits, [into, part]: readonly Value[], lane: number): void {
    const old = this.lanesOf(into!, bits),
      number = this.parts.get(part!);
    const kept = old?.bits === bits ? { ...old, lanes: old.lanes & ~(1 << lane) } : undefined,
      come = number?.bits === bits ? { ...number, lanes: 1 << lane } : undefined;
    const now = kept !== undefined && come !== undefined ? joined(kept, come) : (come ?? kept);
    if (now !== undefined && now.lanes !== 0) this.known.set(value, now);
  }
  private shuffled(value: Value, operands: readonly Value[], from: readonly number[]): void {
    for (const bits of [32, 64] as const) {
      const [x, y] = operands.map((each) => this.lanesOf(each, bits));
      const bytes = bits / 8;
      let lanes = 0,
        range: NumberRange = ZERO;
      for (let at = 0; at < 16; at += bytes) {
        const first = from[at]!;
        const isWhole = first % bytes === 0 && from.slice(at, at + bytes).every((byte, i) => byte === first + i);
        const source = first < 16 ? x : y;
        if (!isWhole || source?.bits !== bits || ((source.lanes >> ((first % 16) / bytes)) & 1) === 0) continue;
        lanes |= 1 << (at / bytes);
        range = either(range, source);
      }
      if (lanes === 0) continue;
      this.known.set(value, { bits, lanes, ...range });
      return;
    }
  }

  // --- arithmetic

  override set(field: StateField, value: Value): void {
    super.set(field, value);
    // What is set on one path only is more flags, which change nothing.
    if (field === 'mxcsr' && this.nest === 0) this.units.xmm.controlIsQuick = false;
  }
  /** `dst op src` where that can be done on plain numbers alone; false, and nothing done, where it is not to be tried. */
  arithmetic(operation: FloatOperation, form: FloatForm, dst: Operand<Value>, src: Operand<Value>): boolean {
    if (!this.units.speculates || this.nest > 0) return false;
    const { format, lanes, merge } = FLOAT_FORMS[form],
      { bits } = format;
    const x = dst.read(),
      y = src.read();
    const isRoot = operation === 'sqrt';
    let p = isRoot ? ZERO : this.plainIn(x, bits, lanes);
    let q =
      operation === 'div'
        ? this.checked(y, bits, lanes, 'not zero')
        : isRoot
          ? this.checked(y, bits, lanes, 'not negative')
          : this.plainIn(y, bits, lanes);
    let range = rangeOf(operation, bits, p, q);
    if (!isSafe(bits, range)) {
      if (!isPlain(bits, p)) p = this.checked(x, bits, lanes, 'plain');
      if (!isPlain(bits, q)) q = this.checked(y, bits, lanes, 'plain');
      range = rangeOf(operation, bits, p, q);
    }
    if (operation !== 'min' && operation !== 'max') this.roundsSimdQuickly();
    const value =
      merge === undefined ? vectorResult(this, bits, operation, x, y) : this.scalar(bits, operation, x, y, merge);
    const result = { bits, lanes, ...range };
    const rest = merge === undefined ? undefined : this.lanesOf(x, bits);
    this.known.set(value, (rest?.bits === bits ? joined(rest, result) : undefined) ?? result);
    dst.write(value);
    return true;
  }
  /** The lowest lane, above it what the first operand has. */
  private scalar(bits: Bits, operation: FloatOperation, x: Value, y: Value, merge: readonly number[]): Value {
    if (operation === 'min' || operation === 'max')
      return this.op('i8x16.shuffle', [vectorResult(this, bits, operation, x, y), x], merge);
    const shape = bits === 32 ? 'f32x4' : 'f64x2',
      float = bits === 32 ? 'f32' : 'f64';
    const low = (v: Value): Value => this.op(`${shape}.extract_lane`, [v], [0]);
    const number = this.op(`${float}.${operation}`, operation === 'sqrt' ? [low(y)] : [low(x), low(y)]);
    return this.op(`${shape}.replace_lane`, [x, number], [0]);
  }
  private plainIn(value: Value, bits: Bits, lanes: number): NumberRange {
    return this.numbersIn(value, bits, lanes) ?? this.checked(value, bits, lanes, 'plain');
  }
  /** Leaves the region unless lanes of a value are plain, and what is needed besides. */
  private checked(value: Value, bits: Bits, lanes: number, need: Need, spread?: number): NumberRange {
    if (lanes === 1) this.checkLowest(value, bits, need, spread);
    else this.checkAll(value, bits, need, spread);
    const found = plainLanes(bits, lanes, spread),
      n = this.registers.get(value),
      before = this.lanesOf(value, bits);
    const now = before?.bits === bits && (before.lanes & ~lanes) !== 0 ? joined(before, found)! : found;
    this.known.set(value, now);
    if (n !== undefined) this.units.xmm.learn(n, now);
    return plain(bits, spread);
  }
  /** The word that has sign and exponent, from where the least plain number is, and how many plain ones there are. */
  private bounds(bits: Bits, need: Need, spread: number = NUMBERS[bits].spread): { least: number; count: number } {
    const { bias, digits } = NUMBERS[bits];
    const shift = (bits === 32 ? digits - 1 : digits - 33) + (need === 'not negative' ? 0 : 1);
    return { least: ((bias - spread) << shift) | 0, count: ((2 * spread + 1) << shift) | 0 };
  }
  private checkLowest(value: Value, bits: Bits, need: Need, spread?: number): void {
    const { least, count } = this.bounds(bits, need, spread);
    const upper = this.op('i32x4.extract_lane', [value], [bits === 32 ? 0 : 1]);
    const word = need === 'not negative' ? upper : this.op('i32.shl', [upper, this.imm(1)]);
    const isOdd = this.op('i32.ge_u', [this.op('i32.sub', [word, this.imm(least)]), this.imm(count)]);
    if (need === 'not zero') return this.leaveOddIf(isOdd);
    this.seldom(isOdd, () => {
      const rest =
        bits === 32
          ? this.op('i32.shl', [upper, this.imm(1)])
          : this.op('i64.shl', [this.op('i64x2.extract_lane', [value], [0]), this.imm64(1n)]);
      this.leaveOddIf(bits === 32 ? rest : this.op('i64.ne', [rest, this.imm64(0n)]));
    });
  }
  private checkAll(value: Value, bits: Bits, need: Need, spread?: number): void {
    const { least, count } = this.bounds(bits, need, spread);
    const words = need === 'not negative' ? value : this.op('i32x4.add', [value, value]);
    // Unsigned, by a comparison that is signed.
    const from = this.op('i32x4.add', [words, this.imm128(splat32(2 ** 31 - least))]);
    const fits = this.op('i32x4.gt_s', [this.imm128(splat32(count - 2 ** 31)), from]);
    const some = (mask: Value): Value => {
      const bitmask = this.op('i32x4.bitmask', [mask]);
      const upper = bits === 32 ? bitmask : this.op('i32.and', [bitmask, this.imm(UPPER[bits])]);
      return this.op('i32.ne', [upper, this.imm(UPPER[bits])]);
    };
    const isOdd = some(fits);
    if (need === 'not zero') return this.leaveOddIf(isOdd);
    this.seldom(isOdd, () => {
      const zeros =
        bits === 32
          ? this.op('i32x4.eq', [this.op('i32x4.add', [value, value]), this.imm128(0n)])
          : this.op('i64x2.eq', [this.op('i64x2.shl', [value, this.imm(1)]), this.imm128(0n)]);
      this.leaveOddIf(some(this.op('v128.or', [fits, zeros])));
    });
  }
}
