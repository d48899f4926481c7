/** SSE3: horizontal and alternating arithmetic, moves that duplicate (SDM vol. 1, 12.3). FISTTP and MONITOR lie with their kin. */
import type { Semantics } from '../build.ts';
import { family, m128, r, row, rw, w, xm128, xm64, xmm } from '../dsl.ts';
import { or } from '../ops.ts';
import { combined, operandsFirst, reportSimd } from '../sse.ts';
import { SSE3, lanes } from '../vector.ts';

type Format = 'ps' | 'pd';
/** Byte indices of two registers' even lanes, and of their odd ones. */
const LANES = {
  ps: { even: [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27], odd: [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31] },
  pd: { even: [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23], odd: [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31] },
} as const;
const ODD_LANES = { ps: lanes(32, [0, -1, 0, -1]), pd: lanes(64, [0, -1]) } as const;

/** Neighbours in the first operand give the lower lanes, those in the second the upper ones. */
const horizontal = (operation: 'add' | 'sub', format: Format): Semantics => (b, dst, src) => {
  const x = dst.read(), y = src.read();
  const even = b.op('i8x16.shuffle', [x, y], LANES[format].even), odd = b.op('i8x16.shuffle', [x, y], LANES[format].odd);
  const { flags, value } = combined(b, `sse_${operation}${format}`, even, odd);
  reportSimd(b, flags);
  dst.write(value);
};
/** Odd lanes are added, even ones subtracted; the lanes that do not count hold zeros, which raise nothing. */
const alternating = (format: Format): Semantics => (b, dst, src) => {
  const x = dst.read(), y = src.read(), odd = b.imm128(ODD_LANES[format]);
  const part = (v: typeof x, ofOdd: boolean): typeof x => b.op(ofOdd ? 'v128.and' : 'v128.andnot', [v, odd]);
  const difference = combined(b, `sse_sub${format}`, part(x, false), part(y, false));
  const sum = combined(b, `sse_add${format}`, part(x, true), part(y, true));
  reportSimd(b, operandsFirst(b, or(b, difference.flags, sum.flags)));
  dst.write(b.op('v128.bitselect', [sum.value, difference.value, odd]));
};
const duplicating = (order: readonly number[]): Semantics => (b, dst, src) => {
  const x = src.read();
  dst.write(b.op('i8x16.shuffle', [x, x], order));
};
const LOW_QUADWORD = [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7];
const EVEN_SINGLES = [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11], ODD_SINGLES = EVEN_SINGLES.map((n) => n + 4);

export const sse3 = family('sse3', [
  row('movddup',  'F2 0F 12 /r', [w(xmm), r(xm64)],   duplicating(LOW_QUADWORD)),
  row('movsldup', 'F3 0F 12 /r', [w(xmm), r(xm128)],  duplicating(EVEN_SINGLES)),
  row('movshdup', 'F3 0F 16 /r', [w(xmm), r(xm128)],  duplicating(ODD_SINGLES)),
  row('haddpd',   '66 0F 7C /r', [rw(xmm), r(xm128)], horizontal('add', 'pd')),
  row('haddps',   'F2 0F 7C /r', [rw(xmm), r(xm128)], horizontal('add', 'ps')),
  row('hsubpd',   '66 0F 7D /r', [rw(xmm), r(xm128)], horizontal('sub', 'pd')),
  row('hsubps',   'F2 0F 7D /r', [rw(xmm), r(xm128)], horizontal('sub', 'ps')),
  row('addsubpd', '66 0F D0 /r', [rw(xmm), r(xm128)], alternating('pd')),
  row('addsubps', 'F2 0F D0 /r', [rw(xmm), r(xm128)], alternating('ps')),
  row('lddqu',    'F2 0F F0 /r', [w(xmm), r(m128)],   (_, dst, src) => dst.write(src.read()), { aligned: false }),
], SSE3);
