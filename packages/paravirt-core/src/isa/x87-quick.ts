/**
 * The common case of 80-bit arithmetic without a leaf: operands that are normal (or zero, where that is as simple), under rounding to
 * nearest with all 64 bits and PE masked, in integers of 64 bits. Each function also says in `fits` whether what it computed holds; where
 * it does not, a leaf does the same for every case (SDM vol. 1, 4.8, 8.1.5 and 8.5).
 */
import type { Build } from './build.ts';
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
/** What was computed, the exception flags and C1 with it, and whether that holds. */
export interface Quick<V> extends Number80<V> {
  readonly flags: V;
  readonly fits: V;
}

const SIGN = 0x8000,
  EXPONENT = 0x7fff,
  BIAS = 16383;
const MSB = 1n << 63n;
const PE_SHIFT = 5,
  C1_SHIFT = 9,
  C0_SHIFT = 8,
  C3_SHIFT = 14;
/** Control word: precision control, rounding control and the mask of PE; and what they are for the functions below. */
const CONTROL = 0xf20,
  CONTROL_QUICK = 0x320;

const eqz64 = <V>(b: Build<V>, x: V): V => b.op('i64.eqz', [x]);
const ltU64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.lt_u', [x, y]);
const eq64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.eq', [x, y]);
const xor64 = <V>(b: Build<V>, x: V, y: V): V => b.op('i64.xor', [x, y]);
const isNegative64 = <V>(b: Build<V>, x: V): V => b.op('i64.lt_s', [x, b.imm64(0n)]);
const all = <V>(b: Build<V>, conditions: readonly V[]): V => conditions.reduce((x, y) => and(b, x, y));

/** What lies at a place. */
export const numberAt = <V>(b: Build<V>, at: V): Number80<V> => ({
  significand: b.peek(at, 'u64', 0),
  high: b.peek(at, 'u16', 8),
});
export function putNumber<V>(b: Build<V>, at: V, { significand, high }: Number80<V>): void {
  b.poke(at, 'u64', 0, significand);
  b.poke(at, 'u16', 8, high);
}
/** A number that is known, without any flags. */
export const exactly = <V>(b: Build<V>, number: Number80<V>): Quick<V> => ({
  ...number,
  flags: b.imm(0),
  fits: b.imm(1),
});
/** Whether results are rounded as the functions here do it. */
export const roundsQuickly = <V>(b: Build<V>): V =>
  eq(b, andImm(b, b.get('fpuControl'), CONTROL), b.imm(CONTROL_QUICK));

const exponentOf = <V>(b: Build<V>, x: Number80<V>): V => andImm(b, x.high, EXPONENT);
const isNormal = <V>(b: Build<V>, x: Number80<V>): V =>
  and(b, ltU(b, addImm(b, exponentOf(b, x), -1), b.imm(EXPONENT - 1)), isNegative64(b, x.significand));
const isZero = <V>(b: Build<V>, x: Number80<V>): V => and(b, eqz(b, exponentOf(b, x)), eqz64(b, x.significand));

/** Rounds to nearest: `significand` has its top bit set, `fraction` lies below it, `exponent` may have left its range. */
function rounded<V>(
  b: Build<V>,
  sign: V,
  exponent: V,
  significand: V,
  fraction: V,
  conditions: readonly V[],
): Quick<V> {
  const beyondHalf = or64(b, shl64(b, fraction, b.imm64(1n)), and64(b, significand, b.imm64(1n)));
  const up = and(b, wrap(b, shrU64(b, fraction, b.imm64(63n))), eqz(b, eqz64(b, beyondHalf)));
  const sum = add64(b, significand, widenU(b, up)),
    carry = eqz64(b, sum);
  const inexact = eqz(b, eqz64(b, fraction));
  return {
    significand: or64(b, sum, shl64(b, widenU(b, carry), b.imm64(63n))),
    high: or(b, sign, add(b, exponent, carry)),
    flags: or(b, shlImm(b, inexact, PE_SHIFT), shlImm(b, up, C1_SHIFT)),
    // Neither zero nor denormal, and one below the largest, so that the carry has room.
    fits: all(b, [roundsQuickly(b), ltU(b, addImm(b, exponent, -1), b.imm(EXPONENT - 2)), ...conditions]),
  };
}
/** 128 bits with at least one of the upper 64 set, shifted until the top one is: by how much, and both halves. */
function normalized<V>(b: Build<V>, upper: V, lower: V): { by: V; upper: V; lower: V } {
  const by = b.op('i64.clz', [upper]);
  const coming = shrU64(b, shrU64(b, lower, b.imm64(1n)), xor64(b, by, b.imm64(63n)));
  return { by: wrap(b, by), upper: or64(b, shl64(b, upper, by), coming), lower: shl64(b, lower, by) };
}

