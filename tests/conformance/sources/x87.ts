/**
 * Cases for the x87 families of the instruction table: edge-case values in registers and memory, stacks that are full, empty
 * and in between, every rounding and precision, and control words that leave some exceptions unmasked.
 */
import { encode, families, type Form, type Row, FormTable } from '@tomei/paravirt-core';
import { cpuCase } from '../base-case.ts';
import { EFLAGS_STATUS, MEMORY, type CaseSource, type NamedCase } from '../case.ts';
import { FCW_INITIAL, FX_REGISTERS, MXCSR_DEFINED, fxImage, type FxParts } from '../fxsave.ts';
import { F32_PATTERNS, F64_PATTERNS, F80_VALUES, anyStatusFlags, f80Bytes, littleEndian } from '../operands.ts';
import { Random } from '../random.ts';
import { formName, tableSource, type Draft } from './from-table.ts';

/** Status word bits. */
const EXCEPTIONS = 0x3f,
  STACK_FAULT = 0x40,
  C0 = 0x100,
  C1 = 0x200,
  C2 = 0x400,
  C3 = 0x4000;
const CONDITIONS = C0 | C1 | C2 | C3;
const PRECISIONS = [0, 0x200, 0x300, 0x300];
const ROUNDINGS = [0, 0, 0x400, 0x800, 0xc00];

const rowsOf = (family: string, wanted: (row: Row) => boolean = () => true): readonly Row[] =>
  families.flat().filter((row) => row.family === family && wanted(row));

const isTruncating = (row: Row): boolean => row.mnemonic === 'fisttp';

/** A value of the 80-bit format: an edge case, a small integer, or anything at all near another exponent. */
function anyF80(random: Random): Uint8Array {
  const sign = random.below(2) as 0 | 1;
  const bits = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2: {
      const { exponent, significand } = random.pick(F80_VALUES);
      return f80Bytes(sign, exponent, significand);
    }
    case 3: {
      const n = random.below(2000) + 1;
      const shift = Math.clz32(n);
      return f80Bytes(sign, 0x3fff + 31 - shift, BigInt(n) << BigInt(32 + shift));
    }
    case 4: // short significands, so that ties and exact results happen
      return f80Bytes(sign, 0x3fff + random.below(80) - 40, 0x8000000000000000n | ((bits >> 52n) << 51n));
    case 5:
      return f80Bytes(sign, random.below(0x8000), bits);
    default:
      return f80Bytes(sign, 0x3fff + random.below(140) - 70, bits | 0x8000000000000000n);
  }
}

function controlWord(random: Random): number {
  const masks = random.oneIn(3) ? random.below(64) : EXCEPTIONS;
  return 0x40 | masks | random.pick(PRECISIONS) | random.pick(ROUNDINGS);
}
/** Flags that are set and unmasked wait for the next instruction: seldom, as nothing else happens then. */
function statusWord(random: Random, control: number): number {
  const conditions = random.oneIn(2) ? random.u32() & CONDITIONS : 0;
  const flags = random.oneIn(3) ? random.u32() & (EXCEPTIONS | STACK_FAULT) : 0;
  return conditions | (random.oneIn(16) ? flags : flags & (control | STACK_FAULT));
}
/** Mostly some values on the stack, now and then any registers full and empty. */
function tags(random: Random, top: number, pushes: boolean): number {
  if (random.oneIn(6)) return random.below(256);
  const count = random.oneIn(8) ? 8 : pushes ? random.below(8) : 2 + random.below(6);
  let bits = 0;
  for (let i = 0; i < count; i++) bits |= 1 << ((top + i) & 7);
  return bits;
}
const PUSHES = /^(fld|fild|fbld|fxtract|fsincos|fptan)/;
function state(random: Random, mnemonic: string): FxParts {
  const fcw = random.oneIn(8) ? FCW_INITIAL : controlWord(random);
  const top = random.below(8);
  return {
    fcw,
    top,
    fsw: statusWord(random, fcw),
    tags: tags(random, top, PUSHES.test(mnemonic)),
    st: Array.from({ length: FX_REGISTERS }, () => anyF80(random)),
  };
}

