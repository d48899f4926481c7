/**
 * Integers of 80-bit numbers without a leaf: FIST, FISTP and FISTTP, and FRNDINT, under any rounding control, where PE is masked
 * (SDM vol. 1, 4.8.4, 8.1.5; vol. 2, FIST and FRNDINT). What does not fit, NaNs, infinities and what is no number at all go by the leaf.
 */
import type { Build, Number80 } from './build.ts';
import {
  add64,
  addImm,
  and,
  and64,
  andImm,
  eq,
  eqz,
  gtU,
  or,
  or64,
  shl64,
  shrImm,
  shrU64,
  sub,
  sub64,
  widenU,
  wrap,
} from './ops.ts';
import {
  BIAS,
  SIGN,
  exponentOf,
  gtU64,
  isSome64,
  lacksTop,
  xor64,
  type Narrowed,
  type Quick,
  type Unless,
} from './x87-quick.ts';

/** Control word: rounding control, and the mask of PE. */
const RC_SHIFT = 10,
  PE = 0x20,
  ROUNDING = 0xc20;
const MSB = 1n << 63n;
/** Exponents from here on have no digits behind the point. */
const WHOLE = BIAS + 63;

/** The digits before the point, and those behind it from the top of 64 bits down; what lies below these counts as some digit there. */
interface Parts<V> {
  readonly whole: V;
  readonly fraction: V;
}
/** Of a number whose exponent lies so far below `WHOLE`. */
function partsOf<V>(b: Build<V>, { significand }: Number80<V>, below: V, isBeyond: V, rare: () => void): Parts<V> {
  const by = widenU(b, below),
    digits = shrU64(b, significand, by);
  const whole = b.variable(digits),
    fraction = b.variable(xor64(b, b.op('i64.rotr', [significand, by]), digits));
  b.seldom!(isBeyond, () => {
    rare();
    // Less than 1: from half on, or less, of which the last digit is kept where it is moved out.
    const less = or64(b, shrU64(b, significand, b.imm64(1n)), and64(b, significand, b.imm64(1n)));
    whole.set(b.imm64(0n));
    fraction.set(b.select(eq(b, below, b.imm(64)), significand, less));
  });
  return { whole: whole.get(), fraction: fraction.get() };
}
/** 1 where the magnitude grows. Gives up where PE is not masked. */
function growing<V>(b: Build<V>, unless: Unless<V>, { whole, fraction }: Parts<V>, high: V): V {
  const limit = sub64(b, b.imm64(MSB), and64(b, whole, b.imm64(1n))),
    nearest = gtU64(b, fraction, limit);
  if (b.roundsQuickly?.(ROUNDING) === true) return nearest;
  const control = b.get('fpuControl');
  isMasked(b, unless, control);
  const rc = andImm(b, shrImm(b, control, RC_SHIFT), 3);
  // Down grows what is negative, up what is not.
  const away = eq(b, rc, sub(b, b.imm(2), shrImm(b, high, 15)));
  return b.select(rc, and(b, away, isSome64(b, fraction)), nearest);
}
const isMasked = <V>(b: Build<V>, unless: Unless<V>, control: V): void => unless(eqz(b, andImm(b, control, PE)));
/** Gives up where the top bit is missing and the exponent is not 0. */
const isNumber = <V>(b: Build<V>, unless: Unless<V>, { significand, range }: Number80<V>, exponent: V): void => {
  if (range === undefined) unless(and(b, lacksTop(b, significand), gtU(b, exponent, b.imm(0))));
};

/** An integer of so many bits with this value, as memory has it. Of 64 bits, two less than that are tried. */
export const quickInteger =
  <V>(b: Build<V>, bits: 16 | 32 | 64, x: Number80<V>, truncating: boolean): Quick<V, Narrowed<V>> =>
  (unless) => {
    const exponent = exponentOf(b, x),
      below = sub(b, b.imm(WHOLE), exponent);
    isNumber(b, unless, x, exponent);
    const isBeyond = b.op('i32.ge_u', [addImm(b, below, -2), b.imm(62)]);
    const parts = partsOf(b, x, below, isBeyond, () => unless(b.op('i32.lt_s', [below, b.imm(2)])));
    if (truncating) isMasked(b, unless, b.get('fpuControl'));
    const up = truncating ? b.imm(0) : growing(b, unless, parts, x.high);
    const magnitude = add64(b, parts.whole, widenU(b, up));
    if (bits < 64) unless(gtU64(b, magnitude, b.imm64((1n << BigInt(bits - 1)) - 1n)));
    const inverts = sub64(b, b.imm64(0n), widenU(b, shrImm(b, x.high, 15)));
    const value = sub64(b, xor64(b, magnitude, inverts), inverts);
    return { value: bits === 64 ? value : wrap(b, value), rounding: { up, lost: parts.fraction } };
  };

/** Rounded to an integer. Holds for zeros and normal numbers; a result of 0 keeps the sign. */
export const quickWhole =
  <V>(b: Build<V>, x: Number80<V>): Quick<V> =>
  (unless) => {
    const exponent = exponentOf(b, x),
      below = sub(b, b.imm(WHOLE), exponent);
    isNumber(b, unless, x, exponent);
    const isBeyond = b.op('i32.ge_u', [addImm(b, below, -1), b.imm(63)]);
    const parts = partsOf(b, x, below, isBeyond, () => {
      unless(b.op('i32.lt_s', [below, b.imm(1)]));
      // A denormal.
      if (x.range === undefined) unless(and(b, eqz(b, exponent), isSome64(b, x.significand)));
    });
    const up = growing(b, unless, parts, x.high);
    const rounded = add64(b, parts.whole, widenU(b, up));
    // A digit more, or none at all.
    const by = b.op('i64.clz', [rounded]);
    const power = sub(b, b.imm(BIAS + 63), wrap(b, by)),
      whole = b.select(isSome64(b, rounded), power, b.imm(0));
    return {
      significand: shl64(b, rounded, by),
      high: or(b, andImm(b, x.high, SIGN), whole),
      exponent: whole,
      range: { unit: 0, most: 64 },
      rounding: { up, lost: parts.fraction },
    };
  };
