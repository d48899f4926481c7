/** `tomei show` and `tomei screenshot`: one guest, and what is on its screen. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { TomeiError, messageOf } from '@tomei/kit';
import { addServerOptions, clientOf, print, printJson, type ServerFlags } from '../cluster/command.ts';

export function addShowCommands(program: Command): void {
  addServerOptions(program.command('show').description('say all that is known of a guest'))
    .argument('<guest>', 'its name or id')
    .addHelpText('after', '\nExample:\n  tomei show tiny')
    .action(async (guest: string, flags: ServerFlags) => {
      const { api, json } = await clientOf(flags);
      const view = await api.guest(guest);
      if (json) return printJson(view);
      const { describeGuest } = await import('../cluster/text.ts');
      print(describeGuest(view, api.server));
    });

  addServerOptions(program.command('screenshot').description("write a guest's screen to a file"), { json: false })
    .argument('<guest>', 'its name or id')
    .argument('[file.png]', 'the file; without it the characters of a text screen are printed')
    .addHelpText('after', '\nExamples:\n  tomei screenshot tiny tiny.png\n  tomei screenshot tiny')
    .action(async (guest: string, file: string | undefined, flags: ServerFlags) => {
      const { api } = await clientOf(flags);
      if (file === undefined) return print((await api.screenText(guest)).trimEnd());
      const png = await api.screenPng(guest);
      try {
        await writeFile(file, png);
      } catch (cause) {
        throw new TomeiError('screenshot.unwritable', `${file}: ${messageOf(cause)}`, { cause });
      }
    });
}
