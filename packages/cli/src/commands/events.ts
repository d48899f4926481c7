/** `tomei events`: what happened to guests and runners. */
import { InvalidArgumentError, type Command } from 'commander';
import { addServerOptions, clientOf, print, printJson, type ServerFlags } from '../cluster/command.ts';
import type { EventView } from '../cluster/views.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

interface Flags extends ServerFlags {
  readonly follow?: boolean;
  readonly guest?: string;
  readonly limit: number;
}

export function addEventsCommand(program: Command): void {
  addServerOptions(program.command('events').description('print what happened to guests and runners'))
    .option('--follow', 'go on with what happens, until Ctrl-C')
    .option('--guest <guest>', 'only of this guest, by name or id')
    .option('--limit <number>', 'how many of those before now', limit, DEFAULT_LIMIT)
    .addHelpText(
      'after',
      `
With --json and --follow each event is one line of JSON.

Examples:
  tomei events
  tomei events --guest tiny --limit 10
  tomei events --follow --json | jq .verb`,
    )
    .action(async (flags: Flags) => {
      const [{ api, json }, { eventLine }] = await Promise.all([clientOf(flags), import('../cluster/text.ts')]);
      // A guest's name may change hands: what is followed is its id.
      const guest = flags.guest === undefined ? undefined : (await api.guest(flags.guest)).id;
      const events = await api.events(flags.limit, guest);
      if (json && flags.follow !== true) return printJson({ events });
      const show = (event: EventView): void => print(json ? JSON.stringify(event) : eventLine(event));
      events.forEach(show);
      if (flags.follow !== true) return;
      const last = events.at(-1)?.sequence ?? (await api.events(1, undefined)).at(-1)?.sequence ?? 0;
      await api.follow(last, new AbortController().signal, (event) => {
        if (guest === undefined || event.subjectId === guest) show(event);
      });
    });
}

function limit(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > MAX_LIMIT)
    throw new InvalidArgumentError(`Give a number from 1 to ${MAX_LIMIT}.`);
  return value;
}
