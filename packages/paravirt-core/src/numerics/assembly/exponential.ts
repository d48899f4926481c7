/** F2XM1, FYL2X, FYL2XP1 (Intel SDM vol. 1, 8.3.9, 8.3.10; vol. 2A for zeros and infinities). */
import {
  denormalStops,
  invalid,
  isDenormal,
  isInfinity,
  normalExponent,
  normalize,
  put,
  screenOne,
  screenTwo,
} from './f80';
import { argument, rest, sumHigh, sumLow } from './fixed';
import { DE, EXP_BIAS, EXP_MAX, MSB, PE, SIGN, ZE } from './flags';
import { copy, exponent, finishExact, finishReal, high, low, over, setFixed, setReal, times, toFixed } from './real';
import { LN2_HIGH, LN2_LOW, TWO_LOG2E_HIGH, TWO_LOG2E_LOW, exponential, logarithm } from './tables';

/** 2^a - 1 for a in [-1, 1]; outside, where the result is undefined, a itself. */
export function f80_2xm1(dst: usize, a: usize, cw: i32): i32 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  const screened = screenOne(dst, se, significand, cw);
  if (screened >= 0) return screened;
  const sign = se & SIGN;
  if (significand == 0) return copy(dst, se, 0);
  if (isInfinity(se, significand)) return copy(dst, sign != 0 ? SIGN | EXP_BIAS : se, MSB);
  if (denormalStops(se, significand, cw)) return DE;
  if (i32(se & 0x7fff) >= EXP_BIAS) {
    // 2^-1 - 1 is -0.5; 2^1 - 1, and what lies outside, is the operand.
    put(dst, se == (SIGN | EXP_BIAS) && significand == MSB ? se - 1 : se, significand);
    return PE;
  }
  const flags = isDenormal(se, significand) ? DE : 0;
  setReal(normalize(significand), 0, normalExponent(se, significand));
  times(LN2_HIGH, LN2_LOW, EXP_BIAS - 1);
  argument(toFixed(-1), rest, sign != 0);
  exponential();
  times(sumHigh, sumLow, EXP_BIAS);
  return flags | finishReal(dst, sign, cw);
}

// log2 of a number, in the real; `negativeLog` is its sign, and `exactLog` says that it is an integer (maybe zero).
let negativeLog: bool = false;
let exactLog: bool = false;

/** Completes log2 from s = (m - 1) / (m + 1) in the real: 2 / ln 2 * artanh s. */
function logOfRatio(): void {
  const h = high;
  const l = low;
  const e = exponent;
  times(h, l, e);
  argument(toFixed(-1), rest, false);
  logarithm();
  setReal(h, l, e);
  times(sumHigh, sumLow, EXP_BIAS);
  times(TWO_LOG2E_HIGH, TWO_LOG2E_LOW, EXP_BIAS + 1);
}

/** sqrt 2, the largest mantissa that is not halved. */
const ROOT_2: u64 = 0xb504f333f9de6484;

/** log2 of m * 2^k, with m the 128-bit mantissa in [1, 2). */
function log2(h: u64, l: u64, k: i32): void {
  // In units of 2^-126: m, halved to stay within [1/sqrt 2, sqrt 2], and 1.
  const halve = h > ROOT_2;
  if (halve) {
    k++;
    l = (l >> 2) | (h << 62);
    h >>= 2;
  } else {
    l = (l >> 1) | (h << 63);
    h >>= 1;
  }
  const one: u64 = MSB >> 1;
  negativeLog = k < 0;
  if (h == one && l == 0) {
    exactLog = true;
    if (k == 0) setReal(0, 0, 0);
    else setFixed(u64(k < 0 ? -k : k), 0, 63);
    return;
  }
  exactLog = false;
  const below = h < one;
  const sumH = h + one;
  setFixed(sumH, l, 1);
  const dHigh = high;
  const dLow = low;
  const dExponent = exponent;
  if (below) setFixed(one - h - u64(l != 0), 0 - l, 1);
  else setFixed(h - one, l, 1);
  over(dHigh, dLow, dExponent);
  logOfRatio();
  if (k == 0) {
    negativeLog = below;
    return;
  }
  // The integer part, its lowest bit at bit 112.
  const integer: u64 = u64(k < 0 ? -k : k) << 48;
  const fractionHigh = toFixed(15);
  const fractionLow = rest;
  if (below == k < 0) setFixed(integer + fractionHigh, fractionLow, 15);
  else setFixed(integer - fractionHigh - u64(fractionLow != 0), 0 - fractionLow, 15);
}

/** y times the logarithm, with the flags so far. */
function finishProduct(dst: usize, seY: u32, y: u64, flags: i32, cw: i32): i32 {
  const sign = (seY & SIGN) ^ (negativeLog ? SIGN : 0);
  if (y == 0 || (high == 0 && exactLog)) {
    put(dst, sign, 0);
    return flags;
  }
  times(normalize(y), 0, normalExponent(seY, y));
  return flags | (exactLog ? finishExact(dst, sign, cw) : finishReal(dst, sign, cw));
}

