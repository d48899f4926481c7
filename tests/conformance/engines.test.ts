/** Our engines against the stored results of a real processor: every vector of every family, on every engine. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type CpuUnderTest } from './case.ts';
import { interpreterCpu, steppingCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { checkVectors } from './vector-making.ts';
import { readVectors, storedFamilies } from './vectors.ts';

/** A new engine is one line here. */
const ENGINES: readonly (readonly [name: string, make: () => CpuUnderTest])[] = [
  ['interpreter', interpreterCpu],
  ['interpreter, one instruction at a time', steppingCpu],
  ['oracle', oracleCpu],
];

describe.each(ENGINES)('the %s', (_, make) => {
  let cpu: CpuUnderTest;
  beforeAll(() => {
    cpu = make();
  });

  it.each(storedFamilies())('gives the results of a processor: %s', async (family) => {
    const { vectors } = readVectors(family);

    const disagreements = await checkVectors(vectors, cpu);

    expect(disagreements.slice(0, 10)).toEqual([]);
  });
});