/** A packed decimal: what is no digit is undefined. */
function decimal(random: Random): Uint8Array {
  const bytes = Array.from({ length: 9 }, () => random.below(10) * 16 + random.below(10));
  if (random.oneIn(3)) bytes.fill(0, random.below(9));
  return Uint8Array.from([...bytes, random.oneIn(2) ? 0 : 0x80]);
}
/** Memory of a row with floats, which the table says only the size of. */
function memoryOf(row: Row, random: Random): Uint8Array | undefined {
  const size = row.operands[0]?.size;
  if (/^fb/.test(row.mnemonic)) return decimal(random);
  if (size === 80) return anyF80(random);
  if (/^fi/.test(row.mnemonic)) return undefined;
  if (size === 32) return littleEndian(random.oneIn(2) ? random.pick(F32_PATTERNS) : random.u32(), 4);
  const bits = random.oneIn(2) ? random.pick(F64_PATTERNS) : (BigInt(random.u32()) << 32n) | BigInt(random.u32());
  return size === 64 ? littleEndian(bits, 8) : undefined;
}

/** Condition codes that the manual leaves undefined. */
export function undefinedConditions({ mnemonic }: Row): number {
  if (/^f(u?com|icom|tst|xam|prem)/.test(mnemonic) && !/comi/.test(mnemonic)) return 0;
  if (/^f(sin|cos|ptan)/.test(mnemonic)) return C0 | C3;
  if (/^f(nstcw|nstsw|nstenv|nsave|ldenv|rstor|xsave|xrstor|ninit)/.test(mnemonic)) return 0;
  const anything = /^f(ldcw|nclex|nop|free|wait|neni|ndisi|nsetpm)/.test(mnemonic) ? C1 : 0;
  // Of FCOMI the manual says that C1 becomes 0; AMD processors leave it.
  const comi = /comi/.test(mnemonic) ? C1 : 0;
  return C0 | C2 | C3 | anything | comi;
}
function prepare(draft: Draft): void {
  const { form, random } = draft;
  draft.fx = state(random, form.row.mnemonic);
  draft.masks.undefinedStatus = undefinedConditions(form.row);
  if (form.memory) draft.memory = memoryOf(form.row, random) ?? draft.memory;
}

const loadStore = tableSource({
  family: 'x87-load-store',
  rows: rowsOf('x87-load-store', (row) => !isTruncating(row)),
  casesPerForm: 50,
  prepare,
});
/**
 * Where the address reaches no page, makers differ: with an unmasked exception AMD's processors raise the page fault, Intel's
 * do not look at memory.
 */
const truncate = tableSource({
  family: 'x87-truncate',
  rows: rowsOf('x87-load-store', isTruncating),
  casesPerForm: 60,
  prepare: (draft) => {
    prepare(draft);
    return draft.address !== undefined;
  },
});
const arith = tableSource({ family: 'x87-arith', rows: rowsOf('x87-arith'), casesPerForm: 50, prepare });
const compare = tableSource({ family: 'x87-compare', rows: rowsOf('x87-compare'), casesPerForm: 40, prepare });

/** What is computed is compared by the numerics' own tests, to one unit of the last place; here only what surrounds it. */
const transcendental = tableSource({
  family: 'x87-transcendental',
  rows: rowsOf('x87-transcendental'),
  casesPerForm: 50,
  prepare: (draft) => {
    prepare(draft);
    draft.masks.undefinedStatus! |= C1;
    draft.masks.undefinedSt = 3;
  },
});

