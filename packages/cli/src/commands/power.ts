/** `tomei power on|off|reset|shutdown GUEST`. */
import { setTimeout as delay } from 'node:timers/promises';
import { Argument, InvalidArgumentError, type Command } from 'commander';
import { EXIT, TomeiError } from '@tomei/kit';
import type { ClusterApi, PowerAction } from '../cluster/api.ts';
import { addServerOptions, clientOf, print, printJson, type ServerFlags } from '../cluster/command.ts';
import type { GuestView } from '../cluster/views.ts';

const ACTIONS = ['on', 'off', 'reset', 'shutdown'] as const satisfies readonly PowerAction[];
const WORDS: Readonly<Record<PowerAction, string>> = {
  on: 'powered on',
  off: 'powered off',
  reset: 'reset',
  shutdown: 'shut down',
};
const DEFAULT_TIMEOUT_SECONDS = 60;
const LOOK_AGAIN_MS = 200;

interface Flags extends ServerFlags {
  readonly wait?: boolean;
  readonly timeout: number;
  readonly grace?: number;
}

export function addPowerCommand(program: Command): void {
  addServerOptions(program.command('power').description('power a guest on or off, reset it, or shut it down'))
    .addArgument(new Argument('<action>', 'what to do').choices(ACTIONS))
    .argument('<guest>', 'its name or id')
    .option('--wait', 'wait until it runs, or is off')
    .option('--timeout <seconds>', 'how long to wait', seconds, DEFAULT_TIMEOUT_SECONDS)
    .option('--grace <seconds>', 'of a shutdown: how long the guest may take before it is powered off (60)', seconds)
    .addHelpText(
      'after',
      `
Off and reset are at once: the guest's system is not asked. What it flushed to its disks is kept. Shutdown presses the power
button, so that VMware's tools in the guest, or a system that listens to it (ACPI), end in their own time; one that has not
ended after --grace is powered off.
Off ends a shutdown that takes too long.
With --wait the exit code is ${EXIT.guestCrashed} when the guest crashes, and ${EXIT.failed} when the time is over.

Examples:
  tomei power on tiny
  tomei power on tiny --wait
  tomei power shutdown tiny --wait
  tomei power off tiny
  tomei power reset tiny`,
    )
    .action(async (action: PowerAction, name: string, flags: Flags) => {
      const { api, json } = await clientOf(flags);
      const before = await api.guest(name);
      const answer = await api.power(before.id, action, action === 'shutdown' ? flags.grace : undefined);
      const guest = flags.wait === true ? await waitFor(api, { action, before, answer }, flags.timeout) : answer;
      if (json) printJson(guest);
      else if (flags.wait === true) print(`${guest.name}: ${guest.phase}`);
      else print(`${guest.name} is being ${WORDS[action]}`);
    });
}

/** A guest before it was asked for something, and as the answer to that showed it. */
export interface Asked {
  readonly action: PowerAction;
  readonly before: GuestView;
  readonly answer: GuestView;
}
/** Whether a guest has come to what was asked for. Throws when it will not come there any more. */
export function hasArrived({ action, before, answer }: Asked, now: GuestView): boolean {
  if (action === 'off' || action === 'shutdown') return now.power === 'off' && ['off', 'crashed'].includes(now.phase);
  if (now.run > answer.run)
    throw new TomeiError('request.overtaken', `${now.name} was meanwhile powered on or reset by somebody else`);
  // What is seen may still be the run before: each run's phases have times of their own.
  if (answer.run > before.run && now.phase === before.phase && now.since === before.since) return false;
  if (now.phase === 'crashed')
    throw new TomeiError('guest.crashed', `${now.name} crashed${now.message === '' ? '' : `: ${now.message}`}`);
  if (now.power === 'off')
    throw new TomeiError(
      'request.overtaken',
      `${now.name} is off again${now.message === '' ? '' : `: ${now.message}`}`,
    );
  return now.phase === 'running';
}

async function waitFor(api: ClusterApi, asked: Asked, timeoutSeconds: number): Promise<GuestView> {
  const until = performance.now() + timeoutSeconds * 1000;
  for (let now = asked.answer; ; now = await api.guest(asked.answer.id)) {
    if (hasArrived(asked, now)) return now;
    if (performance.now() > until)
      throw new TomeiError(
        'request.timeout',
        `${now.name} is still ${now.phase} after ${timeoutSeconds} s${now.message === '' ? '' : `: ${now.message}`}`,
      );
    await delay(LOOK_AGAIN_MS);
  }
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('Give a number of seconds above 0.');
  return value;
}
