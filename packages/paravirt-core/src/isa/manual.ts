/** The instruction table as a page to read: every row, and what it means, from the same functions that every engine runs. */
import type { Form, Row } from './model.ts';
import { FormTable } from './forms.ts';
import { TextBuild } from './text-build.ts';

/** `add r/m8, r8`. */
export const rowText = (row: Row): string =>
  `${row.mnemonic}${row.operands.length === 0 ? '' : ' '}${row.operands.map((o) => o.text).join(', ')}`;

const TRAITS: readonly (readonly [text: string, of: (row: Row) => boolean])[] = [
  ['LOCK', (row) => row.lock === true],
  ['protected mode', (row) => row.protectedOnly === true],
  ['CPL 0', (row) => row.cpl0 === true],
  ['REP', (row) => row.repeat === 'rep'],
  ['REPE, REPNE', (row) => row.repeat === 'repz'],
  ['aligned', (row) => row.aligned === true],
];

function traits(row: Row): string {
  const named = TRAITS.filter(([, of]) => of(row)).map(([text]) => text);
  return [
    ...named,
    ...(row.unit === undefined ? [] : [`${row.unit} unit`]),
    ...(row.feature === undefined ? [] : [row.feature]),
  ].join(', ');
}

const cell = (text: string): string => (text === '' ? '-' : text.replaceAll('|', '\\|'));
const tableOf = (rows: readonly Row[]): string =>
  [
    '| instruction | encoding | flags | |',
    '| --- | --- | --- | --- |',
    ...rows.map(
      (row) => `| ${cell(rowText(row))} | ${cell(row.encoding)} | ${cell(row.flags ?? '')} | ${cell(traits(row))} |`,
    ),
  ].join('\n');

/** The form that is shown: 32 bits, register where there is a choice, no repeat prefix. */
const shownForm = (forms: readonly Form[], row: Row): Form => {
  const mine = forms.filter((form) => form.row === row);
  return mine.find((form) => form.size === 32 && form.addressSize === 32 && !form.memory) ?? mine[0]!;
};

/** Each meaning once, with all rows of the mnemonic that have it. */
function meanings(forms: readonly Form[], rows: readonly Row[]): string {
  const byText = new Map<string, Row[]>();
  for (const row of rows) {
    const text = `${row.mnemonic}\n${new TextBuild(shownForm(forms, row)).run().lines.join('\n')}`;
    byText.set(text, [...(byText.get(text) ?? []), row]);
  }
  return [...byText]
    .map(([text, same]) => `${heading(same)}\n${indented(text.slice(text.indexOf('\n') + 1))}`)
    .join('\n\n');
}
const heading = (rows: readonly Row[]): string => `${rows[0]!.mnemonic}: ${rows.map((row) => row.encoding).join(', ')}`;
const indented = (text: string): string =>
  text === ''
    ? '  does nothing'
    : text
        .split('\n')
        .map((line) => `  ${line}`)
        .join('\n');

/** The page, in Markdown. */
export function manual(families: readonly (readonly Row[])[]): string {
  const all = families.flat(),
    { forms } = new FormTable(all);
  const sections = families.map(
    (rows) => `## ${rows[0]!.family}\n\n${tableOf(rows)}\n\n\`\`\`text\n${meanings(forms, rows)}\n\`\`\`\n`,
  );
  return `# Instructions

${all.length} rows, which stand for ${forms.length} forms. A row's encoding is in the notation of the SDM (vol. 2, 3.1.1); \`iv\` and \`cv\` are
immediates of the operand size, \`mo\` is an offset of the address size, \`NP\` means that no SIMD prefix may stand before it. Flags:
\`r\` read, \`w\` written, \`u\` undefined afterwards, \`0\` and \`1\` set so; letters are those of OF SF ZF AF PF CF DF IF.

Under each table is what the rows mean, by encoding: the functions that the interpreter is generated from, read as text, in their
32-bit forms on registers where there is a choice. Values that are read get a name, so \`a\` stays what it was when its register
changes. Names with arguments, such as \`loadSegment(...)\`, are services of the core (\`core/services.ts\`), leaf numerics, or
numeric instructions of WebAssembly. A signed operator has an \`s\` behind it.

${sections.join('\n')}`;
}
