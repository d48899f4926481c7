/** `pnpm bench vmi`: what each VMI call costs in each way that a kernel may be told to make it, beside what the ROM answers. */
import { join } from 'node:path';
import { ANSWERS, type CallName } from '@tomei/paravirt-core';
import { describeMachine } from './here.ts';
import { BENCH_OPTIONS, JSON_USAGE, count } from './options.ts';
import { asJson, say, writePages } from './pages.ts';
import { figure, markdownTable, textTable } from './tables.ts';
import { measureVmi, type VmiFigure, type Way } from './vmi-loops.ts';
import { parseArgs } from 'node:util';

const PAGES = join(import.meta.dirname, '../../docs/bench');
const USAGE = `pnpm bench vmi [options]

  --runs N        measurements of each way; medians are shown (3)
  ${JSON_USAGE}
  --write         write docs/bench/vmi.md and vmi.json
  --help          say this`;
const WAYS: readonly Way[] = ['native', 'call', 'place', 'jump', 'nothing'];
const HEAD = ['call', ...WAYS.map((way) => `${way === 'place' ? 'in place' : way} (ns)`), 'answer'];

const answerOf = (name: string): string =>
  [...new Set(name.split(' and ').map((call) => ANSWERS[call as CallName]))].join(', ');
const rowOf = ({ name, call, ns }: VmiFigure): string[] => [
  name,
  ...WAYS.map((way) => figure(ns[way])),
  answerOf(call ?? name),
];

/** Returns the exit code. Throws an Error for wrong options. */
export function benchVmi(args: readonly string[]): number {
  const { values } = parseArgs({ args: [...args], options: BENCH_OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const runs = count('--runs', values.runs);
  const circumstances = { ...describeMachine(), v8: process.versions.v8, runs };
  const calls = measureVmi(runs, ({ name }) => say(`measured ${name}`));
  const results = { circumstances, calls };
  process.stdout.write(values.json ? asJson(results) : `${textTable(HEAD, calls.map(rowOf))}\n`);
  if (values.write) writePages(PAGES, { 'vmi.json': asJson(results), 'vmi.md': page(results) });
  return 0;
}

function page({
  circumstances,
  calls,
}: {
  circumstances: Record<string, unknown>;
  calls: readonly VmiFigure[];
}): string {
  return `# VMI calls

Written by \`pnpm bench vmi --write\`. Nanoseconds of the processor's thread for one operation, median of ${circumstances['runs'] as number}
measurements, without the loop around it: natively, as a kernel that is answered NONE does it behind its pointer (with ECX and EDX
pushed around it for the four calls of the interrupt flag), by the ROM's code, by the same code in place of
the call to it, which is the most that compiling calls inline could gain, and left out. Differences of a few nanoseconds are
noise. A kernel's own wrapper around a call, which native code does without, is not in it. Pages used behind SetCR3 are read once, a byte of
each, in a loop of two instructions a page.

${markdownTable(HEAD, calls.map(rowOf))}

On ${Object.entries(circumstances)
    .map(([key, value]) => `${key} ${String(value)}`)
    .join(', ')}.
`;
}
