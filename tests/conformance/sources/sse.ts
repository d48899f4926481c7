/** Cases for the floating point of SSE and SSE2: special values in every lane, under many settings of MXCSR. */
import { families, type Form, type Row } from '@tomei/paravirt-core';
import { type CaseSource } from '../case.ts';
import { F32_PATTERNS, F64_PATTERNS, anyInteger, lanes, littleEndian } from '../operands.ts';
import { type Random } from '../random.ts';
import { tableSource, type Draft, type TableOptions } from './from-table.ts';
import { disturbX87 } from './packed.ts';

const rowsOf = (family: string): readonly Row[] => families.flat().filter((row) => row.family === family);

/** MXCSR (SDM vol. 1, 10.2.3). */
const DAZ = 0x40;
const FTZ = 0x8000;
const MASKS = 0x1f80;
const FLAGS = 0x3f;
const PE = 0x20;

/** All masked in half of the cases; some or none masked in the others; every rounding control, DAZ, FTZ, and sticky flags. */
function anyMxcsr(random: Random): number {
  // As programs run for most of the time: nothing but inexact results, and those have been seen.
  if (random.oneIn(4)) return MASKS | PE;
  const masks = random.oneIn(2) ? MASKS : random.oneIn(4) ? 0 : random.u32() & MASKS;
  const rounding = random.oneIn(2) ? 0 : random.below(4) << 13;
  const flush = random.oneIn(3) ? random.u32() & (DAZ | FTZ) : 0;
  return masks | rounding | flush | (random.oneIn(3) ? random.u32() & FLAGS : 0);
}

/** A special value, an ordinary one, or one with an exponent such that results of two are near the limits of the format. */
function anySingle(random: Random): number {
  switch (random.below(4)) {
    case 0:
      return random.pick(F32_PATTERNS);
    case 1:
      return random.u32();
    case 2:
      return (random.u32() & 0x807fffff) | ((0x70 + random.below(0x20)) << 23);
    default:
      return (random.u32() & 0x807fff00) | (random.pick([0, 1, 2, 23, 0x3f, 0x40, 0x96, 0xbe, 0xbf, 0xfd, 0xfe]) << 23);
  }
}
function anyDouble(random: Random): bigint {
  const bits = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
  const withExponent = (mask: bigint, exponent: number): bigint => (bits & mask) | (BigInt(exponent) << 52n);
  switch (random.below(4)) {
    case 0:
      return random.pick(F64_PATTERNS);
    case 1:
      return bits;
    case 2:
      return withExponent(0x800fffffffffffffn, 0x3e8 + random.below(0x38));
    default:
      return withExponent(
        0x800fffffff000000n,
        random.pick([0, 1, 2, 52, 0x1ff, 0x200, 0x380, 0x381, 0x369, 0x41d, 0x41e, 0x47e, 0x47f, 0x5fe, 0x7fd, 0x7fe]),
      );
  }
}

const singles = (random: Random, length: 8 | 16): Uint8Array =>
  lanes(
    length,
    4,
    Array.from({ length: length / 4 }, () => anySingle(random)),
  );
const doubles = (random: Random, length: 8 | 16): Uint8Array =>
  lanes(
    length,
    8,
    Array.from({ length: length / 8 }, () => anyDouble(random)),
  );
const integers = (random: Random, length: 8 | 16): Uint8Array =>
  lanes(
    length,
    4,
    Array.from({ length: length / 4 }, () => anyInteger(random, 32)),
  );

/** What the operands of a form hold: by its name, or for conversions by what it converts from. */
function contents(form: Form): (random: Random, length: 8 | 16) => Uint8Array {
  const { mnemonic } = form.row;
  const from = /^cvtt?(pi|si|dq|ps|ss|pd|sd)2/.exec(mnemonic)?.[1] ?? mnemonic.slice(-2);
  return from === 'ps' || from === 'ss' ? singles : from === 'pd' || from === 'sd' ? doubles : integers;
}
export const floatVectors: NonNullable<TableOptions['vectors']> = ({ form, random }, length) =>
  contents(form)(random, length);

export function withMxcsr(draft: Draft): void {
  const { form, random } = draft;
  draft.fx = { ...draft.fx, mxcsr: anyMxcsr(random) };
  // Where both units meet, the x87 unit matters even when no MMX register is there (CVTPI2PS from memory).
  if (/2pi|pi2/.test(form.row.mnemonic)) draft.fx = { ...draft.fx, mm: draft.fx.mm ?? [random.bytes(8)] };
  disturbX87(draft);
  // Scalars in memory: the table gives integers to 32 bits.
  if (form.memory && draft.memory.length === 4 && contents(form) === singles)
    draft.memory = littleEndian(anySingle(random), 4);
  // Both operands alike, now and then: differences and comparisons.
  const { xmm } = draft.fx;
  if (random.oneIn(6) && xmm !== undefined) {
    const first = xmm[draft.choice.reg ?? 0]!;
    if (form.memory) draft.memory = first.slice(0, draft.memory.length);
    else draft.fx = { ...draft.fx, xmm: xmm.map((bytes, i) => (i === draft.choice.rm ? first : bytes)) };
  }
}

/** RCP and RSQRT are approximations that makers do differently: zeros, infinities, NaNs, denormals and signs only. */
const APPROXIMATE = /^r(cp|sqrt)/;
const NOT_FINITE = F32_PATTERNS.filter((p) => (p & 0x7f800000) === 0 || (p & 0x7f800000) === 0x7f800000);

const sseFloat = tableSource({
  family: 'sse-float',
  rows: rowsOf('sse-float'),
  casesPerForm: ({ row }) => (/^(cmp|u?comi)/.test(row.mnemonic) ? 40 : APPROXIMATE.test(row.mnemonic) ? 24 : 60),
  vectors: ({ form, random }, length) => {
    if (!APPROXIMATE.test(form.row.mnemonic)) return contents(form)(random, length);
    return lanes(
      length,
      4,
      Array.from({ length: length / 4 }, () => random.pick(NOT_FINITE)),
    );
  },
  prepare: (draft) => {
    const { form, random } = draft;
    withMxcsr(draft);
    if (APPROXIMATE.test(form.row.mnemonic) && draft.memory.length === 4)
      draft.memory = littleEndian(random.pick(NOT_FINITE), 4);
    if (form.row.operands.at(-1)?.kind === 'imm') draft.choice = { ...draft.choice, immediate: random.below(256) };
  },
});

const sseConvert = tableSource({
  family: 'sse-convert',
  rows: rowsOf('sse-convert'),
  casesPerForm: 40,
  vectors: floatVectors,
  prepare: withMxcsr,
});

export const SSE_SOURCES: readonly CaseSource[] = [sseFloat, sseConvert];
