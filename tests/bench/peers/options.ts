/** The command line of `pnpm bench peers`. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { JSON_USAGE, SUITE_OPTIONS, suiteOptions, type SuiteOptions } from '../options.ts';

export interface PeersBenchOptions extends SuiteOptions {
  /** Workloads by name; 'all' for every one. */
  readonly only: string;
  /** Files to boot instead of the tiny guest's kernel and the benchmark's own initrd. */
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
}

export const USAGE = `pnpm bench peers [options]

Boots the same kernel and initrd in Tomei, QEMU TCG and v86 in turn, on this machine, and compares the seconds that pass
until there is a shell and in each of 22 workloads. Nothing else should run meanwhile.

  --runs N        runs of each hypervisor, in turn; medians are shown (3)
  --scale N       make the workloads N times shorter (1)
  --only NAMES    only these workloads, by name and comma (all)
  --timeout S     seconds for one run of one hypervisor (1800)
  --kernel FILE   a Linux kernel instead of the tiny guest's
  --initrd FILE   an initrd instead of the benchmark's own, which prints the same marks: '@ BOOTED', '@ BEGIN name', a
                  line with the result, '@ END', '@ DONE'. What results are right is not known then: hypervisors are
                  compared with each other. --scale and --only reach it as SCALE and WORK in the environment of its init.
  ${JSON_USAGE}
  --write         write docs/bench/peers.md, peers.json and peers.svg; needs all workloads at their full length
  --help          say this

Examples:
  pnpm bench peers --write                             all of it, as it is published: about an hour
  pnpm bench peers --only sieve,fib --runs 1           a first look, a minute or two
  pnpm bench peers --kernel /boot/vmlinuz --only none  how long another kernel takes to the shell

Exit codes: 0 measured (whether targets are met changes nothing), 1 a hypervisor failed or results differ, 2 wrong usage,
130 interrupted.`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): PeersBenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...SUITE_OPTIONS,
      kernel: { type: 'string' },
      initrd: { type: 'string' },
    },
  });
  if (positionals.length > 0) throw new Error(USAGE);
  const { only, kernel, initrd } = values,
    options = suiteOptions(values);
  // It becomes a part of the kernel's command line.
  if (!/^[a-z0-9]+(,[a-z0-9]+)*$/.test(only)) throw new Error(`--only ${only}: give names of workloads, with commas`);
  for (const [option, file] of Object.entries({ '--kernel': kernel, '--initrd': initrd }))
    if (file !== undefined && !existsSync(file)) throw new Error(`${option} ${file}: there is no such file`);
  const isWhole = options.scale === 1 && only === 'all' && kernel === undefined && initrd === undefined;
  if (options.write && !isWhole)
    throw new Error('--write is for the whole suite: leave out --scale, --only, --kernel and --initrd');
  return { ...options, only, kernel, initrd };
}
