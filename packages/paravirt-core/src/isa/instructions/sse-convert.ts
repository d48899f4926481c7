/** Conversions between integers, singles and doubles (SDM vol. 1, 10.4.1.3, 10.4.4, 11.4.1.6, 11.4.4). */
import type { Build, Operand, Semantics } from '../build.ts';
import { family, m64, mm, mmreg, r, r32, rm32, row, rw, w, xm128, xm32, xm64, xmm } from '../dsl.ts';
import type { Traits } from '../model.ts';
import { addressOf, computing, computingAside, reportSimd, room } from '../sse.ts';
import { SSE, SSE2, enterMmx, from64, onMmx, withLow64 } from '../vector.ts';

const intoGeneral = <V>(b: Build<V>, dst: Operand<V>, result: V): void => dst.write(b.peek(result, 'u32', 0));
const intoLowHalf = <V>(b: Build<V>, dst: Operand<V>, result: V): void => dst.write(from64(b, b.peek(result, 'u64', 0)));
const intoWhole = <V>(b: Build<V>, dst: Operand<V>, result: V): void => dst.write(b.peek(result, 'v128', 0));
/** An integer from a general register or memory. */
const singleFromGeneral: Semantics = (b, dst, src) => {
  const value = src.read();
  reportSimd(b, b.leaf('sse_cvtsi2ss', dst.address(), value, b.get('mxcsr')));
};
/** A double holds every integer: no leaf is needed, and no flag is raised. */
const doubleFromGeneral: Semantics = (b, dst, src) => {
  const double = b.op('f64.convert_i32_s', [src.read()]);
  dst.write(withLow64(b, dst.read(), b.op('i64.reinterpret_f64', [double])));
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
  row('cvttss2si', 'F3 0F 2C /r', [w(r32), r(xm32)],   computingAside('sse_cvtss2si', true,  intoGeneral), SSE),
  row('cvtss2si',  'F3 0F 2D /r', [w(r32), r(xm32)],   computingAside('sse_cvtss2si', false, intoGeneral), SSE),
  row('cvttsd2si', 'F2 0F 2C /r', [w(r32), r(xm64)],   computingAside('sse_cvtsd2si', true,  intoGeneral), SSE2),
  row('cvtsd2si',  'F2 0F 2D /r', [w(r32), r(xm64)],   computingAside('sse_cvtsd2si', false, intoGeneral), SSE2),
  row('cvtps2pd',  'NP 0F 5A /r', [w(xmm), r(xm64)],   computing('sse_cvtps2pd'), SSE2),
  row('cvtpd2ps',  '66 0F 5A /r', [w(xmm), r(xm128)],  computing('sse_cvtpd2ps'), SSE2),
  row('cvtss2sd',  'F3 0F 5A /r', [rw(xmm), r(xm32)],  computing('sse_cvtss2sd'), SSE2),
  row('cvtsd2ss',  'F2 0F 5A /r', [rw(xmm), r(xm64)],  computing('sse_cvtsd2ss'), SSE2),
  row('cvtdq2ps',  'NP 0F 5B /r', [w(xmm), r(xm128)],  computing('sse_cvtdq2ps'), SSE2),
  row('cvtps2dq',  '66 0F 5B /r', [w(xmm), r(xm128)],  computingAside('sse_cvtps2dq', false, intoWhole), SSE2),
  row('cvttps2dq', 'F3 0F 5B /r', [w(xmm), r(xm128)],  computingAside('sse_cvtps2dq', true,  intoWhole), SSE2),
  row('cvttpd2dq', '66 0F E6 /r', [w(xmm), r(xm128)],  computingAside('sse_cvtpd2pi', true,  intoLowHalf), SSE2),
  row('cvtdq2pd',  'F3 0F E6 /r', [w(xmm), r(xm64)],   doublesFromPair, SSE2),
  row('cvtpd2dq',  'F2 0F E6 /r', [w(xmm), r(xm128)],  computingAside('sse_cvtpd2pi', false, intoLowHalf), SSE2),
]);
