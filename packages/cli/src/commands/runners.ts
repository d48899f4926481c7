/** `tomei runners`: the hosts of a cluster, and the room that they have. */
import type { Command } from 'commander';
import { addServerOptions, clientOf, columnsOf, print, printJson, type ServerFlags } from '../cluster/command.ts';

export function addRunnersCommand(program: Command): void {
  addServerOptions(program.command('runners').description('list the runners of a cluster, and the room that they have'))
    .addHelpText(
      'after',
      `
States: ready, draining (it takes no new guests and is about to leave), lost (not heard of).

Example:
  tomei runners`,
    )
    .action(async (flags: ServerFlags) => {
      const { api, json } = await clientOf(flags);
      const runners = await api.runners();
      if (json) return printJson({ runners });
      if (runners.length === 0) return print('There are no runners: no guest can start before there is one');
      const { runnerTable } = await import('../cluster/text.ts');
      print(runnerTable(runners, Date.now(), columnsOf()));
    });
}
