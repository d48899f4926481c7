/**
 * Cases from rows of the instruction table: each form with operands of every kind in every place, edge-case values, and the
 * flags that the row leaves undefined masked. What a family needs beyond its operands (a string's pointers, a divisor that
 * fits) its source adds in `prepare`.
 */
import { encode, isSized, type Choice, type Form, type OperandSpec, type Row, FormTable } from '@tomei/paravirt-core';
import { BASE_ESP, cpuCase } from '../base-case.ts';
import {
  EFLAGS,
  MEMORY,
  PAGE_SIZE,
  REGISTER_NAMES,
  type CaseSource,
  type MemoryPatch,
  type NamedCase,
  type RegisterName,
} from '../case.ts';
import { fxImage, type FxParts } from '../fxsave.ts';
import { anyInteger, anyStatusFlags, integerVectors, littleEndian, type IntegerSize } from '../operands.ts';
import { Random } from '../random.ts';
import { address16, address32 } from './addresses.ts';

/** What a result leaves undefined, as `NamedCase` says it. */
export type Masks = {
  -readonly [
    K in 'undefinedFlags' | 'undefinedStatus' | 'undefinedRegisters' | 'undefinedSt' | 'undefinedMemory'
  ]?: NamedCase[K];
};

/** A case in the making. `prepare` may change everything but the form. */
export interface Draft {
  readonly form: Form;
  /** Of this case alone. */
  readonly random: Random;
  /** Which of the form's cases it is, from 0. */
  readonly index: number;
  choice: Choice;
  /** By number: EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI. */
  readonly registers: Uint32Array;
  /** Bit n: register n is part of the effective address; changing it moves the operand. */
  readonly taken: number;
  eflags: number;
  fx: FxParts;
  /** Linear address of the memory operand; undefined for registers, and for 16-bit addresses, which reach no page. */
  readonly address: number | undefined;
  /** What lies at `address`. */
  memory: Uint8Array;
  readonly patches: MemoryPatch[];
  readonly masks: Masks;
}

export interface TableOptions {
  /** The vectors' file. */
  readonly family: string;
  readonly rows: readonly Row[];
  readonly casesPerForm: number | ((form: Form) => number);
  /** Values of MMX (8 bytes) and XMM registers and memory; integer lanes when missing. */
  readonly vectors?: (draft: Pick<Draft, 'form' | 'random'>, length: 8 | 16) => Uint8Array;
  /** Finishes a draft, or returns false to leave it out. */
  readonly prepare?: (draft: Draft) => boolean | void;
}

/** Bits of EFLAGS by the letters of the table. */
const FLAG_LETTERS: Readonly<Record<string, number>> = {
  o: EFLAGS.OF,
  s: EFLAGS.SF,
  z: EFLAGS.ZF,
  a: EFLAGS.AF,
  p: EFLAGS.PF,
  c: EFLAGS.CF,
  d: EFLAGS.DF,
};
/** The EFLAGS bits that a row names for one of `r`, `w`, `u`, `0`, `1` (other flags than those above are left out). */
export function flagsOf(row: Row, kind: 'r' | 'w' | 'u' | '0' | '1'): number {
  const part = (row.flags ?? '').split(' ').find((text) => text.startsWith(`${kind}=`)) ?? '';
  return [...part.slice(2)].reduce((bits, letter) => bits | (FLAG_LETTERS[letter] ?? 0), 0);
}

/** What nothing says otherwise: values that show when a register is taken for another. */
const CANARIES = [0xa0a1a2a3, 0xc0c1c2c3, 0xd0d1d2d3, 0xb0b1b2b3, BASE_ESP, 0xbebfb0b1, 0x51525354, 0xd1d2d3d4];
const ESP = 4;
/** Room that every operand and its neighbours have on both sides. */
const MARGIN = 0x100;
/** Displacements of branches: into the int3 around the code, on both sides. */
const BRANCHES_8 = [0x10, 0x7f, -0x80, -0x40, 0];
const BRANCHES_32 = [0x10, 0x7f, -0x80, 0x123, -0x456, 0, 0x20000000, -0x20000000];

