/** A Linux boot with the benchmark's workloads, shortened, in which every run of a region is compared with the interpreter. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EXIT } from '@tomei/kit';
import { ThreadTranslator } from '@tomei/paravirt-core';
import { buildBenchGuest } from '../../bench/guest/build-guest.ts';
import { CheckedMachine } from './checked-machine.ts';
import { describeDeviation, type CheckCounts } from './region-check.ts';

const ROOT = join(import.meta.dirname, '../../..');
const MEGA = 1e6;
/** Workloads are made so many times shorter: their loops are the same. */
const SCALE = 500;

export interface CheckedBootOptions {
  readonly seconds: number;
  readonly hotLandings: number;
  /** Files other than the tiny guest's kernel and the benchmark's initrd. */
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
}

/** Boots until the guest is done, stops, or the time is over. Prints what was compared. Returns the exit code. */
export async function checkedBoot({ seconds, hotLandings, kernel, initrd }: CheckedBootOptions): Promise<number> {
  const file = (path: string): { name: string; bytes: Uint8Array } => ({
    name: basename(path),
    bytes: new Uint8Array(readFileSync(path)),
  });
  using checked = new CheckedMachine({
    config: {
      ramBytes: 128 << 20,
      videoMemoryBytes: 1 << 20,
      epoch: 1_700_000_000,
      kernel: file(kernel ?? join(ROOT, 'guests/tiny/vmlinuz')),
      initrd: file(initrd ?? (await buildBenchGuest(join(ROOT, 'artefacts/bench'))).initrd),
      commandLine: `console=ttyS0 nokaslr panic=-1 noisapnp cryptomgr.notests no_timer_check SCALE=${SCALE} WORK=all`,
    },
    translator: new ThreadTranslator(),
    hotLandings,
  });
  const { check, machine } = checked,
    began = performance.now();
  let lines = 0;
  const isOver = (): boolean => {
    const complete = checked.output.split('\n').slice(0, -1);
    for (const line of complete.slice(lines)) console.log(`| ${line.trimEnd()}`);
    lines = complete.length;
    return checked.output.includes('@ DONE') || performance.now() - began > seconds * 1000;
  };
  const stopped = checked.run(isOver);
  console.log(`the guest ${stopped === undefined ? 'was left' : `stopped (${stopped})`} ${machine.describe()}`);
  console.log(countsText(check.counts, machine.processor.instructions, (performance.now() - began) / 1000));
  check.deviations.forEach((deviation, i) => {
    const text = describeDeviation(deviation);
    // The whole of the first one; how each of the others began.
    console.log(i === 0 ? text : text.slice(0, text.indexOf('\nthe interpreter executed')));
  });
  return check.counts.deviations === 0 && check.counts.same > 0 ? EXIT.ok : EXIT.failed;
}

function countsText(counts: CheckCounts, executed: number, seconds: number): string {
  const { regions, runs, same, instructions, devices, faults, repetitions, skipped, deviations } = counts;
  const millions = (n: number): string => `${(n / MEGA).toFixed(1)} M`;
  return [
    `${regions} regions were entered ${runs} times in ${seconds.toFixed(0)} s: ${millions(instructions)} of ${millions(executed)} instructions compared`,
    `${same} times registers, flags and memory were the same, ${deviations} times they were not; ${devices} runs ended before a device, ${faults} by a fault`,
    `not compared: ${repetitions} runs that were left within a string instruction, ${skipped} that were taken back`,
  ].join('\n');
}
