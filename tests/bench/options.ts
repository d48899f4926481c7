/** The command line of `pnpm bench engine`, and what the command lines of all benchmarks share. */
import { parseArgs } from 'node:util';

/** What every benchmark can be asked for. */
export interface BenchOptions {
  /** Only say how it is used. */
  readonly help: boolean;
  /** Measurements of each thing; medians are shown. */
  readonly runs: number;
  /** Print the results as JSON, and no tables. */
  readonly json: boolean;
  /** Write the page in docs/ and the files beside it. */
  readonly write: boolean;
}

/** `BenchOptions` for `parseArgs`. */
export const BENCH_OPTIONS = {
  runs: { type: 'string', default: '3' },
  json: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;
/** What the benchmarks of whole guests can be asked for besides. */
export interface SuiteOptions extends BenchOptions {
  /** The workloads are made this many times shorter. */
  readonly scale: number;
  readonly timeoutSeconds: number;
}
/** `SuiteOptions` for `parseArgs`, and which workloads. */
export const SUITE_OPTIONS = {
  ...BENCH_OPTIONS,
  scale: { type: 'string', default: '1' },
  only: { type: 'string', default: 'all' },
  timeout: { type: 'string', default: '1800' },
} as const;
/** `SuiteOptions` of what `parseArgs` has found. Throws an Error that names the option. */
export function suiteOptions(
  values: Pick<BenchOptions, 'help' | 'json' | 'write'> & Readonly<Record<'runs' | 'scale' | 'timeout', string>>,
): SuiteOptions {
  const { help, json, write } = values;
  return {
    ...{ help, json, write },
    runs: count('--runs', values.runs),
    scale: count('--scale', values.scale),
    timeoutSeconds: count('--timeout', values.timeout),
  };
}
export const JSON_USAGE =
  '--json          print the results as JSON instead (pnpm -s bench ... leaves pnpm’s own lines out)';

export const USAGE = `pnpm bench engine [options]

  --runs N        measurements of each loop; medians are shown (3)
  ${JSON_USAGE}
  --write         write docs/reference/benchmarks.md
  --help          say this`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: BENCH_OPTIONS });
  if (positionals.length > 0) throw new Error(USAGE);
  return { ...values, runs: count('--runs', values.runs) };
}

/** A whole number above 0. Throws an Error that names the option. */
export function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${option} ${text}: give a whole number above 0`);
  return value;
}
