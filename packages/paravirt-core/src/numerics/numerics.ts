/**
 * The leaf numerics: x87 and SSE scalar arithmetic as a WebAssembly module over the guest's memory, bit- and flag-exact
 * with hardware (the transcendental instructions: within 1 ulp). The interpreter and the JIT import the same functions.
 * Sources are in `assembly/`; `verify.ts` compares millions of operands with the host processor, `bench.ts` measures.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TomeiError, messageOf } from '@tomei/kit';

/** The compiled module; `pnpm build:numerics` makes it. */
export const NUMERICS_WASM = new URL('../../gen/numerics.wasm', import.meta.url);

/** Byte address in linear memory of a 16-byte slot whose low 10 bytes are an 80-bit value, or of a store's destination. */
export type Slot = number;
/**
 * Status word bits, to be ORed into the x87 status word after C1 (and C0, C2, C3 where a function defines them) was
 * cleared: IE 0x01, DE 0x02, ZE 0x04, OE 0x08, UE 0x10, PE 0x20, C0 0x100, C1 0x200, C2 0x400, C3 0x4000.
 */
export type StatusBits = number;

/** One result: `dst` may be an operand's slot. */
type Unary = (dst: Slot, a: Slot, cw: number) => StatusBits;
type Binary = (dst: Slot, a: Slot, b: Slot, cw: number) => StatusBits;
/** FIST(T)P: integer of a width at `dst`; `truncate` (0 or 1) is FISTTP. */
type StoreInteger = (dst: Slot, a: Slot, truncate: number, cw: number) => StatusBits;

/** Bit patterns of floats: f32 in a number, f64 and 64-bit integers in a bigint. Flags are left in `sse_flags`. */
type F32Binary = (a: number, b: number, mxcsr: number) => number;
type F64Binary = (a: bigint, b: bigint, mxcsr: number) => bigint;

/**
 * `cw` is the x87 control word. Results are the masked responses. Where an exception is unmasked: #I, #D and #Z write
 * nothing, #O and #U write the result with its exponent moved by 24576, and stores to memory formats write nothing on #O
 * and #U either (Intel SDM vol. 1, 8.5). The caller pops only when something was written.
 */
export interface X87Numerics {
  readonly f80_add: Binary;
  /** a - b. */
  readonly f80_sub: Binary;
  readonly f80_mul: Binary;
  /** a / b. */
  readonly f80_div: Binary;
  readonly f80_sqrt: Unary;
  /** Relation of a to b in C3, C2, C0. `quiet` (0 or 1) is FUCOM: no #IA for a quiet NaN. */
  readonly f80_compare: (a: Slot, b: Slot, quiet: number) => StatusBits;
  /** FTST. */
  readonly f80_test: (a: Slot) => StatusBits;
  /** FXAM of a register that is not empty: class in C3, C2, C0, sign in C1. */
  readonly f80_examine: (a: Slot) => StatusBits;
  /** FPREM, or FPREM1 when `nearest` is 1: quotient bits in C0, C3, C1, and C2 when only partly reduced. */
  readonly f80_rem: (dst: Slot, a: Slot, b: Slot, nearest: number, cw: number) => StatusBits;
  readonly f80_rndint: Unary;
  /** a * 2^trunc(b). */
  readonly f80_scale: Binary;
  /** FXTRACT: two results. */
  readonly f80_extract: (significand: Slot, power: Slot, a: Slot, cw: number) => StatusBits;
  /** FLD m32fp: a denormal is loaded even when #D is unmasked. */
  readonly f80_from_f32: (dst: Slot, bits: number, cw: number) => StatusBits;
  readonly f80_from_f64: (dst: Slot, bits: bigint, cw: number) => StatusBits;
  /** A memory operand of arithmetic, exactly: DE for a denormal, which raises what `f80_meets_denormal` says. */
  readonly f80_widen_f32: (dst: Slot, bits: number) => StatusBits;
  readonly f80_widen_f64: (dst: Slot, bits: bigint) => StatusBits;
  /** DE or 0 for an operation of `a` with a denormal; `divisor` (0 or 1): `a` divides it. */
  readonly f80_meets_denormal: (a: Slot, divisor: number) => StatusBits;
  /** Writes four bytes. */
  readonly f80_to_f32: Unary;
  /** Writes eight bytes. */
  readonly f80_to_f64: Unary;
  readonly f80_from_int: (dst: Slot, value: bigint) => StatusBits;
  readonly f80_to_i16: StoreInteger;
  readonly f80_to_i32: StoreInteger;
  readonly f80_to_i64: StoreInteger;
  /** FBLD from the ten bytes at `src`. */
  readonly f80_from_bcd: (dst: Slot, src: Slot) => StatusBits;
  /** FBSTP: writes ten bytes. */
  readonly f80_to_bcd: Unary;
  /** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ: index 0 to 6, the low bits of the opcode. */
  readonly f80_constant: (dst: Slot, index: number, cw: number) => StatusBits;
  /** 2^a - 1 for a in [-1, 1]. */
  readonly f80_2xm1: Unary;
  /** y * log2(x). The caller pops. */
  readonly f80_yl2x: (dst: Slot, x: Slot, y: Slot, cw: number) => StatusBits;
  /** y * log2(x + 1). The caller pops. */
  readonly f80_yl2xp1: (dst: Slot, x: Slot, y: Slot, cw: number) => StatusBits;
  /** C2, and nothing written, when the argument is 2^63 or more. */
  readonly f80_sin: Unary;
  readonly f80_cos: Unary;
  readonly f80_sincos: (sin: Slot, cos: Slot, a: Slot, cw: number) => StatusBits;
  /** FPTAN: the tangent, and the 1.0 (after a NaN, the same NaN) that the caller pushes unless C2 is set. */
  readonly f80_tan: (tan: Slot, one: Slot, a: Slot, cw: number) => StatusBits;
  /** The angle of the point (x, y), with its quadrant. The caller pops. */
  readonly f80_atan: (dst: Slot, y: Slot, x: Slot, cw: number) => StatusBits;
}

