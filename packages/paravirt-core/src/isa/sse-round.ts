/**
 * Rounding to integral values in the format of the operand (SDM vol. 2, ROUNDPS): WebAssembly rounds exactly, so that no leaf
 * is needed. NaNs go around it, as WebAssembly leaves their bits open.
 */
import type { Build, Semantics } from './build.ts';
import { and, andImm, eq, eqz, or, shrImm } from './ops.ts';
import { reportSimd } from './sse.ts';
import { lanes } from './vector.ts';

/** MXCSR (SDM vol. 1, 10.2.3): invalid and precision flags, denormals are zeros, rounding control. */
const IE = 0x01,
  PE = 0x20,
  DAZ = 0x40,
  RC_SHIFT = 13,
  IE_MASK = 0x80;
/** Immediate: rounding control, take MXCSR's instead, raise no precision exception. */
const BY_MXCSR = 4,
  QUIETLY_SHIFT = 3;
/** By rounding control: to nearest even, down, up, towards zero. */
const WAYS = ['nearest', 'floor', 'ceil', 'trunc'] as const;

const FORMATS = {
  s: {
    shape: 'f32x4',
    integers: 'i32x4',
    sign: lanes(
      32,
      [1, 1, 1, 1].map(() => 0x80000000),
    ),
    quiet: lanes(
      32,
      [1, 1, 1, 1].map(() => 0x00400000),
    ),
    leastNormal: lanes(
      32,
      [1, 1, 1, 1].map(() => 0x00800000),
    ),
  },
  d: {
    shape: 'f64x2',
    integers: 'i64x2',
    sign: (1n << 63n) | (1n << 127n),
    quiet: (1n << 51n) | (1n << 115n),
    leastNormal: (1n << 52n) | (1n << 116n),
  },
} as const;
/** Lanes that count, and the bytes of a scalar's result over those of the destination. */
const FORMS = {
  ps: { format: FORMATS.s, counted: 15, merge: undefined },
  pd: { format: FORMATS.d, counted: 3, merge: undefined },
  ss: { format: FORMATS.s, counted: 1, merge: [0, 1, 2, 3, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31] },
  sd: { format: FORMATS.d, counted: 1, merge: [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31] },
} as const;

/** Denormals raise nothing here: they round, or are zeros already where MXCSR says so. */
export const rounding =
  (form: keyof typeof FORMS): Semantics =>
  (b, dst, src, how) => {
    const { format, counted, merge } = FORMS[form];
    const { shape, integers } = format;
    const raw = src.read(),
      old = merge === undefined ? raw : dst.read(),
      control = how.read(),
      mxcsr = b.get('mxcsr');
    const x = flushed(b, format, raw, mxcsr);
    const rc = b.select(andImm(b, control, BY_MXCSR), andImm(b, shrImm(b, mxcsr, RC_SHIFT), 3), andImm(b, control, 3));
    const rounded = b.variable(x);
    WAYS.forEach((way, i) => b.if(eq(b, rc, b.imm(i)), () => rounded.set(b.op(`${shape}.${way}`, [x]))));
    const isNan = b.op(`${shape}.ne`, [x, x]);
    const inexact = b.op('v128.andnot', [b.op(`${shape}.ne`, [rounded.get(), x]), isNan]);
    const signaling = b.op('v128.andnot', [isNan, quietNans(b, integers, x, format.quiet)]);
    const any = (v: typeof x): typeof x => eqz(b, eqz(b, andImm(b, b.op(`${integers}.bitmask`, [v]), counted)));
    const invalid = any(signaling);
    // An unmasked invalid operation comes before anything is rounded.
    const stops = and(b, invalid, eqz(b, andImm(b, mxcsr, IE_MASK)));
    const precise = or(b, stops, andImm(b, shrImm(b, control, QUIETLY_SHIFT), 1));
    const imprecise = b.select(precise, b.imm(0), b.select(any(inexact), b.imm(PE), b.imm(0)));
    reportSimd(b, or(b, b.select(invalid, b.imm(IE), b.imm(0)), imprecise));
    const result = b.op('v128.bitselect', [b.op('v128.or', [x, b.imm128(format.quiet)]), rounded.get(), isNan]);
    dst.write(merge === undefined ? result : b.op('i8x16.shuffle', [result, old], merge));
  };

type Format = (typeof FORMATS)[keyof typeof FORMATS];
/** With DAZ set, denormals keep their sign only. */
function flushed<V>(b: Build<V>, { shape, sign, leastNormal }: Format, x: V, mxcsr: V): V {
  const magnitude = b.op('v128.andnot', [x, b.imm128(sign)]);
  const tiny = b.op(`${shape}.lt`, [magnitude, b.imm128(leastNormal)]);
  const zeros = b.op('v128.bitselect', [b.op('v128.and', [x, b.imm128(sign)]), x, tiny]);
  return b.select(andImm(b, mxcsr, DAZ), zeros, x);
}
/** Lanes whose quiet bit is set. */
function quietNans<V>(b: Build<V>, integers: 'i32x4' | 'i64x2', x: V, quiet: bigint): V {
  return b.op(`${integers}.eq`, [b.op('v128.and', [x, b.imm128(quiet)]), b.imm128(quiet)]);
}
