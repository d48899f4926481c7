/**
 * The vector instructions of WebAssembly, lane by lane over bigints: what each does, in the words of the core specification
 * (2.0, 4.3). Slow and obvious; the oracle of the tests computes with them. A v128 is an unsigned bigint of 128 bits, an i64 one
 * of 64, an f32 its 32 bits as a signed number, an f64 its 64 bits as an unsigned bigint.
 */
import { f32Bits, f32Of, f64Bits, f64Of, floatBinary, floatCompare, floatUnary } from './oracle-float.ts';

export type OracleValue = number | bigint;
type Implementation = (args: readonly OracleValue[], lanes: readonly number[]) => OracleValue;

const signed = (bits: number, x: bigint): bigint => BigInt.asIntN(bits, x);
const unsigned = (bits: number, x: bigint): bigint => BigInt.asUintN(bits, x);
const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/** The lanes of a vector, unsigned, lowest first. */
export function split(v: bigint, bits: number): bigint[] {
  return Array.from({ length: 128 / bits }, (_, i) => unsigned(bits, v >> BigInt(bits * i)));
}
export function join(lanes: readonly bigint[], bits: number): bigint {
  return lanes.reduce((all, lane, i) => all | (unsigned(bits, lane) << BigInt(bits * i)), 0n);
}

const clamp = (x: bigint, low: bigint, high: bigint): bigint => (x < low ? low : x > high ? high : x);
const saturateSigned = (bits: number, x: bigint): bigint => clamp(x, -(1n << BigInt(bits - 1)), ones(bits - 1));
const saturateUnsigned = (bits: number, x: bigint): bigint => clamp(x, 0n, ones(bits));
const absolute = (x: bigint): bigint => (x < 0n ? -x : x);

/** Of one lane: results may be of any size, `join` takes the low bits. */
type Lane1 = (bits: number, x: bigint) => bigint;
type Lane2 = (bits: number, x: bigint, y: bigint) => bigint;
const asSigned =
  (how: (x: bigint, y: bigint, bits: number) => bigint): Lane2 =>
  (bits, x, y) =>
    how(signed(bits, x), signed(bits, y), bits);
const truth = (condition: boolean): bigint => (condition ? -1n : 0n);

const UNARY: Readonly<Record<string, Lane1>> = {
  abs: (bits, x) => absolute(signed(bits, x)),
  neg: (_, x) => -x,
  popcnt: (_, x) => BigInt([...x.toString(2)].filter((digit) => digit === '1').length),
};
const BINARY: Readonly<Record<string, Lane2>> = {
  add: (_, x, y) => x + y,
  sub: (_, x, y) => x - y,
  mul: (_, x, y) => x * y,
  add_sat_s: asSigned((x, y, bits) => saturateSigned(bits, x + y)),
  sub_sat_s: asSigned((x, y, bits) => saturateSigned(bits, x - y)),
  add_sat_u: (bits, x, y) => saturateUnsigned(bits, x + y),
  sub_sat_u: (bits, x, y) => saturateUnsigned(bits, x - y),
  min_s: asSigned((x, y) => (x < y ? x : y)),
  max_s: asSigned((x, y) => (x > y ? x : y)),
  min_u: (_, x, y) => (x < y ? x : y),
  max_u: (_, x, y) => (x > y ? x : y),
  avgr_u: (_, x, y) => (x + y + 1n) >> 1n,
  q15mulr_sat_s: asSigned((x, y, bits) => saturateSigned(bits, (x * y + 0x4000n) >> 15n)),
  eq: (_, x, y) => truth(x === y),
  ne: (_, x, y) => truth(x !== y),
  lt_s: asSigned((x, y) => truth(x < y)),
  gt_s: asSigned((x, y) => truth(x > y)),
  le_s: asSigned((x, y) => truth(x <= y)),
  ge_s: asSigned((x, y) => truth(x >= y)),
  lt_u: (_, x, y) => truth(x < y),
  gt_u: (_, x, y) => truth(x > y),
  le_u: (_, x, y) => truth(x <= y),
  ge_u: (_, x, y) => truth(x >= y),
};
/** The count is taken modulo the lane's width. */
const SHIFT: Readonly<Record<string, (bits: number, x: bigint, count: bigint) => bigint>> = {
  shl: (_, x, count) => x << count,
  shr_s: (bits, x, count) => signed(bits, x) >> count,
  shr_u: (_, x, count) => x >> count,
};