/** A form in few words, unique in the table. */
export function formName(form: Form): string {
  const { row } = form;
  const size = isSized(row) ? ` ${form.size}` : '';
  const addresses = row.addressSized === true ? ` a${form.addressSize}` : '';
  const repeat = form.repeat === 'none' ? '' : ` ${form.repeat}`;
  return `${row.mnemonic} ${row.encoding}${size}${addresses}${form.memory ? ' m' : ''}${repeat}`;
}

/** Bits of an operand in the register or memory that the form gives it; 0 where the row does not say. */
function bitsOf(form: Form, spec: OperandSpec, memory: boolean): number {
  const size = memory ? (spec.memorySize ?? spec.size) : spec.size;
  return size === 'v' ? form.size : size === 'none' ? 0 : size;
}

const IS_RM: ReadonlySet<OperandSpec['kind']> = new Set(['rm', 'mmrm', 'xmmrm', 'mem']);
const isMemory = (form: Form, spec: OperandSpec): boolean =>
  (form.memory && IS_RM.has(spec.kind)) || spec.kind === 'moffs';

/** The draft of case `index` of a form: operands chosen, values set. */
function draftOf(options: TableOptions, form: Form, index: number): Draft {
  const random = new Random(`${options.family} ${formName(form)} ${index}`);
  const { operands } = form.row;
  const registers = Uint32Array.from(CANARIES);
  for (const i of [0, 1, 2, 3]) if (random.oneIn(2)) registers[i] = anyInteger(random, 32);
  const spec = operands.find((o) => isMemory(form, o));
  const bytes = spec === undefined ? 0 : bitsOf(form, spec, true) / 8 || 16;
  const reaches32 = form.row.addressSized !== true ? !random.oneIn(12) : form.addressSize === 32;
  const target = targetOf(random, bytes);
  const chosen = spec === undefined ? undefined : reaches32 ? address32(random, registers, target) : address16(random);
  const offset = spec?.kind === 'moffs';
  const memory = chosen?.memory;
  const moffs = { base: -1, index: -1, scale: 0, displacement: reaches32 ? target | 0 : target & 0xffff } as const;
  const draft: Draft = {
    form,
    random,
    index,
    choice: {
      reg: random.below(8),
      rm: random.below(8),
      ...(memory === undefined ? {} : { memory: offset ? { ...memory, segment: 3, ...moffs } : memory }),
      immediate: 0,
      immediate2: random.below(0x10000),
    },
    registers,
    taken: offset ? 0 : (chosen?.taken ?? 0),
    eflags: random.oneIn(3) ? 0 : anyStatusFlags(random),
    fx: {},
    address: spec !== undefined && reaches32 ? target : undefined,
    memory: new Uint8Array(0),
    patches: [],
    masks: { undefinedFlags: flagsOf(form.row, 'u') },
  };
  setValues(options, draft);
  if (form.row.lock === true && form.memory && random.oneIn(8)) draft.choice = { ...draft.choice, lock: true };
  return draft;
}

/** Mostly aligned, sometimes not, now and then as the last bytes of the page. */
function targetOf(random: Random, bytes: number): number {
  const { address } = MEMORY.data;
  if (random.oneIn(16)) return address + PAGE_SIZE - Math.max(bytes, 1);
  const any = MARGIN + random.below(PAGE_SIZE - 2 * MARGIN);
  return address + (random.oneIn(6) ? any : any & ~15);
}

