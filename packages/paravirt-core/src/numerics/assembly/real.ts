/**
 * Reals of the transcendental instructions: a 128-bit significand with its top bit set and a biased exponent as in the
 * 80-bit format. The last one is in `high`, `low`, `exponent`.
 */
import { put } from './f80';
import { EXP_BIAS, PE, UE } from './flags';
import { divideFixed, multiplyFixed, normalizeFixed, quotientBelowOne, rest, shiftRight, shifted } from './fixed';
import { roundFull } from './round';

export let high: u64 = 0;
export let low: u64 = 0;
export let exponent: i32 = 0;

export function setReal(h: u64, l: u64, e: i32): void {
  high = h;
  low = l;
  exponent = e;
}

/** Sets a nonzero fixed-point number, of which 2^`top` is the weight of the top bit. */
export function setFixed(h: u64, l: u64, top: i32): void {
  high = normalizeFixed(h, l);
  low = rest;
  exponent = EXP_BIAS + top - shifted;
}

/** Multiplies by another real. */
export function times(h: u64, l: u64, e: i32): void {
  high = normalizeFixed(multiplyFixed(high, low, h, l), rest);
  low = rest;
  exponent = exponent + e - EXP_BIAS + 1 - shifted;
}

/** Divides by another real. */
export function over(h: u64, l: u64, e: i32): void {
  high = divideFixed(high, low, h, l);
  low = rest;
  exponent = exponent - e + EXP_BIAS - i32(quotientBelowOne);
}

/** As a fixed-point number whose top bit weighs 2^`top`, cut off; the low word is in `rest`. */
export function toFixed(top: i32): u64 {
  return shiftRight(high, low, EXP_BIAS + top - exponent);
}

/** Rounds an irrational result: never exact, whatever the bits say. Returns the flags. */
export function finishReal(dst: usize, sign: u32, cw: i32): i32 {
  return PE | roundFull(dst, sign, exponent, high, low | 1, cw);
}

/** Rounds a result that may happen to be exact. Processors report PE, and UE for tiny results, all the same. */
export function finishExact(dst: usize, sign: u32, cw: i32): i32 {
  const tiny = exponent <= 0 ? UE : 0;
  return PE | tiny | roundFull(dst, sign, exponent, high, low, cw);
}

/** Copies an operand that is its own result. */
export function copy(dst: usize, se: u32, significand: u64): i32 {
  put(dst, se, significand);
  return 0;
}
