/** The command line of `pnpm bench peers`. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { count } from '../options.ts';

export interface PeersBenchOptions {
  /** Only say how it is used. */
  readonly help: boolean;
  /** Runs of each hypervisor; medians are shown. */
  readonly runs: number;
  /** The workloads are made this many times shorter. */
  readonly scale: number;
  /** Workloads by name; 'all' for every one. */
  readonly work: string;
  readonly timeoutSeconds: number;
  /** Files to boot instead of the tiny guest's kernel and the benchmark's own initrd. */
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  /** A file for the results as JSON. */
  readonly json: string | undefined;
  /** Whether docs/bench/peers.md and the files beside it are written. */
  readonly write: boolean;
}

export const USAGE = `pnpm bench peers [options]

Boots the same kernel and initrd in Tomei, QEMU TCG and v86 in turn, on this machine, and compares the seconds that pass
until there is a shell and in each of 22 workloads. Nothing else should run meanwhile.

  --runs N        runs of each hypervisor, in turn; medians are shown (3)
  --scale N       make the workloads N times shorter (1)
  --work NAMES    only these workloads, by name and comma (all)
  --timeout S     seconds for one run of one hypervisor (1800)
  --kernel FILE   a Linux kernel instead of the tiny guest's
  --initrd FILE   an initrd instead of the benchmark's own, which prints the same marks: '@ BOOTED', '@ BEGIN name', a
                  line with the result, '@ END', '@ DONE'. What results are right is not known then: hypervisors are
                  compared with each other. --scale and --work reach it as SCALE and WORK in the environment of its init.
  --json FILE     write the results as JSON
  --write         write docs/bench/peers.md, peers.json and peers.svg; needs all workloads at their full length
  --help          say this

Exit codes: 0 measured, 1 a hypervisor failed or results differ (whether targets are met changes nothing), 2 wrong usage.`;

/** Throws an Error with a sentence for a person. */
export function parseOptions(args: readonly string[]): PeersBenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '3' },
      scale: { type: 'string', default: '1' },
      work: { type: 'string', default: 'all' },
      timeout: { type: 'string', default: '1800' },
      kernel: { type: 'string' },
      initrd: { type: 'string' },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (positionals.length > 0) throw new Error(USAGE);
  const { work, kernel, initrd } = values,
    scale = count('--scale', values.scale);
  // It becomes a part of the kernel's command line.
  if (!/^[a-z0-9]+(,[a-z0-9]+)*$/.test(work)) throw new Error(`--work ${work}: give names of workloads, with commas`);
  for (const [option, file] of Object.entries({ '--kernel': kernel, '--initrd': initrd }))
    if (file !== undefined && !existsSync(file)) throw new Error(`${option} ${file}: there is no such file`);
  const isWhole = scale === 1 && work === 'all' && kernel === undefined && initrd === undefined;
  if (values.write && !isWhole)
    throw new Error('--write is for the whole suite: leave out --scale, --work, --kernel and --initrd');
  return {
    help: values.help,
    runs: count('--runs', values.runs),
    scale,
    work,
    timeoutSeconds: count('--timeout', values.timeout),
    kernel,
    initrd,
    json: values.json,
    write: values.write,
  };
}
