/** Turning case sources into vectors by a processor, and checking stored vectors against one. */
import { isDeepStrictEqual } from 'node:util';
import { TomeiError } from '@tomei/kit';
import { TRAP, type CaseSource, type CpuUnderTest, type NamedCase } from './case.ts';
import { differences, trapName } from './compare.ts';
import { type Vector } from './vector-codec.ts';

const BATCH = 2048;
/** Ends that say that a case is no good, whatever processor runs it. */
const USELESS: ReadonlySet<number> = new Set([TRAP.timeout, TRAP.systemCall, TRAP.harness]);

function* batches<T>(items: Iterable<T>): Generator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/**
 * Runs each case twice and keeps what it gave. Throws `vectors.bad-case` for a case whose two results differ, that loops,
 * makes a system call, or has the name of another.
 */
export async function makeVectors(source: CaseSource, cpu: CpuUnderTest): Promise<Vector[]> {
  const vectors: Vector[] = [];
  const names = new Set<string>();
  for (const batch of batches(source.cases)) {
    const results = await cpu.run(batch);
    const again = await cpu.run(batch);
    for (const [i, start] of batch.entries()) {
      const result = results[i];
      const second = again[i];
      if (result === undefined || second === undefined) throw badCase(source, start, 'has no result');
      if (names.has(start.name)) throw badCase(source, start, 'is there twice');
      if (USELESS.has(result.trap)) throw badCase(source, start, `ends in ${trapName(result.trap)}`);
      if (!isDeepStrictEqual(result, second))
        throw badCase(source, start, `gives two results: ${differences(start, result, second).join('; ')}`);
      names.add(start.name);
      vectors.push({ start, result });
    }
  }
  return vectors;
}

function badCase(source: CaseSource, start: NamedCase, what: string): TomeiError {
  return new TomeiError('vectors.bad-case', `${source.family}: case '${start.name}' ${what}`);
}

/** A vector that a processor does not agree with. */
export interface Disagreement {
  readonly name: string;
  /** As `differences` gives them; the stored result is the expected one. */
  readonly lines: readonly string[];
}

/** Runs stored cases again, here or on another engine, and tells where results are not the stored ones. */
export async function checkVectors(vectors: readonly Vector[], cpu: CpuUnderTest): Promise<Disagreement[]> {
  const disagreements: Disagreement[] = [];
  for (const batch of batches(vectors)) {
    const results = await cpu.run(batch.map((vector) => vector.start));
    for (const [i, { start, result }] of batch.entries()) {
      const actual = results[i];
      const lines = actual === undefined ? ['no result'] : differences(start, result, actual);
      if (lines.length > 0) disagreements.push({ name: start.name, lines });
    }
  }
  return disagreements;
}
