/**
 * FSIN, FCOS, FSINCOS, FPTAN (Intel SDM vol. 1, 8.3.8, 8.3.10). Arguments are reduced by the processor's own pi of 66 bits,
 * exactly; then a series to 128 bits.
 */
import { denormalStops, invalid, isDenormal, isInfinity, normalExponent, normalize, put, screenOne } from './f80';
import { argument, oneMinus, rest, sumHigh, sumLow } from './fixed';
import { C2, DE, EXP_BIAS, IE, MSB, SIGN } from './flags';
import { exponent, finishReal, high, low, over, setFixed, setReal, times, toFixed } from './real';
import { roundFull } from './round';
import { cosineTail, sineTail } from './tables';

/** pi / 2 in units of 2^-65: the processor's pi is 0xc90fdaa22168c234c * 2^-66. */
const HALF_PI_HIGH: u64 = 0x3;
const HALF_PI_LOW: u64 = 0x243f6a8885a308d3;
/** pi / 4 to 64 bits: up to here arguments need no reduction. */
const QUARTER_PI_EXPONENT: i32 = EXP_BIAS - 1;
const QUARTER_PI: u64 = 0xc90fdaa22168c234;
/** Below 2^-70 sine and tangent differ from their argument by less than the last bit can show. */
const LINEAR_EXPONENT: i32 = EXP_BIAS - 70;

// The reduced argument r in [0, pi/4], its sign, and the number of quarter turns taken off.
let reducedHigh: u64 = 0;
let reducedLow: u64 = 0;
let reducedExponent: i32 = 0;
let reducedSign: u32 = 0;
let quadrant: i32 = 0;

/** Reduces a positive argument below 2^63, and sets the argument of the series to r^2. */
function reduce(e: i32, significand: u64): void {
  quadrant = 0;
  reducedSign = 0;
  if (e < QUARTER_PI_EXPONENT || (e == QUARTER_PI_EXPONENT && significand <= QUARTER_PI)) {
    reducedHigh = significand;
    reducedLow = 0;
    reducedExponent = e;
  } else {
    let h: u64 = 0;
    let l = significand;
    // Long division; r stays below 2^66.
    for (let shift = e - (QUARTER_PI_EXPONENT - 1); shift > 0; shift--) {
      h = (h << 1) | (l >> 63);
      l <<= 1;
      quadrant <<= 1;
      if (h > HALF_PI_HIGH || (h == HALF_PI_HIGH && l >= HALF_PI_LOW)) {
        h -= HALF_PI_HIGH + u64(l < HALF_PI_LOW);
        l -= HALF_PI_LOW;
        quadrant++;
      }
    }
    // To the nearest multiple. r is never 0: no 64-bit number is a multiple of the 66-bit one.
    const otherHigh = HALF_PI_HIGH - h - u64(HALF_PI_LOW < l);
    const otherLow = HALF_PI_LOW - l;
    if (h > otherHigh || (h == otherHigh && l > otherLow)) {
      h = otherHigh;
      l = otherLow;
      reducedSign = SIGN;
      quadrant++;
    }
    setFixed(h, l, 127 - 65);
    reducedHigh = high;
    reducedLow = low;
    reducedExponent = exponent;
  }
  setReal(reducedHigh, reducedLow, reducedExponent);
  times(reducedHigh, reducedLow, reducedExponent);
  argument(toFixed(-1), rest, true);
}

/** Sets the real to sin r. */
function sine(): void {
  sineTail();
  oneMinus();
  setReal(reducedHigh, reducedLow, reducedExponent);
  times(sumHigh, sumLow, EXP_BIAS - 1);
}

/** Sets the real to cos r, at least 0.7. */
function cosine(): void {
  cosineTail();
  oneMinus();
  setReal(sumHigh, sumLow, EXP_BIAS - 1);
}

