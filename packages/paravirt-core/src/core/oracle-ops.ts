/** Every numeric instruction of `wasm/ops.ts` by name, slow and obvious. i32 values are signed numbers; see `oracle-vector.ts` for the rest. */
import { OPS } from '../wasm/ops.ts';
import { f32Bits, f64Bits, floatBinary, floatCompare, floatUnary } from './oracle-float.ts';
import { vectorImplementation, type OracleValue } from './oracle-vector.ts';

type Implementation = (args: readonly OracleValue[], lanes: readonly number[]) => OracleValue;
/** Integer instructions over the unsigned value; `bits` is 32 or 64. The result is taken modulo 2^bits. */
type Integer = (x: bigint, y: bigint, bits: number) => bigint;
type Test = (x: bigint, y: bigint, bits: number) => boolean;

const signed = (bits: number, x: bigint): bigint => BigInt.asIntN(bits, x);
const trap = (): never => {
  throw new Error('a semantics function divides by zero, or overflows a division, where WebAssembly would trap');
};
const count = (bits: number, y: bigint): bigint => y & BigInt(bits - 1);
const digits = (bits: number, x: bigint): string => x.toString(2).padStart(bits, '0');

const INTEGER: Readonly<Record<string, Integer>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div_u: (x, y) => (y === 0n ? trap() : x / y),
  rem_u: (x, y) => (y === 0n ? trap() : x % y),
  div_s: (x, y, bits) => {
    const quotient = y === 0n ? trap() : signed(bits, x) / signed(bits, y);
    return quotient === 1n << BigInt(bits - 1) ? trap() : quotient;
  },
  rem_s: (x, y, bits) => (y === 0n ? trap() : signed(bits, x) % signed(bits, y)),
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  xor: (x, y) => x ^ y,
  shl: (x, y, bits) => x << count(bits, y),
  shr_u: (x, y, bits) => x >> count(bits, y),
  shr_s: (x, y, bits) => signed(bits, x) >> count(bits, y),
  rotl: (x, y, bits) => (x << count(bits, y)) | (x >> (BigInt(bits) - count(bits, y))),
  rotr: (x, y, bits) => (x >> count(bits, y)) | (x << (BigInt(bits) - count(bits, y))),
  clz: (x, _, bits) => BigInt(x === 0n ? bits : digits(bits, x).indexOf('1')),
  ctz: (x, _, bits) => BigInt(x === 0n ? bits : bits - 1 - digits(bits, x).lastIndexOf('1')),
  popcnt: (x, _, bits) => BigInt(digits(bits, x).replaceAll('0', '').length),
  extend8_s: (x) => signed(8, x),
  extend16_s: (x) => signed(16, x),
  extend32_s: (x) => signed(32, x),
};
const TEST: Readonly<Record<string, Test>> = {
  eqz: (x) => x === 0n,
  eq: (x, y) => x === y,
  ne: (x, y) => x !== y,
  lt_u: (x, y) => x < y,
  gt_u: (x, y) => x > y,
  le_u: (x, y) => x <= y,
  ge_u: (x, y) => x >= y,
  lt_s: (x, y, bits) => signed(bits, x) < signed(bits, y),
  gt_s: (x, y, bits) => signed(bits, x) > signed(bits, y),
  le_s: (x, y, bits) => signed(bits, x) <= signed(bits, y),
  ge_s: (x, y, bits) => signed(bits, x) >= signed(bits, y),
};

/** An i32 as a signed number, an i64 as an unsigned bigint. */
const integer = (bits: 32 | 64, x: bigint): OracleValue =>
  bits === 32 ? Number(signed(32, x)) : BigInt.asUintN(64, x);
const raw = (bits: number, v: OracleValue | undefined): bigint => BigInt.asUintN(bits, BigInt(v ?? 0));
const float = (bits: 32 | 64, x: bigint): OracleValue => (bits === 32 ? Number(signed(32, x)) : x);

const CONVERSION: Readonly<Record<string, Implementation>> = {
  'i32.wrap_i64': ([x]) => Number(signed(32, x as bigint)),
  'i64.extend_i32_s': ([x]) => raw(64, x),
  'i64.extend_i32_u': ([x]) => raw(32, x),
  'i32.reinterpret_f32': ([x]) => x!,
  'f32.reinterpret_i32': ([x]) => x!,
  'i64.reinterpret_f64': ([x]) => x!,
  'f64.reinterpret_i64': ([x]) => x!,
  'f32.convert_i32_s': ([x]) => float(32, f32Bits(x as number)),
  'f64.convert_i32_s': ([x]) => f64Bits(x as number),
  'f64.convert_i64_s': ([x]) => f64Bits(Number(signed(64, x as bigint))),
  'f32.demote_f64': ([x]) => float(32, floatUnary(64, 'demote')!(x as bigint)),
  'f64.promote_f32': ([x]) => floatUnary(32, 'promote')!(raw(32, x)),
};

function scalar(name: string): Implementation | undefined {
  const [type, what] = name.split('.') as [string, string];
  const bits = type.endsWith('64') ? 64 : 32;
  if (type === 'i32' || type === 'i64') {
    const compute = INTEGER[what],
      test = TEST[what];
    if (compute !== undefined) return ([x, y]) => integer(bits, compute(raw(bits, x), raw(bits, y), bits));
    return test === undefined ? undefined : ([x, y]) => Number(test(raw(bits, x), raw(bits, y), bits));
  }
  if (type !== 'f32' && type !== 'f64') return undefined;
  const unary = floatUnary(bits, what),
    binary = floatBinary(bits, what),
    compare = floatCompare(bits, what);
  if (unary !== undefined) return ([x]) => float(bits, unary(raw(bits, x)));
  if (binary !== undefined) return ([x, y]) => float(bits, binary(raw(bits, x), raw(bits, y)));
  return compare === undefined ? undefined : ([x, y]) => Number(compare(raw(bits, x), raw(bits, y)));
}

function find(name: string): Implementation {
  const found = CONVERSION[name] ?? scalar(name) ?? vectorImplementation(name);
  if (found === undefined) throw new Error(`the oracle cannot compute '${name}'`);
  return found;
}
/** By name, for everything that semantics may say. */
export const IMPLEMENTATIONS: ReadonlyMap<string, Implementation> = new Map(
  [...OPS.keys()].map((name) => [name, find(name)]),
);
