/**
 * The 80-bit format as it lies in a 16-byte slot: the 64-bit significand with its explicit integer bit at offset 0, sign
 * and 15-bit biased exponent at offset 8 (Intel SDM vol. 1, 4.2.2, 8.2). Classes of values and the masked responses that
 * every instruction shares. A word "se" is sign and exponent as they lie.
 */
import { DE, EXP_MAX, IE, MSB, QUIET, SIGN } from './flags';

export function put(dst: usize, se: u32, significand: u64): void {
  store<u64>(dst, significand);
  store<u16>(dst, u16(se), 8);
}

/** A finite value that is neither zero nor denormal, in a supported encoding. */
export function isNormal(se: u32, significand: u64): bool {
  return (se & 0x7fff) - 1 < 0x7ffe && i64(significand) < 0;
}

/** Unnormals, pseudo-NaNs and pseudo-infinities: no integer bit where the exponent demands one (SDM vol. 1, 8.2.2). */
export function isUnsupported(se: u32, significand: u64): bool {
  return (se & 0x7fff) != 0 && i64(significand) >= 0;
}

export function isNaN80(se: u32, significand: u64): bool {
  return (se & 0x7fff) == EXP_MAX && significand << 1 != 0;
}

export function isInfinity(se: u32, significand: u64): bool {
  return (se & 0x7fff) == EXP_MAX && significand << 1 == 0;
}

/** Denormals, and pseudo-denormals: with the integer bit set they have the value of exponent 1, and still raise #D. */
export function isDenormal(se: u32, significand: u64): bool {
  return (se & 0x7fff) == 0 && significand != 0;
}

/** Biased exponent of a finite nonzero value after `normalize`; zero or negative for denormals. */
export function normalExponent(se: u32, significand: u64): i32 {
  const exponent = i32(se & 0x7fff);
  return exponent != 0 ? exponent : 1 - i32(clz(significand));
}

export function normalize(significand: u64): u64 {
  return i64(significand) < 0 ? significand : significand << clz(significand);
}

/** Response to #IA: the default NaN when masked, no write when not. */
export function invalid(dst: usize, cw: i32): i32 {
  if (cw & IE) put(dst, 0xffff, MSB | QUIET);
  return IE;
}

/** Writes and returns DE when a denormal operand may be used, or only returns -1 when #D is unmasked. */
export function denormalStops(se: u32, significand: u64, cw: i32): bool {
  return (cw & DE) == 0 && isDenormal(se, significand);
}

/**
 * The part of a one-operand instruction that precedes it: unsupported encodings and NaNs.
 * Returns the flags when the instruction is done with that, or -1 when the operand is a number.
 */
export function screenOne(dst: usize, se: u32, significand: u64, cw: i32): i32 {
  if (isUnsupported(se, significand)) return invalid(dst, cw);
  if (!isNaN80(se, significand)) return -1;
  const flags = significand & QUIET ? 0 : IE;
  if (flags == 0 || (cw & IE) != 0) put(dst, se, significand | QUIET);
  return flags;
}

/**
 * The same for two operands. Of two NaNs a quiet one wins over a signalling one, then the larger significand, then the
 * positive sign (SDM vol. 1, table 4-7).
 */
export function screenTwo(dst: usize, seA: u32, a: u64, seB: u32, b: u64, cw: i32): i32 {
  if (isUnsupported(seA, a) || isUnsupported(seB, b)) return invalid(dst, cw);
  const nanA = isNaN80(seA, a);
  const nanB = isNaN80(seB, b);
  if (!nanA && !nanB) return -1;
  const signallingA = nanA && (a & QUIET) == 0;
  const signallingB = nanB && (b & QUIET) == 0;
  const flags = signallingA || signallingB ? IE : 0;
  if (flags != 0 && (cw & IE) == 0) return flags;
  let first = nanA;
  if (nanA && nanB) {
    if (signallingA != signallingB) first = signallingB;
    else if (a != b) first = a > b;
    else first = (seA & SIGN) == 0;
  }
  if (first) put(dst, seA, a | QUIET);
  else put(dst, seB, b | QUIET);
  return flags;
}
