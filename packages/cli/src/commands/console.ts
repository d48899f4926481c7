/** `tomei console`: a guest's serial console in this terminal. */
import { InvalidArgumentError, type Command } from 'commander';
import { addServerOptions, clientOf, type ServerFlags } from '../cluster/command.ts';

interface Flags extends ServerFlags {
  readonly serial: number;
  readonly viewOnly?: boolean;
}

export function serialPort(text: string): number {
  if (!/^[0-3]$/.test(text)) throw new InvalidArgumentError('Give a serial port from 0 to 3.');
  return Number(text);
}

export function addConsoleCommand(program: Command): void {
  addServerOptions(program.command('console').description("use a guest's serial console in this terminal"), {
    json: false,
  })
    .argument('<guest>', 'its name or id')
    .option('--serial <number>', 'the serial port, 0 to 3', serialPort, 0)
    .option('--view-only', 'watch without typing')
    .addHelpText(
      'after',
      `
The terminal belongs to the guest, Ctrl-C included; Ctrl-] leaves, and the guest goes on. What it wrote last is shown first.
From a pipe, bytes are typed as they come, and the end of the pipe leaves once the guest has been silent for a second.

Examples:
  tomei console tiny
  tomei console tiny --serial 1 --view-only
  printf 'root\\nuname -a\\n' | tomei console tiny`,
    )
    .action(async (guest: string, flags: Flags) => {
      const [{ api }, { attachConsole }] = await Promise.all([clientOf(flags), import('../cluster/attach-console.ts')]);
      await attachConsole(api, guest, { port: flags.serial, viewOnly: flags.viewOnly === true });
    });
}
