/** The command line: every command in one tree, and what a person sees when one of them fails. */
import { Command, CommanderError } from 'commander';
import { EXIT } from '@tomei/kit';
import { addConsoleCommand } from './commands/console.ts';
import { addDisasmCommand, type Disassemble } from './commands/disasm.ts';
import { addDiskCommands } from './commands/disk.ts';
import { addEventsCommand } from './commands/events.ts';
import { addGuestCommands } from './commands/guest-build.ts';
import { addLabCommand } from './commands/lab.ts';
import { addListCommand } from './commands/list.ts';
import { addLogsCommand } from './commands/logs.ts';
import { addMemoryCommand } from './commands/memory.ts';
import { addPowerCommand } from './commands/power.ts';
import { addRegisterCommands } from './commands/register.ts';
import { addRunCommand, type RunGuest } from './commands/run.ts';
import { addRunnersCommand } from './commands/runners.ts';
import { addShowCommands } from './commands/show.ts';
import { addTopCommand } from './commands/top.ts';
import { addVmxCommands } from './commands/vmx-check.ts';
import { exitCodeOf, reportError } from './failure.ts';

const EXAMPLES = `
Examples:
  tomei guest build tiny                                  make a small guest in guests/tiny/
  tomei run guests/tiny/tiny.vmx                          boot it; Ctrl-] leaves its console
  tomei run guests/tiny/tiny.vmx --expect 'login:'        boot it, end with 0 at its login
  tomei lab guests/tiny/tiny.vmx                          boot it in a lab: its screen in the browser
  tomei list                                              the guests of the lab, or of a cluster by --server
  tomei top                                               what they do, and what their time goes into
  tomei console tiny                                      the serial console of one of them
  tomei vmx check guests/tiny/tiny.vmx                    say all that is wrong with a .vmx
  tomei disk info guests/tiny/tiny.vmdk                   say what a .vmdk holds

Exit codes:
  0 done   1 did not match, or problems found   2 wrong usage   3 bad input file   4 the guest crashed   5 trouble on the host`;

/** The parts of the program that the machine is behind. */
export interface Machinery {
  readonly runGuest: RunGuest;
  readonly disassemble: Disassemble;
}

/** The whole program. */
export function createProgram(machinery: Machinery): Command {
  const program = new Command('tomei')
    .description('x86 virtual machines from .vmx and .vmdk files, in ordinary unprivileged processes')
    .option('--debug', 'show where in the program an error came from')
    .showHelpAfterError('(--help shows how it is used)')
    .addHelpText('after', EXAMPLES)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'tomei: ')) })
    .exitOverride();
  addRunCommand(program, machinery.runGuest);
  addLabCommand(program);
  addListCommand(program);
  addShowCommands(program);
  addRegisterCommands(program);
  addPowerCommand(program);
  addMemoryCommand(program);
  addConsoleCommand(program);
  addLogsCommand(program);
  addEventsCommand(program);
  addTopCommand(program);
  addRunnersCommand(program);
  addGuestCommands(program);
  addVmxCommands(program);
  addDiskCommands(program);
  addDisasmCommand(program, machinery.disassemble);
  inheritSettings(program);
  return program;
}

/** Commander copies settings to commands made with `command()` only when they were set before. */
function inheritSettings(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inheritSettings(child);
  }
}

/** Runs one command line (without the program's name) and returns the exit code. Never throws. */
export async function runProgram(args: readonly string[], machinery: Machinery): Promise<number> {
  const program = createProgram(machinery);
  try {
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    reportError(error, { debug: program.opts<{ debug?: boolean }>().debug === true }, process.stderr);
    return exitCodeOf(error);
  }
}
