/** The command line of `pnpm bench paravirt`. */
import { parseArgs } from 'node:util';
import { JSON_USAGE, SUITE_OPTIONS, suiteOptions, type SuiteOptions } from '../options.ts';
import { WORKLOADS } from './workloads.ts';

export interface ParavirtBenchOptions extends SuiteOptions {
  /** Workloads by name, in their order. */
  readonly only: readonly string[];
}

export const USAGE = `pnpm bench paravirt [options]

Boots one image fully virtualized (tomei.paravirt = "off": IDE, e1000) and paravirtualized ("kvm": virtio, PV EOI) in turn, each with a
second guest at the other end of its network, and compares time, overhead and exits of ${WORKLOADS.length} workloads. Nothing else should
run meanwhile.

  --runs N        runs of each mode, in turn; medians are shown (3)
  --scale N       make the workloads N times shorter (1)
  --only NAMES    only these workloads or kinds of them, by name and comma (all)
  --timeout S     seconds for one run of one mode (1800)
  ${JSON_USAGE}
  --write         write docs/bench/paravirt.md, paravirt.json and paravirt.svg; needs all workloads at their full length
  --help          say this

Examples:
  pnpm bench paravirt --write                          all of it, as it is published
  pnpm bench paravirt --only disk,idle --runs 1        the disk's workloads and the idle one, a first look

Exit codes: 0 measured (whether targets are met changes nothing), 1 a guest failed or results differ, 2 wrong usage,
130 interrupted.`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): ParavirtBenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...SUITE_OPTIONS,
    },
  });
  if (positionals.length > 0) throw new Error(USAGE);
  const options = suiteOptions(values),
    only = chosen(values.only);
  if (options.write && (options.scale !== 1 || only.length < WORKLOADS.length))
    throw new Error('--write is for the whole suite: leave out --scale and --only');
  return { ...options, only };
}

function chosen(only: string): string[] {
  const asked = only.split(',');
  const unknown = asked.filter(
    (word) => word !== 'all' && !WORKLOADS.some(({ name, kind }) => name === word || kind === word),
  );
  const kinds = [...new Set(WORKLOADS.map(({ kind }) => kind))];
  if (unknown.length > 0)
    throw new Error(
      `--only ${unknown.join(',')}: known are all, ${[...new Set([...kinds, ...WORKLOADS.map(({ name }) => name)])].join(', ')}`,
    );
  return WORKLOADS.filter(({ name, kind }) => ['all', name, kind].some((word) => asked.includes(word))).map(
    ({ name }) => name,
  );
}
