/** SSE4.1: blends, widening, insertion and extraction, minima, dot products, rounding (SDM vol. 1, 12.10). */
import type { Build, Semantics } from '../build.ts';
import { family, imm8, m128, r, r32_m16, r32_m8, rm32, row, rw, w, xm128, xm16, xm32, xm64, xmm, xmm0 } from '../dsl.ts';
import type { Row } from '../model.ts';
import { addImm, andImm, eqz, mul, or, shlImm, shrImm } from '../ops.ts';
import { combined, reportSimd } from '../sse.ts';
import { rounding } from '../sse-round.ts';
import { BYTE_INDICES, SSE41, combining, combiningBy, lanes } from '../vector.ts';

const bits = (width: 16 | 32, values: readonly number[]): bigint => lanes(width, values);

/** All ones in the lanes whose bit in a small number is set. */
function chosen<V>(b: Build<V>, shape: 'i16x8' | 'i32x4', which: V, bitOfLane: readonly number[]): V {
  const wanted = b.imm128(bits(shape === 'i16x8' ? 16 : 32, bitOfLane));
  return b.op(`${shape}.eq`, [b.op('v128.and', [b.op(`${shape}.splat`, [which]), wanted]), wanted]);
}
const blending = (shape: 'i16x8' | 'i32x4', bitOfLane: readonly number[]): Semantics => (b, dst, src, which) => {
  const x = dst.read(), y = src.read();
  dst.write(b.op('v128.bitselect', [y, x, chosen(b, shape, which.read(), bitOfLane)]));
};
/** By the sign bits of XMM0's lanes. */
const blendingBySign = (shape: 'i8x16' | 'i32x4' | 'i64x2', sign: number): Semantics => (b, dst, src, mask) => {
  const x = dst.read(), y = src.read();
  dst.write(b.op('v128.bitselect', [y, x, b.op(`${shape}.shr_s`, [mask.read(), b.imm(sign)])]));
};

/** One step or several of doubling the width of the low lanes. */
const extending = (sign: 's' | 'u', ...steps: readonly string[]): Semantics => (b, dst, src) =>
  dst.write(steps.reduce((v, step) => b.op(`${step}_${sign}`, [v]), src.read()));
const BW = 'i16x8.extend_low_i8x16', WD = 'i32x4.extend_low_i16x8', DQ = 'i64x2.extend_low_i32x4';
const widenings = (name: 'pmovsx' | 'pmovzx', sign: 's' | 'u', first: number): Row[] => {
  const opcode = (i: number): string => `66 0F 38 ${(first + i).toString(16).toUpperCase()} /r`;
  return [
    row(`${name}bw`, opcode(0), [w(xmm), r(xm64)], extending(sign, BW)),
    row(`${name}bd`, opcode(1), [w(xmm), r(xm32)], extending(sign, BW, WD)),
    row(`${name}bq`, opcode(2), [w(xmm), r(xm16)], extending(sign, BW, WD, DQ)),
    row(`${name}wd`, opcode(3), [w(xmm), r(xm64)], extending(sign, WD)),
    row(`${name}wq`, opcode(4), [w(xmm), r(xm32)], extending(sign, WD, DQ)),
    row(`${name}dq`, opcode(5), [w(xmm), r(xm64)], extending(sign, DQ)),
  ];
};

/** The byte indices of one lane of `bytes` bytes, in every lane: lane number times the lane's step, and the first lane's. */
function lane<V>(b: Build<V>, bytes: 1 | 2 | 4, number: V): V {
  if (bytes === 1) return b.op('i8x16.splat', [number]);
  const [step, first] = bytes === 2 ? [0x0202, 0x0100] : [0x04040404, 0x03020100];
  return b.op(bytes === 2 ? 'i16x8.splat' : 'i32x4.splat', [addImm(b, mul(b, number, b.imm(step)), first)]);
}
const extracting = (bytes: 1 | 2 | 4): Semantics => (b, dst, src, which) => {
  const moved = b.op('i8x16.swizzle', [src.read(), lane(b, bytes, andImm(b, which.read(), 16 / bytes - 1))]);
  const op = bytes === 1 ? 'i8x16.extract_lane_u' : bytes === 2 ? 'i16x8.extract_lane_u' : 'i32x4.extract_lane';
  dst.write(b.op(op, [moved], [0]));
};
const inserting = (bytes: 1 | 4): Semantics => (b, dst, src, which) => {
  const value = src.read(), x = dst.read(), shape = bytes === 1 ? 'i8x16' : 'i32x4';
  const numbers = bytes === 1 ? BYTE_INDICES : lanes(32, [0, 1, 2, 3]);
  const here = b.op(`${shape}.eq`, [b.op(`${shape}.splat`, [andImm(b, which.read(), 16 / bytes - 1)]), b.imm128(numbers)]);
  dst.write(b.op('v128.bitselect', [b.op(`${shape}.splat`, [value]), x, here]));
};
/** Which single comes (of a register; memory has but one), where it goes, and which become 0: two, two and four bits. */
const insertingSingle: Semantics = (b, dst, src, how) => {
  const y = src.read(), x = dst.read(), control = how.read();
  const from = src.isMemory ? b.imm(0) : shrImm(b, control, 6);
  const value = b.op('i8x16.swizzle', [y, lane(b, 4, from)]);
  const here = b.op('i32x4.eq', [b.op('i32x4.splat', [andImm(b, shrImm(b, control, 4), 3)]), b.imm128(lanes(32, [0, 1, 2, 3]))]);
  const placed = b.op('v128.bitselect', [value, x, here]);
  dst.write(b.op('v128.andnot', [placed, chosen(b, 'i32x4', control, [1, 2, 4, 8])]));
};

