/**
 * The common case of 80-bit arithmetic without a leaf: operands that are normal (or zero, where that is as simple), under rounding to
 * nearest with all 64 bits and PE masked, in integers of 64 bits. Each function gives up where what it computes would not hold; a leaf
 * then does the same for every case (SDM vol. 1, 4.8, 8.1.5 and 8.5).
 */
import type { Build, Number80, Range, Rounding, Variable } from './build.ts';
import {
  add,
  add64,
  addImm,
  and,
  and64,
  andImm,
  eq,
  eqz,
  ltU,
  mul64,
  ne,
  or,
  or64,
  shl64,
  shlImm,
  shrImm,
  shrU64,
  sub,
  sub64,
  widenU,
  wrap,
  xor,
} from './ops.ts';

/** A result; one that has no rounding is exact. */
export interface Rounded<V> extends Number80<V> {
  readonly rounding?: Rounding<V>;
}
/** Gives up where a condition holds. */
export type Unless<V> = (condition: V) => void;
/** A way without a leaf, of operands that were read before. */
export type Quick<V, R = Rounded<V>> = (unless: Unless<V>) => R;

const EXPONENT = 0x7fff;
export const SIGN = 0x8000,
  BIAS = 16383;
/** Exponents so far from both ends that no sum, product or rounding of two such numbers comes close to them. */
const MODERATE = { least: BIAS - 8000, count: 16000 } as const;
export const MODERATE_RANGE: Range = { unit: -8000 - 63, most: 8000 };
/** Of 0. */
export const NOTHING: Range = { unit: Infinity, most: -Infinity };
/** Whether all numbers of a range have exponents that registers have for normal ones. */
const isSafe = ({ unit, most }: Range): boolean => unit >= 1 - BIAS && most <= BIAS;
/** Ranges of sums, rounded or not: they stay multiples of the smaller unit. */
const rangeOfSum = (x: Range, y: Range): Range => ({
  unit: Math.min(x.unit, y.unit),
  most: Math.max(x.most, y.most) + 1,
});
const rangeOfProduct = (x: Range, y: Range): Range => ({ unit: x.unit + y.unit, most: x.most + y.most });
const MSB = 1n << 63n;
export const PE_SHIFT = 5,
  C1_SHIFT = 9,
  C1 = 1 << C1_SHIFT;
const C0_SHIFT = 8,
  C3_SHIFT = 14;
/** Control word: precision control, rounding control and the mask of PE; and what they are for the functions below. */
const CONTROL = 0xf20,
  ROUNDING = 0xc20,
  CONTROL_QUICK = 0x320;

const eqz64 = <V>(b: Build<V>, x: V): V => b.op('i64.eqz', [x]);
export const isSome64 = <V>(b: Build<V>, x: V): V => b.op('i64.ne', [x, b.imm64(0n)]);
const ltU64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.lt_u', [x, y]);
export const geU64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.ge_u', [x, y]);
export const gtU64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.gt_u', [x, y]);
const geU = <V>(b: Build<V>, x: V, y: V): V => b.op('i32.ge_u', [x, y]);
const eq64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.eq', [x, y]);
export const xor64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.xor', [x, y]);
const isNegative64 = <V>(b: Build<V>, x: V): V => b.op('i64.lt_s', [x, b.imm64(0n)]);
/** Whether the top bit is clear. */
export const lacksTop = <V>(b: Build<V>, x: V): V => b.op('i64.ge_s', [x, b.imm64(0n)]);

