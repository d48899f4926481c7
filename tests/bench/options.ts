/** The command line of `pnpm bench engine`, and what the command lines of all benchmarks share. */
import { parseArgs } from 'node:util';

export interface EngineBenchOptions {
  /** Only say how it is used. */
  readonly help: boolean;
  /** Measurements of each loop; medians are shown. */
  readonly runs: number;
  /** A file for the results as JSON. */
  readonly json: string | undefined;
  /** Whether docs/reference/benchmarks.md is written. */
  readonly write: boolean;
}

export const USAGE = `pnpm bench engine [options]

  --runs N        measurements of each loop; medians are shown (3)
  --json FILE     write the results as JSON
  --write         write docs/reference/benchmarks.md
  --help          say this`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): EngineBenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '3' },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (positionals.length > 0) throw new Error(USAGE);
  return { help: values.help, runs: count('--runs', values.runs), json: values.json, write: values.write };
}

/** A whole number above 0. Throws an Error that names the option. */
export function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${option} ${text}: give a whole number above 0`);
  return value;
}
