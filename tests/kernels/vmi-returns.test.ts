/** Ways back from a kernel by the ROM's IRET and SYSEXIT: the processor's own, whichever way the calls are answered. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { HostClock, InstructionClock } from '@tomei/paravirt-core';
import { buildKernels, missingCompiler } from './build.ts';
import { parseExpectation } from './expectation.ts';
import { tomei } from './runners.ts';

const missing = missingCompiler();
let kernel = '';
beforeAll(() => {
  if (missing === undefined) kernel = `${buildKernels()}/vmi-returns.elf`;
});
const isOfVmi = (line: string): boolean => line.includes('VMI: ');

describe.each([
  ['interpreted', () => new InstructionClock(), undefined],
  ['compiled', () => new HostClock(), { hotLandings: 1 }],
] as const)('%s', (_, clock, compiling) => {
  test.for(['measured', 'every-call'] as const)('with %s answers', async (vmi, { skip }) => {
    skip(missing !== undefined, missing);
    const troubles: string[] = [];
    const run = await tomei('vmi-returns', clock, compiling, {
      vmi,
      trouble: (_device, what) => void troubles.push(what),
    }).run(kernel);

    const text = readFileSync(new URL('expected/vmi-returns.txt', import.meta.url), 'utf8'),
      without = parseExpectation(text, 'tomei');
    expect(run.lines).toContain('VMI: version 3.0 init 0');
    expect(run.lines.filter((line) => !isOfVmi(line))).toEqual(without.lines.filter((line) => !isOfVmi(line)));
    expect(run.end).toBe('exit 0');
    expect(troubles).toEqual([]);
  });
});
