/** What stored vectors of one processor cannot say: how good the approximations are, and that nothing is written on a fault. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from './build.ts';
import { instantiateNumerics, type Numerics } from './numerics.ts';

const DST = 0x100;
const SRC = 0x200;
const MXCSR_INITIAL = 0x1f80;
/** SDM vol. 2, RCPPS and RSQRTPS: |relative error|. */
const BOUND = 1.5 * 2 ** -12;
const LEAST_NORMAL = 2 ** -126;

let numerics: Numerics;
let view: DataView;

beforeAll(async () => {
  await ensureNumerics();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  numerics = instantiateNumerics(memory);
  view = new DataView(memory.buffer);
});

function approximate(leaf: 'sse_rcpss' | 'sse_rsqrtss', x: number): number {
  view.setFloat32(SRC, x, true);
  // Rounding control does not matter to them.
  const flags = numerics[leaf](DST, SRC, MXCSR_INITIAL | 0x6000);
  expect(flags).toBe(0);
  return view.getFloat32(DST, true);
}

/** Each exponent with a number of significands, all positive normal singles. */
function* samples(): Generator<number> {
  const bits = new DataView(new ArrayBuffer(4));
  for (let exponent = 1; exponent < 0xff; exponent++)
    for (const significand of [0, 1, 0x2aaaaa, 0x400000, 0x555555, 0x7fffff, (exponent * 0x1d2c9) & 0x7fffff]) {
      bits.setUint32(0, (exponent << 23) | significand);
      yield bits.getFloat32(0);
    }
}

describe('reciprocals', () => {
  it('are within the bound, and 0 where the result would be denormal', () => {
    for (const x of samples())
      for (const signed of [x, -x]) {
        const result = approximate('sse_rcpss', signed);
        if (Math.abs(1 / signed) < LEAST_NORMAL) expect(result).toBe(signed < 0 ? -0 : 0);
        else expect(Math.abs(result * signed - 1)).toBeLessThanOrEqual(BOUND);
      }
  });

  it('of square roots are within the bound', () => {
    for (const x of samples())
      expect(Math.abs(approximate('sse_rsqrtss', x) * Math.sqrt(x) - 1)).toBeLessThanOrEqual(BOUND);
  });
});

describe('packed instructions', () => {
  const IE = 1;
  const PE = 0x20;
  const lanes = (at: number, values: readonly number[]): void =>
    values.forEach((v, i) => view.setFloat32(at + 4 * i, v, true));

  it('write nothing when one lane has an unmasked exception', () => {
    lanes(DST, [1, -1, 2, 3]);
    lanes(SRC, [4, 4, -9, 16]);

    const flags = numerics.sse_sqrtps(DST, SRC, MXCSR_INITIAL & ~(IE << 7));

    expect(flags).toBe(IE);
    expect([0, 4, 8, 12].map((i) => view.getFloat32(DST + i, true))).toEqual([1, -1, 2, 3]);
  });

  it('give the flags of all lanes', () => {
    lanes(DST, [1, 1, Infinity, 1]);
    lanes(SRC, [3, 1, -Infinity, 1]);

    expect(numerics.sse_addps(DST, SRC, MXCSR_INITIAL)).toBe(IE);
    lanes(DST, [1, 1, Infinity, 1]);
    expect(numerics.sse_divps(DST, SRC, MXCSR_INITIAL)).toBe(IE | PE);
  });
});
