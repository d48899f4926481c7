/**
 * Every x87 instruction that takes a number, with each precision, each rounding and each class of operand: zero, denormal, pseudo-denormal,
 * normal, infinite, signalling and quiet NaN, unnormal, pseudo-infinity, pseudo-NaN and an empty register (SDM vol. 1, 8.2.2 and 8.5), with
 * all exceptions masked and with none.
 */
import { FormTable, encode, families, type Form } from '@tomei/paravirt-core';
import { cpuCase } from './base-case.ts';
import { MEMORY, type NamedCase } from './case.ts';
import { fxImage } from './fxsave.ts';
import { F32_PATTERNS, F64_PATTERNS, F80_VALUES, f80Bytes, littleEndian } from './operands.ts';
import { formName } from './sources/from-table.ts';
import { undefinedConditions } from './sources/x87.ts';

const FAMILIES: ReadonlySet<string> = new Set(['x87-arith', 'x87-compare', 'x87-load-store', 'x87-transcendental']);
/** Reserved precision is among them. */
const PRECISIONS = [0, 0x100, 0x200, 0x300],
  ROUNDINGS = [0, 0x400, 0x800, 0xc00];
const MASKED = 0x3f,
  UNMASKED = 0;
/** Of a transcendental result: which way it was rounded, and whether it was tiny before, which at the edge takes more places than are promised. */
const C1 = 0x200,
  UNDERFLOW = 0x10;

/** A register: 10 bytes, or nothing in it. */
type Register = Uint8Array | undefined;
const f80 = (exponent: number, significand: bigint): Uint8Array => f80Bytes(0, exponent, significand);
const REGISTERS: readonly Register[] = [
  undefined,
  ...F80_VALUES.map(({ sign, exponent, significand }) => f80Bytes(sign, exponent, significand)),
  // Ties and their neighbours at 24 and 53 bits.
  ...[f80(0x3fff, 0x8000008000000000n), f80(0x3fff, 0x8000018000000001n), f80(0x3fff, 0x8000000000000400n)],
  ...[f80(0x3fff, 0x8000000000000c01n), f80(0x3fff, 0xffffff7fffffffffn), f80(0x3fff, 0xfffffffffffffbffn)],
  // What two of overflow or underflow, and what is too far from each other to be subtracted in one step (FPREM).
  ...[f80(0x5fff, 0x8000000000000001n), f80(0x2000, 0xffffffffffffffffn), f80(0x3fe0, 0xdeadbeefdeadbeefn)],
  f80(0x1fff, 0x8000000000000001n),
];
const INTEGERS: readonly bigint[] = [
  0n,
  1n,
  -1n,
  3n,
  0x7fffn,
  -0x8000n,
  0x7fff_ffffn,
  -0x8000_0000n,
  0x7fff_ffff_ffff_ffffn,
  -(1n << 63n),
];
/** Packed decimals without digits that are none. */
const DECIMALS = [
  Array(10).fill(0),
  [...Array<number>(9).fill(0x99), 0x80],
  [0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0, 0, 0],
].map((digits) => Uint8Array.from(digits));

/** What a form's memory can hold; one value that does not matter where it has none, or only writes it. */
function memoryValues(form: Form): readonly Uint8Array[] {
  const { row } = form;
  const size = row.operands[0]?.size;
  if (!form.memory || typeof size !== 'number' || /^f(i|b)?st/.test(row.mnemonic)) return [new Uint8Array(10)];
  if (row.mnemonic === 'fbld') return DECIMALS;
  if (/^fi/.test(row.mnemonic)) return INTEGERS.map((value) => littleEndian(value, size / 8));
  if (size === 32) return F32_PATTERNS.map((value) => littleEndian(value, 4));
  if (size === 64) return F64_PATTERNS.map((value) => littleEndian(value, 8));
  return REGISTERS.filter((value) => value !== undefined);
}
/** Whether ST(1), or the register in the opcode, is read. */
const hasSecond = ({ memory, row: { mnemonic, encoding } }: Form): boolean =>
  !memory && (encoding.endsWith('+i') || /^f(u?com|prem|scale|pa|yl2x)/.test(mnemonic));

const ADDRESS = MEMORY.data.address + 0x400;
const TOP = 5;
function caseOf(form: Form, control: number, first: Register, second: Register, memory: Uint8Array): NamedCase {
  const st = [first, second].map((value) => value ?? f80(0x3fff, 0x8000000000000000n));
  const tags = (first === undefined ? 0 : 1 << TOP) | (second === undefined ? 0 : 1 << (TOP + 1));
  const at = { segment: 3, base: 7, index: -1, scale: 0, displacement: 0, addressSize: 32 } as const;
  const show = (value: Register): string =>
    value === undefined ? 'empty' : Buffer.from(value).reverse().toString('hex');
  const transcendental = form.row.family === 'x87-transcendental';
  return {
    ...cpuCase({
      code: encode(form, form.memory ? { memory: at } : { rm: 1 }),
      registers: { edi: ADDRESS },
      fx: fxImage({ fcw: 0x40 | control, top: TOP, tags, st }),
      memory: [{ address: ADDRESS, bytes: memory }],
    }),
    name: `${formName(form)}, control ${control.toString(16)}: ${show(first)} ${show(second)} ${show(memory)}`,
    undefinedFlags: 0,
    undefinedStatus: undefinedConditions(form.row) | (transcendental ? C1 | UNDERFLOW : 0),
    // To the last place these are compared by the numerics' own tests.
    ...(transcendental ? { undefinedSt: 3 } : {}),
  };
}

/** Cases of all forms; `every`: only one of so many, starting with number `offset`, spread over all classes and controls. */
export function* x87Sweep(every: number, offset = 0): Generator<NamedCase> {
  let n = offset;
  for (const form of new FormTable(families.flat().filter(({ family }) => FAMILIES.has(family))).forms)
    for (const first of REGISTERS)
      for (const second of hasSecond(form) ? REGISTERS : REGISTERS.slice(0, 1))
        for (const memory of memoryValues(form))
          for (const masks of [MASKED, UNMASKED])
            for (const precision of PRECISIONS)
              for (const rounding of ROUNDINGS)
                if (n++ % every === 0) yield caseOf(form, masks | precision | rounding, first, second, memory);
}
