/** Packing, interleaving and rearranging lanes of MMX and XMM registers (SDM vol. 1, 9.4.4, 10.4.3, 11.4.1.3, 11.4.2). */
import type { Build, Semantics } from '../build.ts';
import { family, imm8, mm, mmm32, mmm64, mmreg, r, r32, r32_m16, row, rw, w, xm128, xmm, xmmreg } from '../dsl.ts';
import type { Row } from '../model.ts';
import { andImm, mul } from '../ops.ts';
import { LOW_HALVES, SSE, SSE2, both, combiningBy, high64, lanes, low64, mmxRow, onMmx, withHigh64, withLow64, from64 } from '../vector.ts';

/** Two registers' lanes narrowed with saturation: XMM as WebAssembly has it, MMX after putting both in one. */
const packing = (op: string) => combiningBy((b, x, y) => b.op(op, [x, y]));
const packingHalves = (op: string) => combiningBy((b, x, y) => {
  const joined = b.op('i8x16.shuffle', [x, y], LOW_HALVES);
  return b.op(op, [joined, joined]);
});
const pack = (mnemonic: string, encoding: string, op: string): Row[] => both(mnemonic, encoding, packingHalves(op), { wide: packing(op) });

/** Lane indices that take elements of `bytes` bytes in turn from two registers, from byte `start` on. */
const interleaved = (bytes: number, start: number): number[] =>
  Array.from({ length: 16 }, (_, i) => start + Math.floor(i / (2 * bytes)) * bytes + (i % bytes) + (Math.floor(i / bytes) % 2) * 16).map((n) => n % 32);
const interleaving = (bytes: number, start: number) => combiningBy((b, x, y) => b.op('i8x16.shuffle', [x, y], interleaved(bytes, start)));
/** The MMX forms read 32 bits of memory for the low half. */
const unpackLow = (mnemonic: string, opcode: string, bytes: number): Row[] => [
  mmxRow(mnemonic, `NP 0F ${opcode} /r`, [rw(mm), r(mmm32)], interleaving(bytes, 0)),
  row(mnemonic, `66 0F ${opcode} /r`, [rw(xmm), r(xm128)], interleaving(bytes, 0), SSE2),
];
const unpackHigh = (mnemonic: string, opcode: string, bytes: number): Row[] => both(mnemonic, `0F ${opcode} /r`, interleaving(bytes, 4), { wide: interleaving(bytes, 8) });

/**
 * Byte indices of lanes that an immediate chooses, two bits a lane: lane i is moved to bits 6 and 7 by a multiplication,
 * and times `step` it becomes the indices of the lane's bytes. Lanes of `chosen` that are false keep `base` as it is.
 */
function choosing<V>(b: Build<V>, shape: 'i16x8' | 'i32x4', choice: V, chosen: readonly number[], base: bigint): V {
  const bits = shape === 'i16x8' ? 16 : 32;
  const moved = b.op(`${shape}.mul`, [b.op(`${shape}.splat`, [choice]), b.imm128(lanes(bits, chosen))]);
  const lane = b.op('v128.and', [b.op(`${shape}.shr_u`, [moved, b.imm(6)]), b.imm128(lanes(bits, chosen.map(() => 3)))]);
  const step = bits === 16 ? 0x0202 : 0x04040404;
  return b.op('i8x16.add', [b.op(`${shape}.mul`, [lane, b.imm128(lanes(bits, chosen.map(() => step)))]), b.imm128(base)]);
}
const FOUR = [64, 16, 4, 1] as const, NONE = [0, 0, 0, 0] as const;
const FIRST_WORD = 0x0100, FIRST_OF_HIGH = 0x0908, FIRST_DOUBLEWORD = 0x03020100;
const OWN_LOW = [0x0100, 0x0302, 0x0504, 0x0706], OWN_HIGH = [0x0908, 0x0b0a, 0x0d0c, 0x0f0e];
const four = (n: number): number[] => [n, n, n, n];

const shuffling = (shape: 'i16x8' | 'i32x4', chosen: readonly number[], base: readonly number[]): Semantics => (b, dst, src, choice) => {
  const x = src.read();
  dst.write(b.op('i8x16.swizzle', [x, choosing(b, shape, choice.read(), chosen, lanes(shape === 'i16x8' ? 16 : 32, base))]));
};
/** Two lanes of the first operand, then two of the second. */
const shufflingSingles: Semantics = (b, dst, src, choice) => {
  const x = dst.read(), y = src.read();
  const from = choosing(b, 'i32x4', choice.read(), FOUR, lanes(32, four(FIRST_DOUBLEWORD)));
  const low = b.op('i8x16.swizzle', [x, from]), high = b.op('i8x16.swizzle', [y, from]);
  dst.write(b.op('i8x16.shuffle', [low, high], [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]));
};
const shufflingDoubles: Semantics = (b, dst, src, choice) => {
  const x = dst.read(), y = src.read(), which = choice.read();
  const low = b.select(andImm(b, which, 1), high64(b, x), low64(b, x));
  const high = b.select(andImm(b, which, 2), high64(b, y), low64(b, y));
  dst.write(withHigh64(b, from64(b, low), high));
};

