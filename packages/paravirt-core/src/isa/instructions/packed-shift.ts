/** Packed shifts on MMX and XMM registers, by a register, memory or immediate (SDM vol. 1, 9.4.6, 11.4.2). */
import type { Build, Semantics } from '../build.ts';
import { family, imm8, mmreg, r, row, rw, xmmreg } from '../dsl.ts';
import type { Row } from '../model.ts';
import { gtU } from '../ops.ts';
import { BYTE_INDICES, both, low64, mmxRow, SSE2 } from '../vector.ts';

type Bits = 16 | 32 | 64;
const SHAPE = { 16: 'i16x8', 32: 'i32x4', 64: 'i64x2' } as const;

/** A count of the lane's width or more leaves zeros, or the sign where the shift is arithmetic. `excess` says whether it is. */
function shifted<V>(b: Build<V>, bits: Bits, how: 'shl' | 'shr_u' | 'shr_s', x: V, count: V, excess: V): V {
  const op = `${SHAPE[bits]}.${how}`;
  if (how === 'shr_s') return b.op(op, [x, b.select(excess, b.imm(bits - 1), count)]);
  return b.select(excess, b.imm128(0n), b.op(op, [x, count]));
}
/** By the low 64 bits of the second operand. */
const byRegister = (bits: Bits, how: 'shl' | 'shr_u' | 'shr_s'): Semantics => (b, dst, src) => {
  const x = dst.read(), count = low64(b, src.read());
  const excess = b.op('i64.gt_u', [count, b.imm64(BigInt(bits - 1))]);
  dst.write(shifted(b, bits, how, x, b.op('i32.wrap_i64', [count]), excess));
};
const byImmediate = (bits: Bits, how: 'shl' | 'shr_u' | 'shr_s'): Semantics => (b, dst, by) => {
  const count = by.read();
  dst.write(shifted(b, bits, how, dst.read(), count, gtU(b, count, b.imm(bits - 1))));
};
const immediately = (mnemonic: string, encoding: string, semantics: Semantics): Row[] => [
  mmxRow(mnemonic, `NP ${encoding}`, [rw(mmreg), r(imm8)], semantics),
  row(mnemonic, `66 ${encoding}`, [rw(xmmreg), r(imm8)], semantics, SSE2),
];

/** Whole registers by bytes: each byte comes from another place, or is 0 where that is none. */
const shiftingBytes = (left: boolean): Semantics => (b, dst, by) => {
  const count = by.read();
  const splat = b.op('i8x16.splat', [b.select(gtU(b, count, b.imm(15)), b.imm(16), count)]);
  const from = b.op(left ? 'i8x16.sub' : 'i8x16.add', [b.imm128(BYTE_INDICES), splat]);
  dst.write(b.op('i8x16.swizzle', [dst.read(), from]));
};

export const packedShift = family('packed-shift', [
  ...both('psrlw', '0F D1 /r', byRegister(16, 'shr_u')),
  ...both('psrld', '0F D2 /r', byRegister(32, 'shr_u')),
  ...both('psrlq', '0F D3 /r', byRegister(64, 'shr_u')),
  ...both('psraw', '0F E1 /r', byRegister(16, 'shr_s')),
  ...both('psrad', '0F E2 /r', byRegister(32, 'shr_s')),
  ...both('psllw', '0F F1 /r', byRegister(16, 'shl')),
  ...both('pslld', '0F F2 /r', byRegister(32, 'shl')),
  ...both('psllq', '0F F3 /r', byRegister(64, 'shl')),
  ...immediately('psrlw', '0F 71 /2 ib', byImmediate(16, 'shr_u')),
  ...immediately('psraw', '0F 71 /4 ib', byImmediate(16, 'shr_s')),
  ...immediately('psllw', '0F 71 /6 ib', byImmediate(16, 'shl')),
  ...immediately('psrld', '0F 72 /2 ib', byImmediate(32, 'shr_u')),
  ...immediately('psrad', '0F 72 /4 ib', byImmediate(32, 'shr_s')),
  ...immediately('pslld', '0F 72 /6 ib', byImmediate(32, 'shl')),
  ...immediately('psrlq', '0F 73 /2 ib', byImmediate(64, 'shr_u')),
  ...immediately('psllq', '0F 73 /6 ib', byImmediate(64, 'shl')),
  row('psrldq', '66 0F 73 /3 ib', [rw(xmmreg), r(imm8)], shiftingBytes(false), SSE2),
  row('pslldq', '66 0F 73 /7 ib', [rw(xmmreg), r(imm8)], shiftingBytes(true),  SSE2),
]);