/** Values of all operands; both the same now and then, for comparisons and subtractions. */
function setValues(options: TableOptions, draft: Draft): void {
  const { form, random } = draft;
  const { operands } = form.row;
  const same = random.oneIn(8) ? anyInteger(random, 32) : undefined;
  const integer = (size: IntegerSize): number => (same === undefined ? anyInteger(random, size) : same % 2 ** size);
  const vector =
    options.vectors ?? ((_, length) => (random.oneIn(3) ? random.bytes(length) : random.pick(integerVectors(length))));
  const wide = (length: 8 | 16): Uint8Array => vector(draft, length);
  if (operands.some((o) => ['mm', 'mmrm', 'mmreg'].includes(o.kind)))
    draft.fx = { ...draft.fx, mm: Array.from({ length: 8 }, () => wide(8)) };
  if (operands.some((o) => ['xmm', 'xmmrm', 'xmmreg'].includes(o.kind)))
    draft.fx = { ...draft.fx, xmm: Array.from({ length: 8 }, () => wide(16)) };
  for (const spec of operands) {
    const memory = isMemory(form, spec);
    const bits = bitsOf(form, spec, memory);
    if (memory) draft.memory = memoryValue(bits, integer, wide, random);
    else if (spec.kind === 'reg' || spec.kind === 'opreg')
      setPart(draft, draft.choice.reg ?? 0, bits, integer(bits as IntegerSize));
    else if (spec.kind === 'rm' || spec.kind === 'rmreg')
      setPart(draft, draft.choice.rm ?? 0, bits, integer(bits as IntegerSize));
    else if (spec.kind === 'fixed') setPart(draft, spec.register ?? 0, bits, anyInteger(random, bits as IntegerSize));
    else if (spec.kind === 'rel')
      draft.choice = {
        ...draft.choice,
        immediate: random.pick(form.row.encoding.endsWith('cb') ? BRANCHES_8 : BRANCHES_32),
      };
  }
  const immediates = operands.filter((o) => o.kind === 'imm' || o.kind === 'simm');
  const values = immediates.map((o) =>
    immediateValue(random, o.kind === 'simm' ? 8 : (bitsOf(form, o, false) as IntegerSize), o.kind === 'simm'),
  );
  if (values[0] !== undefined) draft.choice = { ...draft.choice, immediate: values[0], immediate2: values[1] ?? 0 };
}

function immediateValue(random: Random, size: IntegerSize, signed: boolean): number {
  const value = anyInteger(random, size);
  return signed ? (value << 24) >> 24 : value;
}

function memoryValue(
  bits: number,
  integer: (size: IntegerSize) => number,
  wide: (length: 8 | 16) => Uint8Array,
  random: Random,
): Uint8Array {
  if (bits === 8 || bits === 16 || bits === 32) return littleEndian(integer(bits), bits / 8);
  if (bits === 64) return wide(8);
  if (bits === 128) return wide(16);
  return random.bytes(bits === 0 ? 16 : Math.min(64, bits / 8));
}

/** Sets a register of 8, 16 or 32 bits (AH to BH are 4 to 7), unless the address needs it. ESP keeps most of its value. */
export function setPart(
  draft: Pick<Draft, 'registers' | 'taken'>,
  register: number,
  bits: number,
  value: number,
): void {
  const whole = bits === 8 ? register & 3 : register;
  if ((draft.taken & (1 << whole)) !== 0 || whole === ESP) return;
  const old = draft.registers[whole]!;
  const shift = bits === 8 && register >= 4 ? 8 : 0;
  const mask = bits === 32 ? 0xffffffff : (2 ** bits - 1) << shift;
  draft.registers[whole] = (old & ~mask) | ((value << shift) & mask);
}

/** The case of a draft. */
export function caseOf(draft: Draft): NamedCase {
  const { form, registers, address, memory, masks } = draft;
  const named = Object.fromEntries(REGISTER_NAMES.map((name, i) => [name, registers[i]!])) as Record<
    RegisterName,
    number
  >;
  const end = MEMORY.data.address + PAGE_SIZE;
  const operand =
    address === undefined || memory.length === 0 ? [] : [{ address, bytes: memory.subarray(0, end - address) }];
  const { undefinedFlags = 0, ...others } = masks;
  return {
    ...cpuCase({
      code: encode(form, draft.choice),
      registers: named,
      eflags: draft.eflags,
      ...(Object.keys(draft.fx).length === 0 ? {} : { fx: fxImage(draft.fx) }),
      memory: [...operand, ...draft.patches],
    }),
    name: `${formName(form)} #${draft.index}`,
    undefinedFlags,
    ...others,
  };
}

/** Every form of the rows, `casesPerForm` cases each. Cases of a form do not depend on other forms. */
export function tableSource(options: TableOptions): CaseSource {
  return {
    family: options.family,
    cases: {
      *[Symbol.iterator](): Generator<NamedCase> {
        for (const form of new FormTable(options.rows).forms) {
          const count = typeof options.casesPerForm === 'number' ? options.casesPerForm : options.casesPerForm(form);
          for (let i = 0; i < count; i++) {
            const draft = draftOf(options, form, i);
            if (options.prepare?.(draft) === false) continue;
            yield caseOf(draft);
          }
        }
      },
    },
  };
}
