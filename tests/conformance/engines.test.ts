/** Our engines against the stored results of a real processor: every vector of every family, on every engine. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type CpuUnderTest } from './case.ts';
import { compiledCpu } from './engines/compiled.ts';
import { interpreterCpu, steppingCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { type Vector } from './vector-codec.ts';
import { checkVectors } from './vector-making.ts';
import { readVectors, storedFamilies } from './vectors.ts';

/**
 * A new engine is one line here. Of `every` vectors one is run: single steps share all but their way in with the
 * interpreter.
 */
const ENGINES: readonly { name: string; make: () => CpuUnderTest; every: number }[] = [
  { name: 'interpreter', make: interpreterCpu, every: 1 },
  { name: 'interpreter, one instruction at a time', make: steppingCpu, every: 5 },
  { name: 'oracle', make: oracleCpu, every: 1 },
  { name: 'compiled code', make: () => compiledCpu(), every: 2 },
  { name: 'careful compiled code', make: () => compiledCpu({ isCareful: true }), every: 2 },
];

const stored = new Map<string, readonly Vector[]>();
function vectorsOf(family: string): readonly Vector[] {
  const known = stored.get(family) ?? readVectors(family).vectors;
  stored.set(family, known);
  return known;
}

describe.each(ENGINES)('the $name', ({ make, every }) => {
  let cpu: CpuUnderTest;
  beforeAll(() => {
    cpu = make();
  });

  it.each(storedFamilies())('gives the results of a processor: %s', async (family) => {
    const vectors = vectorsOf(family).filter((_, i) => i % every === 0);

    const disagreements = await checkVectors(vectors, cpu);

    expect(disagreements.slice(0, 10)).toEqual([]);
  });
});