/** Doublewords 0 and 2, multiplied to 64 bits with their signs. */
const multiplyingEven = combiningBy((b, x, y) => {
  const even = (v: typeof x): typeof x => b.op('i8x16.shuffle', [v, v], [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
  return b.op('i64x2.extmul_low_i32x4_s', [even(x), even(y)]);
});
/** Four bytes of the second operand against eight places of the first: sums of distances. */
const summingDistances: Semantics = (b, dst, src, how) => {
  const x = dst.read(), y = src.read(), control = how.read();
  const ofX = andImm(b, control, 4), ofY = shlImm(b, andImm(b, control, 3), 2);
  const distances = [0, 1, 2, 3].map((k) => {
    const from = b.op('i8x16.add', [b.imm128(BYTE_INDICES), b.op('i8x16.splat', [addImm(b, ofX, k)])]);
    const left = b.op('i8x16.swizzle', [x, from]), right = b.op('i8x16.swizzle', [y, lane(b, 1, addImm(b, ofY, k))]);
    return b.op('i16x8.extend_low_i8x16_u', [b.op('i8x16.sub', [b.op('i8x16.max_u', [left, right]), b.op('i8x16.min_u', [left, right])])]);
  });
  dst.write(distances.reduce((sum, distance) => b.op('i16x8.add', [sum, distance])));
};
/** The least word, and which it is: the first of several. */
const findingMinimum: Semantics = (b, dst, src) => {
  const x = src.read();
  const rotated = (v: typeof x, by: number): typeof x => b.op('i8x16.shuffle', [v, v], Array.from({ length: 16 }, (_, i) => (i + by) % 16));
  const least = [8, 4, 2].reduce((v, by) => b.op('i16x8.min_u', [v, rotated(v, by)]), x);
  const where = b.op('i32.ctz', [b.op('i16x8.bitmask', [b.op('i16x8.eq', [x, least])])]);
  const word = b.op('i16x8.extract_lane_u', [least], [0]);
  dst.write(b.op('i32x4.replace_lane', [b.imm128(0n), or(b, word, shlImm(b, where, 16))], [0]));
};
/** ZF: no bit in common. CF: no bit of the second that the first lacks. */
const testing: Semantics = (b, first, second) => {
  const x = first.read(), y = second.read();
  const none = (v: typeof x): typeof x => eqz(b, b.op('v128.any_true', [v]));
  const zero = none(b.op('v128.and', [y, x])), carry = none(b.op('v128.andnot', [y, x]));
  b.setStatusFlags(or(b, shlImm(b, zero, 6), carry));
};

/**
 * Products of the lanes that bits 4 to 7 choose, their sum in the lanes of bits 0 to 3, zeros elsewhere. Each step rounds and raises by
 * itself, and an unmasked exception ends it there.
 */
const dotProduct = (format: 'ps' | 'pd'): Semantics => (b, dst, src, how) => {
  const x = dst.read(), y = src.read(), control = how.read();
  const laneBits = format === 'ps' ? [1, 2, 4, 8] : [1, 1, 2, 2];
  const factors = chosen(b, 'i32x4', shrImm(b, control, 4), laneBits);
  const step = (operation: 'add' | 'mul', left: typeof x, right: typeof x): typeof x => {
    const { flags, value } = combined(b, `sse_${operation}${format}`, left, right);
    reportSimd(b, flags);
    return value;
  };
  const products = step('mul', b.op('v128.and', [x, factors]), b.op('v128.and', [y, factors]));
  const crossed = (v: typeof x, order: readonly number[]): typeof x => b.op('i8x16.shuffle', [v, v], order);
  // Every lane gets the sum, each with its own order of operands: it decides between two NaNs, as processors do.
  let sum = products;
  if (format === 'ps') sum = step('add', crossed(sum, SWAPPED_SINGLES), sum);
  sum = step('add', sum, crossed(sum, SWAPPED_HALVES));
  dst.write(b.op('v128.and', [sum, chosen(b, 'i32x4', control, laneBits)]));
};
const SWAPPED_SINGLES = [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11], SWAPPED_HALVES = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];

export const sse41 = family('sse4.1', [
  row('pblendvb',  '66 0F 38 10 /r', [rw(xmm), r(xm128), r(xmm0)], blendingBySign('i8x16', 7)),
  row('blendvps',  '66 0F 38 14 /r', [rw(xmm), r(xm128), r(xmm0)], blendingBySign('i32x4', 31)),
  row('blendvpd',  '66 0F 38 15 /r', [rw(xmm), r(xm128), r(xmm0)], blendingBySign('i64x2', 63)),
  row('ptest',     '66 0F 38 17 /r', [r(xmm), r(xm128)],  testing, { flags: 'w=zc 0=osap' }),
  ...widenings('pmovsx', 's', 0x20),
  row('pmuldq',    '66 0F 38 28 /r', [rw(xmm), r(xm128)], multiplyingEven),
  row('pcmpeqq',   '66 0F 38 29 /r', [rw(xmm), r(xm128)], combining('i64x2.eq')),
  row('movntdqa',  '66 0F 38 2A /r', [w(xmm), r(m128)],   (_, dst, src) => dst.write(src.read())),
  row('packusdw',  '66 0F 38 2B /r', [rw(xmm), r(xm128)], combining('i16x8.narrow_i32x4_u')),
  ...widenings('pmovzx', 'u', 0x30),
  row('pminsb',    '66 0F 38 38 /r', [rw(xmm), r(xm128)], combining('i8x16.min_s')),
  row('pminsd',    '66 0F 38 39 /r', [rw(xmm), r(xm128)], combining('i32x4.min_s')),
  row('pminuw',    '66 0F 38 3A /r', [rw(xmm), r(xm128)], combining('i16x8.min_u')),
  row('pminud',    '66 0F 38 3B /r', [rw(xmm), r(xm128)], combining('i32x4.min_u')),
  row('pmaxsb',    '66 0F 38 3C /r', [rw(xmm), r(xm128)], combining('i8x16.max_s')),
  row('pmaxsd',    '66 0F 38 3D /r', [rw(xmm), r(xm128)], combining('i32x4.max_s')),
  row('pmaxuw',    '66 0F 38 3E /r', [rw(xmm), r(xm128)], combining('i16x8.max_u')),
  row('pmaxud',    '66 0F 38 3F /r', [rw(xmm), r(xm128)], combining('i32x4.max_u')),
  row('pmulld',    '66 0F 38 40 /r', [rw(xmm), r(xm128)], combining('i32x4.mul')),
  row('phminposuw', '66 0F 38 41 /r', [w(xmm), r(xm128)], findingMinimum),
  row('roundps',   '66 0F 3A 08 /r ib', [w(xmm), r(xm128), r(imm8)], rounding('ps')),
  row('roundpd',   '66 0F 3A 09 /r ib', [w(xmm), r(xm128), r(imm8)], rounding('pd')),
  row('roundss',   '66 0F 3A 0A /r ib', [rw(xmm), r(xm32), r(imm8)], rounding('ss')),
  row('roundsd',   '66 0F 3A 0B /r ib', [rw(xmm), r(xm64), r(imm8)], rounding('sd')),
  row('blendps',   '66 0F 3A 0C /r ib', [rw(xmm), r(xm128), r(imm8)], blending('i32x4', [1, 2, 4, 8])),
  row('blendpd',   '66 0F 3A 0D /r ib', [rw(xmm), r(xm128), r(imm8)], blending('i32x4', [1, 1, 2, 2])),
  row('pblendw',   '66 0F 3A 0E /r ib', [rw(xmm), r(xm128), r(imm8)], blending('i16x8', [1, 2, 4, 8, 16, 32, 64, 128])),
  row('pextrb',    '66 0F 3A 14 /r ib', [w(r32_m8), r(xmm), r(imm8)],  extracting(1)),
  row('pextrw',    '66 0F 3A 15 /r ib', [w(r32_m16), r(xmm), r(imm8)], extracting(2)),
  row('pextrd',    '66 0F 3A 16 /r ib', [w(rm32), r(xmm), r(imm8)],    extracting(4)),
  row('extractps', '66 0F 3A 17 /r ib', [w(rm32), r(xmm), r(imm8)],    extracting(4)),
  row('pinsrb',    '66 0F 3A 20 /r ib', [rw(xmm), r(r32_m8), r(imm8)], inserting(1)),
  row('insertps',  '66 0F 3A 21 /r ib', [rw(xmm), r(xm32), r(imm8)],   insertingSingle),
  row('pinsrd',    '66 0F 3A 22 /r ib', [rw(xmm), r(rm32), r(imm8)],   inserting(4)),
  row('dpps',      '66 0F 3A 40 /r ib', [rw(xmm), r(xm128), r(imm8)],  dotProduct('ps')),
  row('dppd',      '66 0F 3A 41 /r ib', [rw(xmm), r(xm128), r(imm8)],  dotProduct('pd')),
  row('mpsadbw',   '66 0F 3A 42 /r ib', [rw(xmm), r(xm128), r(imm8)],  summingDistances),
], SSE41);
