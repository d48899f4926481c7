/**
 * Every form of every row with every prefix: cases that the sources have, with one prefix more before the code. What a prefix makes of
 * an instruction (another segment, another address size, a repetition, #UD, another instruction, nothing) is for the processor to say.
 * The same once more in 16-bit code, and on a 16-bit stack.
 */
import { Decoder, allRows } from '@tomei/paravirt-core';
import { TRAP, type CpuResult, type NamedCase, type Narrow } from './case.ts';
import { CASE_SOURCES } from './sources/index.ts';

/** By name; the operand size prefix is a form of its own where a row has two sizes. */
export const PREFIXES = {
  none: [],
  'address size': [0x67],
  ES: [0x26],
  CS: [0x2e],
  SS: [0x36],
  DS: [0x3e],
  FS: [0x64],
  GS: [0x65],
  LOCK: [0xf0],
  REPNE: [0xf2],
  REP: [0xf3],
  'operand size': [0x66],
} as const;
export type PrefixName = keyof typeof PREFIXES;

/** Sources whose cases are not named after forms. */
const NOT_FORMS = new Set(['boundaries', 'addressing', 'prefixes', 'x87-state']);

export interface SweepCase extends NamedCase {
  readonly family: string;
  /** The form, as `formName` has it. */
  readonly form: string;
  readonly prefix: PrefixName;
}

/** Why a prefix is not tried on a form, or undefined. */
function leftOut(form: string, family: string, prefix: PrefixName): string | undefined {
  if (prefix === 'operand size' && / (16|32)( a(16|32))?( m)?( re\w+)?$/.test(form)) return 'a form of its own';
  // The mask of undefined flags is that of the form without the prefix.
  if (prefix === 'operand size' && family === 'shift') return 'a form of its own';
  if (/ rep(n?e)?$/.test(form) && prefix.startsWith('REP')) return 'has a repeat prefix';
  if (/^bs[fr] /.test(form) && prefix === 'REP') return 'is TZCNT or LZCNT on newer processors';
  if (/^fxsave|^fxrstor|^clflush/.test(form) && ['REP', 'REPNE', 'operand size'].includes(prefix))
    return 'is another instruction on newer processors';
  return undefined;
}

