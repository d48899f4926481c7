/** What is said of ranges holds for numbers in them, those at their ends above all. */
import { describe, expect, it } from 'vitest';
import { numbers } from '../core/test-processor.ts';
import type { FloatOperation } from '../isa/build.ts';
import { NUMBERS, isPlain, isSafe, plain, rangeOf, type Bits, type NumberRange } from './number-range.ts';

const OPERATIONS: readonly FloatOperation[] = ['add', 'sub', 'mul', 'div', 'sqrt', 'min', 'max'];
const TRIES = 40_000;
/** Numbers beyond so many binary digits are whole. */
const digitsOfAll = 53;
type Below = (below: number) => number;

/** A number of a range: multiples of its unit, close to 0 or to what is most, or with few digits or with many. */
function numberIn(below: Below, bits: Bits, { unit, most }: NumberRange): number {
  const { digits, least, most: top } = NUMBERS[bits];
  const exponent = [unit, most - 1, most, unit + below(Math.max(1, most - unit))][below(4)]!;
  if (below(8) === 0 || exponent > top || exponent < least) return below(2) === 0 ? 0 : -0;
  const room = Math.min(digits - 1, exponent - unit);
  // The power of two itself is the most there is.
  const fraction =
    exponent === most || below(3) === 0 ? 0 : below(2) === 0 ? 2 ** room - 1 : below(2 ** Math.min(room, 31));
  const number = (1 + fraction / 2 ** room) * 2 ** exponent;
  return below(2) === 0 ? number : -number;
}
function computed(operation: FloatOperation, bits: Bits, x: number, y: number): number {
  const round = bits === 32 ? Math.fround : (n: number): number => n;
  switch (operation) {
    case 'add':
      return round(x + y);
    case 'sub':
      return round(x - y);
    case 'mul':
      return round(x * y);
    case 'div':
      return round(x / y);
    case 'sqrt':
      return round(Math.sqrt(y));
    case 'min':
      return Math.min(x, y);
    case 'max':
      return Math.max(x, y);
  }
}
/** Whether a number is 0 or a multiple of the range's unit, and not larger than it may be. */
function isIn(number: number, { unit, most }: NumberRange): boolean {
  if (number === 0) return true;
  const size = Math.abs(number);
  // Scaled in two steps, as 2^-unit alone may be infinite.
  const half = Math.trunc(unit / 2),
    scaled = size / 2 ** half / 2 ** (unit - half);
  return (scaled > 2 ** digitsOfAll || Number.isInteger(scaled)) && size <= 2 ** most;
}

describe.each([32, 64] as const)('numbers of %i bits', (bits) => {
  const ordinary = plain(bits),
    below = numbers(bits);
  const isOrdinary = (n: number): boolean =>
    n !== 0 && Math.abs(n) >= 2 ** -NUMBERS[bits].spread && Math.abs(n) < 2 ** ordinary.most;

  it('that are plain have results that fit', () => {
    for (const operation of OPERATIONS)
      expect(isSafe(bits, rangeOf(operation, bits, ordinary, ordinary)), operation).toBe(true);
    expect(isPlain(bits, ordinary)).toBe(true);
    expect(isPlain(bits, rangeOf('mul', bits, ordinary, ordinary))).toBe(false);
  });

  it('stay in the ranges of their results, and these in what is normal', () => {
    let tried = 0;
    for (let i = 0; i < TRIES; i++) {
      // Operands as chains of operations make them: any unit, any size.
      const operation = OPERATIONS[below(OPERATIONS.length)]!;
      const range = (): NumberRange => {
        const unit = NUMBERS[bits].least + below(bits === 32 ? 140 : 1200);
        return { unit, most: Math.min(NUMBERS[bits].most, unit + 1 + below(bits === 32 ? 150 : 1300)) };
      };
      const p = below(2) === 0 ? ordinary : range(),
        q = operation === 'div' || below(2) === 0 ? ordinary : range();
      const result = rangeOf(operation, bits, p, q);
      if (!isSafe(bits, result)) continue;
      const x = numberIn(below, bits, p),
        y = numberIn(below, bits, q);
      if (operation === 'div' && !isOrdinary(y)) continue;
      if (operation === 'sqrt' && y < 0) continue;
      tried++;
      const z = computed(operation, bits, x, y);
      const what = `${x} ${operation} ${y} = ${z}, ${JSON.stringify({ p, q, result })}`;
      expect(isIn(z, result), what).toBe(true);
      if (z !== 0) expect(Math.abs(z), what).toBeGreaterThanOrEqual(2 ** NUMBERS[bits].least);
      // A zero is exact: nothing but zeros, and equal numbers, make one.
      if (z === 0 && operation === 'mul') expect(x === 0 || y === 0, what).toBe(true);
      if (z === 0 && operation === 'div') expect(x === 0, what).toBe(true);
    }
    expect(tried).toBeGreaterThan(TRIES / 8);
  });
});
