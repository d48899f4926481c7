/** The list of numeric instructions: complete, free of doubles, and each what its name says (core specification 2.0, 4.3 and 5.4). */
import { describe, expect, it } from 'vitest';
import { Code, ModuleBuilder } from './module.ts';
import { OPS, opInfo, type OpInfo, type ValueType } from './ops.ts';

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const data = new DataView(memory.buffer);
const LOAD: Readonly<Record<ValueType, string>> = {
  i: 'i32.load',
  l: 'i64.load',
  f: 'f32.load',
  d: 'f64.load',
  v: 'v128.load',
};

/** Puts operands at 0, 16, 32 and gives the result's bytes. */
function compute(name: string, operands: readonly (readonly number[])[], lanes: readonly number[] = []): number[] {
  const info = opInfo(name),
    code = new Code().i32(64);
  operands.forEach((bytes, i) => bytes.forEach((byte, k) => data.setUint8(16 * i + k, byte)));
  info.params.forEach((type, i) => code.i32(16 * i).memory(LOAD[type]));
  code.op(name, ...lanes);
  if (info.result === 'f') code.op('i32.reinterpret_f32');
  if (info.result === 'd') code.op('i64.reinterpret_f64');
  const bytes = { i: 4, f: 4, l: 8, d: 8, v: 16 }[info.result];
  code.memory(bytes === 4 ? 'i32.store' : bytes === 8 ? 'i64.store' : 'v128.store');
  const module = new ModuleBuilder();
  module.function(':', [], code, 'run');
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
  (exports['run'] as () => void)();
  return [...new Uint8Array(memory.buffer, 64, bytes)];
}
const repeat = (n: number, ...bytes: readonly number[]): number[] => Array.from({ length: n }, () => bytes).flat();
const i32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const i64 = (n: bigint): number[] => [
  ...i32(Number(BigInt.asIntN(32, n))),
  ...i32(Number(BigInt.asIntN(32, n >> 32n))),
];
const f32 = (x: number): number[] => [...new Uint8Array(Float32Array.of(x).buffer)];
const f64 = (x: number): number[] => [...new Uint8Array(Float64Array.of(x).buffer)];
const i16 = (n: number): number[] => i32(n).slice(0, 2);

describe('the list', () => {
  it('gives every instruction an encoding of its own', () => {
    const encodings = [...OPS.values()].map(({ bytes }) => bytes.join());
    expect(new Set(encodings).size).toBe(encodings.length);
  });
  it.each([...OPS])('%s validates with the signature it has', (name, info: OpInfo) => {
    const lanes = Array<number>(info.lanes).fill(0);
    const module = new ModuleBuilder();
    const code = new Code();
    info.params.forEach((_, i) => code.get(i));
    module.function(`${info.params.join('')}:${info.result}`, [], code.op(name, ...lanes), 'run');
    expect(WebAssembly.validate(module.bytes())).toBe(true);
  });
  it('an unknown name is a bug, told at once', () => {
    expect(() => opInfo('i32.sqrt')).toThrow(/i32.sqrt/);
  });
});