/**
 * `mxcsr` gives rounding control, masks, DAZ and FTZ. Flags (MXCSR bits 0 to 5) are left in `sse_flags`; where one of them
 * is unmasked the instruction has no result and the value returned is meaningless.
 */
export interface SseNumerics {
  /** Flags of the last SSE function: a mutable global that other modules may import. */
  readonly sse_flags: WebAssembly.Global<'i32'>;
  readonly f32_add: F32Binary;
  readonly f32_sub: F32Binary;
  readonly f32_mul: F32Binary;
  readonly f32_div: F32Binary;
  readonly f32_min: F32Binary;
  readonly f32_max: F32Binary;
  readonly f32_sqrt: (a: number, mxcsr: number) => number;
  readonly f64_add: F64Binary;
  readonly f64_sub: F64Binary;
  readonly f64_mul: F64Binary;
  readonly f64_div: F64Binary;
  readonly f64_min: F64Binary;
  readonly f64_max: F64Binary;
  readonly f64_sqrt: (a: bigint, mxcsr: number) => bigint;
  /** Relation in EFLAGS positions: ZF 0x40, PF 0x04, CF 0x01. `quiet` (0 or 1) is UCOMISS and the quiet predicates. */
  readonly f32_compare: (a: number, b: number, quiet: number, mxcsr: number) => number;
  readonly f64_compare: (a: bigint, b: bigint, quiet: number, mxcsr: number) => number;
  readonly f32_from_i32: (value: number, mxcsr: number) => number;
  readonly f64_from_i32: (value: number, mxcsr: number) => bigint;
  readonly f32_from_i64: (value: bigint, mxcsr: number) => number;
  readonly f64_from_i64: (value: bigint, mxcsr: number) => bigint;
  readonly f64_from_f32: (a: number, mxcsr: number) => bigint;
  readonly f32_from_f64: (a: bigint, mxcsr: number) => number;
  /** `truncate` (0 or 1) is the CVTT form. */
  readonly f32_to_i32: (a: number, truncate: number, mxcsr: number) => number;
  readonly f32_to_i64: (a: number, truncate: number, mxcsr: number) => bigint;
  readonly f64_to_i32: (a: bigint, truncate: number, mxcsr: number) => number;
  readonly f64_to_i64: (a: bigint, truncate: number, mxcsr: number) => bigint;
}

/** Exceptions that an SSE instruction raises: MXCSR bits 0 to 5. Where one of them is unmasked nothing was written. */
type SimdFlags = number;
type SsePacked = (dst: Slot, src: Slot, mxcsr: number) => SimdFlags;
/** The number is the predicate of CMPPS and its kin, or 1 for the CVTT form of a conversion. */
type SseWithNumber = (dst: Slot, src: Slot, number: number, mxcsr: number) => SimdFlags;
/** UCOMISS when `quiet` is 1. ZF, PF and CF lie above the flags, from bit 8 on. */
type SseRelation = (a: Slot, b: Slot, quiet: number, mxcsr: number) => number;
type SseForm = 'ps' | 'ss' | 'pd' | 'sd';

/** Whole SSE instructions on operands at addresses, which need not be aligned; all lanes that the name says. */
export type SseInstructions = Readonly<
  Record<`sse_${'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'sqrt'}${SseForm}`, SsePacked> &
    Record<`sse_${'rcp' | 'rsqrt'}${'ps' | 'ss'}`, SsePacked> &
    Record<`sse_cmp${SseForm}`, SseWithNumber> &
    Record<`sse_comi${'ss' | 'sd'}`, SseRelation> &
    Record<`sse_cvt${'pi2ps' | 'dq2ps' | 'ps2pd' | 'ss2sd' | 'pd2ps' | 'sd2ss'}`, SsePacked> &
    Record<`sse_cvt${'ps2pi' | 'ps2dq' | 'pd2pi' | 'ss2si' | 'sd2si'}`, SseWithNumber> &
    Record<'sse_cvtsi2ss', (dst: Slot, value: number, mxcsr: number) => SimdFlags>
>;

export interface Numerics extends X87Numerics, SseNumerics, SseInstructions {}

/** The module of this process, compiled at first use; compiled code has no state. */
const compiled: { module?: WebAssembly.Module } = {};

/** The module itself, for a caller that links it by hand or hands it to a worker. Throws `numerics.not-built`. */
export function compileNumerics(): WebAssembly.Module {
  if (compiled.module === undefined) {
    const path = fileURLToPath(NUMERICS_WASM);
    try {
      compiled.module = new WebAssembly.Module(readFileSync(path));
    } catch (cause) {
      throw new TomeiError('numerics.not-built', `${path}: ${messageOf(cause)}; run pnpm build:numerics`, { cause });
    }
  }
  return compiled.module;
}

/**
 * An instance over a guest's memory, which must be shared. It reads and writes only the slots that it is given; a slot
 * outside of memory traps, as slots are the caller's business. One vCPU, one instance: `sse_flags` is not shared.
 */
export function instantiateNumerics(memory: WebAssembly.Memory, module = compileNumerics()): Numerics {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Numerics;
}
