/**
 * The operations of the reference program (`host/oracle.c`) by number, and how each is run on the numerics module, with the
 * stack effect of the instruction around it: the results are compared byte for byte.
 */
import type { Numerics, Slot, StatusBits } from './numerics.ts';

/** Bytes of an input and of an output record of the reference program. */
export const RECORD_BYTES = 40;

/** Slots of a test memory. The operands are in A and B; C holds what is pushed; STORE takes stores to memory formats. */
export const A: Slot = 0x100;
export const B: Slot = 0x110;
export const C: Slot = 0x120;
export const STORE: Slot = 0x130;

const IE = 0x01;
const DE = 0x02;
const ZE = 0x04;
const PE = 0x20;
const EXCEPTIONS = 0x3f;
const C1 = 0x200;
const C2 = 0x400;
const CONDITIONS = 0x4700;
/** The stack effect of an instruction, which unmasked #I, #D or #Z suppress. */
export type Stack = 'keep' | 'push' | 'pop';

/** What the module made of one x87 record. `top` is how TOP moved. `undefined` results are not compared. */
export interface X87Outcome {
  readonly status: StatusBits;
  readonly top: number;
  readonly st0: Slot | undefined;
  readonly st1: Slot | undefined;
}

export interface X87Operation {
  readonly number: number;
  readonly name: string;
  readonly operands: 'f80' | 'f80-pair' | 'f32' | 'f64' | 'i16' | 'i32' | 'i64' | 'bcd' | 'none';
  readonly stack: Stack;
  /** The status bits that the instruction defines. */
  readonly defined: StatusBits;
  /** Whether the bytes at STORE are a result. */
  readonly stores: boolean;
  /** By how many units of the last place processors may differ: 0 except for transcendental instructions. */
  readonly approximate: number;
  /** Leaves the new ST(0) in A (or in C, when it pushes). Loads take their memory operand from A. */
  readonly run: (n: Numerics, cw: number, memory: DataView) => StatusBits;
}

type Run = X87Operation['run'];
type Options = Partial<Pick<X87Operation, 'stack' | 'defined' | 'stores' | 'approximate'>>;

const x87 = (
  number: number,
  name: string,
  operands: X87Operation['operands'],
  run: Run,
  options: Options = {},
): X87Operation => ({
  ...{ number, name, operands, run, stack: 'keep', defined: EXCEPTIONS | C1, stores: false, approximate: 0 },
  ...options,
});

const relation: Options = { defined: EXCEPTIONS | CONDITIONS };
const push: Options = { stack: 'push' };
const store: Options = { stores: true };
const storePop: Options = { stores: true, stack: 'pop' };
/** Whether C1 tells the rounding direction is a matter of the last bit, which processors round differently. */
const approximate: Options = { approximate: 1, defined: EXCEPTIONS | C2 };
const constant = (number: number, name: string, index: number): X87Operation =>
  x87(number, name, 'none', (n, cw) => n.f80_constant(C, index, cw), push);

