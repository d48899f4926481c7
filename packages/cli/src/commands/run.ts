/** `tomei run GUEST.vmx`: boots a guest in this terminal. */
import { InvalidArgumentError, type Command } from 'commander';
import { EXIT } from '@tomei/kit';
import { expectStep, sendStep, type ConsoleStep } from '../console/steps.ts';

/** What the command line asks for. */
export interface RunOptions {
  readonly vmx: string;
  /** `--expect` and `--send` in the order given; empty: the terminal is the guest's. */
  readonly steps: readonly ConsoleStep[];
  /** Host time for all the steps together, in milliseconds. */
  readonly timeoutMs: number;
  /** A snapshot to go on from instead of a power-on. */
  readonly restore?: string;
  /** A file for a snapshot of the guest where it is left. */
  readonly save?: string;
  /** A file for the last picture of the screen. */
  readonly screenshot?: string;
  /** Whether to print instructions, MIPS and time by cause at the end. */
  readonly stats: boolean;
  /** Whether what is printed at the end is JSON, on standard output. */
  readonly json: boolean;
}

/** Runs a guest to its end and returns the exit code of the command. */
export type RunGuest = (options: RunOptions) => Promise<number>;

const DEFAULT_TIMEOUT_SECONDS = 300;

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) {
    throw new InvalidArgumentError('Give a number of seconds above 0.');
  }
  return value;
}

interface Flags {
  readonly timeout: number;
  readonly restore?: string;
  readonly save?: string;
  readonly screenshot?: string;
  readonly stats?: boolean;
  readonly json?: boolean;
}

export function addRunCommand(program: Command, runGuest: RunGuest): void {
  const steps: ConsoleStep[] = [];
  program
    .command('run')
    .description('boot a guest; its serial console is this terminal')
    .argument('<guest.vmx>', 'the guest')
    // Each call adds to one list, so that the order of the two options is kept.
    .option('--expect <regex>', 'wait until the serial console matches; may be repeated', (text: string) => {
      steps.push(expectStep(text));
    })
    .option('--send <text>', 'type text after the match before it (\\n is Enter); may be repeated', (text: string) => {
      steps.push(sendStep(text));
    })
    .option('--timeout <seconds>', 'time for all of --expect together', seconds, DEFAULT_TIMEOUT_SECONDS)
    .option('--restore <file>', 'go on from a snapshot instead of a power-on')
    .option('--save <file>', 'write a snapshot when all steps are done, or when Ctrl-] leaves, and end the guest')
    .option('--screenshot <file.png>', 'write the screen to a file at the end')
    .option('--stats', 'print instructions, MIPS and time by cause at the end')
    .option('--json', 'print what is printed at the end as JSON')
    .addHelpText(
      'after',
      `
Without --expect and --send the terminal belongs to the guest, Ctrl-C included; Ctrl-] leaves.
With them they are carried out in the order given: the exit code is ${EXIT.ok} when all matched, ${EXIT.failed} when one did not.
A snapshot holds the machine and its memory, not its disks: it is of use until one of them is written again. It is not
written when a step did not match.
A guest that ends by the isa-debug-exit port ends the command with the exit code that it gives.

Examples:
  tomei run guests/tiny/tiny.vmx
  tomei run guests/tiny/tiny.vmx --expect 'login:' --timeout 60
  tomei run guests/tiny/tiny.vmx --expect 'login:' --send 'root\\n' --expect '# ' --send 'poweroff\\n' --expect 'Power down'
  tomei run guests/tiny/tiny.vmx --expect 'login:' --screenshot login.png --stats
  tomei run guests/tiny/tiny.vmx --expect 'login:' --save login.snapshot
  tomei run guests/tiny/tiny.vmx --restore login.snapshot`,
    )
    .action(async (vmx: string, flags: Flags) => {
      process.exitCode = await runGuest({
        vmx,
        steps,
        timeoutMs: flags.timeout * 1000,
        ...(flags.restore === undefined ? {} : { restore: flags.restore }),
        ...(flags.save === undefined ? {} : { save: flags.save }),
        ...(flags.screenshot === undefined ? {} : { screenshot: flags.screenshot }),
        stats: flags.stats === true,
        json: flags.json === true,
      });
    });
}
