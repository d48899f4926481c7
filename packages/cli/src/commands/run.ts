/** `tomei run GUEST.vmx`: boots a guest in this terminal. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { EXIT } from '@tomei/kit';
import type { EngineKind } from '@tomei/vmx';
import { discStep, expectStep, powerButtonStep, sendStep, type ConsoleStep } from '../console/steps.ts';

/** What the command line asks for. */
export interface RunOptions {
  readonly vmx: string;
  /** `--expect`, `--send`, `--disc` and `--power-button` in the order given; empty: the terminal is the guest's. */
  readonly steps: readonly ConsoleStep[];
  /** Host time for all the steps together, in milliseconds. */
  readonly timeoutMs: number;
  /** A snapshot to go on from instead of a power-on. */
  readonly restore?: string;
  /** A file for a snapshot of the guest where it is left. */
  readonly save?: string;
  /** A file for the last picture of the screen. */
  readonly screenshot?: string;
  /** Where GDB may attach: a port, host:port or unix:/path. */
  readonly gdb?: string;
  /** Whether the guest waits at its start until GDB lets it go. */
  readonly gdbWait: boolean;
  /** Executed instructions, written down: a file, or true for standard error. */
  readonly trace?: string | true;
  /** From when on: a number of instructions, an address or a symbol. */
  readonly traceFrom?: string;
  /** How many of them. */
  readonly traceCount?: number;
  /** An ELF file or a System.map with names of addresses. */
  readonly traceSymbols?: string;
  /** A file for a profile of the guest's functions. */
  readonly perf?: string;
  /** An ELF file, a System.map or a copy of /proc/kallsyms with names for it. */
  readonly symbols?: string;
  /** What executes the guest's code; as its `.vmx` says when absent. */
  readonly engine?: EngineKind;
  /** How time passes, and files of what comes from outside. */
  readonly clock: 'host' | 'virtual';
  readonly record?: string;
  readonly replay?: string;
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
function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('Give a whole number above 0.');
  return value;
}

interface Flags {
  readonly timeout: number;
  readonly restore?: string;
  readonly save?: string;
  readonly screenshot?: string;
  readonly gdb?: string;
  readonly gdbWait?: boolean;
  readonly trace?: string | true;
  readonly traceFrom?: string;
  readonly traceCount?: number;
  readonly traceSymbols?: string;
  readonly perf?: string;
  readonly symbols?: string;
  readonly engine?: EngineKind;
  readonly clock: 'host' | 'virtual';
  readonly record?: string;
  readonly replay?: string;
  readonly stats?: boolean;
  readonly json?: boolean;
}

