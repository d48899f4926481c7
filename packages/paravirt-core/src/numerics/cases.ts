/** Operands that find mistakes: edge cases of every format, and seeded random values with a taste for edges. */

/** Sign-and-exponent word and significand of an 80-bit value. */
export type F80 = readonly [se: number, significand: bigint];

const TOP = 1n << 63n;
const ALL = (1n << 64n) - 1n;

/** Magnitudes; every one of them is used with both signs. */
const EDGE_MAGNITUDES: readonly F80[] = [
  [0, 0n],
  // Denormals and pseudo-denormals.
  [0, 1n],
  [0, 0x123456789abcdefn],
  [0, TOP - 1n],
  [0, 0xffffffffffn],
  [0, TOP],
  [0, TOP | 5n],
  // The smallest normal numbers, and where 64-, 53- and 24-bit rounding meets tininess.
  [1, TOP],
  [1, TOP | 1n],
  [1, ALL],
  [1, 0xffffff7fffffffffn],
  [2, TOP | 1n],
  [63, TOP | 3n],
  [64, ALL],
  // Where m32fp and m64fp become denormal and vanish.
  [0x3fff - 1022, TOP],
  [0x3fff - 1023, TOP | 1n],
  [0x3fff - 1023, 0xfffffffffffffc00n],
  [0x3fff - 1074, TOP],
  [0x3fff - 1075, TOP],
  [0x3fff - 1075, TOP | 1n],
  [0x3fff - 126, TOP],
  [0x3fff - 127, 0xffffff8000000000n],
  [0x3fff - 127, 0xffffff0000000000n],
  [0x3fff - 149, TOP],
  [0x3fff - 150, TOP],
  [0x3fff - 150, TOP | 1n],
  // Small integers, halves, and neighbours of one.
  [0x3fbf, TOP],
  [0x3ffd, TOP],
  [0x3ffe, TOP],
  [0x3ffe, TOP | 1n],
  [0x3ffe, ALL],
  [0x3ffe, 0xb504f333f9de6484n],
  [0x3fff, TOP],
  [0x3fff, TOP | 1n],
  [0x3fff, 0xc000000000000000n],
  [0x3fff, ALL],
  [0x3fff, 0x8000008000000000n],
  [0x3fff, 0x8000000000000400n],
  [0x4000, TOP],
  [0x4000, 0xa000000000000000n],
  [0x4000, 0xc000000000000000n],
  [0x4000, 0xc90fdaa22168c235n],
  [0x4001, 0xf000000000000000n],
  // Integer limits.
  [0x400d, 0xffff000000000000n],
  [0x400d, 0xfffeffffffffffffn],
  [0x400e, TOP],
  [0x400e, 0x8000800000000000n],
  [0x401d, 0xffffffff00000000n],
  [0x401d, 0xffffffffffffffffn],
  [0x401e, 0x8000000080000000n],
  [0x401e, TOP],
  [0x403a, 0xde0b6b3a763ffff0n],
  [0x403a, 0xde0b6b3a763ffff8n],
  [0x403a, 0xde0b6b3a76400000n],
  [0x403d, ALL],
  [0x403e, TOP],
  [0x403e, TOP | 1n],
  [0x403f, TOP],
  [0x4050, 0x9876543210fedcban],
  [0x43fe, 0xfffffffffffff800n],
  [0x43fe, 0xfffffffffffffc00n],
  [0x43ff, TOP],
  [0x407e, 0xffffff0000000000n],
  [0x407e, 0xffffff8000000000n],
  [0x407f, TOP],
  // The largest numbers.
  [0x7ffd, ALL],
  [0x7ffe, TOP],
  [0x7ffe, ALL],
  [0x7ffe, 0xffffff7fffffffffn],
  // Infinity, quiet and signalling NaNs.
  [0x7fff, TOP],
  [0x7fff, 0xc000000000000000n],
  [0x7fff, 0xc000000000000005n],
  [0x7fff, ALL],
  [0x7fff, 0x8000000000000007n],
  [0x7fff, 0xbfffffffffffffffn],
  // Unsupported: unnormals, pseudo-NaN, pseudo-infinity.
  [1, 1n],
  [0x3fff, 0x4000000000000000n],
  [0x3fff, 0n],
  [0x7fff, 0x4000000000000001n],
  [0x7fff, 0n],
];
export const EDGES: readonly F80[] = EDGE_MAGNITUDES.flatMap(([se, m]): F80[] => [
  [se, m],
  [se | 0x8000, m],
]);

