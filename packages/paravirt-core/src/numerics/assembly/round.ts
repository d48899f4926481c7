/**
 * Rounding a result into the 80-bit format. A result is sign (0 or 0x8000), biased exponent (any size), a normalized
 * significand and a 64-bit fraction below it whose bit 0 is sticky (Intel SDM vol. 1, 4.8.4, 4.9.1, 8.1.5, 8.5).
 */
import { put } from './f80';
import {
  C1,
  EXP_MAX,
  MSB,
  OE,
  PC_24,
  PC_53,
  PC_64,
  PC_MASK,
  PE,
  RC_CHOP,
  RC_DOWN,
  RC_MASK,
  RC_NEAREST,
  SIGN,
  UE,
  WRAP_BIAS,
} from './flags';
import { low, shiftRightJam } from './wide';

/** Whether a magnitude with a nonzero fraction grows by one unit. `odd` is the last bit that stays. */
export function roundsUp(sign: u32, odd: bool, fraction: u64, rc: i32): bool {
  if (rc == RC_NEAREST) return fraction > MSB || (fraction == MSB && odd);
  if (rc == RC_CHOP) return false;
  return (rc == RC_DOWN) == (sign != 0);
}

/** Rounds under rounding and precision control and writes the result. Returns OE, UE, PE and C1. */
export function roundF80(dst: usize, sign: u32, exponent: i32, high: u64, fraction: u64, cw: i32): i32 {
  const pc = cw & PC_MASK;
  if (pc == PC_24) return roundExtreme(dst, sign, exponent, high, fraction, cw, 24);
  if (pc == PC_53) return roundExtreme(dst, sign, exponent, high, fraction, cw, 53);
  return roundFull(dst, sign, exponent, high, fraction, cw);
}

/** The same for instructions that ignore precision control: always 64 bits. */
export function roundFull(dst: usize, sign: u32, exponent: i32, high: u64, fraction: u64, cw: i32): i32 {
  // One below the largest exponent, so that a carry stays in range.
  if (u32(exponent - 1) >= 0x7ffd) return roundExtreme(dst, sign, exponent, high, fraction, cw, 64);
  if (fraction == 0) {
    put(dst, sign | exponent, high);
    return 0;
  }
  if (!roundsUp(sign, (high & 1) != 0, fraction, cw & RC_MASK)) {
    put(dst, sign | exponent, high);
    return PE;
  }
  high++;
  if (high == 0) put(dst, sign | (exponent + 1), MSB);
  else put(dst, sign | exponent, high);
  return PE | C1;
}

/** Any precision and any exponent. */
function roundExtreme(dst: usize, sign: u32, exponent: i32, high: u64, fraction: u64, cw: i32, bits: i32): i32 {
  const rc = cw & RC_MASK;
  const drop = 64 - bits;
  const unit: u64 = u64(1) << drop;
  const keep: u64 = 0 - unit;
  const below = drop != 0 ? (high << bits) | u64(fraction != 0) : fraction;
  const up = below != 0 && roundsUp(sign, (high & unit) != 0, below, rc);
  let rounded = (high & keep) + (up ? unit : u64(0));
  const carry = up && rounded == 0;
  if (carry) rounded = MSB;
  const inexact = below != 0 ? (up ? PE | C1 : PE) : 0;
  const final = exponent + i32(carry);

  if (final >= EXP_MAX) return overflow(dst, sign, final, rounded, inexact, cw, keep);
  if (exponent > 0) {
    put(dst, sign | final, rounded);
    return inexact;
  }
  // Tininess is detected after rounding to the precision in use, with an unbounded exponent.
  const tiny = final <= 0;
  if (tiny && (cw & UE) == 0) {
    // Only FSCALE gets further out than the bias reaches back: zero then, under any rounding control.
    if (final + WRAP_BIAS <= 0) {
      put(dst, sign, 0);
      return UE | PE;
    }
    put(dst, sign | (final + WRAP_BIAS), rounded);
    return UE | inexact;
  }
  return denormalize(dst, sign, exponent, high, fraction, rc, bits, tiny);
}

function denormalize(
  dst: usize,
  sign: u32,
  exponent: i32,
  high: u64,
  fraction: u64,
  rc: i32,
  bits: i32,
  tiny: bool,
): i32 {
  const drop = 64 - bits;
  const unit: u64 = u64(1) << drop;
  high = shiftRightJam(high, fraction, 1 - exponent);
  fraction = low;
  const below = drop != 0 ? (high << bits) | u64(fraction != 0) : fraction;
  const up = below != 0 && roundsUp(sign, (high & unit) != 0, below, rc);
  const rounded = (high & (0 - unit)) + (up ? unit : u64(0));
  // A carry into the integer bit makes the smallest normal number.
  put(dst, sign | u32(rounded >> 63), rounded);
  if (below == 0) return 0;
  return (up ? PE | C1 : PE) | (tiny ? UE : 0);
}

function overflow(dst: usize, sign: u32, exponent: i32, rounded: u64, inexact: i32, cw: i32, largest: u64): i32 {
  const rc = cw & RC_MASK;
  if ((cw & OE) == 0) {
    if (exponent - WRAP_BIAS < EXP_MAX) {
      put(dst, sign | (exponent - WRAP_BIAS), rounded);
      return OE | inexact;
    }
    // Only FSCALE gets that far: infinity, under any rounding control.
    put(dst, sign | EXP_MAX, MSB);
    return OE | PE | C1;
  }
  if (rc == RC_NEAREST || roundsUp(sign, false, 1, rc)) {
    put(dst, sign | EXP_MAX, MSB);
    return OE | PE | C1;
  }
  put(dst, sign | (EXP_MAX - 1), largest);
  return OE | PE;
}
