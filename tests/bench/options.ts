/** The command line of the benchmark. */
import { parseArgs } from 'node:util';

export const PARTS = ['loops', 'boot', 'suite'] as const;
export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  /** Only say how it is used. */
  readonly help: boolean;
  readonly parts: readonly Part[];
  /** Runs of each hypervisor, and measurements of each loop; medians are shown. */
  readonly runs: number;
  /** The workloads are made this many times shorter. */
  readonly scale: number;
  /** Workloads by name; 'all' for every one. */
  readonly work: string;
  /** A file for the results as JSON. */
  readonly json: string | undefined;
  /** Whether docs/reference/benchmarks.md is written. */
  readonly write: boolean;
  readonly timeoutSeconds: number;
}

export const USAGE = `pnpm bench engine [options]

  --only PARTS    of ${PARTS.join(',')}: default all
  --runs N        runs of each hypervisor, interleaved; medians are shown (3)
  --scale N       make the workloads N times shorter (1)
  --work NAMES    only these workloads, by name and comma (all)
  --timeout S     seconds for one run of one hypervisor (1800)
  --json FILE     write the results as JSON
  --write         write docs/reference/benchmarks.md and its chart
  --help          say this`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: 'string', default: PARTS.join(',') },
      runs: { type: 'string', default: '3' },
      scale: { type: 'string', default: '1' },
      work: { type: 'string', default: 'all' },
      timeout: { type: 'string', default: '1800' },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (positionals.length > 0) throw new Error(USAGE);
  const parts = values.only.split(',').map((name) => {
    const part = PARTS.find((p) => p === name);
    if (part === undefined) throw new Error(`--only ${name}: known are ${PARTS.join(', ')}`);
    return part;
  });
  if (!/^[a-z0-9,]+$/.test(values.work)) throw new Error(`--work ${values.work}: give names of workloads, with commas`);
  return {
    help: values.help,
    parts,
    runs: count('--runs', values.runs),
    scale: count('--scale', values.scale),
    work: values.work,
    json: values.json,
    write: values.write,
    timeoutSeconds: count('--timeout', values.timeout),
  };
}

/** A whole number above 0. Throws an Error that names the option. */
export function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${option} ${text}: give a whole number above 0`);
  return value;
}
