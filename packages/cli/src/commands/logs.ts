/** `tomei logs`: what a guest wrote to a serial port. */
import type { Command } from 'commander';
import { addServerOptions, clientOf, type ServerFlags } from '../cluster/command.ts';
import { serialPort } from './console.ts';

export function addLogsCommand(program: Command): void {
  addServerOptions(program.command('logs').description("print what a guest's serial port has put out"), { json: false })
    .argument('<guest>', 'its name or id')
    .option('--serial <number>', 'the serial port, 0 to 3', serialPort, 0)
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .addHelpText(
      'after',
      `
Of a guest that runs, the last output is kept, not all of it; of one that is off, nothing.

Examples:
  tomei logs tiny
  tomei logs tiny --follow | tee tiny.log`,
    )
    .action(async (guest: string, flags: ServerFlags & { readonly serial: number; readonly follow?: boolean }) => {
      const [{ api }, { printSerial }] = await Promise.all([clientOf(flags), import('../cluster/attach-console.ts')]);
      await printSerial(api, guest, { port: flags.serial, follow: flags.follow === true });
    });
}
