/** Templates of random programs, from the instruction table: every row that neither transfers control nor asks the system. */
import {
  FormTable,
  allRows,
  elementSizeOf,
  encode,
  type Choice,
  type Form,
  type OperandSpec,
  type Row,
} from '@tomei/paravirt-core';
import { EFLAGS } from './case.ts';
import { anyInteger, littleEndian, type IntegerSize } from './operands.ts';
import { type InstructionTemplate, type Placement } from './random-program.ts';
import { type Random } from './random.ts';
import { flagsOf, formName } from './sources/from-table.ts';

const ECX = 1;
const ESP = 4;
const ESI = 6;
const EDI = 7;
/** C0, C1, C2 and C3. */
const X87_CONDITIONS = 0x4700;

const FAMILIES: ReadonlySet<string> = new Set([
  ...['mov', 'arith', 'bit', 'shift', 'mul-div', 'string'],
  ...['packed-integer', 'packed-shift', 'packed-shuffle', 'sse-move', 'sse-float', 'sse-convert', 'sse-compare'],
  ...['sse3', 'ssse3', 'sse4.1', 'sse4.2'],
  ...['x87-load-store', 'x87-arith', 'x87-compare'],
]);
/**
 * Left out: what faults at CPL 3, what reads memory through registers that a program does not control, estimates (which
 * processors give differently), and what stores or loads the whole x87 state with its undefined parts.
 */
const EXCLUDED =
  /^(cli|sti|xlat|ins|outs|in|out|prefetch|rcp|rsqrt|maskmov|fnst|fnsave|fldenv|fldcw|frstor|fxsave|fxrstor|ldmxcsr|fwait)/;

const isX87 = (row: Row): boolean => row.family.startsWith('x87');
const rm = (form: Form): OperandSpec | undefined =>
  form.row.operands.find(
    (o) => ['mem', 'moffs'].includes(o.kind) || (form.memory && ['rm', 'mmrm', 'xmmrm'].includes(o.kind)),
  );

function isUsable(form: Form): boolean {
  const { row } = form;
  if (!FAMILIES.has(row.family) || EXCLUDED.test(row.mnemonic)) return false;
  // 16-bit addresses reach no page.
  if (row.addressSized === true && form.addressSize === 16) return false;
  // A register's bit index leads anywhere.
  if (/^bt/.test(row.mnemonic) && form.memory && row.operands[1]?.kind === 'reg') return false;
  // By more than 16 bits neither result nor flags are defined.
  return !(/^sh[lr]d$/.test(row.mnemonic) && form.size === 16 && row.operands[2]?.kind === 'fixed');
}

/** Any register but ESP; of 8 bits any at all. */
function register(random: Random, spec: OperandSpec | undefined): number {
  const general = spec === undefined || ['reg', 'opreg', 'rm', 'rmreg'].includes(spec.kind);
  const n = random.below(8);
  return general && spec?.size !== 8 && n === ESP ? ECX : n;
}

/** What a shift leaves undefined depends on its count: by immediate it is chosen, by CL it is unknown. */
function shiftFlags(form: Form): { undefinedFlags: number; writesFlags: number } {
  const { row } = form;
  const by = row.operands.at(-1)?.kind;
  const undefinedFlags = flagsOf(row, 'u') | (by === 'one' ? 0 : EFLAGS.OF);
  const writesFlags = flagsOf(row, 'w') & ~undefinedFlags;
  if (by !== 'fixed') return { undefinedFlags, writesFlags };
  const size = row.operands[0]?.size;
  const carry = /^sh[lr]$/.test(row.mnemonic) && (size === 8 || form.size === 16) ? EFLAGS.CF : 0;
  return { undefinedFlags: undefinedFlags | carry, writesFlags: 0 };
}

function weightOf({ row }: Form): number {
  if (/div$/.test(row.mnemonic) && row.family === 'mul-div') return 0.05; // #DE ends the program
  return row.family === 'arith' || row.family === 'mov' ? 2 : 1;
}

function choose(form: Form, place: Placement): Choice {
  const { random } = place;
  const { row } = form;
  const at = rm(form);
  const bits = at === undefined ? 0 : (at.memorySize ?? at.size);
  const bytes = bits === 'v' ? form.size / 8 : bits === 'none' ? 16 : bits / 8;
  const memory = at && {
    ...{ segment: 3, base: -1, index: -1, scale: 0, addressSize: 32 as const },
    displacement: place.dataAddress(bytes, bytes === 10 ? 2 : bytes, bytes === 16) | 0,
  };
  const spec = (...kinds: OperandSpec['kind'][]): OperandSpec | undefined =>
    row.operands.find((o) => kinds.includes(o.kind));
  const immediate = spec('imm', 'simm');
  const size =
    immediate === undefined || immediate.kind === 'simm'
      ? 8
      : immediate.size === 'v'
        ? form.size
        : (immediate.size as IntegerSize);
  const value = anyInteger(random, size);
  const isShift = row.family === 'shift';
  const width = row.operands[0]?.size === 8 ? 8 : form.size;
  return {
    big: place.big,
    reg: register(random, spec('reg', 'opreg')),
    rm: register(random, spec('rm', 'rmreg', 'mmreg', 'xmmreg', 'st')),
    ...(memory === undefined ? {} : { memory }),
    // Shifts by at least 1 and less than the width; AAM by what is not 0.
    immediate: isShift
      ? 1 + random.below(width - 1)
      : row.mnemonic === 'aam'
        ? 1 + random.below(255)
        : size === 8
          ? (value << 24) >> 24
          : value,
    lock: row.lock === true && form.memory && random.oneIn(8),
  };
}

/** A string instruction with its pointers and count set before it; the direction stays as it is. */
function stringBytes(form: Form, { random, dataAddress, big }: Placement): Uint8Array {
  const element = elementSizeOf(form) / 8;
  const room = 64 * element;
  const load = (n: number, value: number): number[] => [...(big ? [] : [0x66]), 0xb8 + n, ...littleEndian(value, 4)];
  const middle = (): number => dataAddress(2 * room, element) + room - element;
  const count = form.repeat === 'none' ? [] : load(ECX, random.below(40));
  return Uint8Array.from([...load(ESI, middle()), ...load(EDI, middle()), ...count, ...encode(form, { big })]);
}

function templateOf(form: Form): InstructionTemplate {
  const { row } = form;
  const flags =
    row.family === 'shift'
      ? shiftFlags(form)
      : { undefinedFlags: flagsOf(row, 'u'), writesFlags: flagsOf(row, 'w') | flagsOf(row, '0') | flagsOf(row, '1') };
  // A repetition of no elements leaves flags as they were.
  const certain = row.repeat !== undefined && form.repeat !== 'none' ? 0 : flags.writesFlags;
  return {
    name: formName(form),
    weight: weightOf(form),
    undefinedFlags: flags.undefinedFlags,
    writesFlags: certain,
    readsFlags: flagsOf(row, 'r'),
    ...(isX87(row) ? { undefinedStatus: X87_CONDITIONS } : {}),
    encode: (place) => (row.repeat === undefined ? encode(form, choose(form, place)) : stringBytes(form, place)),
  };
}

/** One template for each usable form; `wanted` narrows the rows down. */
export const tableTemplates = (wanted: (row: Row) => boolean = () => true): readonly InstructionTemplate[] =>
  new FormTable(allRows.filter(wanted)).forms.filter(isUsable).map(templateOf);
