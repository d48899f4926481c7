/** The kernel that knows VMI, with the ROM: the same results as without, by way of the calls, and what is wrong is told to the host. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { HostClock, InstructionClock } from '@tomei/paravirt-core';
import { buildKernels, missingCompiler } from './build.ts';
import { parseExpectation } from './expectation.ts';
import { tomei } from './runners.ts';

const missing = missingCompiler();
let kernel = '';
beforeAll(() => {
  if (missing === undefined) kernel = `${buildKernels()}/vmi.elf`;
});
const ENGINES = [
  ['interpreted', () => new InstructionClock(), undefined],
  ['compiled', () => new HostClock(), { hotLandings: 1 }],
] as const;
const isOfVmi = (line: string): boolean => line.includes('VMI: ');
const CHECKED = [
  ...['ROM is read-only', 'unknown call', 'counter goes on', 'available', 'unknown counter', 'wallclock'],
  ...['not updated', 'five periods', 'cancel'],
];
/** What is checked where every call is one. */
const REST = [
  ...[
    'CPUID',
    'MSR',
    'GetLDT',
    'WriteLDTEntry',
    'GetCR3',
    'RDTSC',
    'UpdatePxE',
    'machine address',
    'OUTL',
    'INW',
    'OUTB',
  ],
  ...['INSB', 'INSL', 'INSW', 'OUTSB', 'OUTSL', 'OUTSW', 'state of nowhere', 'LVTT'],
];

describe.each(ENGINES)('%s', (_, clock, compiling) => {
  test.for([
    ['measured', 'none 53 call 19 jump 1 nop 1', ['LVTT']],
    ['every-call', 'none 1 call 73 jump 0 nop 0', REST],
  ] as const)('with %s answers', async ([vmi, answers, more], { skip }) => {
    skip(missing !== undefined, missing);
    const troubles: string[] = [];
    const runner = tomei('vmi', clock, compiling, { vmi, trouble: (_device, what) => void troubles.push(what) });

    const run = await runner.run(kernel);

    const without = parseExpectation(readFileSync(new URL('expected/vmi.txt', import.meta.url), 'utf8'), 'tomei');
    expect(run.end).toBe('exit 0');
    expect(run.lines.filter((line) => !isOfVmi(line))).toEqual(without.lines.filter((line) => !isOfVmi(line)));
    expect(run.lines.filter(isOfVmi)).toEqual(
      expect.arrayContaining([
        'VMI: version 3.0 init 0',
        `VMI: answers ${answers}`,
        'VMI: frequency 1000000000',
        ...[...CHECKED, ...more].map((name) => `ok VMI: ${name}`),
        'VMI: done',
      ]),
    );
    const inUse: unknown = expect.stringMatching(
      /^releases page [0-9a-f]+h, the root of the address space that is in use$/,
    );
    expect(troubles).toEqual([
      ...(vmi === 'measured' ? [] : ['gives a state to start processor 1 in, which there is not']),
      ...[inUse, inUse],
      'sets an alarm on counter 2, which there is not',
      'sets an alarm on counter 255, which there is not',
      'announces page fffffh as a page table, which is not in RAM',
      'releases page 123h, which it has not announced as a page table',
    ]);
  });
});
