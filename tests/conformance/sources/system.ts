/**
 * What CPL 3 sees of the system instructions: segment registers, far transfers within the ring, descriptor checks, and #GP for
 * the rest. Selectors are those whose descriptors every i386 environment of `case.ts` has, or surely has not.
 */
import { allRows, type Row } from '@tomei/paravirt-core';
import { BASE_CODE_ADDRESS, BASE_ESP } from '../base-case.ts';
import { EFLAGS, EFLAGS_STATUS, type CaseSource } from '../case.ts';
import { littleEndian } from '../operands.ts';
import { setPart, tableSource, type Draft } from './from-table.ts';

/** Emulated by Linux under UMIP, of the machine rather than of the instruction set, or different in 64-bit kernels. */
const EXCLUDED = new Set([
  'sgdt',
  'sidt',
  'sldt',
  'str',
  'smsw',
  'cpuid',
  'rdtsc',
  'rdpmc',
  'sysenter',
  'sysexit',
  'int1',
  'clflush',
  'monitor',
  'mwait',
  'vmcall',
  'vmmcall',
  'rsm',
]);
const FAR = new Set(['retf', 'iret', 'int']);
const isFar = (row: Row): boolean =>
  FAR.has(row.mnemonic) || ['9A iv iw', 'EA iv iw', 'FF /3', 'FF /5'].includes(row.encoding);

/** Flat code and data of CPL 3 with each RPL; null; kernel segments; LDT (there is none); beyond the table. */
const SELECTORS = [0x23, 0x2b, 0x20, 0x21, 0x28, 0x2a, 0, 3, 0x10, 0x13, 0x18, 0x1b, 0x07, 0x0c, 0x24, 0x100, 0xfffb];
const ESP = 4;

function prepare(draft: Draft): boolean | void {
  const { form, random, registers, patches } = draft;
  const { row } = form;
  const selector = random.oneIn(2) ? random.pick([0x23, 0x2b]) : random.pick(SELECTORS);
  if ((draft.taken & (1 << ESP)) === 0) registers[ESP] = BASE_ESP;
  const esp = registers[ESP]!;
  if (isFar(row)) return prepareFar(draft, random.oneIn(4) ? selector : 0x23);
  if (row.operands.some((o) => o.kind === 'sreg')) {
    draft.choice = {
      ...draft.choice,
      reg: random.pick(row.operands[0]?.kind === 'sreg' ? [0, 2, 3, 4, 5] : [0, 1, 2, 3, 4, 5]),
    };
  }
  if (row.mnemonic.startsWith('pop ')) patches.push({ address: esp, bytes: littleEndian(selector, 4) });
  else if (/^l[defgs]s$/.test(row.mnemonic)) {
    draft.memory = Uint8Array.from([...littleEndian(random.u32(), form.size / 8), ...littleEndian(selector, 2)]);
  } else if (
    ['mov', 'lar', 'lsl', 'verr', 'verw'].includes(row.mnemonic) &&
    !row.operands.some((o) => o.kind === 'creg' || o.kind === 'dreg')
  ) {
    const source = row.operands.length - 1;
    if (row.operands[source]?.kind === 'sreg') return;
    if (form.memory) draft.memory = littleEndian(selector, 2);
    else setPart(draft, draft.choice.rm ?? 0, 16, selector);
  }
}

function prepareFar(draft: Draft, selector: number): boolean | void {
  const { form, random, registers, patches } = draft;
  const { row } = form;
  const bytes = form.size / 8;
  const target = BASE_CODE_ADDRESS + random.pick([0x20, -0x100, 0x321]);
  const pointer = [...littleEndian(target, bytes), ...littleEndian(selector, 2)];
  // What is pushed by vector 0x80 is a system call.
  if (row.mnemonic === 'int')
    draft.choice = { ...draft.choice, immediate: random.pick([0, 1, 2, 5, 6, 13, 14, 0x20, 0x21, 0x7f, 0xff]) };
  else if (row.operands[0]?.kind === 'far') draft.choice = { ...draft.choice, immediate: target, immediate2: selector };
  else if (row.operands[0]?.kind === 'mem') draft.memory = Uint8Array.from(pointer);
  else {
    // RETF and IRET pop the selector as a whole operand; a stack beside the page is for other tests.
    const flags = (random.u32() & (EFLAGS_STATUS | EFLAGS.DF | EFLAGS.ID | EFLAGS.AC)) | 0x202;
    patches.push({
      address: registers[ESP]!,
      bytes: Uint8Array.from([
        ...littleEndian(target, bytes),
        ...littleEndian(selector, bytes),
        ...littleEndian(flags, bytes),
      ]),
    });
    draft.choice = { ...draft.choice, immediate: random.pick([0, 4, 6, 0x100]) };
  }
}

const rows = allRows.filter(
  (row) => (row.family === 'system' && !EXCLUDED.has(row.mnemonic)) || (row.family === 'control' && isFar(row)),
);

/** What only CPL 0 or another mode has: #UD. */
const monitor = tableSource({
  family: 'monitor',
  rows: allRows.filter((row) => ['monitor', 'mwait', 'rsm'].includes(row.mnemonic)),
  casesPerForm: 4,
});

export const SYSTEM_SOURCES: readonly CaseSource[] = [
  monitor,
  tableSource({
    family: 'system',
    rows,
    casesPerForm: (form) => (form.row.cpl0 === true ? 4 : isFar(form.row) ? 24 : 16),
    prepare,
  }),
];
