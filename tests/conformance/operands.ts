/** Operands at which instructions go wrong: integer limits, shift counts, flag sets, and IEEE 754 special values as bit patterns. */
import { EFLAGS, EFLAGS_STATUS } from './case.ts';
import { type Random } from './random.ts';

export type IntegerSize = 8 | 16 | 32;

const mask = (size: IntegerSize): number => 2 ** size - 1;
const unique = (values: readonly number[]): readonly number[] => [...new Set(values)];

/** A handful for each size, for instructions with several operands: 0, 1, -1, both limits, alternating bits. */
export function fewIntegers(size: IntegerSize): readonly number[] {
  const top = 2 ** (size - 1);
  return [0, 1, mask(size), top, top - 1, 0x55555555 & mask(size)];
}

/** Limits, alternating bits, and each power of two with its neighbours: 22 values for 8 bits, 94 for 32. */
export function integers(size: IntegerSize): readonly number[] {
  const powers = Array.from({ length: size }, (_, bit) => 2 ** bit);
  const alternating = [0x55555555, 0xaaaaaaaa, 0x12345678, 0x89abcdef];
  const all = [0, mask(size), ...powers.flatMap((p) => [p - 1, p, p + 1]), ...alternating, ...powers.map((p) => -p)];
  return unique(all.map((value) => Number(BigInt.asUintN(size, BigInt(value)))));
}

/** Counts around 0, 1, each operand size, the masked range of 32, and RCL/RCR's 9 and 17. */
export const SHIFT_COUNTS: readonly number[] = [
  0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 24, 30, 31, 32, 33, 63, 64, 0x80, 0xff,
];

/** None, all, and each status flag alone. */
export const STATUS_FLAG_SETS: readonly number[] = [
  0,
  EFLAGS_STATUS,
  EFLAGS.CF,
  EFLAGS.PF,
  EFLAGS.AF,
  EFLAGS.ZF,
  EFLAGS.SF,
  EFLAGS.OF,
];

/** Every combination of the five flags that conditions read (CF, PF, ZF, SF, OF): 32 sets. */
export const CONDITION_FLAG_SETS: readonly number[] = Array.from({ length: 32 }, (_, i) =>
  [EFLAGS.CF, EFLAGS.PF, EFLAGS.ZF, EFLAGS.SF, EFLAGS.OF].reduce(
    (set, flag, bit) => set | ((i >> bit) & 1 ? flag : 0),
    0,
  ),
);

/** IEEE 754 single precision, as 32-bit patterns. */
export const F32_PATTERNS: readonly number[] = [
  0x00000000, // zero
  0x00000001, // least denormal
  0x007fffff, // greatest denormal
  0x00800000, // least normal
  0x3f800000, // 1
  0x3f800001, // 1 and a bit
  0x3f7fffff, // a bit less than 1
  0x3f000000, // 0.5
  0x3fc00000, // 1.5
  0x40490fdb, // pi
  0x4b000001, // 2^23 + 1: the last odd integers
  0x4effffff, // just below 2^31
  0x4f000000, // 2^31: no int32
  0x5f000000, // 2^63: no int64
  0x7f7fffff, // greatest finite
  0x7f800000, // infinity
  0x7f800001, // signalling NaN
  0x7fbfffff, // signalling NaN with all the payload
  0x7fc00000, // quiet NaN; negative: the default ("real indefinite")
  0x7fc12345, // quiet NaN with payload
].flatMap((p) => [p, p + 0x80000000]);

/** IEEE 754 double precision, as 64-bit patterns. */
export const F64_PATTERNS: readonly bigint[] = [
  0x0000000000000000n, // zero
  0x0000000000000001n, // least denormal
  0x000fffffffffffffn, // greatest denormal
  0x0010000000000000n, // least normal
  0x3ff0000000000000n, // 1
  0x3ff0000000000001n, // 1 and a bit
  0x3fefffffffffffffn, // a bit less than 1
  0x3fe0000000000000n, // 0.5
  0x400921fb54442d18n, // pi
  0x36a0000000000000n, // 2^-149: the least single denormal
  0x380fffffffffffffn, // rounds up to the least normal single
  0x41dfffffffc00000n, // 2^31 - 1
  0x41dfffffffe00000n, // 2^31 - 0.5: rounds out of int32
  0x41e0000000000000n, // 2^31
  0x43e0000000000000n, // 2^63
  0x47efffffe0000000n, // greatest finite single
  0x47effffff0000000n, // rounds to infinity as a single
  0x7fefffffffffffffn, // greatest finite
  0x7ff0000000000000n, // infinity
  0x7ff0000000000001n, // signalling NaN
  0x7ff8000000000000n, // quiet NaN; negative: the default
  0x7ff8000012345678n, // quiet NaN with payload
].flatMap((p) => [p, p + 0x8000000000000000n]);

/** Double extended precision: sign, 15-bit exponent, 64-bit significand with its integer bit. */
export interface F80 {
  readonly sign: 0 | 1;
  readonly exponent: number;
  readonly significand: bigint;
}

