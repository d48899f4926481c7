/** FADD, FSUB, FMUL, FDIV, FSQRT (Intel SDM vol. 2A; tables 3-18 and on for infinities and zeros). */
import { exponent, fraction, high, product, quotient, sign, squareRoot, sum } from './arithmetic';
import {
  denormalStops,
  invalid,
  isDenormal,
  isInfinity,
  isNormal,
  normalExponent,
  normalize,
  put,
  screenOne,
  screenTwo,
} from './f80';
import { DE, EXP_MAX, MSB, RC_DOWN, RC_MASK, SIGN, ZE } from './flags';
import { roundF80 } from './round';

export function f80_add(dst: usize, a: usize, b: usize, cw: i32): i32 {
  return addSigned(dst, a, b, 0, cw);
}

export function f80_sub(dst: usize, a: usize, b: usize, cw: i32): i32 {
  return addSigned(dst, a, b, SIGN, cw);
}

function addSigned(dst: usize, a: usize, b: usize, flip: u32, cw: i32): i32 {
  const sigA = load<u64>(a);
  const sigB = load<u64>(b);
  const seA = u32(load<u16>(a, 8));
  const seB = u32(load<u16>(b, 8));
  let flags = 0;
  if (!isNormal(seA, sigA) || !isNormal(seB, sigB)) {
    flags = screenTwo(dst, seA, sigA, seB, sigB, cw);
    if (flags >= 0) return flags;
    const infiniteA = isInfinity(seA, sigA);
    const infiniteB = isInfinity(seB, sigB);
    if (infiniteA && infiniteB && seA != (seB ^ flip)) return invalid(dst, cw);
    if (denormalStops(seA, sigA, cw) || denormalStops(seB, sigB, cw)) return DE;
    flags = isDenormal(seA, sigA) || isDenormal(seB, sigB) ? DE : 0;
    if (infiniteA || infiniteB) {
      put(dst, infiniteA ? seA : seB ^ flip, MSB);
      return flags;
    }
    if (sigA == 0 || sigB == 0) {
      if (sigA == sigB) {
        put(dst, seA == (seB ^ flip) ? seA : zeroSign(cw), 0);
        return flags;
      }
      const se = sigA != 0 ? seA : seB ^ flip;
      const only = sigA | sigB;
      return flags | roundF80(dst, se & SIGN, normalExponent(se, only), normalize(only), 0, cw);
    }
  }
  sum(
    seA & SIGN,
    normalExponent(seA, sigA),
    normalize(sigA),
    (seB ^ flip) & SIGN,
    normalExponent(seB, sigB),
    normalize(sigB),
  );
  if (high == 0) {
    put(dst, zeroSign(cw), 0);
    return flags;
  }
  return flags | roundF80(dst, sign, exponent, high, fraction, cw);
}

/** The sign of x - x: negative only when rounding down. */
function zeroSign(cw: i32): u32 {
  return (cw & RC_MASK) == RC_DOWN ? SIGN : 0;
}

export function f80_mul(dst: usize, a: usize, b: usize, cw: i32): i32 {
  const sigA = load<u64>(a);
  const sigB = load<u64>(b);
  const seA = u32(load<u16>(a, 8));
  const seB = u32(load<u16>(b, 8));
  const negative = (seA ^ seB) & SIGN;
  let flags = 0;
  if (!isNormal(seA, sigA) || !isNormal(seB, sigB)) {
    flags = screenTwo(dst, seA, sigA, seB, sigB, cw);
    if (flags >= 0) return flags;
    const infinite = isInfinity(seA, sigA) || isInfinity(seB, sigB);
    const zero = sigA == 0 || sigB == 0;
    if (infinite && zero) return invalid(dst, cw);
    if (denormalStops(seA, sigA, cw) || denormalStops(seB, sigB, cw)) return DE;
    flags = isDenormal(seA, sigA) || isDenormal(seB, sigB) ? DE : 0;
    if (infinite || zero) {
      put(dst, infinite ? negative | EXP_MAX : negative, infinite ? MSB : 0);
      return flags;
    }
  }
  product(normalExponent(seA, sigA), normalize(sigA), normalExponent(seB, sigB), normalize(sigB));
  return flags | roundF80(dst, negative, exponent, high, fraction, cw);
}

/** a / b. */
export function f80_div(dst: usize, a: usize, b: usize, cw: i32): i32 {
  const sigA = load<u64>(a);
  const sigB = load<u64>(b);
  const seA = u32(load<u16>(a, 8));
  const seB = u32(load<u16>(b, 8));
  const negative = (seA ^ seB) & SIGN;
  let flags = 0;
  if (!isNormal(seA, sigA) || !isNormal(seB, sigB)) {
    flags = screenTwo(dst, seA, sigA, seB, sigB, cw);
    if (flags >= 0) return flags;
    const infiniteA = isInfinity(seA, sigA);
    const infiniteB = isInfinity(seB, sigB);
    if ((infiniteA && infiniteB) || (sigA == 0 && sigB == 0)) return invalid(dst, cw);
    if (sigB == 0 && !infiniteA) {
      if (cw & ZE) put(dst, negative | EXP_MAX, MSB);
      return ZE;
    }
    if (denormalStops(seA, sigA, cw) || denormalStops(seB, sigB, cw)) return DE;
    flags = isDenormal(seA, sigA) || isDenormal(seB, sigB) ? DE : 0;
    if (infiniteA || infiniteB || sigA == 0) {
      put(dst, infiniteA ? negative | EXP_MAX : negative, infiniteA ? MSB : 0);
      return flags;
    }
  }
  quotient(normalExponent(seA, sigA), normalize(sigA), normalExponent(seB, sigB), normalize(sigB));
  return flags | roundF80(dst, negative, exponent, high, fraction, cw);
}

export function f80_sqrt(dst: usize, a: usize, cw: i32): i32 {
  const sigA = load<u64>(a);
  const seA = u32(load<u16>(a, 8));
  let flags = screenOne(dst, seA, sigA, cw);
  if (flags >= 0) return flags;
  if (sigA == 0) {
    put(dst, seA, 0);
    return 0;
  }
  if (seA & SIGN) return invalid(dst, cw);
  if (denormalStops(seA, sigA, cw)) return DE;
  if (seA == EXP_MAX) {
    put(dst, seA, sigA);
    return 0;
  }
  flags = isDenormal(seA, sigA) ? DE : 0;
  squareRoot(normalExponent(seA, sigA), normalize(sigA));
  return flags | roundF80(dst, 0, exponent, high, fraction, cw);
}
