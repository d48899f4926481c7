/** `tomei run`, joined to a guest: its console in this terminal or played from steps, its end as an exit code. */
import { writeFile } from 'node:fs/promises';
import { EXIT, TomeiError, messageOf } from '@tomei/kit';
import {
  readSymbols,
  startGuest,
  type Ended,
  type Guest,
  type GuestEnd,
  type PreparedGuest,
  type StartOptions,
  type Symbols,
} from '@tomei/guest';
import type { RunGuest, RunOptions } from './commands/run.ts';
import { describeFailure, playScript, type ScriptResult } from './console/console-script.ts';
import type { SerialEnd } from './console/serial-end.ts';
import { attachTerminal } from './console/terminal.ts';
import { pressAtSigterm } from './power-button.ts';
import { writePerf, type PerfReport } from './perf/write-perf.ts';
import { describeStats } from './stats/describe-stats.ts';

/** The console is the first serial port. */
const CONSOLE = 0;
/** How long a guest that has been asked to end may take to close its disks. */
const CLOSE_MS = 10_000;

/** A guest, its console, and what is wanted of them. */
interface Joined {
  readonly guest: Guest;
  readonly serial: SerialEnd;
  readonly options: RunOptions;
  readonly symbols: Symbols | undefined;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** In a process that was started before, where one is given. */
export const runGuestWith =
  (prepared?: PreparedGuest): RunGuest =>
  (options) =>
    runGuest(options, prepared);

async function runGuest(options: RunOptions, prepared: PreparedGuest | undefined): Promise<number> {
  const symbols = options.symbols === undefined ? undefined : readSymbols(options.symbols, '--symbols');
  const handlers: ((bytes: Uint8Array) => void)[] = [];
  const guest = startGuest(
    options.vmx,
    {
      serial: (port, bytes) => {
        if (port === CONSOLE) for (const handler of handlers) handler(bytes);
      },
      warning: (text) => say(`tomei: ${text}`),
      debugger: (address) => say(`tomei: a debugger can attach: target remote ${address}`),
    },
    {
      ...(options.restore === undefined ? {} : { restore: options.restore }),
      ...(options.engine === undefined ? {} : { engine: options.engine }),
      ...(prepared === undefined ? {} : { prepared }),
      perf: options.perf !== undefined,
      ...traceOf(options),
      timing: {
        virtualTime: options.clock === 'virtual',
        ...(options.record === undefined ? {} : { record: options.record }),
        ...(options.replay === undefined ? {} : { replay: options.replay }),
      },
      ...(options.gdb === undefined ? {} : { debugger: { listen: options.gdb, first: options.gdbWait } }),
    },
  );
  const serial: SerialEnd = {
    onData: (handler) => void handlers.push(handler),
    write: (bytes) => guest.type(CONSOLE, bytes),
  };
  const letGo = pressAtSigterm({ guest, say });
  if (process.stderr.isTTY) process.stderr.write('tomei: loading the guest...\r');
  try {
    const joined: Joined = { guest, serial, options, symbols };
    return options.steps.length > 0 ? await play(joined) : await attach(joined);
  } finally {
    letGo();
    guest.kill();
  }
}

function traceOf({ trace, traceFrom, traceCount, traceSymbols }: RunOptions): Pick<StartOptions, 'trace'> {
  if (trace === undefined) return {};
  const request = {
    ...(trace === true ? {} : { file: trace }),
    ...(traceFrom === undefined ? {} : { from: traceFrom }),
    ...(traceCount === undefined ? {} : { count: traceCount }),
    ...(traceSymbols === undefined ? {} : { symbols: traceSymbols }),
  };
  return { trace: request };
}

/** Steps decide the exit code; the guest is ended when they are through. */
async function play(joined: Joined): Promise<number> {
  const { guest, serial, options } = joined;
  // What the guest writes is shown as it comes: whoever reads a log wants to see how far it got.
  const output = options.json ? process.stderr : process.stdout;
  serial.onData((bytes) => void output.write(bytes));
  const script = playScript(serial, options.steps, options.timeoutMs, (step) => step.act(guest));
  guest.ended.then(script.guestEnded, script.guestEnded);
  const result = await script.result;
  if (!result.matched && result.why === 'failed') throw result.error;
  if (!result.matched && result.why === 'ended') await guest.ended; // throws what brought it down, where something did
  await screenshot(guest, options);
  if (result.matched) await save(guest, options);
  const ended = await finish(guest);
  output.write('\n');
  if (!result.matched) say(`tomei: ${describeFailure(result, options.timeoutMs)}`);
  await conclude(joined, ended, result);
  if (result.matched) return EXIT.ok;
  return result.why === 'ended' && ended.end.why === 'triple-fault' ? EXIT.guestCrashed : EXIT.failed;
}

/** A person's terminal, until the guest ends or Ctrl-] is typed. */
async function attach(joined: Joined): Promise<number> {
  const { guest, serial, options } = joined;
  // With --json standard output has the JSON alone.
  const output = options.json ? process.stderr : process.stdout;
  const terminal = attachTerminal(serial, process.stdin, output);
  try {
    await guest.running;
    const ended = await Promise.race([guest.ended, terminal.left.then(() => undefined)]);
    terminal.detach();
    if (output.isTTY) output.write('\n');
    if (ended === undefined) {
      await screenshot(guest, options);
      await save(guest, options);
    } else if (options.screenshot !== undefined) {
      say('tomei: the guest has ended: there is no screen to write any more');
    }
    if (ended !== undefined && options.save !== undefined) throw nothingToSave(options.save);
    const last = ended ?? (await finish(guest));
    await conclude(joined, last, undefined);
    return exitCode(last.end);
  } finally {
    terminal.detach();
  }
}

async function screenshot(guest: Guest, { screenshot: file }: RunOptions): Promise<void> {
  if (file === undefined) return;
  const { png } = await guest.screenshot();
  try {
    await writeFile(file, png);
  } catch (cause) {
    throw new TomeiError('screenshot.unwritable', `--screenshot ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** Writes the snapshot that was asked for; the guest ends with it. */
async function save(guest: Guest, { save: file }: RunOptions): Promise<void> {
  if (file === undefined) return;
  try {
    await guest.save(file, { stop: true });
  } catch (error) {
    throw error instanceof TomeiError && error.code === 'guest.ended' ? nothingToSave(file) : error;
  }
}
const nothingToSave = (file: string): TomeiError =>
  new TomeiError('snapshot.no-guest', `--save ${file}: the guest has ended: there is nothing to save any more`);

async function finish(guest: Guest): Promise<Ended> {
  guest.stop();
  const timer = setTimeout(() => guest.kill(), CLOSE_MS);
  try {
    return await guest.ended;
  } finally {
    clearTimeout(timer);
  }
}

/** What the guest's end means to a script. */
function exitCode(end: GuestEnd): number {
  if (end.why === 'exit') return end.status & 0xff;
  return end.why === 'triple-fault' ? EXIT.guestCrashed : EXIT.ok;
}

async function conclude(
  { options, symbols }: Joined,
  { end, stats, profile }: Ended,
  script: ScriptResult | undefined,
): Promise<void> {
  const { perf: file, vmx } = options;
  const perf =
    profile === undefined || file === undefined ? undefined : await writePerf(profile, { vmx, file, symbols });
  if (options.json) {
    const matched = script === undefined ? {} : { matched: script.matched };
    process.stdout.write(
      `${JSON.stringify({ ...matched, end, ...(options.stats ? { stats } : {}), ...perfJson(perf) })}\n`,
    );
    return;
  }
  if (end.why === 'triple-fault') say(`tomei: the guest went down by a triple fault ${end.detail ?? ''}`);
  if (end.replayed === true) say('tomei: the guest did what was recorded, to the end of the recording');
  if (end.why === 'reset') say('tomei: the guest asked for a reset; `tomei run` ends there');
  if (options.stats) for (const line of describeStats(stats)) say(line);
  for (const line of perf?.lines ?? []) say(line);
}
const perfJson = (perf: PerfReport | undefined): object =>
  perf === undefined ? {} : { perf: { samples: perf.samples, functions: perf.functions } };
