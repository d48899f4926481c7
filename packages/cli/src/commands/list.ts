/** `tomei list`: the guests of a cluster or lab. */
import type { Command } from 'commander';
import { addServerOptions, clientOf, columnsOf, print, printJson, type ServerFlags } from '../cluster/command.ts';

export function addListCommand(program: Command): void {
  addServerOptions(program.command('list').description('list the guests of a cluster or lab'))
    .addHelpText(
      'after',
      `
States: off, pending (no runner has room), starting, running, stopping, crashed, lost (its runner is not heard of).

Examples:
  tomei list
  tomei list --server http://lab.example:8006
  tomei list --json`,
    )
    .action(async (flags: ServerFlags) => {
      const { api, json } = await clientOf(flags);
      const guests = await api.guests();
      if (json) return printJson({ guests });
      if (guests.length === 0) return print('There are no guests: register one, as in: tomei register tiny/tiny.vmx');
      const { guestTable } = await import('../cluster/text.ts');
      print(guestTable(guests, Date.now(), columnsOf()));
    });
}
