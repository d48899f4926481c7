/** Short names for what the semantics of MMX and SSE write all the time: constants of lanes, 64-bit halves, table look-ups. */
import type { Build, Operand, Semantics } from './build.ts';
import { r, rw, row, mm, mmm64, xm128, xmm } from './dsl.ts';
import type { OperandSpec, Row, Traits } from './model.ts';

/** A 128-bit constant of lanes of `bits` each, lowest first; values are taken modulo 2^bits. */
export function lanes(bits: 8 | 16 | 32 | 64, values: readonly number[]): bigint {
  return values.reduce((all, value, i) => all | (BigInt.asUintN(bits, BigInt(value)) << BigInt(bits * i)), 0n);
}
/** 0, 1, ... 15: what a byte shift counts from. */
export const BYTE_INDICES = lanes(8, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
/** Lane indices of `i8x16.shuffle` that put the low half of the second value behind the low half of the first. */
export const LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23] as const;

export const low64 = <V>(b: Build<V>, x: V): V => b.op('i64x2.extract_lane', [x], [0]);
export const high64 = <V>(b: Build<V>, x: V): V => b.op('i64x2.extract_lane', [x], [1]);
export const low32 = <V>(b: Build<V>, x: V): V => b.op('i32x4.extract_lane', [x], [0]);
/** A value with another low or high half. */
export const withLow64 = <V>(b: Build<V>, x: V, half: V): V => b.op('i64x2.replace_lane', [x, half], [0]);
export const withHigh64 = <V>(b: Build<V>, x: V, half: V): V => b.op('i64x2.replace_lane', [x, half], [1]);
/** 32 or 64 bits below zeros. */
export const from32 = <V>(b: Build<V>, x: V): V => b.op('i32x4.replace_lane', [b.imm128(0n), x], [0]);
export const from64 = <V>(b: Build<V>, x: V): V => b.op('i64x2.replace_lane', [b.imm128(0n), x], [0]);

/** dst = dst op src, for a vector instruction of WebAssembly. */
export const combining =
  (op: string): Semantics =>
  (b, dst, src) =>
    dst.write(b.op(op, [dst.read(), src.read()]));
/** dst = f(dst, src). */
export const combiningBy =
  (f: <V>(b: Build<V>, x: V, y: V) => V): Semantics =>
  (b, dst, src) =>
    dst.write(f(b, dst.read(), src.read()));

/** What every MMX instruction but EMMS does besides: TOP = 0 and all registers valid (SDM vol. 1, 9.5.1). Comes last. */
export function enterMmx<V>(b: Build<V>): void {
  b.set('fpuTop', b.imm(0));
  b.set('fpuTags', b.imm(0));
}
export const onMmx =
  (semantics: Semantics): Semantics =>
  <V>(b: Build<V>, ...operands: Operand<V>[]) => {
    semantics(b, ...operands);
    enterMmx(b);
  };

/**
 * The two rows of an instruction that works on MMX registers without a prefix and on XMM registers with 66.
 * `feature` is what the MMX form belongs to; `wide` is the meaning of the XMM form where it is not the same; `hot` is the
 * XMM form's trait.
 */
export function both(
  mnemonic: string,
  encoding: string,
  semantics: Semantics,
  options: { feature?: string; wide?: Semantics; hot?: boolean } = {},
): Row[] {
  return [
    row(mnemonic, `NP ${encoding}`, [rw(mm), r(mmm64)], onMmx(semantics), {
      unit: 'mmx',
      feature: options.feature ?? 'mmx',
    }),
    row(mnemonic, `66 ${encoding}`, [rw(xmm), r(xm128)], options.wide ?? semantics, {
      ...SSE2,
      ...(options.hot === true ? { hot: true } : {}),
    }),
  ];
}
/** An instruction on MMX registers alone. */
export const mmxRow = (
  mnemonic: string,
  encoding: string,
  operands: readonly OperandSpec[],
  semantics: Semantics,
  traits: Traits = {},
): Row => row(mnemonic, encoding, operands, onMmx(semantics), { unit: 'mmx', feature: 'mmx', ...traits });

/** Memory operands of 16 bytes are aligned unless a row says otherwise (SDM vol. 1, 10.4.1.1 and 11.4.1). */
export const SSE: Traits = { unit: 'sse', aligned: true, feature: 'sse' };
export const SSE2: Traits = { unit: 'sse', aligned: true, feature: 'sse2' };
export const SSE3: Traits = { unit: 'sse', aligned: true, feature: 'sse3' };
export const SSSE3: Traits = { unit: 'sse', aligned: true, feature: 'ssse3' };
export const SSE41: Traits = { unit: 'sse', aligned: true, feature: 'sse4.1' };
export const SSE42: Traits = { unit: 'sse', aligned: true, feature: 'sse4.2' };