const F80_POSITIVE: readonly (readonly [exponent: number, significand: bigint])[] = [
  [0x0000, 0x0000000000000000n], // zero
  [0x0000, 0x0000000000000001n], // least denormal
  [0x0000, 0x7fffffffffffffffn], // greatest denormal
  [0x0000, 0x8000000000000000n], // pseudo-denormal
  [0x0001, 0x8000000000000000n], // least normal
  [0x3fff, 0x8000000000000000n], // 1
  [0x3fff, 0x8000000000000001n], // 1 and a bit
  [0x3fff, 0xc000000000000000n], // 1.5
  [0x3ffe, 0xffffffffffffffffn], // a bit less than 1
  [0x3ffe, 0x8000000000000000n], // 0.5
  [0x4000, 0xc90fdaa22168c235n], // pi
  [0x3ffe, 0xb17217f7d1cf79acn], // ln 2
  [0x400d, 0xffff000000000000n], // 2^15 - 0.5: rounds out of int16
  [0x401e, 0x8000000000000000n], // 2^31
  [0x403e, 0x8000000000000000n], // 2^63
  [0x403d, 0xfffffffffffffffen], // 2^63 - 1
  [0x3f81, 0x8000000000000000n], // least normal single
  [0x407e, 0xffffff8000000000n], // rounds to infinity as a single
  [0x3c01, 0x8000000000000000n], // least normal double
  [0x43fe, 0xfffffffffffffc00n], // rounds to infinity as a double
  [0x403a, 0xde0b6b3a763ffff0n], // 10^18 - 1: the greatest packed BCD
  [0x7ffe, 0xffffffffffffffffn], // greatest finite
  [0x7fff, 0x8000000000000000n], // infinity
  [0x7fff, 0x8000000000000001n], // signalling NaN
  [0x7fff, 0xc000000000000000n], // quiet NaN; negative: the default
  [0x7fff, 0xc000000012345678n], // quiet NaN with payload
  [0x3fff, 0x4000000000000000n], // unnormal: invalid since the 387
  [0x7fff, 0x0000000000000000n], // pseudo-infinity: invalid
  [0x7fff, 0x4000000000000000n], // pseudo-NaN: invalid
];

export const F80_VALUES: readonly F80[] = F80_POSITIVE.flatMap(([exponent, significand]) => [
  { sign: 0, exponent, significand } as const,
  { sign: 1, exponent, significand } as const,
]);

/** The 10 bytes of a double extended value as in memory. */
export function f80Bytes(sign: 0 | 1, exponent: number, significand: bigint): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, significand, true);
  view.setUint16(8, (sign << 15) | exponent, true);
  return bytes;
}

/** Little-endian bytes of an integer or bit pattern. */
export function littleEndian(value: number | bigint, length: number): Uint8Array {
  let rest = BigInt.asUintN(8 * length, BigInt(value));
  return Uint8Array.from({ length }, () => {
    const byte = Number(rest & 0xffn);
    rest >>= 8n;
    return byte;
  });
}

/** Lanes of `laneBytes` each, filled from `values` in turn, as one register of `length` bytes (8 for MMX, 16 for XMM). */
export function lanes(length: 8 | 16, laneBytes: 1 | 2 | 4 | 8, values: readonly (number | bigint)[]): Uint8Array {
  const register = new Uint8Array(length);
  for (let at = 0, i = 0; at < length; at += laneBytes, i++)
    register.set(littleEndian(values[i % values.length] ?? 0, laneBytes), at);
  return register;
}

/** Registers whose integer lanes of every width hold limits: for MMX (8 bytes) and SSE2 integer instructions (16). */
export function integerVectors(length: 8 | 16): readonly Uint8Array[] {
  return [
    lanes(length, 8, [0n]),
    lanes(length, 8, [0xffff_ffff_ffff_ffffn]),
    lanes(length, 1, [0, 1, 0x7f, 0x80, 0x81, 0xff, 0x55, 0xaa]),
    lanes(length, 1, [0xff, 0x80, 0x80, 0x7f, 0x01, 0xfe, 0xaa, 0x55]),
    lanes(length, 2, [0x7fff, 0x8000, 0xffff, 0x0001, 0x00ff, 0xff00, 0x0100, 0x8001]),
    lanes(length, 2, [0x8000, 0x8000, 0x0001, 0x7fff, 0x0080, 0xff7f, 0xff80, 0x7fff]),
    lanes(length, 4, [0x7fffffff, 0x80000000, 0xffffffff, 0x00010000]),
    lanes(length, 4, [0x80000000, 0xffff8000, 0x00007fff, 0x00008000]),
    lanes(length, 8, [0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n]),
    lanes(length, 1, [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01]),
  ];
}

/** XMM registers of four singles that together hold each of `F32_PATTERNS`. */
export const F32_VECTORS: readonly Uint8Array[] = groups(F32_PATTERNS, 4).map((group) => lanes(16, 4, group));
/** XMM registers of two doubles that together hold each of `F64_PATTERNS`. */
export const F64_VECTORS: readonly Uint8Array[] = groups(F64_PATTERNS, 2).map((group) => lanes(16, 8, group));

function groups<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size));
}

/** An edge case half of the time, any value otherwise. */
export function anyInteger(random: Random, size: IntegerSize): number {
  return random.oneIn(2) ? random.pick(integers(size)) : random.u32() % 2 ** size;
}

/** Any set of the six status flags. */
export function anyStatusFlags(random: Random): number {
  return random.u32() & EFLAGS_STATUS;
}