const inserting = (mask: number): Semantics => (b, dst, src, lane) => {
  const value = src.read(), x = dst.read();
  const here = b.op('i16x8.eq', [b.op('i16x8.splat', [andImm(b, lane.read(), mask)]), b.imm128(lanes(16, [0, 1, 2, 3, 4, 5, 6, 7]))]);
  dst.write(b.op('v128.bitselect', [b.op('i16x8.splat', [value]), x, here]));
};
const extracting = (mask: number): Semantics => (b, dst, src, lane) => {
  const from = b.op('i16x8.splat', [b.op('i32.add', [mul(b, andImm(b, lane.read(), mask), b.imm(0x0202)), b.imm(FIRST_WORD)])]);
  dst.write(b.op('i16x8.extract_lane_u', [b.op('i8x16.swizzle', [src.read(), from])], [0]));
};
const signs = (op: string): Semantics => (b, dst, src) => dst.write(b.op(op, [src.read()]));

const unpackingDoublesHigh = combiningBy((b, x, y) => withLow64(b, y, high64(b, x)));
const unpackingDoublesLow = combiningBy((b, x, y) => withHigh64(b, x, low64(b, y)));

export const packedShuffle = family('packed-shuffle', [
  ...pack('packsswb', '0F 63 /r', 'i8x16.narrow_i16x8_s'),
  ...pack('packssdw', '0F 6B /r', 'i16x8.narrow_i32x4_s'),
  ...pack('packuswb', '0F 67 /r', 'i8x16.narrow_i16x8_u'),
  ...unpackLow('punpcklbw',  '60', 1),
  ...unpackLow('punpcklwd',  '61', 2),
  ...unpackLow('punpckldq',  '62', 4),
  ...unpackHigh('punpckhbw', '68', 1),
  ...unpackHigh('punpckhwd', '69', 2),
  ...unpackHigh('punpckhdq', '6A', 4),
  row('punpcklqdq', '66 0F 6C /r', [rw(xmm), r(xm128)], unpackingDoublesLow,  SSE2),
  row('punpckhqdq', '66 0F 6D /r', [rw(xmm), r(xm128)], unpackingDoublesHigh, SSE2),
  row('unpcklps',   'NP 0F 14 /r', [rw(xmm), r(xm128)], interleaving(4, 0),   SSE),
  row('unpckhps',   'NP 0F 15 /r', [rw(xmm), r(xm128)], interleaving(4, 8),   SSE),
  row('unpcklpd',   '66 0F 14 /r', [rw(xmm), r(xm128)], unpackingDoublesLow,  SSE2),
  row('unpckhpd',   '66 0F 15 /r', [rw(xmm), r(xm128)], unpackingDoublesHigh, SSE2),
  mmxRow('pshufw',  'NP 0F 70 /r ib', [w(mm), r(mmm64), r(imm8)],  shuffling('i16x8', [...FOUR, ...NONE], [...four(FIRST_WORD), ...four(0)]), { feature: 'sse' }),
  row('pshufd',     '66 0F 70 /r ib', [w(xmm), r(xm128), r(imm8)], shuffling('i32x4', FOUR, four(FIRST_DOUBLEWORD)), SSE2),
  row('pshuflw',    'F2 0F 70 /r ib', [w(xmm), r(xm128), r(imm8)], shuffling('i16x8', [...FOUR, ...NONE], [...four(FIRST_WORD), ...OWN_HIGH]), SSE2),
  row('pshufhw',    'F3 0F 70 /r ib', [w(xmm), r(xm128), r(imm8)], shuffling('i16x8', [...NONE, ...FOUR], [...OWN_LOW, ...four(FIRST_OF_HIGH)]), SSE2),
  row('shufps',     'NP 0F C6 /r ib', [rw(xmm), r(xm128), r(imm8)], shufflingSingles, SSE),
  row('shufpd',     '66 0F C6 /r ib', [rw(xmm), r(xm128), r(imm8)], shufflingDoubles, SSE2),
  mmxRow('pinsrw',  'NP 0F C4 /r ib', [rw(mm), r(r32_m16), r(imm8)],  inserting(3), { feature: 'sse' }),
  row('pinsrw',     '66 0F C4 /r ib', [rw(xmm), r(r32_m16), r(imm8)], inserting(7), SSE2),
  mmxRow('pextrw',  'NP 0F C5 /r ib', [w(r32), r(mmreg), r(imm8)],    extracting(3), { feature: 'sse' }),
  row('pextrw',     '66 0F C5 /r ib', [w(r32), r(xmmreg), r(imm8)],   extracting(7), SSE2),
  row('pmovmskb',   'NP 0F D7 /r', [w(r32), r(mmreg)],  onMmx((b, dst, src) => dst.write(andImm(b, b.op('i8x16.bitmask', [src.read()]), 0xff))), { unit: 'mmx', feature: 'sse' }),
  row('pmovmskb',   '66 0F D7 /r', [w(r32), r(xmmreg)], signs('i8x16.bitmask'), { ...SSE2, hot: true }),
  row('movmskps',   'NP 0F 50 /r', [w(r32), r(xmmreg)], signs('i32x4.bitmask'), SSE),
  row('movmskpd',   '66 0F 50 /r', [w(r32), r(xmmreg)], signs('i64x2.bitmask'), SSE2),
]);
