/** Every test kernel prints on each runner what the processor manual says, and ends as it should. */
import { readFileSync } from 'node:fs';

import { beforeAll, describe, expect, test } from 'vitest';

import { buildKernels, kernelNames, missingCompiler } from './build.ts';
import { parseExpectation, processorCount, skipReason } from './expectation.ts';
import { compiledRunner, qemuRunner, tomeiRunner, type KernelRunner } from './runners.ts';

const RUNNERS: readonly KernelRunner[] = [qemuRunner, tomeiRunner, compiledRunner];

test('expectation: a runner gets its own lines in place of the ones above them', () => {
  const text = '# note\nok a 1\nok b 2\nqemu: ok b 3\nexit 0\n';

  expect(parseExpectation(text, 'qemu')).toEqual({ lines: ['ok a 1', 'ok b 3'], end: 'exit 0' });
  expect(parseExpectation(text, 'tomei')).toEqual({ lines: ['ok a 1', 'ok b 2'], end: 'exit 0' });
});

describe.each(RUNNERS)('on $name', (runner) => {
  const missing = missingCompiler() ?? runner.missing();
  let folder = '';
  beforeAll(() => {
    if (missing === undefined) folder = buildKernels();
  });

  test.for(kernelNames())('%s', async (name, { skip }) => {
    skip(missing !== undefined, missing);
    const expected = readFileSync(new URL(`expected/${name}.txt`, import.meta.url), 'utf8');
    const excuse = skipReason(expected, runner.name);
    skip(excuse !== undefined, `${runner.name}: ${excuse}`);

    const run = await runner.run(`${folder}/${name}.elf`, processorCount(expected));

    expect(run).toEqual(parseExpectation(expected, runner.name));
  });
});
