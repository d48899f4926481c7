/**
 * Conversions of SSE without a leaf (SDM vol. 1, 4.8.4, 11.5.2), where WebAssembly gives the same bits and nothing is raised but PE, which is masked
 * and set already: numbers that fit, rounded to nearest or cut off. What is widened is exact, whatever MXCSR says.
 */
import type { Build, FloatForm, Operand, Semantics } from './build.ts';
import { andImm, ne } from './ops.ts';
import { areOdd } from './sse-compare.ts';
import { FLOAT_FORMS, MXCSR_CONTROL, MXCSR_QUICK } from './sse-quick.ts';
import { reportSimd, room } from './sse.ts';
import { lanes, low32 } from './vector.ts';

/** Without rounding control. */
const MXCSR_CUT = MXCSR_CONTROL & 0x1fff;
const double = (bits: bigint): bigint => bits | (bits << 64n);
/** The largest integers of 31 bits in each format, and what is no more than one of them however it is rounded. */
const MOST = {
    32: lanes(
      32,
      [1, 1, 1, 1].map(() => 0x4effffff),
    ),
    64: double(0x41df_ffff_ffc0_0000n),
  } as const,
  MOST_BITS = 30;
/** Doubles whose singles are normal: from twice the least to the largest one. */
const SINGLE = { least: double(0x3820_0000_0000_0000n), most: double(0x47ef_ffff_e000_0000n) } as const,
  SINGLE_RANGE = { unit: -126, most: 127 } as const,
  /** What doubles may be expected to have at most. */
  SINGLE_SPREAD = 39;

/** 1 where MXCSR is not as it must be; undefined: it is. */
function controlIsOdd<V>(b: Build<V>, mask = MXCSR_CONTROL): V | undefined {
  if (b.roundsSimdQuickly?.() === true) return undefined;
  return ne(b, andImm(b, b.get('mxcsr'), mask), b.imm(MXCSR_QUICK));
}
/** What is computed at once, unless one of some conditions holds; else the leaf's. */
function unlessOdd<V>(b: Build<V>, odd: readonly (V | undefined)[], empty: V, quickly: () => V, byLeaf: () => V): V {
  const conditions = odd.filter((condition) => condition !== undefined);
  if (conditions.length === 0) return quickly();
  const value = b.variable(empty);
  b.attempt!(
    (unless) => {
      conditions.forEach(unless);
      value.set(quickly());
    },
    () => value.set(byLeaf()),
  );
  return value.get();
}
/** Slot of `scratch` for a result. */
const RESULT = 3;
/** By a leaf: (destination, source, ...how, MXCSR) -> flags; its result lies over what was at the destination. */
function byLeaf<V>(b: Build<V>, leaf: string, old: V, source: V, ...how: V[]): V {
  const from = room(b),
    to = b.slotAddress('scratch', b.imm(RESULT));
  b.poke(from, 'v128', 0, source);
  b.poke(to, 'v128', 0, old);
  reportSimd(b, b.leaf(leaf, to, from, ...how, b.get('mxcsr')));
  return b.peek(to, 'v128', 0);
}
/** Where an integer, or a vector of them, goes. */
type Write = <V>(b: Build<V>, dst: Operand<V>, integers: V) => void;
export const intoGeneral: Write = (b, dst, integers) => dst.write(low32(b, integers));
export const intoVector: Write = (_, dst, integers) => dst.write(integers);

/** Integers of 32 bits, those of doubles in the low half below zeros; `truncate` is the CVTT form. */
export const toIntegers =
  (leaf: string, form: FloatForm, truncate: boolean, write: Write): Semantics =>
  (b, dst, src) => {
    const { format, lanes } = FLOAT_FORMS[form],
      { shape, bits } = format;
    const x = src.read();
    const slowly = (): typeof x => byLeaf(b, leaf, b.imm128(0n), x, b.imm(truncate ? 1 : 0));
    if (!b.shortcuts) return write(b, dst, slowly());
    const quickly = (): typeof x => {
      const whole = truncate ? x : b.op(`${shape}.nearest`, [x]);
      return b.op(bits === 32 ? 'i32x4.relaxed_trunc_f32x4_s' : 'i32x4.relaxed_trunc_f64x2_s_zero', [whole]);
    };
    const odd = [isLarge(b, form, x, lanes), controlIsOdd(b, truncate ? MXCSR_CUT : MXCSR_CONTROL)];
    write(b, dst, unlessOdd(b, odd, x, quickly, slowly));
  };