/** What lies at a place. */
export const numberAt = <V>(b: Build<V>, at: V): Number80<V> => ({
  significand: b.peek(at, 'u64', 0),
  high: b.peek(at, 'u16', 8),
  ...b.knownAt?.(at),
});
/** The same, to compute with: compiled code may have made sure of its range. */
export const operandAt = <V>(b: Build<V>, at: V): Number80<V> => b.operandAt?.(at) ?? numberAt(b, at);
export function putNumber<V>(b: Build<V>, at: V, number: Number80<V>): void {
  b.poke(at, 'u64', 0, number.significand);
  b.poke(at, 'u16', 8, number.high);
  b.noteNumber?.(at, number);
}
/** A number that one of several ways sets. */
export function takes<V>(b: Build<V>): Variable<Number80<V>> {
  const significand = b.variable(b.imm64(0n)),
    high = b.variable(b.imm(0));
  return {
    get: () => ({ significand: significand.get(), high: high.get() }),
    set: (number) => {
      significand.set(number.significand);
      high.set(number.high);
    },
  };
}
/** A rounding as flags: PE and C1. */
export const flagsOf = <V>(b: Build<V>, rounding: Rounding<V> | undefined): V =>
  rounding === undefined
    ? b.imm(0)
    : or(b, shlImm(b, isSome64(b, rounding.lost), PE_SHIFT), shlImm(b, rounding.up, C1_SHIFT));
/** Gives up where results are not rounded as the functions here do it. */
export function roundsQuickly<V>(b: Build<V>, unless: Unless<V>): void {
  if (b.roundsQuickly?.(CONTROL) === true) return;
  unless(ne(b, andImm(b, b.get('fpuControl'), CONTROL), b.imm(CONTROL_QUICK)));
  b.roundsQuickly?.(CONTROL, true);
}

export const exponentOf = <V>(b: Build<V>, x: Number80<V>): V => x.exponent ?? andImm(b, x.high, EXPONENT);
export const isImmoderate = <V>(b: Build<V>, exponent: V): V =>
  geU(b, addImm(b, exponent, -MODERATE.least), b.imm(MODERATE.count));
/** Gives up unless a number is 0 or normal, with a moderate exponent. */
export function isModerate<V>(b: Build<V>, unless: Unless<V>, { significand }: Number80<V>, exponent: V): void {
  b.seldom!(
    isImmoderate(b, exponent),
    () => unless(or(b, exponent, isSome64(b, significand))),
    () => unless(lacksTop(b, significand)),
  );
}
/** Exponents of two operands, and the range of what is computed of them, which has to be safe: else it is made sure of that it is. */
export function operands<V>(
  b: Build<V>,
  unless: Unless<V>,
  [x, y]: readonly [Number80<V>, Number80<V>],
  rangeOf: (x: Range, y: Range) => Range,
): { ex: V; ey: V; range: Range } {
  const ex = exponentOf(b, x),
    ey = exponentOf(b, y);
  roundsQuickly(b, unless);
  if (x.range !== undefined && y.range !== undefined) {
    const range = rangeOf(x.range, y.range);
    if (isSafe(range)) return { ex, ey, range };
  }
  isModerate(b, unless, x, ex);
  isModerate(b, unless, y, ey);
  return { ex, ey, range: rangeOf(MODERATE_RANGE, MODERATE_RANGE) };
}

/** A number, to be put together. */
export interface Exact<V> {
  readonly sign: V;
  readonly exponent: V;
  readonly significand: V;
  readonly range: Range;
}
/** A significand that is rounded up or not; 0 stays what it is, and means that there is no exponent. */
export function finished<V>(b: Build<V>, { sign, exponent, significand, range }: Exact<V>, up: V, lost: V): Rounded<V> {
  const sum = add64(b, significand, widenU(b, up)),
    digits = b.variable(sum),
    power = b.variable(exponent);
  b.seldom!(eqz64(b, sum), () => {
    // Nothing, or a digit more.
    const isNothing = eqz64(b, significand);
    digits.set(b.select(isNothing, b.imm64(0n), b.imm64(MSB)));
    power.set(b.select(isNothing, b.imm(0), addImm(b, exponent, 1)));
  });
  const whole = power.get();
  return { significand: digits.get(), high: or(b, sign, whole), exponent: whole, range, rounding: { up, lost } };
}
/** Rounds to nearest: the significand has its top bit set, or is 0 as is `fraction`, which lies below it. */
function rounded<V>(b: Build<V>, number: Exact<V>, fraction: V): Rounded<V> {
  // Beyond half of the last digit, or half and the digit is odd: all that in one comparison.
  const limit = sub64(b, b.imm64(MSB), and64(b, number.significand, b.imm64(1n)));
  return finished(b, number, gtU64(b, fraction, limit), fraction);
}

