/**
 * The common case of 80-bit arithmetic without a leaf: operands that are normal (or zero, where that is as simple), under rounding to
 * nearest with all 64 bits and PE masked, in integers of 64 bits. Each function gives up where what it computes would not hold; a leaf
 * then does the same for every case (SDM vol. 1, 4.8, 8.1.5 and 8.5).
 */
import type { Build, Rounding } from './build.ts';
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

/** A value as its register has it: the significand with its integer bit, and the word of sign and exponent. */
export interface Number80<V> {
  readonly significand: V;
  readonly high: V;
}
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
const MSB = 1n << 63n;
export const PE_SHIFT = 5,
  C1_SHIFT = 9,
  C1 = 1 << C1_SHIFT;
const C0_SHIFT = 8,
  C3_SHIFT = 14;
/** Control word: precision control, rounding control and the mask of PE; and what they are for the functions below. */
const CONTROL = 0xf20,
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
});
export function putNumber<V>(b: Build<V>, at: V, { significand, high }: Number80<V>): void {
  b.poke(at, 'u64', 0, significand);
  b.poke(at, 'u16', 8, high);
}
/** A rounding as flags: PE and C1. */
export const flagsOf = <V>(b: Build<V>, rounding: Rounding<V> | undefined): V =>
  rounding === undefined
    ? b.imm(0)
    : or(b, shlImm(b, isSome64(b, rounding.lost), PE_SHIFT), shlImm(b, rounding.up, C1_SHIFT));
/** Gives up where results are not rounded as the functions here do it. */
export const roundsQuickly = <V>(b: Build<V>, unless: Unless<V>): void =>
  unless(ne(b, andImm(b, b.get('fpuControl'), CONTROL), b.imm(CONTROL_QUICK)));

export const exponentOf = <V>(b: Build<V>, x: Number80<V>): V => andImm(b, x.high, EXPONENT);
export const isImmoderate = <V>(b: Build<V>, exponent: V): V =>
  geU(b, addImm(b, exponent, -MODERATE.least), b.imm(MODERATE.count));

/** Rounds to nearest: `significand` has its top bit set, `fraction` lies below it. Gives up where a carry makes a digit more. */
function rounded<V>(b: Build<V>, unless: Unless<V>, high: V, significand: V, fraction: V): Rounded<V> {
  // Beyond half of the last digit, or half and the digit is odd: all that in one comparison.
  const limit = sub64(b, b.imm64(MSB), and64(b, significand, b.imm64(1n)));
  const up = gtU64(b, fraction, limit);
  const sum = add64(b, significand, widenU(b, up));
  unless(eqz64(b, sum));
  return { significand: sum, high, rounding: { up, lost: fraction } };
}

/** x + y, or x - y. Holds for normal operands, one of which may be zero; not for a result of zero. */
export const quickSum =
  <V>(b: Build<V>, x: Number80<V>, y: Number80<V>, subtract: boolean): Quick<V> =>
  (unless) => {
    const other = subtract ? xor(b, y.high, b.imm(SIGN)) : y.high;
    const ex = exponentOf(b, x),
      ey = exponentOf(b, y);
    roundsQuickly(b, unless);
    // The one of the larger exponent first.
    const swap = ltU(b, ex, ey);
    const large = b.select(swap, y.significand, x.significand),
      small = b.select(swap, x.significand, y.significand);
    const sign = andImm(b, b.select(swap, other, x.high), SIGN);
    const exponent = b.select(swap, ey, ex),
      smallExponent = b.select(swap, ex, ey);
    unless(isImmoderate(b, exponent));
    unless(lacksTop(b, large));
    const apart = sub(b, exponent, smallExponent);
    const upper = b.variable(large),
      lower = b.variable(b.imm64(0n)),
      high = b.variable(exponent),
      signed = b.variable(sign);
    b.if(
      geU(b, apart, b.imm(64)),
      // Nothing is added; what is not zero would have to be.
      () => unless(or(b, smallExponent, isSome64(b, small))),
      () => {
        unless(lacksTop(b, small));
        const distance = widenU(b, apart);
        const shifted = shrU64(b, small, distance);
        const rest = shl64(b, shl64(b, small, b.imm64(1n)), xor64(b, distance, b.imm64(63n)));
        b.if(
          andImm(b, xor(b, x.high, other), SIGN),
          () => {
            // Of one exponent, the second may be the larger one.
            const negative = ltU64(b, large, shifted),
              inverts = sub64(b, b.imm64(0n), widenU(b, negative));
            const difference = sub64(b, sub64(b, large, shifted), widenU(b, isSome64(b, rest)));
            const magnitude = sub64(b, xor64(b, difference, inverts), inverts);
            unless(eqz64(b, magnitude));
            const fraction = sub64(b, b.imm64(0n), rest);
            const by = b.op('i64.clz', [magnitude]);
            const coming = shrU64(b, shrU64(b, fraction, b.imm64(1n)), xor64(b, by, b.imm64(63n)));
            upper.set(or64(b, shl64(b, magnitude, by), coming));
            lower.set(shl64(b, fraction, by));
            high.set(sub(b, exponent, wrap(b, by)));
            signed.set(xor(b, sign, shlImm(b, negative, 15)));
          },
          () => {
            const sum = add64(b, large, shifted),
              carry = ltU64(b, sum, large);
            const halved = or64(b, shrU64(b, rest, b.imm64(1n)), and64(b, rest, b.imm64(1n)));
            upper.set(b.select(carry, or64(b, shrU64(b, sum, b.imm64(1n)), b.imm64(MSB)), sum));
            lower.set(b.select(carry, or64(b, shl64(b, sum, b.imm64(63n)), halved), rest));
            high.set(add(b, exponent, carry));
          },
        );
      },
    );
    return rounded(b, unless, or(b, signed.get(), high.get()), upper.get(), lower.get());
  };

