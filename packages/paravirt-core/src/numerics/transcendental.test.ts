/** The accuracy of the transcendental instructions, against exact arithmetic: below one unit of the last place. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from './build.ts';
import { random, randomBits, type F80, type Random } from './cases.ts';
import { instantiateNumerics, type Numerics } from './numerics.ts';
import { A, B, C } from './operations.ts';
import { reals } from './reference.ts';

/** Round to nearest, everything masked. */
const CW = 0x37f;
/** Fraction bits of the exact side: results down to 2^-200 keep more bits than an 80-bit value has. */
const F = 420;
const r = reals(F);
const TOP = 1n << 63n;
const BIAS = 0x3fff;

/** What the processor holds for pi, 66 bits; sine and its kin reduce their arguments by it (Intel SDM vol. 1, 8.3.8). */
const PROCESSOR_PI = 0xc90fdaa22168c234cn << BigInt(F - 66);

const toFixed = ([se, significand]: F80): bigint => {
  const shift = F + (se & 0x7fff) - BIAS - 63;
  const magnitude = shift >= 0 ? significand << BigInt(shift) : significand >> BigInt(-shift);
  return se & 0x8000 ? -magnitude : magnitude;
};

/** The distance from the exact result in units of the last place of the result. */
function error([se, significand]: F80, exact: bigint): number {
  if (significand === 0n) return exact === 0n ? 0 : Infinity;
  const unit = 1n << BigInt(F + (se & 0x7fff) - BIAS - 63);
  return Number(((toFixed([se, significand]) - exact) * 4096n) / unit) / 4096;
}

interface Case {
  readonly name: string;
  /** Operands A and B. */
  readonly operands: (next: Random) => readonly [F80, F80];
  readonly run: (n: Numerics) => void;
  readonly exact: (a: bigint, b: bigint) => bigint;
}

const within = (next: Random, lowest: number, highest: number): F80 => [
  (next() & 0x8000) | (BIAS + lowest + (next() % (highest - lowest + 1))),
  randomBits(next) | TOP,
];
const positive = ([se, significand]: F80): F80 => [se & 0x7fff, significand];
const ONE: F80 = [BIAS, TOP];
/** In units of 2^-F: x modulo a quarter turn of the processor's pi keeps sine and its kin exact for huge arguments. */
const angle = (x: bigint): bigint => {
  const turn = 2n * PROCESSOR_PI;
  const rest = ((x % turn) + turn) % turn;
  // The true pi stands for the processor's in the quadrants; only the residue is the processor's.
  const quarter = PROCESSOR_PI / 2n;
  const quadrant = (rest + quarter / 2n) / quarter;
  return rest - quadrant * quarter + (quadrant * r.pi) / 2n;
};
const argument = (next: Random): readonly [F80, F80] => [within(next, next() & 1 ? -20 : -3, next() & 1 ? 2 : 62), ONE];
const log2 = (x: bigint): bigint => r.div(r.log1p(x), r.ln2);

const cases: readonly Case[] = [
  {
    name: 'f2xm1',
    operands: (next) => [within(next, -66, -1), ONE],
    run: (n) => n.f80_2xm1(C, A, CW),
    exact: (a) => r.expm1(r.mul(a, r.ln2)),
  },
  {
    name: 'fyl2x',
    operands: (next) => [positive(within(next, -60, 60)), within(next, -3, 3)],
    run: (n) => n.f80_yl2x(C, A, B, CW),
    exact: (x, y) => r.mul(y, log2(x - r.one)),
  },
  {
    name: 'fyl2x near one',
    operands: (next) => [
      [BIAS - (next() & 1), (next() & 1 ? TOP : (1n << 64n) - 1n) ^ (randomBits(next) >> BigInt(2 + (next() % 60)))],
      ONE,
    ],
    run: (n) => n.f80_yl2x(C, A, B, CW),
    exact: (x, y) => r.mul(y, log2(x - r.one)),
  },
  {
    name: 'fyl2xp1',
    operands: (next) => [within(next, -66, -3), within(next, -3, 3)],
    run: (n) => n.f80_yl2xp1(C, A, B, CW),
    exact: (x, y) => r.mul(y, log2(x)),
  },
  {
    name: 'fyl2xp1 of larger arguments',
    operands: (next) => [positive(within(next, -2, 70)), within(next, -3, 3)],
    run: (n) => n.f80_yl2xp1(C, A, B, CW),
    exact: (x, y) => r.mul(y, log2(x)),
  },
  { name: 'fsin', operands: argument, run: (n) => n.f80_sin(C, A, CW), exact: (a) => r.sin(angle(a)) },
  { name: 'fcos', operands: argument, run: (n) => n.f80_cos(C, A, CW), exact: (a) => r.cos(angle(a)) },
  {
    name: 'fptan',
    operands: argument,
    run: (n) => n.f80_tan(C, B, A, CW),
    exact: (a) => r.div(r.sin(angle(a)), r.cos(angle(a))),
  },
  {
    name: 'fpatan',
    operands: (next) => [within(next, -9, 9), within(next, -9, 9)],
    run: (n) => n.f80_atan(C, A, B, CW),
    exact: (y, x) => {
      const quotient = r.atan(r.div(y, x));
      return x > 0n ? quotient : y > 0n ? quotient + r.pi : quotient - r.pi;
    },
  },
];

describe('transcendental instructions', () => {
  beforeAll(ensureNumerics);

  it.each(cases)('$name is exact to below 0.501 units of the last place', ({ operands, run, exact }) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const view = new DataView(memory.buffer);
    const n = instantiateNumerics(memory);
    const next = random(1998);
    let worst = 0;
    let at: readonly [F80, F80] | undefined;
    for (let i = 0; i < 1500; i++) {
      const [a, b] = operands(next);
      for (const [slot, [se, significand]] of [
        [A, a],
        [B, b],
      ] as const) {
        view.setBigUint64(slot, significand, true);
        view.setUint16(slot + 8, se, true);
      }
      run(n);
      const wrong = Math.abs(
        error([view.getUint16(C + 8, true), view.getBigUint64(C, true)], exact(toFixed(a), toFixed(b))),
      );
      if (wrong > worst) [worst, at] = [wrong, [a, b]];
    }
    expect(
      worst,
      `at ${at?.map(([se, significand]) => `${se.toString(16)}:${significand.toString(16)}`).join(', ')}`,
    ).toBeLessThan(0.501);
  });
});
