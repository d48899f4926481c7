/** Operand sets hold what they promise, seeded choices repeat, and crossings stay bounded without losing a pair. */
import { describe, expect, it } from 'vitest';
import { pairwise, product, sampled } from './crossing.ts';
import { CONDITION_FLAG_SETS, F32_PATTERNS, F64_PATTERNS, F80_VALUES, f80Bytes, integers, lanes } from './operands.ts';
import { Random } from './random.ts';

describe('operand sets', () => {
  it.each([8, 16, 32] as const)('of %i bits are different values of that size with both limits', (size) => {
    const values = integers(size);

    expect(new Set(values).size).toBe(values.length);
    expect(values.every((v) => Number.isInteger(v) && v >= 0 && v < 2 ** size)).toBe(true);
    expect(values).toEqual(expect.arrayContaining([0, 1, 2 ** size - 1, 2 ** (size - 1), 2 ** (size - 1) - 1]));
  });

  it('hold each floating point pattern in both signs, once', () => {
    for (const [patterns, sign] of [
      [F32_PATTERNS.map(BigInt), 1n << 31n],
      [F64_PATTERNS, 1n << 63n],
    ] as const) {
      expect(new Set(patterns).size).toBe(patterns.length);
      expect(patterns.every((p) => patterns.includes(p ^ sign))).toBe(true);
    }
    expect(new Set(F80_VALUES.map((v) => `${v.sign} ${v.exponent} ${v.significand}`)).size).toBe(F80_VALUES.length);
  });

  it('hold the values that their comments name', () => {
    const single = new DataView(Uint8Array.from(lanes(8, 4, [0x40490fdb])).buffer).getFloat32(0, true);
    const double = new DataView(Uint8Array.from(lanes(8, 8, [0x41dfffffffe00000n])).buffer).getFloat64(0, true);

    expect([single, double]).toEqual([Math.fround(Math.PI), 2 ** 31 - 0.5]);
    expect([...f80Bytes(1, 0x3fff, 0x8000000000000001n)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xbf]);
    expect(new Set(CONDITION_FLAG_SETS).size).toBe(32);
  });
});

describe('seeded choices', () => {
  it('repeat for the same seed and differ for another', () => {
    const draw = (seed: number | string) =>
      Array.from(
        { length: 20 },
        (
          (r) => () =>
            r.u32()
        )(new Random(seed)),
      );

    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it('reach every value of a small range about equally often', () => {
    const random = new Random(1);
    const counts = Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) counts[random.below(10)]! += 1;

    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1150);
  });
});

describe('crossing', () => {
  const axes = [[...Array(30).keys()], [...Array(20).keys()], [...'abcde'], [true, false]] as const;

  it('gives all combinations while they are few', () => {
    expect([...sampled(new Random(1), 100, [1, 2], ['a', 'b'])]).toEqual([...product([1, 2], ['a', 'b'])]);
    expect([...product([1, 2], ['a', 'b'])]).toEqual([
      [1, 'a'],
      [1, 'b'],
      [2, 'a'],
      [2, 'b'],
    ]);
  });

  it('gives as many different combinations as wanted when they are many', () => {
    const rows = [...sampled(new Random(1), 500, ...axes)].map((row) => row.join());

    expect(new Set(rows).size).toBe(500);
    expect([...sampled(new Random(1), 500, ...axes)].map((row) => row.join())).toEqual(rows);
  });

  it('lets every two values meet in little more than the product of the two longest axes', () => {
    const rows = [...pairwise(new Random(1), ...axes)];

    const met = new Set(
      rows.flatMap((r) => r.flatMap((x, a) => r.slice(a + 1).map((y, b) => `${a} ${x} ${a + 1 + b} ${y}`))),
    );
    expect(met.size).toBe(30 * 20 + 30 * 5 + 30 * 2 + 20 * 5 + 20 * 2 + 5 * 2);
    expect(rows.length).toBeLessThan(30 * 20 * 1.1);
  });

  it('gives nothing for an empty axis', () => {
    expect([...pairwise(new Random(1), [1], [], [2])]).toEqual([]);
    expect([...sampled(new Random(1), 5, [1], [])]).toEqual([]);
  });
});