const LANE_BITS: Readonly<Record<string, number>> = { i8x16: 8, i16x8: 16, i32x4: 32, i64x2: 64, f32x4: 32, f64x2: 64 };
const big = (v: OracleValue | undefined): bigint => v as bigint;
const num = (v: OracleValue | undefined): number => v as number;

/** What a lane of a shape is outside of its vector: i64 and f64 are bigints, the rest numbers. */
const outside = (bits: number, lane: bigint, sign: boolean): OracleValue =>
  bits === 64 ? lane : Number(sign || bits === 32 ? signed(bits, lane) : lane);
const inside = (bits: number, value: OracleValue): bigint => unsigned(bits, BigInt(value));

/** Names that hold for every shape. Undefined when `what` is none of them. */
function lanewise(shape: string, what: string): Implementation | undefined {
  const bits = LANE_BITS[shape]!;
  const float = shape.startsWith('f');
  if (what === 'splat') return ([x]) => join(Array<bigint>(128 / bits).fill(inside(bits, x!)), bits);
  if (what === 'replace_lane') return ([v, x], [at]) => join(split(big(v), bits).with(at!, inside(bits, x!)), bits);
  if (/^extract_lane/.test(what)) return ([v], [at]) => outside(bits, split(big(v), bits)[at!]!, what.endsWith('_s'));
  if (float) return floatLanes(bits as 32 | 64, what);
  if (what === 'bitmask')
    return ([v]) => split(big(v), bits).reduce((mask, lane, i) => mask | (Number(lane >> BigInt(bits - 1)) << i), 0);
  if (what === 'all_true') return ([v]) => Number(split(big(v), bits).every((lane) => lane !== 0n));
  const unary = UNARY[what],
    binary = BINARY[what],
    shift = SHIFT[what];
  if (unary !== undefined)
    return ([v]) =>
      join(
        split(big(v), bits).map((x) => unary(bits, x)),
        bits,
      );
  if (shift !== undefined)
    return ([v, by]) =>
      join(
        split(big(v), bits).map((x) => shift(bits, x, BigInt(num(by) & (bits - 1)))),
        bits,
      );
  if (binary === undefined) return undefined;
  return ([v, w]) => {
    const y = split(big(w), bits);
    return join(
      split(big(v), bits).map((x, i) => binary(bits, x, y[i]!)),
      bits,
    );
  };
}

function floatLanes(bits: 32 | 64, what: string): Implementation | undefined {
  const unary = floatUnary(bits, what),
    binary = floatBinary(bits, what),
    compare = floatCompare(bits, what);
  if (unary !== undefined) return ([v]) => join(split(big(v), bits).map(unary), bits);
  const each = binary ?? (compare === undefined ? undefined : (x: bigint, y: bigint): bigint => truth(compare(x, y)));
  if (each === undefined) return undefined;
  return ([v, w]) => {
    const y = split(big(w), bits);
    return join(
      split(big(v), bits).map((x, i) => each(x, y[i]!)),
      bits,
    );
  };
}

const narrow =
  (bits: number, how: typeof saturateSigned): Implementation =>
  ([v, w]) =>
    join(
      [...split(big(v), bits * 2), ...split(big(w), bits * 2)].map((x) => how(bits, signed(bits * 2, x))),
      bits,
    );
/** Widens half of the lanes of `bits`: 'low' or 'high', with or without sign. */
const half = (v: OracleValue | undefined, bits: number, which: string, sign: boolean): bigint[] => {
  const lanes = split(big(v), bits),
    n = lanes.length / 2;
  return (which === 'low' ? lanes.slice(0, n) : lanes.slice(n)).map((x) => (sign ? signed(bits, x) : x));
};
/** A float to a signed 32-bit integer: of what does not fit, one of the results that relaxed instructions may have. */
const saturatedInteger = (x: number): bigint =>
  Number.isNaN(x) ? 0n : BigInt(Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), Math.trunc(x))));

