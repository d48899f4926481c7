/**
 * The 32-bit and 64-bit formats (Intel SDM vol. 1, 4.2.2, 4.8), named by the bits of their significand: 24 or 53.
 * Values are bit patterns in the low bits of a u64.
 */
import { C1, EXP_BIAS, EXP_MAX, MSB, OE, PE, RC_NEAREST, SIGN, UE } from './flags';
import { roundsUp } from './round';
import { low, shiftRightJam } from './wide';

/** Sign and exponent, and significand, of the last `widen`, as the 80-bit format has them. */
export let wideSe: u32 = 0;
export let wideSignificand: u64 = 0;
/** Flags of the last `roundIeee`: OE, UE, PE, and C1. */
export let flags: i32 = 0;

export function signBit(bits: i32): u64 {
  return bits == 24 ? 0x80000000 : MSB;
}

/** The bit pattern of +infinity. */
export function infinity(bits: i32): u64 {
  return bits == 24 ? 0x7f800000 : 0x7ff0000000000000;
}

/** The bit that tells a quiet NaN. */
export function quietBit(bits: i32): u64 {
  return u64(1) << (bits - 2);
}

/** The response to a masked invalid operation. */
export function defaultNaN(bits: i32): u64 {
  return signBit(bits) | infinity(bits) | quietBit(bits);
}

export function isDenormalBits(value: u64, bits: i32): bool {
  return (value & infinity(bits)) == 0 && (value & (signBit(bits) - 1)) != 0;
}

/** Exactly the same value as an 80-bit value; denormals become normal, NaNs keep their payload and their kind. */
export function widen(value: u64, bits: i32): void {
  const sign: u32 = (value & signBit(bits)) != 0 ? SIGN : 0;
  const exponentMask = i32(infinity(bits) >> (bits - 1));
  const exponent = i32(value >> (bits - 1)) & exponentMask;
  const significand = (value & ((u64(1) << (bits - 1)) - 1)) << (64 - bits);
  if (exponent == 0) {
    if (significand == 0) {
      wideSe = sign;
      wideSignificand = 0;
      return;
    }
    const shift = i32(clz(significand));
    wideSe = sign | u32(EXP_BIAS - (exponentMask >> 1) + 1 - shift);
    wideSignificand = significand << shift;
    return;
  }
  wideSe = sign | u32(exponent == exponentMask ? EXP_MAX : exponent + EXP_BIAS - (exponentMask >> 1));
  wideSignificand = significand | MSB;
}

/**
 * Rounds a result (see `round.ts`) into the format. `masks` has the exception masks in bits 0 to 5: where overflow or
 * underflow is unmasked the instruction has no result, and only `flags` counts. `flush` turns tiny results into zero.
 */
export function roundIeee(
  sign: u32,
  exponent: i32,
  high: u64,
  fraction: u64,
  bits: i32,
  rc: i32,
  masks: i32,
  flush: bool,
): u64 {
  const signed: u64 = sign != 0 ? signBit(bits) : 0;
  const exponentMask = i32(infinity(bits) >> (bits - 1));
  let narrow = exponent - EXP_BIAS + (exponentMask >> 1);
  const drop = 64 - bits;
  const unit: u64 = u64(1) << drop;
  let below = (high << bits) | u64(fraction != 0);
  let up = below != 0 && roundsUp(sign, (high & unit) != 0, below, rc);
  const rounded = (high >> drop) + u64(up);
  flags = below != 0 ? (up ? PE | C1 : PE) : 0;
  const carry = rounded >> bits != 0;
  if (narrow + i32(carry) >= exponentMask) {
    if ((masks & OE) == 0) {
      flags |= OE;
      return 0;
    }
    const toInfinity = rc == RC_NEAREST || roundsUp(sign, false, 1, rc);
    flags = toInfinity ? OE | PE | C1 : OE | PE;
    return signed | (toInfinity ? infinity(bits) : infinity(bits) - 1);
  }
  // The integer bit adds one to the exponent, and a carry another one.
  if (narrow > 0) return signed | ((u64(narrow - 1) << (bits - 1)) + rounded);

  const tiny = narrow + i32(carry) <= 0;
  if (tiny && (masks & UE) == 0) {
    flags |= UE;
    return 0;
  }
  if (tiny && flush) {
    flags = UE | PE;
    return signed;
  }
  high = shiftRightJam(high, fraction, 1 - narrow);
  fraction = low;
  below = (high << bits) | u64(fraction != 0);
  up = below != 0 && roundsUp(sign, (high & unit) != 0, below, rc);
  flags = below != 0 ? (up ? PE | C1 : PE) | (tiny ? UE : 0) : 0;
  return signed | ((high >> drop) + u64(up));
}
