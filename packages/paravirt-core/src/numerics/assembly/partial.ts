/** FPREM, FPREM1, FRNDINT, FSCALE, FXTRACT (Intel SDM vol. 2A). All ignore precision control. */
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
import { C0, C1, C2, C3, DE, EXP_BIAS, EXP_MAX, MSB, PE, RC_MASK, SIGN, ZE } from './flags';
import { roundFull, roundsUp } from './round';

/**
 * The remainder of a by b: of the truncated quotient (FPREM), or of the quotient rounded to nearest even (`nearest`,
 * FPREM1). The low three bits of the quotient come in C0, C3, C1. When the exponents are 64 or more apart the result is
 * only a reduction by 32 to 63 bits, told by C2.
 */
export function f80_rem(dst: usize, a: usize, b: usize, nearest: bool, cw: i32): i32 {
  const sigA = load<u64>(a);
  const sigB = load<u64>(b);
  const seA = u32(load<u16>(a, 8));
  const seB = u32(load<u16>(b, 8));
  const screened = screenTwo(dst, seA, sigA, seB, sigB, cw);
  if (screened >= 0) return screened;
  if (isInfinity(seA, sigA) || sigB == 0) return invalid(dst, cw);
  if (denormalStops(seA, sigA, cw) || denormalStops(seB, sigB, cw)) return DE;
  const flags = isDenormal(seA, sigA) || isDenormal(seB, sigB) ? DE : 0;
  if (sigA == 0) {
    put(dst, seA, 0);
    return flags;
  }
  let sign = seA & SIGN;
  const expA = normalExponent(seA, sigA);
  const expB = normalExponent(seB, sigB);
  let r = normalize(sigA);
  const divisor = normalize(sigB);
  const apart = expA - expB;
  const closest = nearest ? -1 : 0;
  if (isInfinity(seB, sigB) || apart < closest) return flags | roundFull(dst, sign, expA, r, 0, cw);

  if (apart >= 64) {
    const steps = (apart & 0x1f) | 0x20;
    r = reduce(r, divisor, steps);
    return flags | C2 | finish(dst, sign, expA - steps, r, cw);
  }
  let q: u64 = 0;
  if (apart >= 0) {
    r = reduce(r, divisor, apart);
    q = quotient;
  }
  if (nearest) {
    // Compare 2r with the divisor; with the exponents one apart r is a itself, in units of half as much.
    const twice = apart < 0 ? r : r << 1;
    const carry = apart >= 0 && i64(r) < 0;
    if (carry || twice > divisor || (twice == divisor && (q & 1) != 0)) {
      q++;
      sign ^= SIGN;
      if (apart < 0) {
        // b - a in half units: 2 * divisor - r, below 2^64 because r is above the divisor.
        return flags | quotientBits(q) | finish(dst, sign, expA, divisor + (divisor - r), cw);
      }
      r = divisor - r;
    }
    if (apart < 0) return flags | quotientBits(q) | finish(dst, sign, expA, r, cw);
  }
  return flags | quotientBits(q) | finish(dst, sign, expB, r, cw);
}

/** Low word of the last quotient of `reduce`. */
let quotient: u64 = 0;

/** r * 2^steps modulo the divisor, both with the top bit set at first. */
function reduce(r: u64, divisor: u64, steps: i32): u64 {
  let q: u64 = 0;
  if (r >= divisor) {
    r -= divisor;
    q = 1;
  }
  for (; steps > 0; steps--) {
    const carry = i64(r) < 0;
    r <<= 1;
    q <<= 1;
    if (carry || r >= divisor) {
      r -= divisor;
      q |= 1;
    }
  }
  quotient = q;
  return r;
}

function quotientBits(q: u64): i32 {
  return ((q & 4) != 0 ? C0 : 0) | ((q & 2) != 0 ? C3 : 0) | ((q & 1) != 0 ? C1 : 0);
}

function finish(dst: usize, sign: u32, exponent: i32, r: u64, cw: i32): i32 {
  if (r == 0) {
    put(dst, sign, 0);
    return 0;
  }
  const shift = i32(clz(r));
  return roundFull(dst, sign, exponent - shift, r << shift, 0, cw);
}

