/** `tomei lab`: all services in this process, for the guests of one folder. */
import { InvalidArgumentError, type Command } from 'commander';

/** What the command line asks for. */
export interface LabFlags {
  readonly pool?: string;
  readonly host: string;
  readonly port: number;
  readonly powerOn?: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 8006;

export function addLabCommand(program: Command): void {
  program
    .command('lab')
    .description('run guests in a lab on this machine, with pages and consoles in the browser')
    .argument('[guest.vmx...]', 'guests to power on')
    .option(
      '--pool <folder>',
      'folder of guests; by default guests/, or the one that holds the folders of the guests given',
    )
    .option('--port <number>', 'port of the pages and the API; 0: any free one', port, DEFAULT_PORT)
    .option('--host <address>', 'address to listen on', DEFAULT_HOST)
    .option('--power-on', 'power on all guests of the pool')
    .option('--json', 'print the address and what happens as lines of JSON')
    .option('--verbose', 'show what the services log')
    .addHelpText(
      'after',
      `
Every .vmx of the pool is registered; those given are powered on. Ctrl-C powers all guests off, closes their disks and ends;
a second Ctrl-C ends at once. What guests are there is known for as long as the lab runs; their disks stay.
There are no users and passwords yet: keep --host on this machine, unless everybody on the network may use the guests.

Examples:
  tomei lab guests/tiny/tiny.vmx          boot it; its screen is at the address that is printed
  tomei lab                               all guests in guests/, powered off
  tomei lab --pool /srv/guests --power-on --port 8080
  tomei console tiny                      in another terminal: its serial console`,
    )
    .action(async (guests: string[], flags: LabFlags) => {
      const { runLab } = await import('../cluster/run-lab.ts');
      await runLab(guests, flags);
    });
}

function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('Give a port from 0 to 65535.');
  return Number(text);
}
