/** SSSE3: horizontal integers, absolute values and signs, byte permutation, on MMX and XMM registers (SDM vol. 1, 12.5). */
import type { Build, Semantics } from '../build.ts';
import { family, imm8, mm, mmm64, r, row, rw, w, xm128, xmm } from '../dsl.ts';
import type { OperandSpec, Row } from '../model.ts';
import { addImm, gtU } from '../ops.ts';
import { BYTE_INDICES, LOW_HALVES, SSSE3, combiningBy, lanes, mmxRow } from '../vector.ts';

type Pairwise = <V>(b: Build<V>, x: V, y: V) => V;

const rows = (mnemonic: string, encoding: string, half: Semantics, whole: Semantics, shape: readonly [OperandSpec, OperandSpec, OperandSpec, OperandSpec] = [rw(mm), r(mmm64), rw(xmm), r(xm128)], ...more: OperandSpec[]): Row[] => [
  mmxRow(mnemonic, `NP ${encoding}`, [shape[0], shape[1], ...more], half, { feature: 'ssse3' }),
  row(mnemonic, `66 ${encoding}`, [shape[2], shape[3], ...more], whole, SSSE3),
];
/** The same lane by lane, however many lanes there are. */
const alike = (mnemonic: string, encoding: string, semantics: Semantics): Row[] => rows(mnemonic, encoding, semantics, semantics);
/** Of one operand. */
const unary = (mnemonic: string, encoding: string, op: string): Row[] => {
  const semantics: Semantics = (b, dst, src) => dst.write(b.op(op, [src.read()]));
  return rows(mnemonic, encoding, semantics, semantics, [w(mm), r(mmm64), w(xmm), r(xm128)]);
};

const EVEN_WORDS = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29], ODD_WORDS = EVEN_WORDS.map((n) => n + 2);
const EVEN_DOUBLEWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27], ODD_DOUBLEWORDS = EVEN_DOUBLEWORDS.map((n) => n + 4);
/** Neighbours: of XMM registers the first operand's come below the second's; MMX operands are put into one register first. */
const neighbours = (op: string): Pairwise => (b, x, y) => {
  const [even, odd] = op.startsWith('i16x8') ? [EVEN_WORDS, ODD_WORDS] : [EVEN_DOUBLEWORDS, ODD_DOUBLEWORDS];
  return b.op(op, [b.op('i8x16.shuffle', [x, y], even), b.op('i8x16.shuffle', [x, y], odd)]);
};
const horizontal = (mnemonic: string, opcode: string, op: string): Row[] => {
  const inHalves = combiningBy((b, x, y) => {
    const joined = b.op('i8x16.shuffle', [x, y], LOW_HALVES);
    return neighbours(op)(b, joined, joined);
  });
  return rows(mnemonic, `0F 38 ${opcode} /r`, inHalves, combiningBy(neighbours(op)));
};

/** Unsigned bytes of the first operand times signed ones of the second; sums of two saturate. No product needs more than 16 bits. */
const multiplyingBytes: Pairwise = (b, x, y) => {
  const eight = b.imm(8);
  const even = b.op('i16x8.mul', [b.op('v128.and', [x, b.imm128(lanes(16, Array<number>(8).fill(0xff)))]), b.op('i16x8.shr_s', [b.op('i16x8.shl', [y, eight]), eight])]);
  const odd = b.op('i16x8.mul', [b.op('i16x8.shr_u', [x, eight]), b.op('i16x8.shr_s', [y, eight])]);
  return b.op('i16x8.add_sat_s', [even, odd]);
};
/** As WebAssembly's, which saturates the one product that overflows; here it wraps. */
const multiplyingRounded: Pairwise = (b, x, y) => {
  const least = b.imm128(lanes(16, Array<number>(8).fill(0x8000)));
  const overflows = b.op('v128.and', [b.op('i16x8.eq', [x, least]), b.op('i16x8.eq', [y, least])]);
  return b.op('v128.xor', [b.op('i16x8.q15mulr_sat_s', [x, y]), overflows]);
};
/** The first operand's lanes, negated where the second's are negative, 0 where they are 0. */
const signing = (shape: 'i8x16' | 'i16x8' | 'i32x4'): Semantics => combiningBy((b, x, y) => {
  const zero = b.imm128(0n);
  const signed = b.op('v128.bitselect', [b.op(`${shape}.sub`, [zero, x]), x, b.op(`${shape}.gt_s`, [zero, y])]);
  return b.op('v128.andnot', [signed, b.op(`${shape}.eq`, [y, zero])]);
});
/** Bytes by number; a number with its highest bit set gives 0, as one beyond the register does for WebAssembly. */
const permuting = (mask: number): Semantics => combiningBy((b, x, y) => b.op('i8x16.swizzle', [x, b.op('v128.and', [y, b.imm128(lanes(8, Array<number>(16).fill(mask)))])]));
/** Both registers side by side, the second below, moved down by bytes. Numbers below 0 lie beyond the register as well. */
const aligning = (bytes: 8 | 16): Semantics => (b, dst, src, by) => {
  const n = by.read(), x = dst.read(), y = src.read();
  const from = (count: typeof n): typeof n => b.op('i8x16.add', [b.imm128(BYTE_INDICES), b.op('i8x16.splat', [count])]);
  const count = b.select(gtU(b, n, b.imm(2 * bytes)), b.imm(2 * bytes), n);
  const low = b.op('i8x16.swizzle', [y, from(count)]), high = b.op('i8x16.swizzle', [x, from(addImm(b, count, -bytes))]);
  dst.write(b.op('v128.or', [low, high]));
};

export const ssse3 = family('ssse3', [
  ...rows('pshufb', '0F 38 00 /r', permuting(0x87), permuting(0x8f)),
  ...horizontal('phaddw',  '01', 'i16x8.add'),
  ...horizontal('phaddd',  '02', 'i32x4.add'),
  ...horizontal('phaddsw', '03', 'i16x8.add_sat_s'),
  ...alike('pmaddubsw', '0F 38 04 /r', combiningBy(multiplyingBytes)),
  ...horizontal('phsubw',  '05', 'i16x8.sub'),
  ...horizontal('phsubd',  '06', 'i32x4.sub'),
  ...horizontal('phsubsw', '07', 'i16x8.sub_sat_s'),
  ...alike('psignb',    '0F 38 08 /r', signing('i8x16')),
  ...alike('psignw',    '0F 38 09 /r', signing('i16x8')),
  ...alike('psignd',    '0F 38 0A /r', signing('i32x4')),
  ...alike('pmulhrsw',  '0F 38 0B /r', combiningBy(multiplyingRounded)),
  ...unary('pabsb',     '0F 38 1C /r', 'i8x16.abs'),
  ...unary('pabsw',     '0F 38 1D /r', 'i16x8.abs'),
  ...unary('pabsd',     '0F 38 1E /r', 'i32x4.abs'),
  ...rows('palignr', '0F 3A 0F /r ib', aligning(8), aligning(16), undefined, r(imm8)),
]);
