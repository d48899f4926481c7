/** The oracle's arithmetic against the engine that runs WebAssembly: every numeric instruction, edge values and noise. */
import { describe, expect, it } from 'vitest';
import { OPS, type OpInfo, type ValueType } from '../wasm/ops.ts';
import { Code, ModuleBuilder } from '../wasm/module.ts';
import { IMPLEMENTATIONS } from './oracle-ops.ts';
import type { OracleValue } from './oracle-vector.ts';

const LOAD: Readonly<Record<ValueType, string>> = {
  i: 'i32.load',
  l: 'i64.load',
  f: 'f32.load',
  d: 'f64.load',
  v: 'v128.load',
};
const BITS: Readonly<Record<ValueType, number>> = { i: 32, l: 64, f: 32, d: 64, v: 128 };
const RESULT_AT = 64;
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const data = new DataView(memory.buffer);

/** The instruction as WebAssembly runs it: operands at 0, 16, 32, the result at 64. */
function native(name: string, info: OpInfo, lanes: readonly number[]): () => void {
  const code = new Code().i32(RESULT_AT);
  info.params.forEach((type, i) => code.i32(16 * i).memory(LOAD[type]));
  code.op(name, ...lanes);
  if (info.result === 'f') code.op('i32.reinterpret_f32');
  if (info.result === 'd') code.op('i64.reinterpret_f64');
  code.memory(info.result === 'v' ? 'v128.store' : BITS[info.result] === 64 ? 'i64.store' : 'i32.store');
  const module = new ModuleBuilder();
  module.function(':', [], code, 'run');
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
  return exports['run'] as () => void;
}

const rawOf = (bits: number, v: OracleValue): bigint => BigInt.asUintN(bits, BigInt(v));
function put(at: number, value: bigint): void {
  for (let i = 0; i < 16; i++) data.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
}
const taken = (at: number, bits: number): bigint =>
  Array.from({ length: bits / 8 }, (_, i) => BigInt(data.getUint8(at + i)) << BigInt(8 * i)).reduce(
    (a, b) => a | b,
    0n,
  );

let state = 1;
const random32 = (): bigint => {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return BigInt.asUintN(32, BigInt(state ^ (state >>> 15)));
};
const EDGES_32 = [
  0n,
  1n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x3f800000n,
  0xbf000000n,
  0x7f800000n,
  0x4b000001n,
  0x00000001n,
  0x00800000n,
  31n,
  0xffn,
  0x8080n,
  0x7f7fffffn,
  0x4f000000n,
];
const EDGES_64 = [
  0n,
  1n,
  0x7fffffff_ffffffffn,
  0x80000000_00000000n,
  0xffffffff_ffffffffn,
  0x3ff00000_00000000n,
  0x3fe00000_00000000n,
  0xc1e00000_00000000n,
  0x7ff00000_00000000n,
  0x00000000_80000000n,
  63n,
  0x41dfffff_ffc00000n,
  0x36a00000_00000001n,
  0x47efffff_f0000000n,
];
const NANS_32 = [0x7fc12345n, 0xff812345n],
  NANS_64 = [0x7ff80000_12345678n, 0xfff00000_00000001n];

function someOf(type: ValueType): bigint {
  const pick = (from: readonly bigint[]): bigint => from[Number(random32() % BigInt(from.length))]!;
  const plain = random32() % 2n === 0n;
  if (type === 'i' || type === 'f') return plain ? pick([...EDGES_32, ...NANS_32]) : random32();
  if (type === 'l' || type === 'd') return plain ? pick([...EDGES_64, ...NANS_64]) : (random32() << 32n) | random32();
  const kind = random32() % 4n;
  if (kind === 0n) return (someOf('d') << 64n) | someOf('d');
  return [0, 1, 2, 3].reduce((all) => (all << 32n) | (kind === 1n ? random32() : someOf('f')), 0n);
}
const valueOf = (type: ValueType, raw: bigint): OracleValue =>
  BITS[type] === 32 ? Number(BigInt.asIntN(32, raw)) : raw;

/** Whether integers are those of floats: the nearest, 0 of a NaN, or the least of all, whatever does not fit. */
function agreeWhereFit(ours: bigint, theirs: bigint): boolean {
  return [0n, 32n, 64n, 96n].every((at) => {
    const x = BigInt.asUintN(32, ours >> at),
      y = BigInt.asUintN(32, theirs >> at);
    return x === y || (y === 0x80000000n && [0n, 0x7fffffffn].includes(x));
  });
}
const FLOATS = /^f(32|64)/;
/** Whether two results agree, lane by lane: any NaN is as good as another where the specification leaves it open. */
function agree(name: string, type: ValueType, ours: bigint, theirs: bigint): boolean {
  if (ours === theirs) return true;
  if (name.includes('relaxed')) return agreeWhereFit(ours, theirs);
  if (!FLOATS.test(name) || type === 'i' || type === 'l') return false;
  const bits = name.startsWith('f64') ? 64 : 32,
    exponent = bits === 64 ? 0x7ffn << 52n : 0xffn << 23n,
    fraction = bits === 64 ? (1n << 52n) - 1n : (1n << 23n) - 1n;
  const isNan = (x: bigint): boolean => (x & exponent) === exponent && (x & fraction) !== 0n;
  for (let at = 0n; at < BigInt(BITS[type]); at += BigInt(bits)) {
    const x = BigInt.asUintN(bits, ours >> at),
      y = BigInt.asUintN(bits, theirs >> at);
    if (x !== y && !(isNan(x) && isNan(y))) return false;
  }
  return true;
}

const traps = (name: string, args: readonly bigint[]): boolean =>
  /\.(div|rem)_/.test(name) &&
  (args[1] === 0n ||
    (name.endsWith('div_s') && args[1] === (name.startsWith('i64') ? 0xffffffff_ffffffffn : 0xffffffffn)));

describe('the oracle', () => {
  it.each([...OPS.keys()])('computes %s as WebAssembly does', (name) => {
    const info = OPS.get(name)!,
      implementation = IMPLEMENTATIONS.get(name)!;
    const count = name.startsWith('i8x16') ? 16 : name.startsWith('i16x8') ? 8 : /^[if]32x4/.test(name) ? 4 : 2;
    const laneSets =
      info.lanes === 0
        ? [[]]
        : info.lanes === 16
          ? [[...Array(16).keys()].map((i) => (i * 7 + 3) % 32)]
          : Array.from({ length: count }, (_, i) => [i]);
    for (const lanes of laneSets) {
      const run = native(name, info, lanes);
      for (let n = 0; n < 300; n++) {
        const args = info.params.map((type) => BigInt.asUintN(BITS[type], someOf(type)));
        if (traps(name, args)) continue;
        args.forEach((arg, i) => put(16 * i, arg));
        run();
        const theirs = taken(RESULT_AT, BITS[info.result]);
        const ours = rawOf(
          BITS[info.result],
          implementation(
            info.params.map((type, i) => valueOf(type, args[i]!)),
            lanes,
          ),
        );
        const shown = `${name} ${args.map((a) => a.toString(16)).join(' ')} -> ${ours.toString(16)}, WebAssembly ${theirs.toString(16)}`;
        if (!agree(name, info.result, ours, theirs)) expect.fail(shown);
      }
    }
  });
});