/** 1 where a number does not fit into an integer, or is a NaN; undefined: all are known to fit. */
function isLarge<V>(b: Build<V>, form: FloatForm, x: V, lanes: number): V | undefined {
  const { shape, integers, bits, magnitude } = FLOAT_FORMS[form].format;
  const known = b.numbersIn?.(x, bits, lanes);
  if (known !== undefined && known.most <= MOST_BITS) return undefined;
  const fits = b.op(`${shape}.le`, [b.op('v128.and', [x, b.imm128(magnitude)]), b.imm128(MOST[bits])]);
  return ne(b, andImm(b, b.op(`${integers}.bitmask`, [fits]), lanes), b.imm(lanes));
}

/** CVTDQ2PS. */
export const singlesFromIntegers: Semantics = (b, dst, src) => {
  const x = src.read();
  const slowly = (): typeof x => byLeaf(b, 'sse_cvtdq2ps', x, x);
  if (!b.shortcuts) return dst.write(slowly());
  dst.write(unlessOdd(b, [controlIsOdd(b)], x, () => b.op('f32x4.convert_i32x4_s', [x]), slowly));
};
/** CVTSI2SS: over the lowest lane. */
export const singleFromGeneral: Semantics = (b, dst, src) => {
  const value = src.read(),
    old = dst.read();
  const slowly = (): typeof old => {
    const to = room(b);
    b.poke(to, 'v128', 0, old);
    reportSimd(b, b.leaf('sse_cvtsi2ss', to, value, b.get('mxcsr')));
    return b.peek(to, 'v128', 0);
  };
  if (!b.shortcuts) return dst.write(slowly());
  const quickly = (): typeof old => b.op('f32x4.replace_lane', [old, b.op('f32.convert_i32_s', [value])], [0]);
  dst.write(unlessOdd(b, [controlIsOdd(b)], old, quickly, slowly));
};

/** CVTSS2SD over the low half, and CVTPS2PD. */
export const widening =
  (form: 'ss' | 'ps'): Semantics =>
  (b, dst, src) => {
    const x = src.read(),
      old = form === 'ss' ? dst.read() : x;
    const slowly = (): typeof x => byLeaf(b, form === 'ss' ? 'sse_cvtss2sd' : 'sse_cvtps2pd', old, x);
    if (!b.shortcuts) return dst.write(slowly());
    const quickly = (): typeof x => {
      if (form === 'ps') return b.op('f64x2.promote_low_f32x4', [x]);
      return b.op('f64x2.replace_lane', [old, b.op('f64.promote_f32', [b.op('f32x4.extract_lane', [x], [0])])], [0]);
    };
    const lanes = form === 'ss' ? 1 : 3;
    b.expectNumbers?.(x, 32, lanes);
    dst.write(unlessOdd(b, [areOdd(b, form, [x], lanes)], x, quickly, slowly));
  };
/** CVTSD2SS over the lowest lane, and CVTPD2PS below zeros. */
export const narrowing =
  (form: 'sd' | 'pd'): Semantics =>
  (b, dst, src) => {
    const x = src.read(),
      old = form === 'sd' ? dst.read() : b.imm128(0n);
    const slowly = (): typeof x => byLeaf(b, form === 'sd' ? 'sse_cvtsd2ss' : 'sse_cvtpd2ps', old, x);
    if (!b.shortcuts) return dst.write(slowly());
    const quickly = (): typeof x => {
      if (form === 'pd') return b.op('f32x4.demote_f64x2_zero', [x]);
      return b.op('f32x4.replace_lane', [old, b.op('f32.demote_f64', [b.op('f64x2.extract_lane', [x], [0])])], [0]);
    };
    const { lanes } = FLOAT_FORMS[form];
    b.expectNumbers?.(x, 64, lanes, SINGLE_SPREAD);
    dst.write(unlessOdd(b, [areNoSingles(b, x, lanes), controlIsOdd(b)], x, quickly, slowly));
  };
/** 1 where a double is neither 0 nor surely a normal single; undefined: all are known to be. */
function areNoSingles<V>(b: Build<V>, x: V, lanes: number): V | undefined {
  const { magnitude } = FLOAT_FORMS.pd.format;
  const known = b.numbersIn?.(x, 64, lanes);
  if (known !== undefined && known.unit >= SINGLE_RANGE.unit && known.most <= SINGLE_RANGE.most) return undefined;
  const size = b.op('v128.and', [x, b.imm128(magnitude)]);
  const zero = b.op('f64x2.eq', [x, b.imm128(0n)]),
    atLeast = b.op('f64x2.ge', [size, b.imm128(SINGLE.least)]),
    atMost = b.op('f64x2.le', [size, b.imm128(SINGLE.most)]);
  const fits = b.op('v128.and', [b.op('v128.or', [zero, atLeast]), atMost]);
  return ne(b, andImm(b, b.op('i64x2.bitmask', [fits]), lanes), b.imm(lanes));
}
