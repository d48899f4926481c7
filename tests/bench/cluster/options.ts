/** The command line of the benchmark of the cluster. */
import { parseArgs } from 'node:util';
import { count } from '../options.ts';

export const PARTS = ['disk', 'viewers'] as const;
export type Part = (typeof PARTS)[number];

export interface ClusterBenchOptions {
  /** Only say how it is used. */
  readonly help: boolean;
  readonly parts: readonly Part[];
  /** Measurements of each part; medians are shown. */
  readonly runs: number;
  /** A file for the results as JSON. */
  readonly json: string | undefined;
  /** Whether docs/bench/cluster.md and the files beside it are written. */
  readonly write: boolean;
}

export const USAGE = `pnpm bench cluster [options]

  --only PARTS    of ${PARTS.join(',')}: default all
  --runs N        measurements of each part, in turn; medians are shown (3)
  --json FILE     write the results as JSON
  --write         write docs/bench/cluster.md, cluster.json and cluster.svg; needs all parts
  --help          say this`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): ClusterBenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: 'string', default: PARTS.join(',') },
      runs: { type: 'string', default: '3' },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
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
  return { help: values.help, parts, runs: count('--runs', values.runs), json: values.json, write: values.write };
}