export interface Sweep {
  readonly cases: readonly SweepCase[];
  /** By reason, how many pairs of form and prefix were not tried. */
  readonly leftOut: ReadonlyMap<string, number>;
}
const decoder = new Decoder(allRows);
/** One instruction of `bytes`: with other sizes it can be shorter, and what is left of it would be executed as another. */
function oneInstruction(bytes: Uint8Array, big: boolean): Uint8Array {
  const decoded = decoder.decode(bytes, 0, bytes.length, big);
  return typeof decoded === 'string' ? bytes : bytes.subarray(0, decoded.length);
}
/** The cases of all sources, by form. */
function* casesByForm(): Generator<{ family: string; form: string; list: readonly NamedCase[] }> {
  for (const { family, cases: all } of CASE_SOURCES) {
    if (NOT_FORMS.has(family)) continue;
    const byForm = new Map<string, NamedCase[]>();
    for (const each of all) {
      const form = each.name.replace(/ #\d+$/, '');
      const list = byForm.get(form) ?? [];
      list.push(each);
      byForm.set(form, list);
    }
    for (const [form, list] of byForm) yield { family, form, list };
  }
}
/** Collects cases of each form, by what `variant` makes of one under each prefix; it may say why it makes none. */
function collect(
  perForm: number,
  offset: number,
  variant: (base: NamedCase, form: string, family: string, prefix: PrefixName, n: number) => NamedCase | string,
): Sweep {
  const cases: SweepCase[] = [];
  const reasons = new Map<string, number>();
  for (const { family, form, list } of casesByForm())
    for (const prefix of Object.keys(PREFIXES) as PrefixName[])
      for (let i = 0; i < Math.min(perForm, list.length); i++) {
        const made = variant(list[(offset + i * 7) % list.length]!, form, family, prefix, cases.length);
        if (typeof made !== 'string') cases.push({ ...made, family, form, prefix });
        else if (i === 0) reasons.set(made, (reasons.get(made) ?? 0) + 1);
      }
  return { cases, leftOut: reasons };
}

/** `perForm` cases of each form, spread over those that the sources have, starting with case `offset`. */
export function sweep(perForm: number, offset = 0): Sweep {
  return collect(perForm, offset, (base, form, family, prefix) => {
    const reason = leftOut(form, family, prefix);
    if (reason !== undefined) return reason;
    const code = oneInstruction(Uint8Array.from([...PREFIXES[prefix], ...base.code]), true);
    return { ...base, code, name: `${base.name} with ${prefix}` };
  });
}

/** Code that has a size prefix without it, other code with it: in 16-bit code the same size as before. */
function toggled(code: Uint8Array, prefix: 0x66 | 0x67): Uint8Array {
  for (let i = 0; i < code.length && IS_PREFIX.has(code[i]!); i++)
    if (code[i] === prefix) return Uint8Array.from([...code.subarray(0, i), ...code.subarray(i + 1)]);
  return Uint8Array.from([prefix, ...code]);
}
const IS_PREFIX: ReadonlySet<number> = new Set(Object.values(PREFIXES).flat());

/**
 * As `sweep`, in 16-bit code: each instruction as its bytes read there, and under each prefix; the prefixes of size are also taken away where
 * they are, so that every form is met in the size that it had. Every other case is on a 16-bit stack. Data are in 64 KiB where addresses have
 * 16 bits, and in 4 GiB where they have 32.
 */
export function narrowSweep(perForm: number, offset = 0): Sweep {
  return collect(perForm, offset, (base, form, family, prefix, n) => {
    const sized = prefix === 'operand size',
      addressed = prefix === 'address size' || sized;
    if (family === 'shift' && !sized) return 'a form of its own';
    if (prefix.startsWith('REP') || /^[lms]fence|^clflush|^fx(save|rstor)/.test(form)) {
      const reason = leftOut(form, family, prefix);
      if (reason !== undefined) return reason;
    }
    let code = base.code;
    if (sized && !isMandatory(form)) code = toggled(code, 0x66);
    if (addressed) code = toggled(code, 0x67);
    else code = Uint8Array.from([...PREFIXES[prefix], ...code]);
    const narrow: Narrow = { code: true, stack: n % 2 === 0, data: !addressed };
    return { ...base, code: oneInstruction(code, false), narrow, name: `${base.name} in 16-bit code with ${prefix}` };
  });
}
/** Whether 66 belongs to the opcode. */
const isMandatory = (form: string): boolean => / 66 /.test(form);

/** As `sweep` without prefixes, on a 16-bit stack. */
export function narrowStackSweep(perForm: number, offset = 0): Sweep {
  return collect(perForm, offset, (base, _form, _family, prefix) =>
    prefix === 'none'
      ? { ...base, narrow: { stack: true }, name: `${base.name} on a 16-bit stack` }
      : 'makes no difference',
  );
}

/** Where `host/harness.c` is linked to. */
const HARNESS = { from: 0x0804_0000, to: 0x0900_0000 } as const;
/**
 * Where AMD's and Intel's processors are known to differ, so that the engine follows one of them: told by the form and both results. `theirs` is
 * the processor's.
 */
export function makersDiffer({ family, form, prefix }: SweepCase, theirs: CpuResult, ours: CpuResult): boolean {
  const isFault = ({ trap }: CpuResult): boolean => trap === TRAP.PF || trap === TRAP.GP || trap === TRAP.SS;
  const fault = isFault(ours);
  // A call that goes beyond the limit of its segment has written its return address before it finds out, or has not.
  if (/^call (E8|FF \/2)/.test(form) && ours.trap === TRAP.GP) return true;
  // The upper half of the slot is written, or left as it was (SDM vol. 2, PUSH).
  if (/^push [c-gs]s .* (16|32)$/.test(form)) return true;
  // Estimates, within the same bound (SDM vol. 2).
  if (/^(rcp|rsqrt)[ps]s /.test(form) && theirs.trap === TRAP.BP) return true;
  // The program that runs the cases has memory there.
  if (ours.trap === TRAP.PF && ours.cr2 >= HARNESS.from && ours.cr2 < HARNESS.to) return true;
  // A store that faults has set TOP to 0 before, or has not; which byte of a masked store is reported.
  if (family === 'sse-move' && /^(maskmov|mov[dq] NP|movntq)/.test(form)) return fault;
  const comparison = /^(cmps|scas) /.test(form) && fault && theirs.trap === ours.trap;
  // Which of two operands is read first, where neither can be: one beyond its segment may be another fault than one on a missing page.
  if (form.startsWith('cmps ') && fault && isFault(theirs) && theirs.trap !== ours.trap) return true;
  if (comparison && theirs.cr2 !== ours.cr2) return true;
  // A fault in the midst of a repetition leaves the flags of the start (Intel: SDM vol. 2, REP), or those of the last comparison.
  if (comparison && theirs.eflags !== ours.eflags) return true;
  if (isReserved(form, prefix)) return true;
  // A store that an unmasked exception prevents looks at its memory, or does not.
  return family.startsWith('x87') && /^f(b|i)?st/.test(form) && fault && theirs.trap !== ours.trap;
}

/**
 * Prefixes that are reserved where they are (SDM vol. 2, 2.1.1), and that some of AMD's processors give a meaning: another sense of ZF, CR8
 * instead of CR0, MOVNTSS and MOVNTSD of SSE4a, or none at all.
 */
function isReserved(form: string, prefix: PrefixName): boolean {
  if (prefix === 'LOCK') return /^(ver[rw]|mov 0F 2[02]) /.test(form);
  return prefix.startsWith('REP') && /^(loopn?e|movntp[sd]) /.test(form);
}

/** Rows of which no source has a case, and why. */
export const NOT_TRIED: Readonly<Record<string, string>> = {
  'sgdt sidt sldt str smsw': 'Linux emulates them under UMIP: kernels',
  'cpuid rdtsc rdpmc': 'say something of the machine: kernels',
  'sysenter sysexit': 'enter the system of the host: kernels',
  'vmcall vmmcall': 'call the hypervisor of the host: tests of the core',
  'fnstenv fnsave fldenv frstor fxsave fxrstor': 'move areas: the family x87-state has cases of their own',
  'int1 clflush': 'differ between makers and hosts: kernels',
};
/** Mnemonics and encodings without a case, but those that `NOT_TRIED` names. */
export function untriedRows(forms: ReadonlySet<string>): string[] {
  const expected = new Set(Object.keys(NOT_TRIED).flatMap((names) => names.split(' ')));
  const names = [...forms];
  const isTried = (key: string): boolean => names.some((form) => form === key || form.startsWith(`${key} `));
  return allRows
    .filter((row) => !expected.has(row.mnemonic) && !isTried(`${row.mnemonic} ${row.encoding}`))
    .map((row) => `${row.mnemonic} ${row.encoding}`);
}
