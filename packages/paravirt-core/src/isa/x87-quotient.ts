/**
 * Quotients and square roots of 80-bit numbers without a leaf, in the same cases as sums and products (x87-quick.ts).
 *
 * Floating-point arithmetic of 53 bits guesses the upper half of the result and then the lower one; each half is off by one at most, and
 * what remains, in integers, says so. The last remainder is exact, so that the result is rounded as one of infinite precision (SDM vol. 1, 4.8.4).
 */
import type { Build, Number80, Range } from './build.ts';
import {
  add,
  add64,
  and64,
  andImm,
  gtU,
  mul64,
  or,
  or64,
  shl64,
  shrImm,
  shrU64,
  sub,
  sub64,
  widenU,
  xor,
} from './ops.ts';
import {
  BIAS,
  MODERATE_RANGE,
  SIGN,
  finished,
  geU64,
  gtU64,
  isImmoderate,
  isSome64,
  lacksTop,
  operands,
  roundsQuickly,
  xor64,
  type Quick,
} from './x87-quick.ts';

/** Half of a 64-bit number, as a float: the sign of integers has to be 0. */
const halfOf = <V>(b: Build<V>, x: V): V => b.op('f64.convert_i64_s', [shrU64(b, x, b.imm64(1n))]);
const float = <V>(b: Build<V>, x: number): V => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  return b.op('f64.reinterpret_i64', [b.imm64(view.getBigUint64(0))]);
};
/** A float from 0 to 2^33 with ten digits behind the point, and other bits before it: what is added brings them to their places. */
const inPlace = <V>(b: Build<V>, x: V, added = 2 ** 42): V =>
  b.op('i64.reinterpret_f64', [b.op('f64.add', [x, float(b, added)])]);
const integerOf = <V>(b: Build<V>, bits: V): V => shrU64(b, shl64(b, bits, b.imm64(12n)), b.imm64(22n));
/**
 * A digit that was guessed, and what remains. What is less than half of its last place below the next integer has become that, which is too
 * much by one: then the remainder is negative. It is small where nothing lies behind the point, and any number of 64 bits where something does.
 */
function corrected<V>(b: Build<V>, bits: V, remainder: (digit: V) => V, by: V): [digit: V, rest: V] {
  const guess = integerOf(b, bits),
    left = remainder(guess);
  const q = b.variable(guess),
    r = b.variable(left);
  b.seldom!(b.op('i64.eqz', [and64(b, bits, b.imm64(0x3ffn))]), () => {
    const isNegative = shrU64(b, left, b.imm64(63n));
    q.set(sub64(b, guess, isNegative));
    r.set(add64(b, left, mul64(b, isNegative, by)));
  });
  return [q.get(), r.get()];
}

/** At least 2^(unit - most) where it is not 0, and what its last digit counts lies that far below. */
const rangeOfQuotient = (x: Range, y: Range): Range => ({ unit: x.unit - y.most - 64, most: x.most - y.unit });

/** x / y. Holds for normal numbers, and x may be 0. */
export const quickQuotient =
  <V>(b: Build<V>, x: Number80<V>, y: Number80<V>): Quick<V> =>
  (unless) => {
    const { ex, ey, range } = operands(b, unless, [x, y], rangeOfQuotient);
    unless(b.op('i64.eqz', [y.significand]));
    const divisor = y.significand;
    // Digits of 32 bits; the dividend, shifted by 0 or 1, is less than the divisor.
    const isLarge = geU64(b, x.significand, divisor),
      shift = widenU(b, isLarge);
    const dividend = shrU64(b, x.significand, shift);
    const thirty2 = b.imm64(32n),
      unit = b.op('f64.div', [float(b, 2 ** 32), halfOf(b, divisor)]);
    const digit = (rest: V, coming: V): [digit: V, rest: V] => {
      const bits = inPlace(b, b.op('f64.mul', [halfOf(b, rest), unit]));
      const remains = (guess: V): V => sub64(b, or64(b, shl64(b, rest, thirty2), coming), mul64(b, guess, divisor));
      return corrected(b, bits, remains, divisor);
    };
    const [upper, middle] = digit(dividend, shl64(b, and64(b, x.significand, shift), b.imm64(31n)));
    const [lower, rest] = digit(middle, b.imm64(0n));
    const quotient = add64(b, shl64(b, upper, thirty2), lower);
    // It never lies in the middle between two numbers: twice the remainder would be the divisor.
    const up = gtU64(b, rest, sub64(b, divisor, rest));
    const exponent = add(b, add(b, sub(b, ex, ey), isLarge), b.imm(BIAS - 1)),
      sign = andImm(b, xor(b, x.high, y.high), SIGN);
    return finished(b, { sign, exponent, significand: quotient, range }, up, rest);
  };

