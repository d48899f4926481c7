/**
 * Sum, product, quotient and square root of normalized values, for every format: operands are biased exponent (any
 * size) and significand with its top bit set. The unrounded result is left in `sign`, `exponent`, `high` and `fraction`
 * as `round.ts` wants it; `high` is 0 for an exact zero.
 */
import { MSB } from './flags';
import { divide, low, multiply, remainder, shiftRightJam } from './wide';

export let sign: u32 = 0;
export let exponent: i32 = 0;
export let high: u64 = 0;
export let fraction: u64 = 0;

const EXP_OF_ONE: i32 = 16383;

/** Signs are 0 or 0x8000. After an exact cancellation `high` is 0 and the sign is the caller's business. */
export function sum(signA: u32, expA: i32, a: u64, signB: u32, expB: i32, b: u64): void {
  // The larger magnitude first.
  if (expA < expB || (expA == expB && a < b)) {
    const s = signA;
    signA = signB;
    signB = s;
    const e = expA;
    expA = expB;
    expB = e;
    const m = a;
    a = b;
    b = m;
  }
  sign = signA;
  const apart = expA - expB;
  let shifted = b;
  let rest: u64 = 0;
  if (apart != 0) {
    if (apart < 64) {
      shifted = b >> apart;
      rest = b << (64 - apart);
    } else {
      // Down to 66 bits below, a borrow can make these bits decide the rounding.
      shifted = shiftRightJam(b, 0, apart);
      rest = low;
    }
  }
  if (signA == signB) {
    const total = a + shifted;
    if (total < a) {
      exponent = expA + 1;
      high = (total >> 1) | MSB;
      fraction = (total << 63) | (rest >> 1) | (rest & 1);
    } else {
      exponent = expA;
      high = total;
      fraction = rest;
    }
    return;
  }
  let h = a - shifted - u64(rest != 0);
  let f: u64 = 0 - rest;
  if (i64(h) >= 0) {
    if (h == 0) {
      h = f;
      f = 0;
      expA -= 64;
    }
    const shift = i32(clz(h));
    if (shift != 0 && h != 0) {
      h = (h << shift) | (f >> (64 - shift));
      f <<= shift;
      expA -= shift;
    }
  }
  exponent = expA;
  high = h;
  fraction = f;
}

export function product(expA: i32, a: u64, expB: i32, b: u64): void {
  let h = multiply(a, b);
  let f = low;
  exponent = expA + expB - EXP_OF_ONE + 1;
  if (i64(h) >= 0) {
    h = (h << 1) | (f >> 63);
    f <<= 1;
    exponent--;
  }
  high = h;
  fraction = f;
}

export function quotient(expA: i32, a: u64, expB: i32, b: u64): void {
  exponent = expA - expB + EXP_OF_ONE;
  if (a < b) {
    exponent--;
    high = divide(a, 0, b);
  } else {
    high = divide(a >> 1, a << 63, b);
  }
  const rest = remainder;
  // The fraction need only say: nothing, less than half, half, more than half.
  fraction = rest == 0 ? 0 : rest << 1 == b && i64(rest) >= 0 ? MSB : i64(rest) < 0 || rest << 1 > b ? MSB | 1 : 1;
}

export function squareRoot(expA: i32, a: u64): void {
  // a * 2^(expA - 63), made even: the radicand is n1 * 2^64 + n0 in [2^126, 2^128), its root in [2^63, 2^64).
  const odd = ((expA - EXP_OF_ONE) & 1) != 0;
  const n1 = odd ? a : a >> 1;
  const n0: u64 = odd ? 0 : a << 63;
  exponent = ((expA - EXP_OF_ONE) >> 1) + EXP_OF_ONE;

  // 52 good bits from the hardware, the rest by one step of Newton's iteration with an exact residual.
  const estimate = sqrt<f64>(f64(n1)) * 4294967296.0;
  let root: u64 = estimate >= 18446744073709549568.0 ? 0xfffffffffffff800 : u64(estimate);
  let h = n1 - multiply(root, root);
  h -= u64(n0 < low);
  let rest = n0 - low;
  const correction = (f64(i64(h)) * 18446744073709551616.0 + f64(rest)) / (2.0 * f64(root));
  const step = i64(floor<f64>(correction));
  // Saturates: a root of 2^64 is one too large at most.
  root = step > 0 && root + u64(step) < root ? u64(-1) : root + u64(step);

  h = n1 - multiply(root, root);
  h -= u64(n0 < low);
  rest = n0 - low;
  while (i64(h) < 0) {
    // root--, and the residual grows by 2 * root + 1 (of the new root).
    root--;
    const grown = rest + ((root << 1) | 1);
    h += (root >> 63) + u64(grown < rest);
    rest = grown;
  }
  while (h > root >> 63 || (h == root >> 63 && rest > root << 1)) {
    const step1 = (root << 1) | 1;
    h -= (root >> 63) + u64(rest < step1);
    rest -= step1;
    root++;
  }
  high = root;
  // Never exactly half: (root + 1/2)^2 is no whole number.
  fraction = h == 0 && rest == 0 ? 0 : h != 0 || rest > root ? MSB | 1 : 1;
}