/** x + y, or x - y. Holds for normal operands up to 63 binary places apart, one of which may be zero; a result of zero does not fit. */
export function quickSum<V>(b: Build<V>, x: Number80<V>, y: Number80<V>, subtract: boolean): Quick<V> {
  const other = subtract ? xor(b, y.high, b.imm(SIGN)) : y.high;
  const ex = exponentOf(b, x),
    ey = exponentOf(b, y);
  const swap = or(b, ltU(b, ex, ey), and(b, eq(b, ex, ey), ltU64(b, x.significand, y.significand)));
  const large = { significand: b.select(swap, y.significand, x.significand), high: b.select(swap, other, x.high) };
  const small = b.select(swap, x.significand, y.significand);
  const exponent = b.select(swap, ey, ex),
    smallExponent = b.select(swap, ex, ey);
  const apart = sub(b, exponent, smallExponent),
    distance = widenU(b, apart);
  const shifted = shrU64(b, small, distance);
  const rest = shl64(b, shl64(b, small, b.imm64(1n)), xor64(b, distance, b.imm64(63n)));
  // Where signs differ, 128 bits are subtracted: the smaller one is inverted, and one added below.
  const differ = shrImm(b, andImm(b, xor(b, x.high, other), SIGN), 15),
    one = widenU(b, differ),
    inverts = sub64(b, b.imm64(0n), one);
  const carryIn = widenU(b, and(b, differ, eqz64(b, rest)));
  const upper = add64(b, add64(b, large.significand, xor64(b, shifted, inverts)), carryIn),
    lower = add64(b, xor64(b, rest, inverts), one);
  const carry = and(b, eqz(b, differ), ltU64(b, upper, large.significand));
  const left = normalized(b, upper, lower);
  const right = {
    upper: or64(b, shrU64(b, upper, b.imm64(1n)), b.imm64(MSB)),
    lower: or64(b, shl64(b, upper, b.imm64(63n)), or64(b, shrU64(b, lower, b.imm64(1n)), and64(b, lower, b.imm64(1n)))),
  };
  const smallFits = or(
    b,
    all(b, [isNegative64(b, small), ltU(b, b.imm(0), smallExponent), ltU(b, apart, b.imm(64))]),
    and(b, eqz64(b, small), eqz(b, smallExponent)),
  );
  return rounded(
    b,
    andImm(b, large.high, SIGN),
    add(b, exponent, b.select(carry, b.imm(1), sub(b, b.imm(0), left.by))),
    b.select(carry, right.upper, left.upper),
    b.select(carry, right.lower, left.lower),
    [isNormal(b, large), smallFits, eqz(b, eqz64(b, or64(b, upper, b.select(carry, b.imm64(1n), b.imm64(0n)))))],
  );
}

/** x * y, both normal. */
export function quickProduct<V>(b: Build<V>, x: Number80<V>, y: Number80<V>): Quick<V> {
  const half = (v: V): { low: V; high: V } => ({
    low: and64(b, v, b.imm64(0xffffffffn)),
    high: shrU64(b, v, b.imm64(32n)),
  });
  const p = half(x.significand),
    q = half(y.significand);
  const middle = half(add64(b, mul64(b, p.high, q.low), shrU64(b, mul64(b, p.low, q.low), b.imm64(32n))));
  const carried = shrU64(b, add64(b, mul64(b, p.low, q.high), middle.low), b.imm64(32n));
  const upper = add64(b, mul64(b, p.high, q.high), add64(b, middle.high, carried));
  const product = normalized(b, upper, mul64(b, x.significand, y.significand));
  const exponent = sub(b, add(b, exponentOf(b, x), exponentOf(b, y)), b.imm(BIAS - 1));
  return rounded(
    b,
    andImm(b, xor(b, x.high, y.high), SIGN),
    sub(b, exponent, product.by),
    product.upper,
    product.lower,
    [isNormal(b, x), isNormal(b, y)],
  );
}