/** Bit patterns in pairs of positive and negative, for a format of `bits` bits with `fraction` fraction bits. */
const ieeeEdges = (bits: bigint, fraction: bigint): readonly bigint[] => {
  const one = ((1n << (bits - fraction - 2n)) - 1n) << fraction;
  const infinity = ((1n << (bits - fraction - 1n)) - 1n) << fraction;
  const unit = 1n << fraction;
  const magnitudes = [
    ...[0n, 1n, 2n, 3n, unit - 1n, unit / 2n, unit, unit + 1n, 2n * unit - 1n, 2n * unit, 3n * unit + 5n],
    ...[one - unit, one - 1n, one, one + 1n, one + unit / 2n, one + unit, one + unit + unit / 2n, one + 4n * unit],
    ...[one + (fraction - 1n) * unit, one + fraction * unit - 1n, one + (fraction + 1n) * unit, one - fraction * unit],
    ...[one + 15n * unit, one + 30n * unit, one + 31n * unit, one + 31n * unit - 1n, one + 31n * unit + 1n],
    ...[one + 62n * unit, one + 63n * unit, one + 63n * unit - 1n, one - 25n * unit, one - 54n * unit],
    ...[infinity - 2n * unit, infinity - unit, infinity - 2n, infinity - 1n, infinity / 2n, (fraction + 2n) * unit],
    ...[infinity, infinity + 1n, infinity + unit / 2n - 1n, infinity + unit / 2n, infinity + unit / 2n + 9n],
    infinity + unit - 1n,
  ];
  return magnitudes.flatMap((m) => [m, m | (1n << (bits - 1n))]);
};
export const F32_EDGES = ieeeEdges(32n, 23n);
export const F64_EDGES = [
  ...ieeeEdges(64n, 52n),
  // Where a double becomes a denormal single, and where it overflows one.
  ...[0x380fffffe0000000n, 0x380ffffff0000000n, 0x3810000000000000n, 0x36a0000000000000n, 0x3690000000000001n],
  ...[0x47efffffe0000000n, 0x47effffff0000000n, 0x47efffffefffffffn, 0x3690000000000000n, 0xb80fffffefffffffn],
];
export const INTEGER_EDGES: readonly bigint[] = [
  ...[0n, 1n, 2n, 0x7fffn, 0x8000n, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x1000001n, 0x1000003n],
  ...[0x7fffffffffffffffn, TOP, ALL, 0x20000000000001n, 0x20000000000003n, 0x123456789abcdef0n, ALL - 0x1000002n],
  ...[0x7fffffbfffffffffn, 0x7ffffffffffffdffn, 0xffffffff80000001n, 0x7fffff40n, 0x7fffffc0n],
];

/** A seeded generator of 32-bit numbers (xoshiro128**, Blackman and Vigna 2018). */
export type Random = () => number;
export function random(seed: number): Random {
  // SplitMix32 fills the state.
  let mix = seed | 0;
  const next = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let [a, b, c, d] = [next(), next(), next(), next()];
  const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  };
}

/** 64 random bits: dense, with long runs, with few bits, or nearly all ones or zeros. */
export function randomBits(next: Random): bigint {
  const dense = (BigInt(next()) << 32n) | BigInt(next());
  const at = BigInt(next() & 63);
  switch (next() % 6) {
    case 0:
      return (dense >> at) << at;
    case 1:
      return ALL ^ (dense >> at);
    case 2:
      return ((1n << at) | (1n << BigInt(next() & 63))) & ALL;
    case 3:
      return (ALL << at) & ALL;
    default:
      return dense;
  }
}

/** An 80-bit value; `near` is an exponent that it should often be close to. */
export function randomF80(next: Random, near: number): F80 {
  const sign = next() & 0x8000;
  const kind = next() & 31;
  if (kind === 0) return EDGES[next() % EDGES.length]!;
  if (kind === 1) return [sign, randomBits(next) & (next() & 1 ? ALL : TOP - 1n)];
  const spread = [3, 70, 160, 1100, 0x7fff][next() % 5]!;
  const exponent = (near + (next() % (2 * spread + 1)) - spread) & 0x7fff;
  if (kind === 2) return [sign | exponent, randomBits(next)];
  return [sign | (exponent === 0x7fff || exponent === 0 ? 0x3fff : exponent), randomBits(next) | TOP];
}

/** A bit pattern of a format; `near` is a biased exponent. */
export function randomIeee(next: Random, bits: 32 | 64, near: number): bigint {
  const edges = bits === 32 ? F32_EDGES : F64_EDGES;
  const fraction = bits === 32 ? 23n : 52n;
  const mask = bits === 32 ? 0xff : 0x7ff;
  if ((next() & 15) === 0) return edges[next() % edges.length]!;
  const spread = [2, 30, 60, mask][next() & 3]!;
  const exponent = (near + (next() % (2 * spread + 1)) - spread) & mask;
  const sign = BigInt(next() & 1) << BigInt(bits - 1);
  return sign | (BigInt(exponent) << fraction) | (randomBits(next) >> (64n - fraction));
}

/** All control words of rounding and precision control with every exception masked. */
export const CONTROL_WORDS: readonly number[] = Array.from({ length: 16 }, (_, i) => 0x7f | (i << 8));
