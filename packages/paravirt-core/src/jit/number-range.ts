/**
 * Bounds of numbers that compiled code knows without having computed anything: enough to say that no result is infinite, denormal or a
 * NaN, so that SSE arithmetic on them raises nothing but PE (SDM vol. 1, 11.5.2).
 *
 * Each number is 0 or a multiple of 2^unit, and not larger than 2^most. Sums stay multiples of the smaller unit, rounded or not, and so do
 * products of the units' product; so what is not 0 never gets smaller than the unit.
 */
import type { FloatOperation } from '../isa/build.ts';

/** A multiple of 2^unit up to 2^most, or 0. */
export interface NumberRange {
  readonly unit: number;
  readonly most: number;
}
export type Bits = 32 | 64;

/**
 * `digits` of the significand, the exponents of normal numbers, and `spread`: *plain* numbers are 0, or from 2^-spread to below
 * 2^(spread + 1). It is as large as it may be for what one operation makes of two plain numbers to fit.
 */
export const NUMBERS = {
  32: { digits: 24, least: -126, most: 127, bias: 127, spread: 39 },
  64: { digits: 53, least: -1022, most: 1023, bias: 1023, spread: 288 },
} as const;

/** All that is 0. */
export const ZERO: NumberRange = { unit: Infinity, most: -Infinity };
export function plain(bits: Bits, spread: number = NUMBERS[bits].spread): NumberRange {
  const { digits } = NUMBERS[bits];
  return { unit: 1 - digits - spread, most: spread + 1 };
}
/** Integers of 32 bits. */
export const INTEGER: NumberRange = { unit: 0, most: 31 };

/**
 * The range of `x operation y`. A divisor has to be plain, and not 0; the operand of a root, `y`, not negative. Holds only where the result
 * `isSafe`.
 */
export function rangeOf(operation: FloatOperation, bits: Bits, x: NumberRange, y: NumberRange): NumberRange {
  const { digits, spread } = NUMBERS[bits];
  switch (operation) {
    case 'add':
    case 'sub':
      return { unit: Math.min(x.unit, y.unit), most: Math.max(x.most, y.most) + 1 };
    case 'mul':
      return { unit: x.unit + y.unit, most: x.most + y.most };
    case 'div':
      // At least 2^(unit - spread - 1) where it is not 0, and what its last digit counts lies that far below.
      return { unit: x.unit - spread - digits, most: x.most + spread };
    case 'sqrt':
      return { unit: Math.floor(y.unit / 2) + 1 - digits, most: Math.ceil(y.most / 2) };
    case 'min':
    case 'max':
      return either(x, y);
  }
}
/** Of numbers that are in one range or in the other. */
export const either = (x: NumberRange, y: NumberRange): NumberRange => ({
  unit: Math.min(x.unit, y.unit),
  most: Math.max(x.most, y.most),
});
/** Whether all numbers of a range are 0 or normal. */
export const isSafe = (bits: Bits, { unit, most }: NumberRange): boolean =>
  unit >= NUMBERS[bits].least && most <= NUMBERS[bits].most;
/** Whether all numbers of a range are what `plain` says of plain ones. */
export function isPlain(bits: Bits, { unit, most }: NumberRange): boolean {
  const wanted = plain(bits);
  return unit >= wanted.unit && most <= wanted.most;
}
