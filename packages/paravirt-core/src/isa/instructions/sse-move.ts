/** Moves of MMX and XMM registers, and the state of both units (SDM vol. 1, 9.4.1, 10.4.1, 10.4.6, 11.4.1, 11.4.4; EMMS). */
import { EDI, EXCEPTION, type Build, type Semantics } from '../build.ts';
import { family, m128, m32, m64, mm, mmm64, mmreg, r, r32, rm32, row, rw, w, xm128, xm32, xm64, xmm, xmmreg } from '../dsl.ts';
import type { Traits } from '../model.ts';
import { addImm, and, andImm, eqz, wrapAddress } from '../ops.ts';
import { SSE, SSE2, from32, from64, high64, low32, low64, mmxRow, onMmx, withHigh64, withLow64 } from '../vector.ts';

const moving: Semantics = (_, dst, src) => dst.write(src.read());
/** A scalar: from memory the rest becomes 0, between registers it stays. */
const movingLow32: Semantics = (b, dst, src) =>
  dst.isMemory || src.isMemory ? dst.write(src.read()) : dst.write(b.op('i32x4.replace_lane', [dst.read(), low32(b, src.read())], [0]));
const movingLow64: Semantics = (b, dst, src) =>
  dst.isMemory || src.isMemory ? dst.write(src.read()) : dst.write(withLow64(b, dst.read(), low64(b, src.read())));
/** MOVQ: to a register the upper half always becomes 0. */
const movingQuadword: Semantics = (b, dst, src) => dst.write(dst.isMemory || src.isMemory ? src.read() : from64(b, low64(b, src.read())));

const loadingLow: Semantics = (b, dst, src) => {
  const half = src.read();
  dst.write(withLow64(b, dst.read(), half));
};
const loadingHigh: Semantics = (b, dst, src) => {
  const half = src.read();
  dst.write(withHigh64(b, dst.read(), half));
};
const storingLow: Semantics = (b, dst, src) => dst.write(low64(b, src.read()));
const storingHigh: Semantics = (b, dst, src) => dst.write(high64(b, src.read()));

/**
 * Bytes at DS:EDI, or the segment of a prefix, where the mask's sign bits say so. All must be writable, chosen or not: the
 * manual leaves that to the processor (SDM vol. 2, MASKMOVQ), and processors do so.
 */
const storingMasked = (bytes: 8 | 16): Semantics => (b, src, mask) => {
  const value = src.read();
  const chosen = andImm(b, b.op('i8x16.bitmask', [mask.read()]), bytes === 8 ? 0xff : 0xffff);
  const start = b.getRegister(b.addressSize, EDI);
  b.probeStore('operand', start, bytes === 8 ? 'u64' : 'v128');
  eachChosen(b, chosen, (i) => {
    const byte = b.op('i8x16.extract_lane_u', [b.op('i8x16.swizzle', [value, b.op('i8x16.splat', [i])])], [0]);
    b.store('operand', wrapAddress(b, b.op('i32.add', [start, i])), 'u8', byte);
  });
};
/** For each bit that is set, lowest first. */
function eachChosen<V>(b: Build<V>, chosen: V, body: (index: V) => void): void {
  const left = b.variable(chosen);
  b.loop((leave) => {
    const bits = left.get();
    leave(eqz(b, bits));
    body(b.op('i32.ctz', [bits]));
    left.set(and(b, bits, addImm(b, bits, -1)));
  });
}

/** MXCSR bits that exist: 31..16 are reserved (SDM vol. 1, 10.2.3). */
const MXCSR_MASK = 0xffff;
const loadingControl: Semantics = (b, src) => {
  const value = src.read();
  b.if(andImm(b, value, ~MXCSR_MASK), () => b.raise(EXCEPTION.GP, 0));
  b.set('mxcsr', value);
};
const emptying: Semantics = (b) => {
  b.set('fpuTop', b.imm(0));
  b.set('fpuTags', b.imm(0xff));
};

const UNALIGNED: Traits = { unit: 'sse', feature: 'sse' }, UNALIGNED2: Traits = { unit: 'sse', feature: 'sse2' };
const MIXED: Traits = { unit: 'sse-mmx', feature: 'sse2' };
const MASKED: Traits = { addressSized: true };
/** What compilers and C libraries move memory with. */
const HOT = { hot: true };