/** y * log2 x. */
export function f80_yl2x(dst: usize, x: usize, y: usize, cw: i32): i32 {
  const sigX = load<u64>(x);
  const sigY = load<u64>(y);
  const seX = u32(load<u16>(x, 8));
  const seY = u32(load<u16>(y, 8));
  const screened = screenTwo(dst, seX, sigX, seY, sigY, cw);
  if (screened >= 0) return screened;
  const infiniteX = isInfinity(seX, sigX);
  const infiniteY = isInfinity(seY, sigY);
  const signY = seY & SIGN;
  if (sigX == 0) {
    if (sigY == 0) return invalid(dst, cw);
    if (infiniteY) return copy(dst, seY ^ SIGN, MSB);
    if (cw & ZE) put(dst, (signY ^ SIGN) | EXP_MAX, MSB);
    return ZE;
  }
  const isOne = seX == EXP_BIAS && sigX == MSB;
  if ((seX & SIGN) != 0 || (infiniteX && sigY == 0) || (infiniteY && isOne)) return invalid(dst, cw);
  if (denormalStops(seX, sigX, cw) || denormalStops(seY, sigY, cw)) return DE;
  const flags = isDenormal(seX, sigX) || isDenormal(seY, sigY) ? DE : 0;
  if (infiniteX || infiniteY) {
    put(dst, (i32(seX) < EXP_BIAS ? signY ^ SIGN : signY) | EXP_MAX, MSB);
    return flags;
  }
  log2(normalize(sigX), 0, normalExponent(seX, sigX) - EXP_BIAS);
  return finishProduct(dst, seY, sigY, flags, cw);
}

/** 1 - 1/sqrt 2 and sqrt 2 - 1, cut off: between them log2 (1 + x) needs no power of two split off. */
const NEAR_BELOW: u64 = 0x95f619980c4336f7;
const NEAR_ABOVE: u64 = 0xd413cccfe7799211;
const NEAR_EXPONENT: i32 = EXP_BIAS - 2;

/** y * log2(x + 1). Where that does not exist (x <= -1), and the result is undefined: x. */
export function f80_yl2xp1(dst: usize, x: usize, y: usize, cw: i32): i32 {
  const sigX = load<u64>(x);
  const sigY = load<u64>(y);
  const seX = u32(load<u16>(x, 8));
  const seY = u32(load<u16>(y, 8));
  const screened = screenTwo(dst, seX, sigX, seY, sigY, cw);
  if (screened >= 0) return screened;
  const infiniteX = isInfinity(seX, sigX);
  const infiniteY = isInfinity(seY, sigY);
  const signX = seX & SIGN;
  if (infiniteX ? signX != 0 || sigY == 0 : infiniteY && sigX == 0) return invalid(dst, cw);
  if (denormalStops(seX, sigX, cw) || denormalStops(seY, sigY, cw)) return DE;
  const flags = isDenormal(seX, sigX) || isDenormal(seY, sigY) ? DE : 0;
  const sign = (seY & SIGN) ^ signX;
  if (infiniteX || infiniteY) return flags | copy(dst, sign | EXP_MAX, MSB);
  if (sigX == 0 || sigY == 0) return flags | copy(dst, sign, 0);
  if (signX != 0 && i32(seX & 0x7fff) >= EXP_BIAS) {
    put(dst, seX, sigX);
    return flags | PE;
  }
  logPlusOne(signX != 0, normalExponent(seX, sigX), normalize(sigX));
  return finishProduct(dst, seY, sigY, flags, cw);
}

function logPlusOne(negative: bool, e: i32, significand: u64): void {
  if (e < NEAR_EXPONENT || (e == NEAR_EXPONENT && significand <= (negative ? NEAR_BELOW : NEAR_ABOVE))) {
    // s = x / (2 + x), the divisor in units of 2^-126: what falls off is far below its last bit.
    setReal(significand, 0, e);
    const h = toFixed(1);
    const two: u64 = MSB;
    if (negative) setFixed(two - h - u64(rest != 0), 0 - rest, 1);
    else setFixed(two + h, rest, 1);
    const dHigh = high;
    const dLow = low;
    const dExponent = exponent;
    setReal(significand, 0, e);
    over(dHigh, dLow, dExponent);
    logOfRatio();
    negativeLog = negative;
    exactLog = false;
    return;
  }
  // 1 + x outright: exact in 128 bits, until x is so large that the 1 does not count.
  if (e > EXP_BIAS + 63) {
    const distance = e - EXP_BIAS;
    log2(significand, distance < 128 ? u64(1) << (127 - distance) : 0, distance);
    return;
  }
  if (significand == u64(-1) && e == EXP_BIAS + 63) {
    log2(MSB, 0, 64);
    return;
  }
  const top = e < EXP_BIAS ? 1 : 63;
  const one: u64 = u64(1) << (63 - top);
  setReal(significand, 0, e);
  const h = toFixed(top);
  if (negative) setFixed(one - h - u64(rest != 0), 0 - rest, top);
  else setFixed(one + h, rest, top);
  log2(high, low, exponent - EXP_BIAS);
}
