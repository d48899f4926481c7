/** The command line of the benchmark of the cluster. */
import { parseArgs } from 'node:util';
import { BENCH_OPTIONS, JSON_USAGE, count, type BenchOptions } from '../options.ts';

export const PARTS = ['disk', 'viewers'] as const;
export type Part = (typeof PARTS)[number];

export interface ClusterBenchOptions extends BenchOptions {
  readonly parts: readonly Part[];
}

export const USAGE = `pnpm bench cluster [options]

  --only PARTS    of ${PARTS.join(',')}: default all
  --runs N        measurements of each part, in turn; medians are shown (3)
  ${JSON_USAGE}
  --write         write docs/bench/cluster.md, cluster.json and cluster.svg; needs all parts
  --help          say this`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): ClusterBenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...BENCH_OPTIONS, only: { type: 'string', default: PARTS.join(',') } },
  });
  if (positionals.length > 0) throw new Error(USAGE);
  const asked = values.only.split(',').map((name) => {
    const part = PARTS.find((p) => p === name);
    if (part === undefined) throw new Error(`--only ${name}: known are ${PARTS.join(', ')}`);
    return part;
  });
  const parts = PARTS.filter((part) => asked.includes(part));
  // A page of half the figures would throw the other half away.
  if (values.write && parts.length < PARTS.length) throw new Error('--write needs all parts: leave --only out');
  const { help, json, write } = values;
  return { help, json, write, parts, runs: count('--runs', values.runs) };
}
