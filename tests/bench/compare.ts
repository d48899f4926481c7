/**
 * Compares the engines of several checkouts, instruction by instruction the same work, in turn within one process, so that whatever
 * else the host does falls on all of them:  node tests/bench/compare.ts loops|boot CHECKOUT...
 *
 * `loops` prints median and best MIPS of nine runs. `boot` starts the tiny guest's kernel on virtual time and prints MIPS stretch by
 * stretch, up to LIMIT (millions of instructions, from the environment; 1000).
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Core from '@tomei/paravirt-core';
import type { LoopMachine } from './loop-machine.ts';
import type { Loop } from './loops.ts';
import { threadSeconds } from './measure-loops.ts';
import { median } from './statistics.ts';

const RUNS = 9;
const MEGA = 1e6;
/** Instructions that one engine runs before it is the next one's turn. */
const TURN = 20 * MEGA;
const GUEST = join(import.meta.dirname, '../../guests/tiny');

/** A checkout's own copy of a module. */
const load = async <T>(checkout: string, path: string): Promise<T> =>
  (await import(pathToFileURL(join(resolve(checkout), path)).href)) as T;
const row = (name: string, cells: readonly string[]): void =>
  console.log(name.padEnd(16) + cells.map((cell) => cell.padStart(14)).join(''));

async function compareLoops(checkouts: readonly string[]): Promise<void> {
  const machines = await Promise.all(
    checkouts.map((c) => load<{ LoopMachine: typeof LoopMachine }>(c, 'tests/bench/loop-machine.ts')),
  );
  const { LOOPS } = await load<{ LOOPS: readonly Loop[] }>(checkouts[0]!, 'tests/bench/loops.ts');
  for (const loop of LOOPS) {
    const built = machines.map(({ LoopMachine }) => new LoopMachine(loop)),
      times = built.map((): number[] => []),
      counts = built.map(() => 0);
    for (const machine of built) machine.run(loop.rounds);
    for (let n = 0; n < RUNS; n++) {
      built.forEach((machine, i) => {
        const before = machine.processor.instructions,
          from = threadSeconds();
        machine.run(Math.ceil(loop.rounds / 4));
        times[i]!.push(threadSeconds() - from);
        counts[i] = machine.processor.instructions - before;
      });
    }
    const mips = (i: number, seconds: number): string => (counts[i]! / seconds / MEGA).toFixed(0);
    row(
      loop.name,
      times.map((t, i) => `${mips(i, median(t))} / ${mips(i, Math.min(...t))}`),
    );
  }
}

async function compareBoots(checkouts: readonly string[]): Promise<void> {
  const limit = Number(process.env['LIMIT'] ?? 1000) * MEGA;
  const cores = await Promise.all(checkouts.map((c) => load<typeof Core>(c, 'packages/paravirt-core/src/index.ts')));
  const file = (name: string): { name: string; bytes: Uint8Array } => ({
    name,
    bytes: readFileSync(join(GUEST, name)),
  });
  const machines = cores.map(({ Machine, InstructionClock }) => {
    const machine = new Machine(
      {
        ramBytes: 128 << 20,
        videoMemoryBytes: 16 << 20,
        epoch: 1_700_000_000,
        kernel: file('vmlinuz'),
        initrd: file('initrd.gz'),
        commandLine: 'quiet nokaslr cryptomgr.notests noisapnp',
      },
      { serial: [], disks: [] },
      new InstructionClock(),
    );
    machine.powerOn();
    return machine;
  });
  const total = machines.map(() => 0);
  for (let at = TURN; at <= limit; at += TURN) {
    const stretch = machines.map((machine, i) => {
      const from = threadSeconds();
      while (machine.processor.instructions < at)
        if (machine.runSlice().kind === 'stopped') throw new Error(`${checkouts[i]} stopped after ${at} instructions`);
      return threadSeconds() - from;
    });
    stretch.forEach((seconds, i) => (total[i]! += seconds));
    if (at % (10 * TURN) === 0)
      row(
        `${at / MEGA} M`,
        stretch.map((s, i) => `${(TURN / s / MEGA).toFixed(0)} / ${(at / total[i]! / MEGA).toFixed(0)}`),
      );
  }
}

const [what, ...checkouts] = process.argv.slice(2);
if ((what !== 'loops' && what !== 'boot') || checkouts.length === 0)
  throw new Error('usage: compare.ts loops|boot CHECKOUT...');
row(
  what === 'loops' ? 'median / best' : 'now / so far',
  checkouts.map((c) => c.split('/').at(-1)!),
);
await (what === 'loops' ? compareLoops(checkouts) : compareBoots(checkouts));
