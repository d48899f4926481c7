/** The files of `vectors/`: all can be read, none grows out of hand, and the processor of this machine agrees with them. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cpuCase } from './base-case.ts';
import { type NamedCase } from './case.ts';
import { HostCpu } from './host/host-cpu.ts';
import { CASE_SOURCES } from './sources/index.ts';
import { checkVectors, makeVectors, type Disagreement } from './vector-making.ts';
import { VECTORS_DIRECTORY, VECTORS_SUFFIX, readVectors, storedFamilies } from './vectors.ts';

const SIZE_LIMIT = 8 * 1024 * 1024;
const host = HostCpu.available();

describe('stored vectors', () => {
  it('are there for every source, whole, and small', () => {
    const sizes = storedFamilies().map((f) => statSync(join(VECTORS_DIRECTORY, f + VECTORS_SUFFIX)).size);

    expect(storedFamilies()).toEqual(CASE_SOURCES.map(({ family }) => family).sort());
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(SIZE_LIMIT);
    for (const family of storedFamilies()) {
      const { header, vectors } = readVectors(family);
      expect([header.family, header.count]).toEqual([family, vectors.length]);
    }
  });

  it.each(CASE_SOURCES)('$family: the file holds the cases that its source gives today', ({ family, cases }) => {
    const { vectors } = readVectors(family);
    const now = [...cases];

    const changed = now.find((start, i) => !isDeepStrictEqual(start, vectors[i]?.start));

    expect(changed, `make them again: node tests/conformance/make-vectors.ts --family ${family}`).toBeUndefined();
    expect(vectors).toHaveLength(now.length);
  });
});

describe('the processor of this machine', () => {
  let cpu: HostCpu;

  beforeAll(async () => {
    if (host.ok) cpu = await HostCpu.start();
  });
  afterAll(() => (host.ok ? cpu.close() : undefined));
  beforeEach((context) => context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`));

  const named = (name: string, ...code: number[]): NamedCase => ({ ...cpuCase({ code }), name, undefinedFlags: 0 });

  it.for(storedFamilies())('agrees with the vectors of %s', async (family, context) => {
    const { header, vectors } = readVectors(family);
    // What the manual leaves open differs between makers, and not every such place may be masked yet.
    const stranger = `made on ${header.cpu.vendor}, here is ${cpu.identity.vendor}: see make-vectors.ts --check`;
    context.skip(header.cpu.vendor !== cpu.identity.vendor, stranger);

    // Which of two operands CMPS reads first, where neither can be, differs between models of one maker.
    const ORDER = /^(cr2: |error code: |trap: #(GP|SS|PF), expected #(GP|SS|PF)$)/,
      isOrder = ({ name, lines }: Disagreement): boolean =>
        name.startsWith('cmps ') && lines.every((line) => ORDER.test(line));
    const disagreements = (await checkVectors(vectors, cpu)).filter((each) => !isOrder(each));

    expect(disagreements.slice(0, 5)).toEqual([]);
  });

  it('is not asked for vectors of cases that loop or share a name', async () => {
    const endless = makeVectors({ family: 'f', cases: [named('endless', 0xeb, 0xfe)] }, cpu);
    await expect(endless).rejects.toThrow("f: case 'endless' ends in timeout");

    const twins = makeVectors({ family: 'f', cases: [named('a', 0x90), named('a', 0x40)] }, cpu);
    await expect(twins).rejects.toThrow("f: case 'a' is there twice");
  });

  it('shows that a vector is wrong', async () => {
    const [vector] = await makeVectors({ family: 'f', cases: [named('inc', 0x40)] }, cpu);
    if (vector === undefined) throw new Error('no vector');
    const wrong = { ...vector, result: { ...vector.result, registers: { ...vector.result.registers, eax: 2 } } };

    expect(await checkVectors([vector, wrong], cpu)).toEqual([{ name: 'inc', lines: ['eax: 0x1, expected 0x2'] }]);
  });
});
