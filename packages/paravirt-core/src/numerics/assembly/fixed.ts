/**
 * Numbers with 128-bit significands for the transcendental instructions: enough that only the last rounding to 64 bits
 * counts. As in `wide.ts` a function returns the high word and leaves the low word in a global.
 */
import { divide, low, multiply, multiplyHigh } from './wide';

/** Low word of the last result. */
export let rest: u64 = 0;

/** The high 128 bits of a * b, at most three units too small. */
export function multiplyFixed(aHigh: u64, aLow: u64, bHigh: u64, bLow: u64): u64 {
  let high = multiply(aHigh, bHigh);
  const base = low;
  const first = base + multiplyHigh(aHigh, bLow);
  high += u64(first < base);
  const second = first + multiplyHigh(aLow, bHigh);
  high += u64(second < first);
  rest = second;
  return high;
}

/** a >> count, cutting off. */
export function shiftRight(high: u64, lowWord: u64, count: i32): u64 {
  if (count == 0) {
    rest = lowWord;
    return high;
  }
  if (count < 64) {
    rest = (lowWord >> count) | (high << (64 - count));
    return high >> count;
  }
  rest = count < 128 ? high >> (count - 64) : 0;
  return 0;
}

/** Leading zeros of the last `normalizeFixed`. */
export let shifted: i32 = 0;

/** Shifts a nonzero number left until its top bit is set; `shifted` says how far. */
export function normalizeFixed(high: u64, lowWord: u64): u64 {
  shifted = 0;
  if (high == 0) {
    high = lowWord;
    lowWord = 0;
    shifted = 64;
  }
  const zeros = i32(clz(high));
  if (zeros != 0) {
    high = (high << zeros) | (lowWord >> (64 - zeros));
    lowWord <<= zeros;
    shifted += zeros;
  }
  rest = lowWord;
  return high;
}

/** n / d for two numbers with their top bits set, as 128 bits with the top bit set: divided by 2 when `quotientBelowOne` is false. */
export let quotientBelowOne: bool = false;
export function divideFixed(nHigh: u64, nLow: u64, dHigh: u64, dLow: u64): u64 {
  quotientBelowOne = nHigh < dHigh || (nHigh == dHigh && nLow < dLow);
  let lost: u64 = 0;
  if (!quotientBelowOne) {
    lost = nLow << 63;
    nLow = (nLow >> 1) | (nHigh << 63);
    nHigh >>= 1;
  }
  // Two digits of 64 bits, each estimated by the divisor's high word and never too small.
  let q = nHigh < dHigh ? divide(nHigh, nLow, dHigh) : u64(-1);
  let r0 = lost;
  let r1 = nLow;
  let r2 = nHigh;
  // r -= q * d
  const high1 = multiply(q, dHigh);
  const low1 = low;
  const high0 = multiply(q, dLow);
  const low0 = low;
  const middle = low1 + high0;
  const top = high1 + u64(middle < low1);
  const borrow0 = u64(r0 < low0);
  r0 -= low0;
  const borrow1 = u64(r1 < middle) | u64(r1 - middle < borrow0);
  r1 = r1 - middle - borrow0;
  r2 = r2 - top - borrow1;
  while (i64(r2) < 0) {
    q--;
    r0 += dLow;
    const carry0 = u64(r0 < dLow);
    const sum = r1 + dHigh;
    const carry1 = u64(sum < r1);
    r1 = sum + carry0;
    r2 += carry1 + u64(r1 < carry0);
  }
  rest = r1 < dHigh ? divide(r1, r0, dHigh) : u64(-1);
  return q;
}

// The argument and the accumulator of a series; `t` and the accumulator share no scale: t is in units of 2^-128.
let tHigh: u64 = 0;
let tLow: u64 = 0;
let alternating: bool = false;
export let sumHigh: u64 = 0;
export let sumLow: u64 = 0;

/** Sets the argument of the series that follow. With `alternate` their odd terms are subtracted. */
export function argument(high: u64, lowWord: u64, alternate: bool): void {
  tHigh = high;
  tLow = lowWord;
  alternating = alternate;
}

export function first(high: u64, lowWord: u64): void {
  sumHigh = high;
  sumLow = lowWord;
}

/** One step of Horner's rule: the accumulator times t, added to or subtracted from a coefficient. */
export function next(high: u64, lowWord: u64): void {
  const product = multiplyFixed(sumHigh, sumLow, tHigh, tLow);
  if (alternating) {
    sumHigh = high - product - u64(lowWord < rest);
    sumLow = lowWord - rest;
  } else {
    sumLow = lowWord + rest;
    sumHigh = high + product + u64(sumLow < lowWord);
  }
}

/** 1 minus t times the accumulator, in units of 2^-128 and always below 1: the last step of a series that starts with 1. */
export function oneMinus(): void {
  const product = multiplyFixed(sumHigh, sumLow, tHigh, tLow);
  if ((product | rest) == 0) rest = 1;
  sumLow = 0 - rest;
  sumHigh = 0 - product - u64(rest != 0);
}