/** C3 and C0 as the relation of x to y says. Holds for normal numbers and zeros. */
export function quickRelation<V>(b: Build<V>, x: Number80<V>, y: Number80<V>): { flags: V; fits: V } {
  const ex = exponentOf(b, x),
    ey = exponentOf(b, y),
    sameExponent = eq(b, ex, ey);
  const below = or(b, ltU(b, ex, ey), and(b, sameExponent, ltU64(b, x.significand, y.significand)));
  const alike = and(b, sameExponent, eq64(b, x.significand, y.significand));
  const negative = shrImm(b, x.high, 15),
    sameSign = eq(b, negative, shrImm(b, y.high, 15));
  const zeros = eqz64(b, or64(b, x.significand, y.significand));
  const equal = or(b, zeros, and(b, alike, sameSign));
  const less = and(b, eqz(b, equal), b.select(sameSign, xor(b, below, negative), negative));
  return {
    flags: or(b, shlImm(b, equal, C3_SHIFT), shlImm(b, less, C0_SHIFT)),
    fits: and(b, or(b, isNormal(b, x), isZero(b, x)), or(b, isNormal(b, y), isZero(b, y))),
  };
}

const FORMAT = {
  32: { fraction: 23, exponent: 0xff, bias: 127 },
  64: { fraction: 52, exponent: 0x7ff, bias: 1023 },
} as const;

/** The same value as that of a float in memory. Holds for normal ones and zeros, under any control word. */
export function quickWidened<V>(b: Build<V>, bits: 32 | 64, value: V): Quick<V> {
  const format = FORMAT[bits];
  const wide = bits === 64 ? value : widenU(b, value),
    upper = bits === 64 ? wrap(b, shrU64(b, value, b.imm64(32n))) : value;
  const exponent = andImm(b, shrImm(b, upper, format.fraction - (bits - 32)), format.exponent);
  const zero = eqz64(b, shl64(b, wide, b.imm64(BigInt(65 - bits))));
  const significand = or64(b, shl64(b, wide, b.imm64(BigInt(63 - format.fraction))), b.imm64(MSB));
  return {
    significand: b.select(zero, b.imm64(0n), significand),
    high: or(
      b,
      andImm(b, shrImm(b, upper, 16), SIGN),
      b.select(zero, b.imm(0), addImm(b, exponent, BIAS - format.bias)),
    ),
    flags: b.imm(0),
    fits: or(b, zero, ltU(b, addImm(b, exponent, -1), b.imm(format.exponent - 1))),
  };
}
/** A float of `bits` bits with this value, rounded to nearest. Holds for zeros, and normal numbers that stay normal. */
export function quickNarrowed<V>(b: Build<V>, bits: 32 | 64, x: Number80<V>): { value: V; flags: V; fits: V } {
  const format = FORMAT[bits],
    dropped = 63 - format.fraction;
  const unit = b.imm64(BigInt(dropped));
  const below = and64(b, x.significand, b.imm64((1n << BigInt(dropped)) - 1n)),
    kept = shrU64(b, x.significand, unit);
  const up = b.op('i64.gt_u', [add64(b, below, and64(b, kept, b.imm64(1n))), b.imm64(1n << BigInt(dropped - 1))]);
  const exponent = addImm(b, exponentOf(b, x), format.bias - BIAS);
  const zero = isZero(b, x);
  // The integer bit adds one to the exponent, and so does a carry out of the fraction.
  const magnitude = add64(
    b,
    add64(b, kept, widenU(b, up)),
    shl64(b, widenU(b, addImm(b, exponent, -1)), b.imm64(BigInt(format.fraction))),
  );
  const sign = shl64(b, widenU(b, shrImm(b, x.high, 15)), b.imm64(BigInt(bits - 1)));
  const result = or64(b, sign, b.select(zero, b.imm64(0n), magnitude));
  const inexact = eqz(b, eqz64(b, below));
  const normal = and(b, isNegative64(b, x.significand), ltU(b, addImm(b, exponent, -1), b.imm(format.exponent - 2)));
  return {
    value: bits === 64 ? result : wrap(b, result),
    flags: or(b, shlImm(b, inexact, PE_SHIFT), shlImm(b, up, C1_SHIFT)),
    fits: and(b, roundsForStore(b), or(b, zero, normal)),
  };
}
/** Stores look at rounding control and not at precision control. */
const roundsForStore = <V>(b: Build<V>): V => eq(b, andImm(b, b.get('fpuControl'), 0xc20), b.imm(0x20));

/** An integer of 64 bits as a number: always exact. */
export function numberOfInteger<V>(b: Build<V>, value: V): Quick<V> {
  const negative = isNegative64(b, value),
    zero = eqz64(b, value);
  const magnitude = b.select(negative, sub64(b, b.imm64(0n), value), value),
    by = b.op('i64.clz', [magnitude]);
  const exponent = sub(b, b.imm(BIAS + 63), wrap(b, by));
  return exactly(b, {
    significand: shl64(b, magnitude, by),
    high: or(b, shlImm(b, negative, 15), b.select(zero, b.imm(0), exponent)),
  });
}