/** Rounds to an integer by rounding control. */
export function f80_rndint(dst: usize, a: usize, cw: i32): i32 {
  const sigA = load<u64>(a);
  const seA = u32(load<u16>(a, 8));
  const screened = screenOne(dst, seA, sigA, cw);
  if (screened >= 0) return screened;
  const exponent = i32(seA & 0x7fff);
  if (exponent >= EXP_BIAS + 63 || sigA == 0) {
    put(dst, seA, sigA);
    return 0;
  }
  if (denormalStops(seA, sigA, cw)) return DE;
  const flags = exponent == 0 ? DE : 0;
  const sign = seA & SIGN;
  const rc = cw & RC_MASK;
  if (exponent < EXP_BIAS) {
    // Below 1: half is the fraction 2^63, and everything smaller only has to be less.
    const fraction = exponent == EXP_BIAS - 1 ? sigA : 1;
    const up = roundsUp(sign, false, fraction, rc);
    put(dst, up ? sign | EXP_BIAS : sign, up ? MSB : 0);
    return flags | (up ? PE | C1 : PE);
  }
  const whole = exponent - EXP_BIAS + 1; // integer bits, 1 to 63
  const fraction = sigA << whole;
  if (fraction == 0) {
    put(dst, seA, sigA);
    return flags;
  }
  const unit: u64 = u64(1) << (64 - whole);
  const kept = sigA & (0 - unit);
  if (!roundsUp(sign, (sigA & unit) != 0, fraction, rc)) {
    put(dst, seA, kept);
    return flags | PE;
  }
  const grown = kept + unit;
  if (grown == 0) put(dst, seA + 1, MSB);
  else put(dst, seA, grown);
  return flags | PE | C1;
}

/** a * 2^trunc(b). */
export function f80_scale(dst: usize, a: usize, b: usize, cw: i32): i32 {
  const sigA = load<u64>(a);
  const sigB = load<u64>(b);
  const seA = u32(load<u16>(a, 8));
  const seB = u32(load<u16>(b, 8));
  const screened = screenTwo(dst, seA, sigA, seB, sigB, cw);
  if (screened >= 0) return screened;
  const infiniteA = isInfinity(seA, sigA);
  const infiniteB = isInfinity(seB, sigB);
  const negativeB = (seB & SIGN) != 0;
  if (infiniteB && (negativeB ? infiniteA : sigA == 0)) return invalid(dst, cw);
  if (denormalStops(seA, sigA, cw) || denormalStops(seB, sigB, cw)) return DE;
  const flags = isDenormal(seA, sigA) || isDenormal(seB, sigB) ? DE : 0;
  const sign = seA & SIGN;
  if (infiniteB) {
    put(dst, negativeB ? sign : sign | EXP_MAX, negativeB ? 0 : MSB);
    return flags;
  }
  if (infiniteA || sigA == 0) {
    put(dst, seA, sigA);
    return flags;
  }
  let by = 0;
  const expB = i32(seB & 0x7fff);
  // 2^16 reaches past every exponent.
  if (expB >= EXP_BIAS + 16) by = 0x10000;
  else if (expB >= EXP_BIAS) by = i32(sigB >> (63 - (expB - EXP_BIAS)));
  if (negativeB) by = -by;
  return flags | roundFull(dst, sign, normalExponent(seA, sigA) + by, normalize(sigA), 0, cw);
}

/** Writes the significand of a, in [1, 2), to `significand` and its exponent to `power`. */
export function f80_extract(significand: usize, power: usize, a: usize, cw: i32): i32 {
  const sigA = load<u64>(a);
  const seA = u32(load<u16>(a, 8));
  const screened = screenOne(significand, seA, sigA, cw);
  if (screened >= 0) {
    // Nothing at all is written when the exception is unmasked.
    if ((screened & ~cw) == 0) {
      const quieted = load<u64>(significand);
      put(power, load<u16>(significand, 8), quieted);
    }
    return screened;
  }
  if (sigA == 0) {
    if ((cw & ZE) == 0) return ZE;
    put(significand, seA, 0);
    put(power, SIGN | EXP_MAX, MSB);
    return ZE;
  }
  if (isInfinity(seA, sigA)) {
    put(significand, seA, sigA);
    put(power, EXP_MAX, MSB);
    return 0;
  }
  if (denormalStops(seA, sigA, cw)) return DE;
  put(significand, (seA & SIGN) | EXP_BIAS, normalize(sigA));
  const exponent = normalExponent(seA, sigA) - EXP_BIAS;
  if (exponent == 0) {
    put(power, 0, 0);
  } else {
    const magnitude = u64(exponent < 0 ? -exponent : exponent);
    const shift = i32(clz(magnitude));
    put(power, (exponent < 0 ? SIGN : 0) | (EXP_BIAS + 63 - shift), magnitude << shift);
  }
  return isDenormal(seA, sigA) ? DE : 0;
}
