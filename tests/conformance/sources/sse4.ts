/** Cases for SSE3 with FISTTP, SSSE3, SSE4.1, SSE4.2 and POPCNT. */
import { families, type Row } from '@tomei/paravirt-core';
import { type CaseSource } from '../case.ts';
import { anyInteger, integerVectors, littleEndian } from '../operands.ts';
import { type Random } from '../random.ts';
import { tableSource, type Draft, type TableOptions } from './from-table.ts';
import { disturbX87 } from './packed.ts';
import { floatVectors, withMxcsr } from './sse.ts';

const EAX = 0;
const ECX = 1;
const EDX = 2;
const rowsOf = (family: string): readonly Row[] => families.flat().filter((row) => row.family === family);
const isFloat = (row: Row): boolean => /^(h(add|sub)|addsub|round|dp)p?[sd]?[sd]/.test(row.mnemonic);

const integers: NonNullable<TableOptions['vectors']> = ({ random }, length) =>
  random.oneIn(3) ? random.bytes(length) : random.pick(integerVectors(length));
/** Floats where the instruction computes with them. */
const either: TableOptions['vectors'] = (draft, length) =>
  isFloat(draft.form.row) ? floatVectors(draft, length) : integers(draft, length);

function prepare(draft: Draft): void {
  const { form, random } = draft;
  if (isFloat(form.row)) withMxcsr(draft);
  else disturbX87(draft);
  if (form.row.operands.at(-1)?.kind === 'imm') draft.choice = { ...draft.choice, immediate: random.below(256) };
}

/** Few different elements, so that there are matches; of both widths; often with an end. */
function anyText(random: Random, length: number): Uint8Array {
  const alphabet = random.pick([
    [0x61, 0x62, 0x63],
    [0, 0x41, 0x5a, 0x61],
    [0x7f, 0x80, 0xff, 1],
    [0, 1, 0x80],
  ]);
  const bytes = Uint8Array.from({ length }, (_, i) =>
    random.oneIn(2) && i > 0 && i % 2 === 1 ? 0 : random.pick(alphabet),
  );
  const dense = random.oneIn(2) ? bytes.map(() => random.pick(alphabet)) : bytes;
  if (random.oneIn(2)) dense.fill(0, random.below(length + 1));
  return dense;
}

/** Few elements, all of them, more than there are, and the edges of the sign. */
const LENGTHS = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, -1, -3, -8, -16, -17, 0x7fffffff, 0x80000000] as const;

function prepareStrings(draft: Draft): void {
  const { form, random, registers, taken } = draft;
  prepare(draft);
  if (form.row.mnemonic.startsWith('pcmp') && form.row.mnemonic !== 'pcmpgtq')
    for (const register of [EAX, EDX])
      if ((taken & (1 << register)) === 0) registers[register] = random.pick(LENGTHS) >>> 0;
  if (form.row.mnemonic === 'popcnt' || form.row.mnemonic === 'crc32')
    if ((taken & (1 << ECX)) === 0 && random.oneIn(3)) registers[ECX] = anyInteger(random, 32);
  if (form.row.mnemonic === 'popcnt' && form.memory && random.oneIn(4))
    draft.memory = littleEndian(0, draft.memory.length);
}

const source = (family: string, table: string, casesPerForm: TableOptions['casesPerForm']): CaseSource =>
  tableSource({ family, rows: rowsOf(table), casesPerForm, vectors: either, prepare });

export const SSE4_SOURCES: readonly CaseSource[] = [
  source('sse3', 'sse3', 60),
  source('ssse3', 'ssse3', 24),
  source('sse4-1', 'sse4.1', ({ row }) => (isFloat(row) ? 90 : 24)),
  tableSource({
    family: 'sse4-2',
    rows: rowsOf('sse4.2'),
    casesPerForm: ({ row }) => (/^pcmp.str/.test(row.mnemonic) ? 300 : 60),
    vectors: ({ form, random }, length) =>
      /^pcmp.str/.test(form.row.mnemonic) ? anyText(random, length) : integers({ form, random }, length),
    prepare: prepareStrings,
  }),
];