function storeSine(dst: usize, sign: u32, cw: i32): i32 {
  const turned: u32 = (quadrant & 2) != 0 ? SIGN : 0;
  if ((quadrant & 1) != 0) {
    cosine();
    return finishReal(dst, sign ^ turned, cw);
  }
  sine();
  return finishReal(dst, sign ^ turned ^ reducedSign, cw);
}

function storeCosine(dst: usize, cw: i32): i32 {
  const turned: u32 = ((quadrant + 1) & 2) != 0 ? SIGN : 0;
  if ((quadrant & 1) != 0) {
    sine();
    return finishReal(dst, turned ^ reducedSign, cw);
  }
  cosine();
  return finishReal(dst, turned, cw);
}

/** What all four share. Returns the flags of a finished instruction, or -1 with `reduce` done for a nonzero number. */
function begin(dst: usize, se: u32, significand: u64, cw: i32): i32 {
  const screened = screenOne(dst, se, significand, cw);
  if (screened >= 0) return screened;
  if (isInfinity(se, significand)) return invalid(dst, cw);
  if (i32(se & 0x7fff) >= EXP_BIAS + 63) return C2;
  if (denormalStops(se, significand, cw)) return DE;
  if (significand != 0) reduce(normalExponent(se, significand), normalize(significand));
  return -1;
}

export function f80_sin(dst: usize, a: usize, cw: i32): i32 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  const done = begin(dst, se, significand, cw);
  if (done >= 0) return done;
  if (significand == 0) {
    put(dst, se, 0);
    return 0;
  }
  return (isDenormal(se, significand) ? DE : 0) | storeSine(dst, se & SIGN, cw);
}

export function f80_cos(dst: usize, a: usize, cw: i32): i32 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  const done = begin(dst, se, significand, cw);
  if (done >= 0) return done;
  if (significand == 0) {
    put(dst, EXP_BIAS, MSB);
    return 0;
  }
  return (isDenormal(se, significand) ? DE : 0) | storeCosine(dst, cw);
}

/** Writes a NaN result to the second slot as well. */
function both(first: usize, second: usize, flags: i32, cw: i32): i32 {
  if ((flags & C2) == 0 && (flags & ~cw & (IE | DE)) == 0) {
    const significand = load<u64>(first);
    put(second, load<u16>(first, 8), significand);
  }
  return flags;
}

export function f80_sincos(sin: usize, cos: usize, a: usize, cw: i32): i32 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  const done = begin(sin, se, significand, cw);
  if (done >= 0) return both(sin, cos, done, cw);
  if (significand == 0) {
    put(sin, se, 0);
    put(cos, EXP_BIAS, MSB);
    return 0;
  }
  const flags = isDenormal(se, significand) ? DE : 0;
  // C1 is that of the cosine, which is written last.
  return flags | (storeSine(sin, se & SIGN, cw) & 0x3f) | storeCosine(cos, cw);
}

/** Writes the tangent to `tan` and 1.0 to `one`. */
export function f80_tan(tan: usize, one: usize, a: usize, cw: i32): i32 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  const done = begin(tan, se, significand, cw);
  if (done >= 0) return both(tan, one, done, cw);
  put(one, EXP_BIAS, MSB);
  if (significand == 0) {
    put(tan, se, 0);
    return 0;
  }
  const flags = isDenormal(se, significand) ? DE : 0;
  if (reducedExponent < LINEAR_EXPONENT && quadrant == 0) {
    // A trifle above the argument.
    return flags | roundFull(tan, se & SIGN, reducedExponent, reducedHigh, 1, cw);
  }
  const odd = (quadrant & 1) != 0;
  sine();
  const sineHigh = high;
  const sineLow = low;
  const sineExponent = exponent;
  cosine();
  if (odd) {
    over(sineHigh, sineLow, sineExponent);
  } else {
    const cosineHigh = high;
    const cosineLow = low;
    const cosineExponent = exponent;
    setReal(sineHigh, sineLow, sineExponent);
    over(cosineHigh, cosineLow, cosineExponent);
  }
  return flags | finishReal(tan, (se & SIGN) ^ reducedSign ^ (odd ? SIGN : 0), cw);
}
