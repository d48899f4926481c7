/**
 * 128-bit unsigned arithmetic on pairs of 64-bit words. Functions return the high word and leave the low word in `low`,
 * since a function has one result and there is no memory to put a pair into.
 */

/** Low word of the last result. */
export let low: u64 = 0;
/** Remainder of the last `divide`. */
export let remainder: u64 = 0;

/** a * b. */
export function multiply(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const carry = a0 * b1 + (middle & 0xffffffff);
  low = a * b;
  return a1 * b1 + (middle >> 32) + (carry >> 32);
}

/** The high word of a * b alone. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const carry = a0 * b1 + (middle & 0xffffffff);
  return a1 * b1 + (middle >> 32) + (carry >> 32);
}

/**
 * The quotient of high * 2^64 + rest by a divisor with its top bit set, high < divisor (Knuth, The Art of Computer
 * Programming vol. 2, 4.3.1, algorithm D with two 32-bit digits). The remainder is left in `remainder`.
 */
export function divide(high: u64, rest: u64, divisor: u64): u64 {
  const d1 = divisor >> 32;
  const d0 = divisor & 0xffffffff;

  let q1 = high / d1;
  let r = high - q1 * d1;
  const n1 = rest >> 32;
  while (q1 >> 32 != 0 || q1 * d0 > ((r << 32) | n1)) {
    q1--;
    r += d1;
    if (r >> 32 != 0) break;
  }
  const between = ((high << 32) | n1) - q1 * divisor;

  let q0 = between / d1;
  r = between - q0 * d1;
  const n0 = rest & 0xffffffff;
  while (q0 >> 32 != 0 || q0 * d0 > ((r << 32) | n0)) {
    q0--;
    r += d1;
    if (r >> 32 != 0) break;
  }
  remainder = ((between << 32) | n0) - q0 * divisor;
  return (q1 << 32) | q0;
}

/** Shifts right by any count; bits that fall out are ORed into bit 0 of the low word, so that inexactness stays visible. */
export function shiftRightJam(high: u64, rest: u64, count: i32): u64 {
  if (count == 0) {
    low = rest;
    return high;
  }
  if (count < 64) {
    low = (high << (64 - count)) | (rest >> count) | u64(rest << (64 - count) != 0);
    return high >> count;
  }
  if (count == 64) {
    low = high | u64(rest != 0);
  } else if (count < 128) {
    low = (high >> (count - 64)) | u64(high << (128 - count) != 0 || rest != 0);
  } else {
    low = u64((high | rest) != 0);
  }
  return 0;
}