/** x * y, both normal. */
export const quickProduct =
  <V>(b: Build<V>, x: Number80<V>, y: Number80<V>): Quick<V> =>
  (unless) => {
    const ex = exponentOf(b, x),
      ey = exponentOf(b, y);
    roundsQuickly(b, unless);
    unless(isImmoderate(b, ex));
    unless(isImmoderate(b, ey));
    unless(lacksTop(b, and64(b, x.significand, y.significand)));
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
    const isHigh = isNegative64(b, upper);
    const shifted = or64(b, add64(b, upper, upper), shrU64(b, lower, b.imm64(63n)));
    const exponent = addImm(b, add(b, add(b, ex, ey), isHigh), -BIAS);
    const sign = andImm(b, xor(b, x.high, y.high), SIGN);
    return rounded(
      b,
      unless,
      or(b, sign, exponent),
      b.select(isHigh, upper, shifted),
      b.select(isHigh, lower, add64(b, lower, lower)),
    );
  };

/** Gives up unless a number is normal or zero. */
function isOrdinary<V>(b: Build<V>, unless: Unless<V>, { significand }: Number80<V>, exponent: V): void {
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
      high = b.variable(addImm(b, exponent, BIAS - format.bias));
    b.if(geU(b, addImm(b, exponent, -1), b.imm(format.exponent - 1)), () => {
      unless(isSome64(b, shl64(b, wide, b.imm64(BigInt(65 - bits)))));
      significand.set(b.imm64(0n));
      high.set(b.imm(0));
    });
    const sign = andImm(b, shrImm(b, upper, 16), SIGN);
    return { significand: significand.get(), high: or(b, sign, high.get()) };
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
    unless(ne(b, andImm(b, b.get('fpuControl'), 0xc20), b.imm(0x20)));
    const below = and64(b, significand, b.imm64((1n << BigInt(dropped)) - 1n)),
      kept = shrU64(b, significand, b.imm64(BigInt(dropped)));
    const up = gtU64(b, below, sub64(b, b.imm64(1n << BigInt(dropped - 1)), and64(b, kept, b.imm64(1n))));
    const less = addImm(b, exponentOf(b, x), format.bias - BIAS - 1);
    // The integer bit adds one to the exponent, and so does a carry out of the fraction.
    const magnitude = b.variable(
      add64(b, add64(b, kept, widenU(b, up)), shl64(b, widenU(b, less), b.imm64(BigInt(format.fraction)))),
    );
    b.if(
      eqz64(b, significand),
      () => {
        unless(exponentOf(b, x));
        magnitude.set(b.imm64(0n));
      },
      () => {
        unless(lacksTop(b, significand));
        unless(geU(b, less, b.imm(format.exponent - 2)));
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
  return {
    significand: shl64(b, magnitude, by),
    high: or(b, shlImm(b, negative, 15), b.select(zero, b.imm(0), exponent)),
  };
}
