/**
 * IEEE 754 single and double arithmetic over bit patterns. Where WebAssembly leaves the payload of a NaN open, this follows SSE
 * (SDM vol. 1, table 4-7): the first operand that is a NaN, made quiet, else the default NaN, which is negative.
 */

const view = (): DataView => new DataView(new ArrayBuffer(8));

/** The value of 32 bits, and back; a NaN's payload is not kept, so NaNs must be looked at as bits. */
export function f32Of(bits: bigint): number {
  const data = view();
  data.setUint32(0, Number(bits));
  return data.getFloat32(0);
}
export function f32Bits(value: number): bigint {
  const data = view();
  data.setFloat32(0, value);
  return BigInt(data.getUint32(0));
}
export function f64Of(bits: bigint): number {
  const data = view();
  data.setBigUint64(0, bits);
  return data.getFloat64(0);
}
export function f64Bits(value: number): bigint {
  const data = view();
  data.setFloat64(0, value);
  return data.getBigUint64(0);
}

interface Format {
  readonly of: (bits: bigint) => number;
  /** Rounds to the format. */
  readonly bits: (value: number) => bigint;
  readonly sign: bigint;
  readonly quiet: bigint;
  readonly defaultNan: bigint;
}
const FORMAT: Readonly<Record<32 | 64, Format>> = {
  32: { of: f32Of, bits: f32Bits, sign: 1n << 31n, quiet: 1n << 22n, defaultNan: 0xffc00000n },
  64: { of: f64Of, bits: f64Bits, sign: 1n << 63n, quiet: 1n << 51n, defaultNan: 0xfff80000_00000000n },
};

const ARITHMETIC: Readonly<Record<string, (x: number, y: number) => number>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
};
const ROUNDING: Readonly<Record<string, (x: number) => number>> = {
  sqrt: Math.sqrt,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest: (x) => {
    const below = Math.floor(x);
    const even = below % 2 === 0 ? below : below + 1;
    const nearest = x - below === 0.5 ? even : Math.round(x);
    // Keeps the sign of what rounds to zero.
    return nearest === 0 ? (x < 0 || Object.is(x, -0) ? -0 : 0) : nearest;
  },
};
const RELATION: Readonly<Record<string, (x: number, y: number) => boolean>> = {
  eq: (x, y) => x === y,
  ne: (x, y) => x !== y,
  lt: (x, y) => x < y,
  gt: (x, y) => x > y,
  le: (x, y) => x <= y,
  ge: (x, y) => x >= y,
};

/** An operation on one float by its name in WebAssembly; 'promote' takes 32 bits, 'demote' 64. */
export function floatUnary(size: 32 | 64, name: string): ((x: bigint) => bigint) | undefined {
  const { of, bits, sign, quiet, defaultNan } = FORMAT[size];
  if (name === 'abs') return (x) => x & ~sign;
  if (name === 'neg') return (x) => x ^ sign;
  // The payload keeps its upper bits.
  if (name === 'promote')
    return (x) =>
      Number.isNaN(of(x)) ? ((x & sign) << 32n) | 0x7ff80000_00000000n | ((x & 0x3fffffn) << 29n) : f64Bits(of(x));
  if (name === 'demote')
    return (x) => (Number.isNaN(of(x)) ? ((x & sign) >> 32n) | 0x7fc00000n | ((x >> 29n) & 0x3fffffn) : f32Bits(of(x)));
  const how = ROUNDING[name];
  if (how === undefined) return undefined;
  return (x) => {
    if (Number.isNaN(of(x))) return x | quiet;
    const result = how(of(x));
    return Number.isNaN(result) ? defaultNan : bits(result);
  };
}

export function floatBinary(size: 32 | 64, name: string): ((x: bigint, y: bigint) => bigint) | undefined {
  const { of, bits, quiet, defaultNan } = FORMAT[size];
  if (name === 'pmin') return (x, y) => (of(y) < of(x) ? y : x);
  if (name === 'pmax') return (x, y) => (of(x) < of(y) ? y : x);
  const how = ARITHMETIC[name];
  if (how === undefined) return undefined;
  return (x, y) => {
    if (Number.isNaN(of(x))) return x | quiet;
    if (Number.isNaN(of(y))) return y | quiet;
    // Rounding a double result to single is right for these four operations: 53 bits are more than 2 * 24 + 2.
    const result = how(of(x), of(y));
    return Number.isNaN(result) ? defaultNan : bits(result);
  };
}

export function floatCompare(size: 32 | 64, name: string): ((x: bigint, y: bigint) => boolean) | undefined {
  const { of } = FORMAT[size],
    how = RELATION[name];
  return how === undefined ? undefined : (x, y) => how(of(x), of(y));
}
