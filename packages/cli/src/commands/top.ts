/** `tomei top`: what guests do, and what their time goes into. */
import { setTimeout as pause } from 'node:timers/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { TomeiError } from '@tomei/kit';
import { addServerOptions, clientOf, columnsOf, print, printJson, type ServerFlags } from '../cluster/command.ts';
import type { SortKey } from '../top/usage.ts';

const DEFAULT_SECONDS = 2;
/** Heartbeats come once a second: nothing newer is known in between. */
const LEAST_SECONDS = 1;

interface Flags extends ServerFlags {
  readonly once?: boolean;
  readonly interval: number;
  readonly sort: SortKey;
}

export function addTopCommand(program: Command): void {
  addServerOptions(program.command('top').description('watch what guests do, and what their time goes into'))
    .option('--once', 'look for one interval, print the table, and end')
    .option('--interval <seconds>', `seconds between two looks, at least ${LEAST_SECONDS}`, seconds, DEFAULT_SECONDS)
    .addOption(
      new Option('--sort <column>', 'the largest of it first; names by the alphabet')
        .choices(['name', 'busy', 'mips', 'overhead', 'tlb', 'exits', 'regions'] satisfies SortKey[])
        .default('busy'),
    )
    .addHelpText(
      'after',
      `
Columns, each over the last interval:
  BUSY      share of the time that the guest's processor was not halted
  MIPS      million instructions a second of host processor time
  INTERP    share of the time in the interpreter, COMP in compiled code, TRANSL taking compiled code into use,
  DEV       in devices and waiting for them, SYS in privileged instructions, hypercalls and interrupts
  OVERH     DEV and SYS by INTERP, COMP and TRANSL: virtualization work by guest code
  TLB/S     page walks a second, FLUSH/S: flushes of the TLB, of one page or all; EXITS/S: times that the guest's code was left, --json has them by cause
  REGIONS   compiled regions in use; CODE: bytes of WebAssembly that were compiled since the guest started

Keys: n name, b busy, m MIPS, o overhead, t TLB, x exits, r regions; the same key again turns the order round. q and Ctrl-C leave.
With --json each look is one line of JSON; with --once and --json it is printed once.

Examples:
  tomei top
  tomei top --sort mips --interval 5
  tomei top --once --json | jq '.guests[] | {name, mips}'`,
    )
    .action(async (flags: Flags) => {
      const { api, json } = await clientOf(flags);
      const { sortUsage, usageBetween } = await import('../top/usage.ts');
      const { interval, sort } = flags;
      if (flags.once !== true && !json) return live(api, flags);
      let before = await api.stats(),
        usages = usageBetween([], before);
      do {
        await pause(interval * 1000);
        const now = await api.stats();
        usages = usageBetween(before, now, usages);
        before = now;
        const guests = sortUsage(usages, sort);
        if (flags.once === true && json) printJson({ guests });
        else if (json) print(JSON.stringify({ at: new Date().toISOString(), guests }));
        else if (guests.length === 0) print('No guest runs: power one on, as in: tomei power on tiny');
        else print((await import('../top/top-table.ts')).topTable(guests, columnsOf()));
      } while (flags.once !== true);
    });
}

async function live(api: Awaited<ReturnType<typeof clientOf>>['api'], { interval, sort }: Flags): Promise<void> {
  const { stdin: input, stdout: output } = process;
  if (!input.isTTY || !output.isTTY)
    throw new TomeiError(
      'usage.no-terminal',
      '`tomei top` wants a terminal, and this is none: give --once for one table, or --json',
    );
  const { liveTop } = await import('../top/live-top.ts');
  await liveTop(api, { intervalMs: interval * 1000, key: sort }, { input, output });
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < LEAST_SECONDS || value > 3600)
    throw new InvalidArgumentError(`Give a number of seconds from ${LEAST_SECONDS} to 3600.`);
  return value;
}