/** 1 if there is a bit, else 0. */
const isSome = <V>(b: Build<V>, x: V): V => shrU64(b, or64(b, x, sub64(b, b.imm64(0n), x)), b.imm64(63n));
/** A number moved right by 0 to 63, and what comes out there, from its top. */
function shiftedRight<V>(b: Build<V>, x: V, by: V): { whole: V; out: V } {
  const whole = shrU64(b, x, by);
  return { whole, out: xor64(b, b.op('i64.rotr', [x, by]), whole) };
}

/** x + y, or x - y. Holds for normal numbers and zeros. */
export const quickSum =
  <V>(b: Build<V>, x: Number80<V>, y: Number80<V>, subtract: boolean): Quick<V> =>
  (unless) => {
    const other = subtract ? xor(b, y.high, b.imm(SIGN)) : y.high;
    const { ex, ey, range } = operands(b, unless, [x, y], rangeOfSum);
    // The one of the larger exponent first.
    const swap = ltU(b, ex, ey);
    const large = b.select(swap, y.significand, x.significand),
      small = b.select(swap, x.significand, y.significand);
    const sign = andImm(b, b.select(swap, other, x.high), SIGN);
    const exponent = b.select(swap, ey, ex),
      smallExponent = b.select(swap, ex, ey);
    const apart = sub(b, exponent, smallExponent),
      distance = widenU(b, apart);
    const moved = shiftedRight(b, small, distance),
      shifted = b.variable(moved.whole),
      rest = b.variable(moved.out);
    b.seldom!(geU(b, apart, b.imm(64)), () => {
      // Below the last digit: that there is more than can be said of its digits is one more digit.
      const beyond = addImm(b, apart, -64);
      const by = b.select(ltU(b, beyond, b.imm(63)), beyond, b.imm(63));
      shifted.set(b.imm64(0n));
      const { whole, out } = shiftedRight(b, small, widenU(b, by));
      rest.set(or64(b, whole, isSome(b, out)));
    });
    const second = shifted.get(),
      below = rest.get();
    const upper = b.variable(large),
      lower = b.variable(b.imm64(0n)),
      power = b.variable(exponent),
      signed = b.variable(sign);
    b.if(
      andImm(b, xor(b, x.high, other), SIGN),
      () => {
        // Of one exponent, the second may be the larger one.
        const negative = ltU64(b, large, second),
          inverts = sub64(b, b.imm64(0n), widenU(b, negative));
        const difference = sub64(b, sub64(b, large, second), isSome(b, below));
        const magnitude = sub64(b, xor64(b, difference, inverts), inverts);
        const fraction = sub64(b, b.imm64(0n), below);
        const by = b.op('i64.clz', [magnitude]);
        const kept = shl64(b, fraction, by),
          coming = xor64(b, b.op('i64.rotl', [fraction, by]), kept);
        upper.set(or64(b, shl64(b, magnitude, by), coming));
        lower.set(kept);
        power.set(sub(b, exponent, wrap(b, by)));
        signed.set(xor(b, sign, shlImm(b, negative, 15)));
        b.seldom!(eqz64(b, magnitude), () => {
          // Half a digit, or nothing: that is +0.
          upper.set(fraction);
          lower.set(b.imm64(0n));
          signed.set(b.select(isSome64(b, fraction), sign, b.imm(0)));
        });
      },
      () => {
        const sum = add64(b, large, second),
          carry = ltU64(b, sum, large);
        // A digit more moves all by one; that there was one below the last of the fraction stays known.
        const by = widenU(b, carry);
        const coming = shl64(b, and64(b, sum, by), b.imm64(63n));
        upper.set(or64(b, shrU64(b, sum, by), shl64(b, by, b.imm64(63n))));
        lower.set(or64(b, or64(b, shrU64(b, below, by), and64(b, below, by)), coming));
        power.set(add(b, exponent, carry));
      },
    );
    const number = { sign: signed.get(), exponent: power.get(), significand: upper.get(), range };
    return rounded(b, number, lower.get());
  };

