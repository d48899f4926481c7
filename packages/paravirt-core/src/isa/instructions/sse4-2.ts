/** SSE4.2 and POPCNT: strings in registers, a comparison of quadwords, a checksum, counting bits (SDM vol. 1, 12.11 and 12.12). */
import type { Semantics } from '../build.ts';
import { family, imm8, r, r32, rm8, rmv, row, rv, rw, w, xm128, xmm } from '../dsl.ts';
import { and, addImm, andImm, eqz, shrImm, sizeOf, xor, type RowSize } from '../ops.ts';
import { comparingStrings } from '../string-compare.ts';
import { SSE42, combining } from '../vector.ts';

/** 11EDC6F41h with its bits in reverse order, as the bits of each byte are (SDM vol. 2, CRC32). */
const POLYNOMIAL = 0x82f63b78 | 0;
/** One bit after another: lowest bit out, and the polynomial where it was 1. */
const checking = (size: RowSize): Semantics => (b, dst, src) => {
  const sum = b.variable(xor(b, dst.read(), src.read())), left = b.variable(b.imm(sizeOf(b, size)));
  b.loop((leave) => {
    const x = sum.get(), n = left.get();
    leave(eqz(b, n));
    const out = b.op('i32.sub', [b.imm(0), andImm(b, x, 1)]);
    sum.set(xor(b, shrImm(b, x, 1), and(b, out, b.imm(POLYNOMIAL))));
    left.set(addImm(b, n, -1));
  });
  dst.write(sum.get());
};
const counting: Semantics = (b, dst, src) => {
  const x = src.read();
  dst.write(b.op('i32.popcnt', [x]));
  b.setStatusFlags(b.op('i32.shl', [eqz(b, x), b.imm(6)]));
};

/** Strings may lie anywhere (SDM vol. 2, PCMPESTRI: no alignment is asked). */
const STRINGS = { aligned: false, flags: 'w=oszc 0=ap' } as const;
const rows = [
  row('pcmpgtq',   '66 0F 38 37 /r', [rw(xmm), r(xm128)], combining('i64x2.gt_s')),
  row('pcmpestrm', '66 0F 3A 60 /r ib', [r(xmm), r(xm128), r(imm8)], comparingStrings(true, 'mask'), STRINGS),
  row('pcmpestri', '66 0F 3A 61 /r ib', [r(xmm), r(xm128), r(imm8)], comparingStrings(true, 'index'), STRINGS),
  row('pcmpistrm', '66 0F 3A 62 /r ib', [r(xmm), r(xm128), r(imm8)], comparingStrings(false, 'mask'), STRINGS),
  row('pcmpistri', '66 0F 3A 63 /r ib', [r(xmm), r(xm128), r(imm8)], comparingStrings(false, 'index'), STRINGS),
];
const general = [
  row('crc32',  'F2 0F 38 F0 /r', [rw(r32), r(rm8)], checking(8),   { feature: 'sse4.2' }),
  row('crc32',  'F2 0F 38 F1 /r', [rw(r32), r(rmv)], checking('v'), { feature: 'sse4.2' }),
  row('popcnt', 'F3 0F B8 /r',    [w(rv), r(rmv)],   counting,      { feature: 'popcnt', flags: 'w=z 0=oscap' }),
];
export const sse42 = [...family('sse4.2', rows, SSE42), ...family('sse4.2', general)];