export const X87_OPERATIONS: readonly X87Operation[] = [
  x87(0, 'fadd', 'f80-pair', (n, cw) => n.f80_add(A, A, B, cw)),
  x87(1, 'fsub', 'f80-pair', (n, cw) => n.f80_sub(A, A, B, cw)),
  x87(2, 'fmul', 'f80-pair', (n, cw) => n.f80_mul(A, A, B, cw)),
  x87(3, 'fdiv', 'f80-pair', (n, cw) => n.f80_div(A, A, B, cw)),
  x87(4, 'fsqrt', 'f80', (n, cw) => n.f80_sqrt(A, A, cw)),
  x87(5, 'fcom', 'f80-pair', (n) => n.f80_compare(A, B, 0), relation),
  x87(6, 'fucom', 'f80-pair', (n) => n.f80_compare(A, B, 1), relation),
  x87(7, 'fprem', 'f80-pair', (n, cw) => n.f80_rem(A, A, B, 0, cw), relation),
  x87(8, 'fprem1', 'f80-pair', (n, cw) => n.f80_rem(A, A, B, 1, cw), relation),
  x87(9, 'frndint', 'f80', (n, cw) => n.f80_rndint(A, A, cw)),
  x87(10, 'fscale', 'f80-pair', (n, cw) => n.f80_scale(A, A, B, cw)),
  x87(11, 'fxtract', 'f80', (n, cw) => n.f80_extract(C, A, A, cw), push),
  x87(12, 'fxam', 'f80', (n) => n.f80_examine(A), relation),
  x87(13, 'ftst', 'f80', (n) => n.f80_test(A), relation),
  x87(14, 'fld m32fp', 'f32', (n, cw, m) => n.f80_from_f32(C, m.getInt32(A, true), cw), push),
  x87(15, 'fld m64fp', 'f64', (n, cw, m) => n.f80_from_f64(C, m.getBigInt64(A, true), cw), push),
  x87(16, 'fst m32fp', 'f80', (n, cw) => n.f80_to_f32(STORE, A, cw), store),
  x87(17, 'fst m64fp', 'f80', (n, cw) => n.f80_to_f64(STORE, A, cw), store),
  x87(18, 'fild m16int', 'i16', (n, _, m) => n.f80_from_int(C, BigInt(m.getInt16(A, true))), push),
  x87(19, 'fild m32int', 'i32', (n, _, m) => n.f80_from_int(C, BigInt(m.getInt32(A, true))), push),
  x87(20, 'fild m64int', 'i64', (n, _, m) => n.f80_from_int(C, m.getBigInt64(A, true)), push),
  x87(21, 'fist m16int', 'f80', (n, cw) => n.f80_to_i16(STORE, A, 0, cw), store),
  x87(22, 'fist m32int', 'f80', (n, cw) => n.f80_to_i32(STORE, A, 0, cw), store),
  x87(23, 'fistp m64int', 'f80', (n, cw) => n.f80_to_i64(STORE, A, 0, cw), storePop),
  x87(24, 'fisttp m16int', 'f80', (n, cw) => n.f80_to_i16(STORE, A, 1, cw), storePop),
  x87(25, 'fisttp m32int', 'f80', (n, cw) => n.f80_to_i32(STORE, A, 1, cw), storePop),
  x87(26, 'fisttp m64int', 'f80', (n, cw) => n.f80_to_i64(STORE, A, 1, cw), storePop),
  x87(27, 'fbld', 'bcd', (n) => n.f80_from_bcd(C, A), push),
  x87(28, 'fbstp', 'f80', (n, cw) => n.f80_to_bcd(STORE, A, cw), storePop),
  constant(29, 'fld1', 0),
  constant(30, 'fldl2t', 1),
  constant(31, 'fldl2e', 2),
  constant(32, 'fldpi', 3),
  constant(33, 'fldlg2', 4),
  constant(34, 'fldln2', 5),
  constant(35, 'fldz', 6),
  x87(36, 'f2xm1', 'f80', (n, cw) => n.f80_2xm1(A, A, cw), approximate),
  x87(37, 'fyl2x', 'f80-pair', (n, cw) => n.f80_yl2x(B, A, B, cw), { ...approximate, stack: 'pop' }),
  // Two units: outside of the range that the manual gives for x, an AMD EPYC is off by more than one.
  x87(38, 'fyl2xp1', 'f80-pair', (n, cw) => n.f80_yl2xp1(B, A, B, cw), {
    ...approximate,
    approximate: 2,
    stack: 'pop',
  }),
  x87(39, 'fsin', 'f80', (n, cw) => n.f80_sin(A, A, cw), approximate),
  x87(40, 'fcos', 'f80', (n, cw) => n.f80_cos(A, A, cw), approximate),
  x87(41, 'fsincos', 'f80', (n, cw) => n.f80_sincos(A, C, A, cw), { ...approximate, stack: 'push' }),
  x87(42, 'fptan', 'f80', (n, cw) => n.f80_tan(A, C, A, cw), { ...approximate, stack: 'push' }),
  x87(43, 'fpatan', 'f80-pair', (n, cw) => n.f80_atan(B, B, A, cw), { ...approximate, stack: 'pop' }),
];

/** Runs an operation on the record's operands, which the caller has put into A and B, and applies the stack effect. */
export function runX87(operation: X87Operation, n: Numerics, cw: number, memory: DataView): X87Outcome {
  memory.setBigUint64(STORE, 0xccccccccccccccccn, true);
  memory.setBigUint64(STORE + 8, 0xccccccccccccccccn, true);
  const status = operation.run(n, cw, memory);
  const unmasked = status & EXCEPTIONS & ~cw;
  const loads = operation.operands === 'f32' || operation.operands === 'f64';
  const blocking = operation.stores ? EXCEPTIONS & ~PE : loads ? IE : IE | DE | ZE;
  const outOfRange = operation.approximate > 0 && (status & C2) !== 0;
  if (operation.stack === 'keep' || outOfRange || (unmasked & blocking) !== 0) {
    return { status, top: 0, st0: operation.stack === 'push' && operation.operands !== 'f80' ? B : A, st1: undefined };
  }
  if (operation.stack === 'pop') return { status, top: 1, st0: B, st1: undefined };
  return { status, top: -1, st0: C, st1: operation.operands === 'f80' ? A : B };
}