export function addRunCommand(program: Command, runGuest: RunGuest): void {
  const steps: ConsoleStep[] = [];
  program
    .command('run')
    .description('boot a guest; its serial console is this terminal')
    .argument('<guest.vmx>', 'the guest')
    // Each call adds to one list, so that the order of these options is kept.
    .option('--expect <regex>', 'wait until the serial console matches; may be repeated', (text: string) => {
      steps.push(expectStep(text));
    })
    .option('--send <text>', 'type text after the match before it (\\n is Enter); may be repeated', (text: string) => {
      steps.push(sendStep(text));
    })
    .option(
      '--disc <drive=file>',
      'lay a disc into a drive (ide1:0=two.iso), or take it out (ide1:0=)',
      (text: string) => {
        steps.push(discStep(text));
      },
    )
    .option('--power-button', 'press the power button', () => {
      steps.push(powerButtonStep());
    })
    .option('--timeout <seconds>', 'time for all of --expect together', seconds, DEFAULT_TIMEOUT_SECONDS)
    .option('--restore <file>', 'go on from a snapshot instead of a power-on')
    .option('--save <file>', 'write a snapshot when all steps are done, or when Ctrl-] leaves, and end the guest')
    .option('--screenshot <file.png>', 'write the screen to a file at the end')
    .option('--gdb <port>', 'let GDB attach at a port of 127.0.0.1, at host:port, or at unix:/path')
    .option('--gdb-wait', 'with --gdb: wait at power-on until GDB lets the guest go')
    .option('--trace [file]', 'write executed instructions to a file, or to standard error')
    .option('--trace-from <start>', 'begin at a number of instructions, a linear address (0x...) or a symbol')
    .option('--trace-count <n>', 'end the trace after so many instructions', whole)
    .option('--trace-symbols <file>', 'names for the trace: an ELF file or a System.map')
    .addOption(
      new Option(
        '--perf <file.svg>',
        'sample where the guest is: a flame graph, and a table of hot functions at the end',
      ).conflicts(['gdb', 'trace']),
    )
    .option('--symbols <file>', 'names for --perf: an ELF file, a System.map, or a copy of /proc/kallsyms')
    .addOption(
      new Option('--engine <kind>', 'interpret all code, or compile what runs often; tomei.engine of the .vmx').choices(
        ['interpreter', 'compiled'] satisfies EngineKind[],
      ),
    )
    .addOption(
      new Option('--clock <kind>', "the guest's time: the host's, or counted by instructions")
        .choices(['host', 'virtual'])
        .default('host'),
    )
    .addOption(
      new Option('--record <file>', 'write down all that comes from outside; the clock is virtual').conflicts([
        'gdb',
        'restore',
      ]),
    )
    .addOption(
      new Option('--replay <file>', 'give a guest what was recorded, and check that it does the same').conflicts([
        'record',
        'restore',
        'save',
      ]),
    )
    .option('--stats', 'print instructions, MIPS and time by cause at the end')
    .option('--json', 'print what is printed at the end as JSON')
    .addHelpText(
      'after',
      `
Without --expect, --send, --disc and --power-button the terminal belongs to the guest, Ctrl-C included; Ctrl-] leaves.
With them they are carried out in the order given: the exit code is ${EXIT.ok} when all matched, ${EXIT.failed} when one did not.
SIGTERM presses the power button: VMware's tools in the guest, or a system that listens to it (ACPI), shut down. One that does
not listen, or still runs after a minute, is powered off, and so it is by a second SIGTERM. Ctrl-] powers off at once.
A snapshot holds the machine and its memory, not its disks: it is of use until one of them is written again. It is not
written when a step did not match.
GDB attaches by \`target remote\`; docs/howto/debug-a-guest.md has more.
A replay executes the same instructions as the run that was recorded: it ends with ${EXIT.failed} where it does not. Its disks are
read from the recording and not written.
--perf samples once in a millisecond of execution, with callers where code keeps frame pointers, as Linux for i386 does. A file that
does not end in .svg gets the table, and the graph lies beside it.
A guest that ends by the isa-debug-exit port ends the command with the exit code that it gives.

Examples:
  tomei run guests/tiny/tiny.vmx
  tomei run guests/tiny/tiny.vmx --expect 'login:' --timeout 60
  tomei run guests/tiny/tiny.vmx --expect 'login:' --send 'root\\n' --expect '# ' --send 'poweroff\\n' --expect 'Power down'
  tomei run debian.vmx --expect 'login:' --power-button --expect 'Power down'
  tomei run guests/tiny/tiny.vmx --expect 'login:' --screenshot login.png --stats
  tomei run guests/tiny/tiny.vmx --expect 'login:' --save login.snapshot
  tomei run guests/tiny/tiny.vmx --restore login.snapshot
  tomei run guests/tiny/tiny.vmx --expect 'login:' --engine interpreter --stats
  tomei run guests/tiny/tiny.vmx --expect 'login:' --perf boot.svg --symbols System.map
  tomei run guests/tiny/tiny.vmx --gdb 1234 --gdb-wait
  tomei run guests/tiny/tiny.vmx --trace trace.txt --trace-from start_kernel --trace-symbols System.map --trace-count 1000
  tomei run guests/tiny/tiny.vmx --record run.rec
  tomei run guests/tiny/tiny.vmx --replay run.rec`,
    )
    .action(async (vmx: string, flags: Flags) => {
      process.exitCode = await runGuest({
        vmx,
        steps,
        timeoutMs: flags.timeout * 1000,
        ...(flags.restore === undefined ? {} : { restore: flags.restore }),
        ...(flags.save === undefined ? {} : { save: flags.save }),
        ...(flags.screenshot === undefined ? {} : { screenshot: flags.screenshot }),
        ...(flags.gdb === undefined ? {} : { gdb: flags.gdb }),
        gdbWait: flags.gdbWait === true,
        ...(flags.trace === undefined ? {} : { trace: flags.trace }),
        ...(flags.traceFrom === undefined ? {} : { traceFrom: flags.traceFrom }),
        ...(flags.traceCount === undefined ? {} : { traceCount: flags.traceCount }),
        ...(flags.traceSymbols === undefined ? {} : { traceSymbols: flags.traceSymbols }),
        ...(flags.perf === undefined ? {} : { perf: flags.perf }),
        ...(flags.symbols === undefined ? {} : { symbols: flags.symbols }),
        ...(flags.engine === undefined ? {} : { engine: flags.engine }),
        clock: flags.clock,
        ...(flags.record === undefined ? {} : { record: flags.record }),
        ...(flags.replay === undefined ? {} : { replay: flags.replay }),
        stats: flags.stats === true,
        json: flags.json === true,
      });
    });
}