/** x * y. Holds for normal numbers and zeros. */
export const quickProduct =
  <V>(b: Build<V>, x: Number80<V>, y: Number80<V>): Quick<V> =>
  (unless) => {
    const { ex, ey, range } = operands(b, unless, [x, y], rangeOfProduct);
    const half = (v: V): { low: V; high: V } => ({
      low: and64(b, v, b.imm64(0xffffffffn)),
      high: shrU64(b, v, b.imm64(32n)),
    });
    const p = half(x.significand),
      q = half(y.significand);
    const middle = half(add64(b, mul64(b, p.high, q.low), shrU64(b, mul64(b, p.low, q.low), b.imm64(32n))));
    const carried = shrU64(b, add64(b, mul64(b, p.low, q.high), middle.low), b.imm64(32n));
    const upper = add64(b, mul64(b, p.high, q.high), add64(b, middle.high, carried)),
      lower = mul64(b, x.significand, y.significand);
    // The top bit is where it belongs, or one below.
    const by = xor64(b, shrU64(b, upper, b.imm64(63n)), b.imm64(1n));
    const exponent = addImm(b, sub(b, add(b, ex, ey), wrap(b, by)), 1 - BIAS);
    const sign = andImm(b, xor(b, x.high, y.high), SIGN);
    const significand = or64(b, shl64(b, upper, by), and64(b, shrU64(b, lower, b.imm64(63n)), by));
    return rounded(b, { sign, exponent, significand, range }, shl64(b, lower, by));
  };

/** Gives up unless a number is normal or zero. */
function isOrdinary<V>(b: Build<V>, unless: Unless<V>, { significand, range }: Number80<V>, exponent: V): void {
  if (range !== undefined) return;
  b.if(
    eqz64(b, significand),
    () => unless(exponent),
    () => {
      unless(lacksTop(b, significand));
      unless(geU(b, addImm(b, exponent, -1), b.imm(EXPONENT - 1)));
    },
  );
}
/** C3 and C0 as the relation of x to y says. Holds for normal numbers and zeros. */
export const quickRelation =
  <V>(b: Build<V>, x: Number80<V>, y: Number80<V>): Quick<V, V> =>
  (unless) => {
    const ex = exponentOf(b, x),
      ey = exponentOf(b, y),
      sameExponent = eq(b, ex, ey);
    isOrdinary(b, unless, x, ex);
    isOrdinary(b, unless, y, ey);
    const below = or(b, ltU(b, ex, ey), and(b, sameExponent, ltU64(b, x.significand, y.significand)));
    const alike = and(b, sameExponent, eq64(b, x.significand, y.significand));
    const negative = shrImm(b, x.high, 15),
      sameSign = eq(b, negative, shrImm(b, y.high, 15));
    const zeros = eqz64(b, or64(b, x.significand, y.significand));
    const equal = or(b, zeros, and(b, alike, sameSign));
    const less = and(b, eqz(b, equal), b.select(sameSign, xor(b, below, negative), negative));
    return or(b, shlImm(b, equal, C3_SHIFT), shlImm(b, less, C0_SHIFT));
  };

const FORMAT = {
  32: { fraction: 23, exponent: 0xff, bias: 127 },
  64: { fraction: 52, exponent: 0x7ff, bias: 1023 },
} as const;

