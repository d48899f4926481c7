/** FLD and FST of m32fp and m64fp (Intel SDM vol. 2A; vol. 1, 8.3.3). */
import { isNaN80, isUnsupported, normalExponent, normalize, put } from './f80';
import { DE, EXP_MAX, IE, OE, QUIET, RC_MASK, SIGN, UE } from './flags';
import {
  defaultNaN,
  flags as roundFlags,
  infinity,
  isDenormalBits,
  roundIeee,
  signBit,
  widen,
  wideSe,
  wideSignificand,
} from './ieee';

export function f80_from_f32(dst: usize, value: i32, cw: i32): i32 {
  return fromIeee(dst, u64(u32(value)), 24, cw);
}

export function f80_from_f64(dst: usize, value: i64, cw: i32): i32 {
  return fromIeee(dst, u64(value), 53, cw);
}

function fromIeee(dst: usize, value: u64, bits: i32, cw: i32): i32 {
  widen(value, bits);
  let flags = 0;
  let significand = wideSignificand;
  if (isDenormalBits(value, bits)) {
    flags = DE;
  } else if (isNaN80(wideSe, significand) && (significand & QUIET) == 0) {
    flags = IE;
    significand |= QUIET;
  }
  // Unlike everywhere else, unmasked #D does not stop the load.
  if ((flags & ~cw & IE) == 0) put(dst, wideSe, significand);
  return flags;
}

/**
 * A memory operand of arithmetic: exactly the same value, a signalling NaN included. Returns DE for a denormal, which the
 * 80-bit value no longer is; what it means is for `f80_meets_denormal` to say.
 */
export function f80_widen_f32(dst: usize, value: i32): i32 {
  return widenTo(dst, u64(u32(value)), 24);
}

export function f80_widen_f64(dst: usize, value: i64): i32 {
  return widenTo(dst, u64(value), 53);
}

function widenTo(dst: usize, value: u64, bits: i32): i32 {
  widen(value, bits);
  put(dst, wideSe, wideSignificand);
  return isDenormalBits(value, bits) ? DE : 0;
}

/** DE where an operation of `a` with a denormal gets as far as raising it: not for NaNs, nor when `a` is a divisor and 0. */
export function f80_meets_denormal(a: usize, divisor: bool): i32 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  if (isUnsupported(se, significand) || isNaN80(se, significand)) return 0;
  return divisor && significand == 0 ? 0 : DE;
}

/** Flags of the last `toIeee`. */
let flags: i32 = 0;

/** FST/FSTP m32fp: writes four bytes at `dst` unless an unmasked exception other than #P forbids. */
export function f80_to_f32(dst: usize, a: usize, cw: i32): i32 {
  const value = toIeee(a, 24, cw);
  if ((flags & ~cw & (IE | OE | UE)) == 0) store<u32>(dst, u32(value));
  return flags;
}

/** FST/FSTP m64fp: the same with eight bytes. */
export function f80_to_f64(dst: usize, a: usize, cw: i32): i32 {
  const value = toIeee(a, 53, cw);
  if ((flags & ~cw & (IE | OE | UE)) == 0) store<u64>(dst, value);
  return flags;
}

function toIeee(a: usize, bits: i32, cw: i32): u64 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  const signed: u64 = (se & SIGN) != 0 ? signBit(bits) : 0;
  flags = 0;
  if (isUnsupported(se, significand)) {
    flags = IE;
    return defaultNaN(bits);
  }
  if ((se & 0x7fff) == EXP_MAX) {
    if (significand << 1 == 0) return signed | infinity(bits);
    if ((significand & QUIET) == 0) flags = IE;
    return signed | infinity(bits) | (((significand | QUIET) << 1) >> (65 - bits));
  }
  if (significand == 0) return signed;
  const exponent = normalExponent(se, significand);
  const value = roundIeee(se & SIGN, exponent, normalize(significand), 0, bits, cw & RC_MASK, cw, false);
  // A store that does not happen was not rounded either.
  flags = (roundFlags & ~cw & (OE | UE)) != 0 ? roundFlags & (OE | UE) : roundFlags;
  return value;
}