export const sseMove = family('sse-move', [
  row('emms',     'NP 0F 77', [], emptying, { unit: 'mmx', feature: 'mmx' }),
  mmxRow('movd',  'NP 0F 6E /r', [w(mm), r(rm32)],    (b, dst, src) => dst.write(from32(b, src.read()))),
  mmxRow('movd',  'NP 0F 7E /r', [w(rm32), r(mm)],    (b, dst, src) => dst.write(low32(b, src.read()))),
  mmxRow('movq',  'NP 0F 6F /r', [w(mm), r(mmm64)],   moving),
  mmxRow('movq',  'NP 0F 7F /r', [w(mmm64), r(mm)],   moving),
  mmxRow('movntq', 'NP 0F E7 /r', [w(m64), r(mm)],    storingLow, { feature: 'sse' }),
  mmxRow('maskmovq', 'NP 0F F7 /r', [r(mm), r(mmreg)], storingMasked(8), { ...MASKED, feature: 'sse' }),
  row('movd',     '66 0F 6E /r', [w(xmm), r(rm32)],   (b, dst, src) => dst.write(from32(b, src.read())), SSE2),
  row('movd',     '66 0F 7E /r', [w(rm32), r(xmm)],   (b, dst, src) => dst.write(low32(b, src.read())), SSE2),
  row('movq',     'F3 0F 7E /r', [w(xmm), r(xm64)],   movingQuadword, SSE2),
  row('movq',     '66 0F D6 /r', [w(xm64), r(xmm)],   movingQuadword, SSE2),
  row('movdqa',   '66 0F 6F /r', [w(xmm), r(xm128)],  moving, { ...SSE2, ...HOT }),
  row('movdqa',   '66 0F 7F /r', [w(xm128), r(xmm)],  moving, { ...SSE2, ...HOT }),
  row('movdqu',   'F3 0F 6F /r', [w(xmm), r(xm128)],  moving, { ...UNALIGNED2, ...HOT }),
  row('movdqu',   'F3 0F 7F /r', [w(xm128), r(xmm)],  moving, { ...UNALIGNED2, ...HOT }),
  row('movntdq',  '66 0F E7 /r', [w(m128), r(xmm)],   moving, SSE2),
  row('movntps',  'NP 0F 2B /r', [w(m128), r(xmm)],   moving, SSE),
  row('movntpd',  '66 0F 2B /r', [w(m128), r(xmm)],   moving, SSE2),
  row('movnti',   'NP 0F C3 /r', [w(m32), r(r32)],    moving, { feature: 'sse2' }),
  row('maskmovdqu', '66 0F F7 /r', [r(xmm), r(xmmreg)], storingMasked(16), { ...UNALIGNED2, ...MASKED }),
  row('movq2dq',  'F3 0F D6 /r', [w(xmm), r(mmreg)],  onMmx(moving), MIXED),
  row('movdq2q',  'F2 0F D6 /r', [w(mm), r(xmmreg)],  onMmx(moving), MIXED),
  row('movups',   'NP 0F 10 /r', [w(xmm), r(xm128)],  moving, { ...UNALIGNED, ...HOT }),
  row('movups',   'NP 0F 11 /r', [w(xm128), r(xmm)],  moving, { ...UNALIGNED, ...HOT }),
  row('movupd',   '66 0F 10 /r', [w(xmm), r(xm128)],  moving, UNALIGNED2),
  row('movupd',   '66 0F 11 /r', [w(xm128), r(xmm)],  moving, UNALIGNED2),
  row('movaps',   'NP 0F 28 /r', [w(xmm), r(xm128)],  moving, { ...SSE, ...HOT }),
  row('movaps',   'NP 0F 29 /r', [w(xm128), r(xmm)],  moving, { ...SSE, ...HOT }),
  row('movapd',   '66 0F 28 /r', [w(xmm), r(xm128)],  moving, SSE2),
  row('movapd',   '66 0F 29 /r', [w(xm128), r(xmm)],  moving, SSE2),
  row('movss',    'F3 0F 10 /r', [w(xmm), r(xm32)],   movingLow32, SSE),
  row('movss',    'F3 0F 11 /r', [w(xm32), r(xmm)],   movingLow32, SSE),
  row('movsd',    'F2 0F 10 /r', [w(xmm), r(xm64)],   movingLow64, SSE2),
  row('movsd',    'F2 0F 11 /r', [w(xm64), r(xmm)],   movingLow64, SSE2),
  row('movlps',   'NP 0F 12 /r', [rw(xmm), r(m64)],   loadingLow, SSE),
  row('movhlps',  'NP 0F 12 /r', [rw(xmm), r(xmmreg)], (b, dst, src) => dst.write(withLow64(b, dst.read(), high64(b, src.read()))), SSE),
  row('movlps',   'NP 0F 13 /r', [w(m64), r(xmm)],    storingLow, SSE),
  row('movhps',   'NP 0F 16 /r', [rw(xmm), r(m64)],   loadingHigh, SSE),
  row('movlhps',  'NP 0F 16 /r', [rw(xmm), r(xmmreg)], (b, dst, src) => dst.write(withHigh64(b, dst.read(), low64(b, src.read()))), SSE),
  row('movhps',   'NP 0F 17 /r', [w(m64), r(xmm)],    storingHigh, SSE),
  row('movlpd',   '66 0F 12 /r', [rw(xmm), r(m64)],   loadingLow, SSE2),
  row('movlpd',   '66 0F 13 /r', [w(m64), r(xmm)],    storingLow, SSE2),
  row('movhpd',   '66 0F 16 /r', [rw(xmm), r(m64)],   loadingHigh, SSE2),
  row('movhpd',   '66 0F 17 /r', [w(m64), r(xmm)],    storingHigh, SSE2),
  row('ldmxcsr',  'NP 0F AE /2', [r(m32)],            loadingControl, UNALIGNED),
  row('stmxcsr',  'NP 0F AE /3', [w(m32)],            (b, dst) => dst.write(b.get('mxcsr')), UNALIGNED),
]);
