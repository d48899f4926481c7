/** Packed integer arithmetic, comparison and logic on MMX and XMM registers (SDM vol. 1, 9.4, 10.4.4, 11.4.2). */
import type { Build } from '../build.ts';
import { family, r, rw, row, xm128, xmm } from '../dsl.ts';
import { both, combining, combiningBy, lanes, SSE, SSE2 } from '../vector.ts';

/** The upper or lower 16 bits of eight products. */
const highWords = (sign: 's' | 'u') => <V>(b: Build<V>, x: V, y: V): V => {
  const low = b.op(`i32x4.extmul_low_i16x8_${sign}`, [x, y]), high = b.op(`i32x4.extmul_high_i16x8_${sign}`, [x, y]);
  return b.op('i8x16.shuffle', [low, high], [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31]);
};
/** Doublewords 0 and 2, multiplied to 64 bits. */
const multiplyingEven = <V>(b: Build<V>, x: V, y: V): V => {
  const even = (v: V): V => b.op('i8x16.shuffle', [v, v], [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
  return b.op('i64x2.extmul_low_i32x4_u', [even(x), even(y)]);
};
/** For each half the sum of the distances of its eight bytes. */
const sumOfDistances = <V>(b: Build<V>, x: V, y: V): V => {
  const distance = b.op('i8x16.sub', [b.op('i8x16.max_u', [x, y]), b.op('i8x16.min_u', [x, y])]);
  const fours = b.op('i32x4.extadd_pairwise_i16x8_u', [b.op('i16x8.extadd_pairwise_i8x16_u', [distance])]);
  const low = b.op('v128.and', [fours, b.imm128(lanes(32, [-1, 0, -1, 0]))]);
  return b.op('i64x2.add', [low, b.op('i64x2.shr_u', [fours, b.imm(32)])]);
};
/** ~dst & src. */
const andNot = combiningBy((b, x, y) => b.op('v128.andnot', [y, x]));

/** The same bits whatever they stand for: the instructions that SSE has for singles and doubles besides. */
const logic = (name: string, opcode: string, semantics: typeof andNot) => [
  row(`${name}ps`, `NP 0F ${opcode} /r`, [rw(xmm), r(xm128)], semantics, SSE),
  row(`${name}pd`, `66 0F ${opcode} /r`, [rw(xmm), r(xm128)], semantics, SSE2),
];

export const packedInteger = family('packed-integer', [
  ...both('paddb',    '0F FC /r', combining('i8x16.add')),
  ...both('paddw',    '0F FD /r', combining('i16x8.add')),
  ...both('paddd',    '0F FE /r', combining('i32x4.add')),
  ...both('paddq',    '0F D4 /r', combining('i64x2.add'), { feature: 'sse2' }),
  ...both('paddsb',   '0F EC /r', combining('i8x16.add_sat_s')),
  ...both('paddsw',   '0F ED /r', combining('i16x8.add_sat_s')),
  ...both('paddusb',  '0F DC /r', combining('i8x16.add_sat_u')),
  ...both('paddusw',  '0F DD /r', combining('i16x8.add_sat_u')),
  ...both('psubb',    '0F F8 /r', combining('i8x16.sub')),
  ...both('psubw',    '0F F9 /r', combining('i16x8.sub')),
  ...both('psubd',    '0F FA /r', combining('i32x4.sub')),
  ...both('psubq',    '0F FB /r', combining('i64x2.sub'), { feature: 'sse2' }),
  ...both('psubsb',   '0F E8 /r', combining('i8x16.sub_sat_s')),
  ...both('psubsw',   '0F E9 /r', combining('i16x8.sub_sat_s')),
  ...both('psubusb',  '0F D8 /r', combining('i8x16.sub_sat_u')),
  ...both('psubusw',  '0F D9 /r', combining('i16x8.sub_sat_u')),
  ...both('pmullw',   '0F D5 /r', combining('i16x8.mul')),
  ...both('pmulhw',   '0F E5 /r', combiningBy(highWords('s'))),
  ...both('pmulhuw',  '0F E4 /r', combiningBy(highWords('u')), { feature: 'sse' }),
  ...both('pmuludq',  '0F F4 /r', combiningBy(multiplyingEven), { feature: 'sse2' }),
  ...both('pmaddwd',  '0F F5 /r', combining('i32x4.dot_i16x8_s')),
  ...both('psadbw',   '0F F6 /r', combiningBy(sumOfDistances), { feature: 'sse' }),
  ...both('pavgb',    '0F E0 /r', combining('i8x16.avgr_u'), { feature: 'sse' }),
  ...both('pavgw',    '0F E3 /r', combining('i16x8.avgr_u'), { feature: 'sse' }),
  ...both('pminub',   '0F DA /r', combining('i8x16.min_u'), { feature: 'sse', hot: true }),
  ...both('pmaxub',   '0F DE /r', combining('i8x16.max_u'), { feature: 'sse' }),
  ...both('pminsw',   '0F EA /r', combining('i16x8.min_s'), { feature: 'sse' }),
  ...both('pmaxsw',   '0F EE /r', combining('i16x8.max_s'), { feature: 'sse' }),
  ...both('pcmpeqb',  '0F 74 /r', combining('i8x16.eq'), { hot: true }),
  ...both('pcmpeqw',  '0F 75 /r', combining('i16x8.eq')),
  ...both('pcmpeqd',  '0F 76 /r', combining('i32x4.eq')),
  ...both('pcmpgtb',  '0F 64 /r', combining('i8x16.gt_s')),
  ...both('pcmpgtw',  '0F 65 /r', combining('i16x8.gt_s')),
  ...both('pcmpgtd',  '0F 66 /r', combining('i32x4.gt_s')),
  ...both('pand',     '0F DB /r', combining('v128.and')),
  ...both('pandn',    '0F DF /r', andNot),
  ...both('por',      '0F EB /r', combining('v128.or'), { hot: true }),
  ...both('pxor',     '0F EF /r', combining('v128.xor'), { hot: true }),
  ...logic('and',  '54', combining('v128.and')),
  ...logic('andn', '55', andNot),
  ...logic('or',   '56', combining('v128.or')),
  ...logic('xor',  '57', combining('v128.xor')),
]);
