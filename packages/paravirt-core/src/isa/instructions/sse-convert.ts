/** Conversions between integers, singles and doubles (SDM vol. 1, 10.4.1.3, 10.4.4, 11.4.1.6, 11.4.4). */
import type { Build, Operand, Semantics } from '../build.ts';
import { family, m64, mm, mmreg, r, r32, rm32, row, rw, w, xm128, xm32, xm64, xmm } from '../dsl.ts';
import type { Traits } from '../model.ts';
import { intoGeneral, intoVector, narrowing, singleFromGeneral, singlesFromIntegers, toIntegers, widening } from '../sse-conversion.ts';
import { addressOf, computing, reportSimd, room } from '../sse.ts';
import { SSE, SSE2, enterMmx, from64, onMmx } from '../vector.ts';

const intoLowHalf = <V>(b: Build<V>, dst: Operand<V>, result: V): void => dst.write(from64(b, b.peek(result, 'u64', 0)));
/** A double holds every integer: no leaf is needed, and no flag is raised. */
const doubleFromGeneral: Semantics = (b, dst, src) => {
  const double = b.op('f64.convert_i32_s', [src.read()]);
  dst.write(b.op('f64x2.replace_lane', [dst.read(), double], [0]));
};
const doublesFromPair: Semantics = (b, dst, src) => dst.write(b.op('f64x2.convert_low_i32x4_s', [src.read()]));

/**
 * To and from MMX registers, which are entered before an unmasked exception is raised: so processors do, the manual is
 * silent.
 */
const singlesFromMmx: Semantics = (b, dst, src) => {
  enterMmx(b);
  computing('sse_cvtpi2ps')(b, dst, src);
};
const toMmx = (leaf: string, truncate: boolean): Semantics => (b, dst, src) => {
  const from = addressOf(b, src), to = room(b);
  enterMmx(b);
  reportSimd(b, b.leaf(leaf, to, from, b.imm(truncate ? 1 : 0), b.get('mxcsr')));
  intoLowHalf(b, dst, to);
};
/** Two integers from memory have nothing to do with MMX: neither its state nor its faults. */
const singlesFromPair: Semantics = (b, dst, src) => {
  const copy = room(b);
  b.poke(copy, 'u64', 0, src.read());
  reportSimd(b, b.leaf('sse_cvtpi2ps', dst.address(), copy, b.get('mxcsr')));
};

const MIXED: Traits = { ...SSE, unit: 'sse-mmx' }, MIXED2: Traits = { ...SSE2, unit: 'sse-mmx' };

export const sseConvert = family('sse-convert', [
  row('cvtpi2ps',  'NP 0F 2A /r', [rw(xmm), r(mmreg)], singlesFromMmx, MIXED),
  row('cvtpi2ps',  'NP 0F 2A /r', [rw(xmm), r(m64)],   singlesFromPair, SSE),
  row('cvtpi2pd',  '66 0F 2A /r', [w(xmm), r(mmreg)],  onMmx(doublesFromPair), MIXED2),
  row('cvtpi2pd',  '66 0F 2A /r', [w(xmm), r(m64)],    (b, dst, src) => dst.write(b.op('f64x2.convert_low_i32x4_s', [from64(b, src.read())])), SSE2),
  row('cvtsi2ss',  'F3 0F 2A /r', [rw(xmm), r(rm32)],  singleFromGeneral, SSE),
  row('cvtsi2sd',  'F2 0F 2A /r', [rw(xmm), r(rm32)],  doubleFromGeneral, SSE2),
  row('cvttps2pi', 'NP 0F 2C /r', [w(mm), r(xm64)],    toMmx('sse_cvtps2pi', true), MIXED),
  row('cvtps2pi',  'NP 0F 2D /r', [w(mm), r(xm64)],    toMmx('sse_cvtps2pi', false), MIXED),
  row('cvttpd2pi', '66 0F 2C /r', [w(mm), r(xm128)],   toMmx('sse_cvtpd2pi', true), MIXED2),
  row('cvtpd2pi',  '66 0F 2D /r', [w(mm), r(xm128)],   toMmx('sse_cvtpd2pi', false), MIXED2),
  row('cvttss2si', 'F3 0F 2C /r', [w(r32), r(xm32)],   toIntegers('sse_cvtss2si', 'ss', true, intoGeneral), SSE),
  row('cvtss2si',  'F3 0F 2D /r', [w(r32), r(xm32)],   toIntegers('sse_cvtss2si', 'ss', false, intoGeneral), SSE),
  row('cvttsd2si', 'F2 0F 2C /r', [w(r32), r(xm64)],   toIntegers('sse_cvtsd2si', 'sd', true, intoGeneral), SSE2),
  row('cvtsd2si',  'F2 0F 2D /r', [w(r32), r(xm64)],   toIntegers('sse_cvtsd2si', 'sd', false, intoGeneral), SSE2),
  row('cvtps2pd',  'NP 0F 5A /r', [w(xmm), r(xm64)],   widening('ps'), SSE2),
  row('cvtpd2ps',  '66 0F 5A /r', [w(xmm), r(xm128)],  narrowing('pd'), SSE2),
  row('cvtss2sd',  'F3 0F 5A /r', [rw(xmm), r(xm32)],  widening('ss'), SSE2),
  row('cvtsd2ss',  'F2 0F 5A /r', [rw(xmm), r(xm64)],  narrowing('sd'), SSE2),
  row('cvtdq2ps',  'NP 0F 5B /r', [w(xmm), r(xm128)],  singlesFromIntegers, SSE2),
  row('cvtps2dq',  '66 0F 5B /r', [w(xmm), r(xm128)],  toIntegers('sse_cvtps2dq', 'ps', false, intoVector), SSE2),
  row('cvttps2dq', 'F3 0F 5B /r', [w(xmm), r(xm128)],  toIntegers('sse_cvtps2dq', 'ps', true, intoVector), SSE2),
  row('cvttpd2dq', '66 0F E6 /r', [w(xmm), r(xm128)],  toIntegers('sse_cvtpd2pi', 'pd', true, intoVector), SSE2),
  row('cvtdq2pd',  'F3 0F E6 /r', [w(xmm), r(xm64)],   doublesFromPair, SSE2),
  row('cvtpd2dq',  'F2 0F E6 /r', [w(xmm), r(xm128)],  toIntegers('sse_cvtpd2pi', 'pd', false, intoVector), SSE2),
]);