/** Known answers that tell each instruction from its neighbours in the opcode table; `core/oracle-ops.test.ts` compares all at random. */
describe('known answers', () => {
  const a = i32(-7),
    b = i32(3);
  const cases: readonly [
    name: string,
    operands: readonly (readonly number[])[],
    result: readonly number[],
    lanes?: readonly number[],
  ][] = [
    ['i32.sub', [a, b], i32(-10)],
    ['i32.div_s', [a, b], i32(-2)],
    ['i32.div_u', [a, b], i32(1431655763)],
    ['i32.rem_s', [a, b], i32(-1)],
    ['i32.shl', [a, i32(33)], i32(-14)],
    ['i32.shr_s', [a, i32(1)], i32(-4)],
    ['i32.shr_u', [a, i32(28)], i32(15)],
    ['i32.rotl', [i32(0x80000001), i32(1)], i32(3)],
    ['i32.rotr', [i32(3), i32(1)], i32(0x80000001)],
    ['i32.clz', [i32(1)], i32(31)],
    ['i32.ctz', [i32(8)], i32(3)],
    ['i32.popcnt', [i32(0xff00ff)], i32(16)],
    ['i32.lt_s', [a, b], i32(1)],
    ['i32.lt_u', [a, b], i32(0)],
    ['i32.extend8_s', [i32(0x80)], i32(-128)],
    ['i32.extend16_s', [i32(0x8000)], i32(-32768)],
    ['i32.wrap_i64', [i64(0x1_0000_0002n)], i32(2)],
    ['i64.extend_i32_s', [i32(-1)], i64(-1n)],
    ['i64.extend_i32_u', [i32(-1)], i64(0xffff_ffffn)],
    ['i64.mul', [i64(1n << 40n), i64(3n)], i64(3n << 40n)],
    ['f32.nearest', [f32(2.5)], f32(2)],
    ['f64.trunc', [f64(-2.7)], f64(-2)],
    ['f64.promote_f32', [f32(0.5)], f64(0.5)],
    ['f32.demote_f64', [f64(1e300)], f32(Infinity)],
    [
      'i8x16.shuffle',
      [repeat(16, 1), repeat(16, 2)],
      repeat(8, 1, 2),
      [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
    ],
    ['i8x16.swizzle', [[...Array(16).keys()], [15, 16, 255, ...repeat(13, 0)]], [15, 0, 0, ...repeat(13, 0)]],
    ['i16x8.replace_lane', [repeat(16, 0), i32(0x1234)], [...repeat(6, 0), 0x34, 0x12, ...repeat(8, 0)], [3]],
    ['v128.andnot', [repeat(16, 0xff), repeat(16, 0x0f)], repeat(16, 0xf0)],
    ['v128.bitselect', [repeat(16, 0xaa), repeat(16, 0x55), repeat(16, 0xf0)], repeat(16, 0xa5)],
    [
      'i8x16.narrow_i16x8_s',
      [repeat(8, ...i16(300)), repeat(8, ...i16(-300))],
      [...repeat(8, 0x7f), ...repeat(8, 0x80)],
    ],
    ['i8x16.narrow_i16x8_u', [repeat(8, ...i16(300)), repeat(8, ...i16(-300))], [...repeat(8, 0xff), ...repeat(8, 0)]],
    ['i8x16.add_sat_u', [repeat(16, 200), repeat(16, 100)], repeat(16, 255)],
    ['i8x16.sub_sat_s', [repeat(16, 0x80), repeat(16, 1)], repeat(16, 0x80)],
    ['i8x16.avgr_u', [repeat(16, 1), repeat(16, 2)], repeat(16, 2)],
    ['i16x8.mul', [repeat(8, ...i16(300)), repeat(8, ...i16(300))], repeat(8, ...i16(90000))],
    ['i32x4.dot_i16x8_s', [repeat(8, ...i16(-300)), repeat(8, ...i16(300))], repeat(4, ...i32(-180000))],
    ['i64x2.shr_u', [repeat(2, ...i64(-1n)), i32(60)], repeat(2, ...i64(15n))],
    ['i8x16.bitmask', [[0x80, ...repeat(14, 0), 0x80]], i32(0x8001)],
    ['f32x4.pmin', [repeat(4, ...f32(NaN)), repeat(4, ...f32(1))], repeat(4, ...f32(NaN))],
    ['f32x4.pmax', [repeat(4, ...f32(1)), repeat(4, ...f32(2))], repeat(4, ...f32(2))],
    ['i32x4.relaxed_trunc_f32x4_s', [repeat(4, ...f32(-7.9))], repeat(4, ...i32(-7))],
    ['i32x4.relaxed_trunc_f64x2_s_zero', [repeat(2, ...f64(-1.9))], [...repeat(2, ...i32(-1)), ...repeat(8, 0)]],
    ['f64x2.convert_low_i32x4_s', [[...i32(-5), ...i32(6), ...repeat(8, 9)]], [...f64(-5), ...f64(6)]],
    ['f64x2.promote_low_f32x4', [[...f32(0.5), ...f32(-2), ...repeat(8, 9)]], [...f64(0.5), ...f64(-2)]],
    ['f32x4.demote_f64x2_zero', [[...f64(0.5), ...f64(-2)]], [...f32(0.5), ...f32(-2), ...repeat(8, 0)]],
  ];
  it.each(cases)('%s', (name, operands, result, lanes) => {
    expect(compute(name, operands, lanes)).toEqual(result);
  });
});
