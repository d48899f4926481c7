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
