/** `tomei memory GUEST [SIZE]`: what memory a running guest has, and taking some of it by its balloon. */
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError, type Command } from 'commander';
import { EXIT, TomeiError } from '@tomei/kit';
import type { ClusterApi } from '../cluster/api.ts';
import { addServerOptions, clientOf, print, printJson, type ServerFlags } from '../cluster/command.ts';
import type { MemoryView } from '../cluster/views.ts';
import { formatBytes } from '../format-bytes.ts';

const DEFAULT_TIMEOUT_SECONDS = 60;
const LOOK_AGAIN_MS = 200;
const MIB_OF: Readonly<Record<string, number>> = { M: 1, G: 1024 };

interface Flags extends ServerFlags {
  readonly wait?: boolean;
  readonly timeout: number;
}

export function addMemoryCommand(program: Command): void {
  addServerOptions(program.command('memory').description('show the memory of a running guest, take some, give it back'))
    .argument('<guest>', 'its name or id')
    .argument('[size]', 'what it is to have, such as 512M or 1.5G: all that its .vmx gives it, or less', mebibytes)
    .option('--wait', 'wait until it has given or taken that')
    .option('--timeout <seconds>', 'how long to wait', seconds, DEFAULT_TIMEOUT_SECONDS)
    .addHelpText(
      'after',
      `
The guest needs a balloon (tomei.balloon.present = "TRUE" in its .vmx) and a driver for it, which Linux has. What it is to do
without goes into the balloon: it cannot use that, and snapshots leave it out. The driver takes memory back out of the balloon
before its system would end programs for want of it. A guest that is reset or powered on has all of its memory again.

Without a size:
  memory     what its .vmx gives it, and what of that it is to have
  has        what it has now
  balloon    what is in the balloon
  given      what went into the balloon, or was reported as free, so far, each page as often as it did
  and what the driver tells of its system's memory

With --wait the exit code is ${EXIT.failed} when the time is over: what its system cannot do without, it does not give.

Examples:
  tomei memory tiny
  tomei memory tiny 64M --wait
  tomei memory tiny --json | jq .statistics.availableBytes`,
    )
    .action(async (name: string, wantedMiB: number | undefined, flags: Flags) => {
      const { api, json } = await clientOf(flags);
      let view = wantedMiB === undefined ? await api.memory(name) : await api.setMemory(name, wantedMiB);
      if (flags.wait === true) view = await waitFor(api, view, flags.timeout);
      if (json) printJson(view);
      else if (wantedMiB === undefined) print(describeMemory(view));
      else if (flags.wait === true) print(`${view.name} has ${formatBytes(view.bytes)}`);
      else print(`${view.name} is to have ${formatBytes(view.wantedBytes)}, and has ${formatBytes(view.bytes)}`);
    });
}

/** As aligned lines. */
export function describeMemory(view: MemoryView): string {
  const { sizeBytes, wantedBytes, bytes, balloonBytes, givenBytes, driver, statistics } = view;
  const wanted = wantedBytes === sizeBytes ? '' : `, of which it is to have ${formatBytes(wantedBytes)}`;
  const facts: [string, string][] = [
    ['memory', `${formatBytes(sizeBytes)}${wanted}`],
    ['has', formatBytes(bytes)],
    ['balloon', formatBytes(balloonBytes)],
    ['given', formatBytes(givenBytes)],
    ['driver', driver ? 'at work' : 'none: it still starts, or its system has none'],
  ];
  if (driver && statistics === null) facts.push(['statistics', 'none: its driver tells none']);
  if (statistics !== null) {
    const { majorFaults, minorFaults, hugetlbAllocations, hugetlbFailures } = statistics;
    facts.push(
      ['total', formatBytes(statistics.totalBytes)],
      ['free', formatBytes(statistics.freeBytes)],
      ['available', formatBytes(statistics.availableBytes)],
      ['caches', formatBytes(statistics.cachesBytes)],
      ['swapped in', formatBytes(statistics.swapInBytes)],
      ['swapped out', formatBytes(statistics.swapOutBytes)],
      ['page faults', `${majorFaults} major, ${minorFaults} minor`],
      ['huge pages', `${hugetlbAllocations} allocated, ${hugetlbFailures} not`],
    );
  }
  const width = Math.max(...facts.map(([what]) => what.length));
  return facts.map(([what, value]) => `${what.padEnd(width)}  ${value}`).join('\n');
}

/** Whether a guest has what it is to have. Throws when it is not the run any more that was asked. */
export function hasSettled(asked: MemoryView, now: MemoryView): boolean {
  if (now.run !== asked.run || now.wantedBytes !== asked.wantedBytes)
    throw new TomeiError('request.overtaken', `${now.name} was meanwhile started anew, or asked for something else`);
  return now.bytes === now.wantedBytes;
}

async function waitFor(api: ClusterApi, asked: MemoryView, timeoutSeconds: number): Promise<MemoryView> {
  const until = performance.now() + timeoutSeconds * 1000;
  for (let now = asked; ; now = await api.memory(asked.id)) {
    if (hasSettled(asked, now)) return now;
    if (performance.now() > until)
      throw new TomeiError(
        'request.timeout',
        `${now.name} still has ${formatBytes(now.bytes)} after ${timeoutSeconds} s, and is to have ${formatBytes(now.wantedBytes)}`,
      );
    await delay(LOOK_AGAIN_MS);
  }
}

/** A size as a person writes it, in MiB. */
export function mebibytes(text: string): number {
  const [, figures, unit] = /^(\d{1,6}(?:\.\d{1,6})?)([MG])$/i.exec(text) ?? [];
  const size = Number(figures) * (MIB_OF[unit?.toUpperCase() ?? ''] ?? NaN);
  if (!Number.isInteger(size) || size < 1)
    throw new InvalidArgumentError('Give a size in whole MiB, such as 512M or 1.5G.');
  return size;
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('Give a number of seconds above 0.');
  return value;
}