/** Areas that are written and read whole have cases of their own below. */
const AREA = /^f(nstenv|nsave|ldenv|rstor|xsave|xrstor)$/;
const control = tableSource({
  family: 'x87-control',
  rows: rowsOf('x87-control', ({ mnemonic }) => !AREA.test(mnemonic)),
  casesPerForm: 30,
  prepare: (draft) => {
    prepare(draft);
    if (draft.form.row.mnemonic === 'fldcw') draft.memory = littleEndian(draft.random.u32() & 0xffff, 2);
  },
});

const AREA_ADDRESS = MEMORY.data.address + 0x400;
/** mov dword [edi + at], 0 */
const clear = (at: number): number[] => [0xc7, 0x87, at, at >> 8, 0, 0, 0, 0, 0, 0];
/** The pointers to the last instruction differ between makers: zeroed by the code itself, so that the rest is compared. */
const pointersOf = (form: Form): readonly number[] =>
  form.row.mnemonic === 'fxsave' ? [4, 8, 12, 16, 20, 28] : form.size === 16 ? [6, 10] : [12, 16, 20, 24];

function areaImage(form: Form, random: Random): Uint8Array {
  const { mnemonic } = form.row;
  const parts = state(random, mnemonic);
  if (mnemonic === 'fxrstor') {
    const mxcsr = random.oneIn(8) ? random.u32() : random.u32() & MXCSR_DEFINED;
    return fxImage({ ...parts, mxcsr, xmm: Array.from({ length: FX_REGISTERS }, () => random.bytes(16)) });
  }
  const fcw = random.oneIn(4) ? random.u32() & 0xffff : parts.fcw!;
  const status = (parts.fsw! & ~0x3800) | (parts.top! << 11) | (random.oneIn(4) ? 0x8080 : 0);
  const words = [fcw, status, random.u32() & 0xffff, 0, 0, 0, 0];
  const step = form.size / 8;
  return Uint8Array.from([
    ...words.flatMap((word) => [...littleEndian(word, step)]),
    ...parts.st!.flatMap((bytes) => [...bytes]),
  ]);
}
/** Now and then partly in the page that is missing. */
const areaAddress = (random: Random, form: Form, index: number): number => {
  const step = /^fx/.test(form.row.mnemonic) && !random.oneIn(8) ? 16 : 1;
  if (index % 8 === 7) return MEMORY.data.address + MEMORY.data.size - step * (1 + random.below(100));
  return AREA_ADDRESS + step * random.below(16);
};

function* areaCases(): Generator<NamedCase> {
  const forms = new FormTable(rowsOf('x87-control', ({ mnemonic }) => AREA.test(mnemonic))).forms;
  for (const form of forms)
    for (let index = 0; index < 40; index++) {
      const name = `${formName(form)} #${index}`;
      const random = new Random(`x87-state ${name}`);
      const reads = /^f(ldenv|rstor|xrstor)$/.test(form.row.mnemonic);
      const edi = areaAddress(random, form, index);
      const memory = { segment: 3, base: 7, index: -1, scale: 0, displacement: 0, addressSize: 32 } as const;
      const after = reads ? [] : pointersOf(form).flatMap(clear);
      const end = MEMORY.data.address + MEMORY.data.size;
      const bytes = areaImage(form, random).subarray(0, end - edi);
      yield {
        ...cpuCase({
          code: [...encode(form, { memory }), ...after],
          registers: { edi },
          eflags: anyStatusFlags(random) & EFLAGS_STATUS,
          fx: fxImage({
            ...state(random, form.row.mnemonic),
            xmm: Array.from({ length: FX_REGISTERS }, () => random.bytes(16)),
          }),
          memory: reads ? [{ address: edi, bytes }] : [],
        }),
        name,
        undefinedFlags: 0,
      };
    }
}
const areas: CaseSource = { family: 'x87-state', cases: { [Symbol.iterator]: areaCases } };

export const X87_SOURCES: readonly CaseSource[] = [control, areas, loadStore, truncate, arith, compare, transcendental];