/** The same value as that of a float in memory. Holds for normal ones and zeros, under any control word. */
export const quickWidened =
  <V>(b: Build<V>, bits: 32 | 64, value: V): Quick<V> =>
  (unless) => {
    const format = FORMAT[bits];
    const wide = bits === 64 ? value : widenU(b, value),
      upper = bits === 64 ? wrap(b, shrU64(b, value, b.imm64(32n))) : value;
    const exponent = andImm(b, shrImm(b, upper, format.fraction - (bits - 32)), format.exponent);
    const significand = b.variable(or64(b, shl64(b, wide, b.imm64(BigInt(63 - format.fraction))), b.imm64(MSB))),
      power = b.variable(addImm(b, exponent, BIAS - format.bias));
    b.seldom!(geU(b, addImm(b, exponent, -1), b.imm(format.exponent - 1)), () => {
      unless(isSome64(b, shl64(b, wide, b.imm64(BigInt(65 - bits)))));
      significand.set(b.imm64(0n));
      power.set(b.imm(0));
    });
    const sign = andImm(b, shrImm(b, upper, 16), SIGN),
      whole = power.get();
    const range = { unit: 1 - format.bias - format.fraction, most: format.bias + 1 };
    return { significand: significand.get(), high: or(b, sign, whole), exponent: whole, range };
  };
export interface Narrowed<V> {
  readonly value: V;
  readonly rounding: Rounding<V>;
}
/** A float of `bits` bits with this value, rounded to nearest. Holds for zeros, and normal numbers that stay normal. */
export const quickNarrowed =
  <V>(b: Build<V>, bits: 32 | 64, x: Number80<V>): Quick<V, Narrowed<V>> =>
  (unless) => {
    const format = FORMAT[bits],
      dropped = 63 - format.fraction;
    const { significand } = x;
    // Stores look at rounding control and not at precision control.
    if (b.roundsQuickly?.(ROUNDING) !== true) {
      unless(ne(b, andImm(b, b.get('fpuControl'), ROUNDING), b.imm(0x20)));
      b.roundsQuickly?.(ROUNDING, true);
    }
    const below = and64(b, significand, b.imm64((1n << BigInt(dropped)) - 1n)),
      kept = shrU64(b, significand, b.imm64(BigInt(dropped)));
    const up = gtU64(b, below, sub64(b, b.imm64(1n << BigInt(dropped - 1)), and64(b, kept, b.imm64(1n))));
    const exponent = exponentOf(b, x),
      less = addImm(b, exponent, format.bias - BIAS - 1);
    // The integer bit adds one to the exponent, and so does a carry out of the fraction.
    const magnitude = b.variable(
      add64(b, add64(b, kept, widenU(b, up)), shl64(b, widenU(b, less), b.imm64(BigInt(format.fraction)))),
    );
    b.seldom!(
      geU(b, less, b.imm(format.exponent - 2)),
      () => {
        unless(or(b, exponent, isSome64(b, significand)));
        magnitude.set(b.imm64(0n));
      },
      () => {
        if (x.range === undefined) unless(lacksTop(b, significand));
      },
    );
    const sign = shl64(b, widenU(b, shrImm(b, x.high, 15)), b.imm64(BigInt(bits - 1)));
    const result = or64(b, sign, magnitude.get());
    return { value: bits === 64 ? result : wrap(b, result), rounding: { up, lost: below } };
  };

/** An integer of 64 bits as a number: always exact. */
export function numberOfInteger<V>(b: Build<V>, value: V): Number80<V> {
  const negative = isNegative64(b, value),
    zero = eqz64(b, value);
  const magnitude = b.select(negative, sub64(b, b.imm64(0n), value), value),
    by = b.op('i64.clz', [magnitude]);
  const exponent = sub(b, b.imm(BIAS + 63), wrap(b, by));
  const whole = b.select(zero, b.imm(0), exponent);
  return {
    significand: shl64(b, magnitude, by),
    high: or(b, shlImm(b, negative, 15), whole),
    exponent: whole,
    range: { unit: 0, most: 64 },
  };
}
