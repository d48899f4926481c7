/**
 * SSE scalar arithmetic on bit patterns, for every operand, rounding control and mask (Intel SDM vol. 1, 11.5; table 4-7
 * for NaNs: the first operand's wins). `sse.ts` calls this when its short cuts do not apply.
 */
import { exponent, fraction, high, product, quotient, sign, squareRoot, sum } from './arithmetic';
import {
  DE,
  EXP_MAX,
  IE,
  MXCSR_DAZ,
  MXCSR_FTZ,
  MXCSR_MASKS_SHIFT,
  MXCSR_RC_SHIFT,
  QUIET,
  RC_DOWN,
  RC_MASK,
  SIGN,
  ZE,
} from './flags';
import {
  defaultNaN,
  flags as roundFlags,
  infinity,
  isDenormalBits,
  quietBit,
  roundIeee,
  signBit,
  widen,
  wideSe,
  wideSignificand,
} from './ieee';
import { flags as integerFlags, toInteger } from './integer';

/** Flags of the last operation: MXCSR bits 0 to 5. The short cuts of `sse.ts` set them by `setFlags`. */
export let sse_flags: i32 = 0;
export function setFlags(flags: i32): void {
  sse_flags = flags;
}

export const ADD: i32 = 0;
export const SUB: i32 = 1;
export const MUL: i32 = 2;
export const DIV: i32 = 3;

function isNaNBits(value: u64, bits: i32): bool {
  return (value & (signBit(bits) - 1)) > infinity(bits);
}

/** Denormals as signed zeros, where MXCSR says so. */
function denormalsAreZeros(value: u64, bits: i32, mxcsr: i32): u64 {
  return (mxcsr & MXCSR_DAZ) != 0 && isDenormalBits(value, bits) ? value & signBit(bits) : value;
}

function propagate(value: u64, other: u64, bits: i32): u64 {
  const quiet = quietBit(bits);
  const signalling =
    (isNaNBits(value, bits) && (value & quiet) == 0) || (isNaNBits(other, bits) && (other & quiet) == 0);
  sse_flags = signalling ? IE : 0;
  return (isNaNBits(value, bits) ? value : other) | quiet;
}

function invalid(bits: i32): u64 {
  sse_flags = IE;
  return defaultNaN(bits);
}

/** Rounds a result under MXCSR, on top of the flags so far (DE). Only PE, UE and OE matter to MXCSR, not C1. */
function finish(negative: u32, exp: i32, hi: u64, lo: u64, bits: i32, mxcsr: i32, flags: i32): u64 {
  const rc = (mxcsr >> MXCSR_RC_SHIFT) & RC_MASK;
  const masks = mxcsr >> MXCSR_MASKS_SHIFT;
  const result = roundIeee(negative, exp, hi, lo, bits, rc, masks, (mxcsr & MXCSR_FTZ) != 0);
  sse_flags = flags | (roundFlags & 0x3f);
  return result;
}

/** Whether an unmasked #D ends the operation; then the flag is set. */
function stopsAt(flags: i32, mxcsr: i32): bool {
  if ((flags & ~(mxcsr >> MXCSR_MASKS_SHIFT)) == 0) return false;
  sse_flags = flags;
  return true;
}

export function arithmetic(operation: i32, a: u64, b: u64, bits: i32, mxcsr: i32): u64 {
  if (isNaNBits(a, bits) || isNaNBits(b, bits)) return propagate(a, b, bits);
  a = denormalsAreZeros(a, bits, mxcsr);
  b = denormalsAreZeros(b, bits, mxcsr);
  const flags = isDenormalBits(a, bits) || isDenormalBits(b, bits) ? DE : 0;
  if (operation == SUB) b ^= signBit(bits);
  widen(a, bits);
  const seA = wideSe;
  const sigA = wideSignificand;
  widen(b, bits);
  const seB = wideSe;
  const sigB = wideSignificand;
  const signs = (a ^ b) & signBit(bits);
  const infiniteA = (seA & 0x7fff) == EXP_MAX;
  const infiniteB = (seB & 0x7fff) == EXP_MAX;
  const expA = i32(seA & 0x7fff);
  const expB = i32(seB & 0x7fff);

  if (operation <= SUB) {
    if (infiniteA && infiniteB && signs != 0) return invalid(bits);
    if (stopsAt(flags, mxcsr)) return 0;
    sse_flags = flags;
    if (infiniteA) return a;
    if (infiniteB) return b;
    const down = ((mxcsr >> MXCSR_RC_SHIFT) & RC_MASK) == RC_DOWN;
    if ((sigA | sigB) == 0) return signs == 0 ? a : down ? signBit(bits) : 0;
    if (sigA == 0) return finish(seB & SIGN, expB, sigB, 0, bits, mxcsr, flags);
    if (sigB == 0) return finish(seA & SIGN, expA, sigA, 0, bits, mxcsr, flags);
    sum(seA & SIGN, expA, sigA, seB & SIGN, expB, sigB);
    if (high == 0) return down ? signBit(bits) : 0;
    return finish(sign, exponent, high, fraction, bits, mxcsr, flags);
  }
  const negative: u32 = signs != 0 ? SIGN : 0;
  if (operation == MUL) {
    if ((infiniteA && sigB == 0) || (infiniteB && sigA == 0)) return invalid(bits);
    if (stopsAt(flags, mxcsr)) return 0;
    sse_flags = flags;
    if (infiniteA || infiniteB) return signs | infinity(bits);
    if (sigA == 0 || sigB == 0) return signs;
    product(expA, sigA, expB, sigB);
  } else {
    if ((infiniteA && infiniteB) || (sigA | sigB) == 0) return invalid(bits);
    if (sigB == 0 && !infiniteA) {
      sse_flags = ZE;
      return signs | infinity(bits);
    }
    if (stopsAt(flags, mxcsr)) return 0;
    sse_flags = flags;
    if (infiniteA) return signs | infinity(bits);
    if (infiniteB || sigA == 0) return signs;
    quotient(expA, sigA, expB, sigB);
  }
  return finish(negative, exponent, high, fraction, bits, mxcsr, flags);
}