/**
 * The square root of x, normal and positive. The upper half of the root is that of the upper half of the number, and the quotient of what
 * remains by twice that is the lower one, or one more than it (P. Zimmermann, Karatsuba Square Root, INRIA RR-3805).
 */
export const quickRoot =
  <V>(b: Build<V>, x: Number80<V>): Quick<V> =>
  (unless) => {
    const thirty2 = b.imm64(32n),
      one = b.imm64(1n);
    roundsQuickly(b, unless);
    // The sign too.
    unless(isImmoderate(b, x.high));
    unless(lacksTop(b, x.significand));
    // Where the exponent, which has an odd bias, is even, the number is one below 2.
    const shift = widenU(b, andImm(b, x.high, 1));
    const number = shrU64(b, x.significand, shift),
      coming = and64(b, x.significand, shift);
    // A guess that is never too large: by less than 2^-11 too small.
    const root = b.op('f64.sqrt', [b.op('f64.mul', [halfOf(b, number), float(b, 2)])]);
    const below = integerOf(b, inPlace(b, root, 2 ** 42 - 2 ** -10));
    const over = sub64(b, number, mul64(b, below, below)),
      isLess = widenU(b, gtU64(b, over, add64(b, below, below)));
    const upper = add64(b, below, isLess),
      rest = sub64(b, over, mul64(b, isLess, add64(b, add64(b, below, below), one)));
    // Halves, so that they fit into 64 bits.
    const dividend = add64(b, shl64(b, rest, b.imm64(31n)), shl64(b, coming, b.imm64(30n)));
    const bits = inPlace(
      b,
      b.op('f64.div', [halfOf(b, dividend), b.op('f64.mul', [float(b, 0.5), b.op('f64.convert_i64_s', [upper])])]),
    );
    const [lower, half] = corrected(b, bits, (guess) => sub64(b, dividend, mul64(b, guess, upper)), upper);
    unless(isSome64(b, shrU64(b, lower, thirty2)));
    const middle = add64(b, half, half),
      square = mul64(b, lower, lower),
      whole = add64(b, shl64(b, upper, thirty2), lower);
    // middle * 2^32 is compared with the square, and both with what lies half a digit from the root.
    const above = b.op('i64.gt_s', [sub64(b, middle, upper), shrU64(b, add64(b, square, lower), thirty2)]);
    const isOver = b.op('i64.lt_u', [middle, shrU64(b, add64(b, square, b.imm64(0xffffffffn)), thirty2)]);
    const isFarOver = b.op('i64.le_u', [add64(b, middle, upper), shrU64(b, sub64(b, square, lower), thirty2)]);
    const significand = sub64(b, add64(b, whole, widenU(b, above)), widenU(b, isFarOver));
    const up = or(b, above, gtU(b, isOver, isFarOver));
    const lost = or64(b, xor64(b, middle, shrU64(b, square, thirty2)), and64(b, square, b.imm64(0xffffffffn)));
    const exponent = shrImm(b, add(b, x.high, b.imm(BIAS)), 1);
    return { significand, high: exponent, exponent, range: MODERATE_RANGE, rounding: { up, lost } };
  };