const SPECIAL: Readonly<Record<string, Implementation>> = {
  'v128.not': ([v]) => big(v) ^ ones(128),
  'v128.and': ([v, w]) => big(v) & big(w),
  'v128.andnot': ([v, w]) => big(v) & (big(w) ^ ones(128)),
  'v128.or': ([v, w]) => big(v) | big(w),
  'v128.xor': ([v, w]) => big(v) ^ big(w),
  'v128.bitselect': ([v, w, c]) => (big(v) & big(c)) | (big(w) & (big(c) ^ ones(128))),
  'v128.any_true': ([v]) => Number(big(v) !== 0n),
  'i8x16.shuffle': ([v, w], lanes) => {
    const all = [...split(big(v), 8), ...split(big(w), 8)];
    return join(
      lanes.map((n) => all[n]!),
      8,
    );
  },
  'i8x16.swizzle': ([v, w]) => {
    const from = split(big(v), 8);
    return join(
      split(big(w), 8).map((n) => (n < 16n ? from[Number(n)]! : 0n)),
      8,
    );
  },
  'i8x16.narrow_i16x8_s': narrow(8, saturateSigned),
  'i8x16.narrow_i16x8_u': narrow(8, saturateUnsigned),
  'i16x8.narrow_i32x4_s': narrow(16, saturateSigned),
  'i16x8.narrow_i32x4_u': narrow(16, saturateUnsigned),
  'i32x4.dot_i16x8_s': ([v, w]) => {
    const x = split(big(v), 16).map((lane) => signed(16, lane)),
      y = split(big(w), 16).map((lane) => signed(16, lane));
    return join(
      [0, 1, 2, 3].map((i) => x[2 * i]! * y[2 * i]! + x[2 * i + 1]! * y[2 * i + 1]!),
      32,
    );
  },
  'i32x4.relaxed_trunc_f32x4_s': ([v]) =>
    join(
      split(big(v), 32).map((x) => saturatedInteger(f32Of(x))),
      32,
    ),
  'i32x4.relaxed_trunc_f64x2_s_zero': ([v]) =>
    join(
      split(big(v), 64).map((x) => saturatedInteger(f64Of(x))),
      32,
    ),
  'f32x4.convert_i32x4_s': ([v]) =>
    join(
      split(big(v), 32).map((x) => f32Bits(Number(signed(32, x)))),
      32,
    ),
  'f64x2.convert_low_i32x4_s': ([v]) =>
    join(
      split(big(v), 32)
        .slice(0, 2)
        .map((x) => f64Bits(Number(signed(32, x)))),
      64,
    ),
  'f32x4.demote_f64x2_zero': ([v]) =>
    join(
      split(big(v), 64).map((x) => floatUnary(64, 'demote')!(x)),
      32,
    ),
  'f64x2.promote_low_f32x4': ([v]) =>
    join(
      split(big(v), 32)
        .slice(0, 2)
        .map((x) => floatUnary(32, 'promote')!(x)),
      64,
    ),
};

/** A vector instruction by name; undefined when there is none of that name here. */
export function vectorImplementation(name: string): Implementation | undefined {
  const special = SPECIAL[name];
  if (special !== undefined) return special;
  const [shape, what] = name.split('.') as [string, string];
  if (LANE_BITS[shape] === undefined) return undefined;
  const bits = LANE_BITS[shape];
  const pairwise = /^extadd_pairwise_i\d+x\d+_([su])$/.exec(what);
  if (pairwise !== null) {
    return ([v]) => {
      const lanes = split(big(v), bits / 2).map((x) => (pairwise[1] === 's' ? signed(bits / 2, x) : x));
      return join(
        Array.from({ length: 128 / bits }, (_, i) => lanes[2 * i]! + lanes[2 * i + 1]!),
        bits,
      );
    };
  }
  const multiplied = /^extmul_(low|high)_i\d+x\d+_([su])$/.exec(what);
  if (multiplied !== null) {
    return ([v, w]) => {
      const y = half(w, bits / 2, multiplied[1]!, multiplied[2] === 's');
      return join(
        half(v, bits / 2, multiplied[1]!, multiplied[2] === 's').map((x, i) => x * y[i]!),
        bits,
      );
    };
  }
  const extended = /^extend_(low|high)_i\d+x\d+_([su])$/.exec(what);
  if (extended !== null) return ([v]) => join(half(v, bits / 2, extended[1]!, extended[2] === 's'), bits);
  return lanewise(shape, what);
}