export function root(a: u64, bits: i32, mxcsr: i32): u64 {
  if (isNaNBits(a, bits)) return propagate(a, a, bits);
  a = denormalsAreZeros(a, bits, mxcsr);
  const flags = isDenormalBits(a, bits) ? DE : 0;
  widen(a, bits);
  sse_flags = 0;
  if (wideSignificand == 0) return a;
  if ((wideSe & SIGN) != 0) return invalid(bits);
  if (stopsAt(flags, mxcsr) || wideSe == EXP_MAX) return a;
  squareRoot(i32(wideSe), wideSignificand);
  return finish(0, exponent, high, fraction, bits, mxcsr, flags);
}

/** Order of two patterns that are not NaNs, as signed integers. */
function ordered(value: u64, bits: i32): i64 {
  const magnitude = i64(value & (signBit(bits) - 1));
  return (value & signBit(bits)) != 0 ? -magnitude : magnitude;
}

/** MINSS and its kin: the second operand whenever the first does not win, NaNs and zeros included. */
export function extreme(max: bool, a: u64, b: u64, bits: i32, mxcsr: i32): u64 {
  a = denormalsAreZeros(a, bits, mxcsr);
  b = denormalsAreZeros(b, bits, mxcsr);
  if (isNaNBits(a, bits) || isNaNBits(b, bits)) {
    sse_flags = IE;
    return b;
  }
  sse_flags = isDenormalBits(a, bits) || isDenormalBits(b, bits) ? DE : 0;
  const x = ordered(a, bits);
  const y = ordered(b, bits);
  const first = max ? x > y : x < y;
  return first ? a : b;
}

const ZF: i32 = 0x40;
const PF: i32 = 0x04;
const CF: i32 = 0x01;

export function compareBits(a: u64, b: u64, quiet: bool, bits: i32, mxcsr: i32): i32 {
  a = denormalsAreZeros(a, bits, mxcsr);
  b = denormalsAreZeros(b, bits, mxcsr);
  if (isNaNBits(a, bits) || isNaNBits(b, bits)) {
    propagate(a, b, bits);
    if (!quiet) sse_flags = IE;
    return ZF | PF | CF;
  }
  sse_flags = isDenormalBits(a, bits) || isDenormalBits(b, bits) ? DE : 0;
  const x = ordered(a, bits);
  const y = ordered(b, bits);
  return x == y ? ZF : x < y ? CF : 0;
}

export function fromInteger(value: i64, bits: i32, mxcsr: i32): u64 {
  sse_flags = 0;
  if (value == 0) return 0;
  const magnitude = u64(value < 0 ? -value : value);
  const shift = i32(clz(magnitude));
  return finish(value < 0 ? SIGN : 0, 16383 + 63 - shift, magnitude << shift, 0, bits, mxcsr, 0);
}

/** CVTSS2SI and its kin. `rc` is as in the control word. A denormal raises only PE. */
export function toIntegerBits(a: u64, width: i32, rc: i32, bits: i32, mxcsr: i32): i64 {
  widen(denormalsAreZeros(a, bits, mxcsr), bits);
  const value = toInteger(wideSe, wideSignificand, width, rc);
  sse_flags = integerFlags & 0x3f;
  return value;
}

export function widenSingle(a: u64, mxcsr: i32): u64 {
  a = denormalsAreZeros(a, 24, mxcsr);
  widen(a, 24);
  const signed: u64 = (wideSe & SIGN) != 0 ? signBit(53) : 0;
  sse_flags = 0;
  if (isNaNBits(a, 24)) {
    if ((wideSignificand & QUIET) == 0) sse_flags = IE;
    return signed | infinity(53) | quietBit(53) | ((wideSignificand << 1) >> 12);
  }
  if ((wideSe & 0x7fff) == EXP_MAX) return signed | infinity(53);
  if (wideSignificand == 0) return signed;
  const flags = isDenormalBits(a, 24) ? DE : 0;
  return finish(wideSe & SIGN, i32(wideSe & 0x7fff), wideSignificand, 0, 53, mxcsr, flags);
}

export function narrowDouble(a: u64, mxcsr: i32): u64 {
  a = denormalsAreZeros(a, 53, mxcsr);
  widen(a, 53);
  const signed: u64 = (wideSe & SIGN) != 0 ? signBit(24) : 0;
  sse_flags = 0;
  if (isNaNBits(a, 53)) {
    if ((wideSignificand & QUIET) == 0) sse_flags = IE;
    return signed | infinity(24) | quietBit(24) | ((wideSignificand << 1) >> 41);
  }
  if ((wideSe & 0x7fff) == EXP_MAX) return signed | infinity(24);
  if (wideSignificand == 0) return signed;
  const flags = isDenormalBits(a, 53) ? DE : 0;
  if (stopsAt(flags, mxcsr)) return 0;
  return finish(wideSe & SIGN, i32(wideSe & 0x7fff), wideSignificand, 0, 24, mxcsr, flags);
}
