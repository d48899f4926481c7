/**
 * Elementary functions in exact integer arithmetic, slow and plain: the source of the tables of the transcendental
 * instructions, and what their accuracy is tested against. A real number is a bigint in units of 2^-F.
 */

/** Functions on fixed-point numbers with `f` fraction bits; results are good to a few units. */
export interface Reals {
  readonly one: bigint;
  readonly pi: bigint;
  readonly ln2: bigint;
  readonly mul: (a: bigint, b: bigint) => bigint;
  readonly div: (a: bigint, b: bigint) => bigint;
  readonly atan: (x: bigint) => bigint;
  readonly sin: (x: bigint) => bigint;
  readonly cos: (x: bigint) => bigint;
  /** e^x - 1. */
  readonly expm1: (x: bigint) => bigint;
  /** ln(1 + x) for x > -1. */
  readonly log1p: (x: bigint) => bigint;
}

export function reals(f: number): Reals {
  const F = BigInt(f);
  const one = 1n << F;
  const mul = (a: bigint, b: bigint): bigint => (a * b) >> F;
  const div = (a: bigint, b: bigint): bigint => (a << F) / b;
  /** The sum of x, -x^3 / 3, x^5 / 5 ..., or with `sign` 1 of x, x^3 / 3, ...: arcus or area tangent. */
  const arc = (x: bigint, sign: bigint): bigint => {
    const square = mul(x, x) * sign;
    let sum = 0n;
    for (let power = x, n = 1n; power !== 0n && power !== -1n; power = mul(power, square), n += 2n) sum += power / n;
    return sum;
  };
  const sqrt = (x: bigint): bigint => {
    const radicand = x << F;
    let root = 1n << BigInt((radicand.toString(2).length + 1) >> 1);
    for (;;) {
      const next = (root + radicand / root) >> 1n;
      if (next >= root) return root;
      root = next;
    }
  };
  const atan = (x: bigint): bigint => {
    if (x < 0n) return -atan(-x);
    // atan x = 2 atan(x / (1 + sqrt(1 + x^2))), until the series is quick.
    if (x > one >> 4n) return 2n * atan(div(x, one + sqrt(one + mul(x, x))));
    return arc(x, -1n);
  };
  /** The sum of the terms first, first * step / (a (a + 1)), ... with a growing by two. */
  const factorialSeries = (first: bigint, step: bigint, a: bigint): bigint => {
    let sum = 0n;
    for (let term = first; term !== 0n && term !== -1n; a += 2n) {
      sum += term;
      term = mul(term, step) / (a * (a + 1n));
    }
    return sum;
  };
  // Machin: pi / 4 = 4 atan(1/5) - atan(1/239).
  const pi = 4n * (4n * arc(one / 5n, -1n) - arc(one / 239n, -1n));
  const ln2 = 2n * arc(one / 3n, 1n);
  const reduced = (x: bigint): bigint => {
    const turns = x / (2n * pi);
    return x - turns * 2n * pi;
  };
  const expm1 = (x: bigint): bigint => {
    let sum = 0n;
    for (let term = x, n = 2n; term !== 0n && term !== -1n; n++) {
      sum += term;
      term = mul(term, x) / n;
    }
    return sum;
  };
  const log1p = (x: bigint): bigint => {
    let y = one + x;
    let halvings = 0n;
    while (y > one + (one >> 1n)) {
      y = (y + 1n) >> 1n;
      halvings++;
    }
    while (y < one - (one >> 2n)) {
      y <<= 1n;
      halvings--;
    }
    const rest = halvings === 0n ? x : y - one;
    return halvings * ln2 + 2n * arc(div(rest, 2n * one + rest), 1n);
  };
  return {
    ...{ one, pi, ln2, mul, div, atan, expm1, log1p },
    sin: (x) => factorialSeries(reduced(x), -mul(reduced(x), reduced(x)), 2n),
    cos: (x) => factorialSeries(one, -mul(reduced(x), reduced(x)), 1n),
  };
}
