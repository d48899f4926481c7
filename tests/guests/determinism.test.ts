/** The same start gives the same run, and a run that is saved and restored at any point goes on as if nothing had been. */
import { readFileSync } from 'node:fs';
import type { MachineConfig } from '@tomei/paravirt-core';
import { describe, expect, test } from 'vitest';
import { buildKernels, missingCompiler } from '../kernels/build.ts';
import { processorCount } from '../kernels/expectation.ts';
import { KERNEL_COMMAND_LINE, KERNEL_RAM } from '../kernels/runners.ts';
import { MachineRun } from './machine-run.ts';

const EPOCH = 1_700_000_000;
/** Test kernels are short: with small slices there are many points to save at. */
const SLICE = 499;
const LONG_ENOUGH = 50_000_000;

/** Faults, user mode, paging, timer interrupts, several processors. */
const KERNELS = ['paging', 'privilege', 'fpu', 'apic', 'smp'];
const missing = missingCompiler();

describe('test kernels', () => {
  test.for(KERNELS)('%s', (name, { skip }) => {
    skip(missing !== undefined, missing);
    const config: MachineConfig = {
      ramBytes: KERNEL_RAM,
      videoMemoryBytes: 1 << 20,
      epoch: EPOCH,
      kernel: { name, bytes: readFileSync(`${buildKernels()}/${name}.elf`) },
      commandLine: KERNEL_COMMAND_LINE,
      processors: processorCount(readFileSync(new URL(`../kernels/expected/${name}.txt`, import.meta.url), 'utf8')),
    };
    const whole = new MachineRun(config, SLICE);
    whole.runTo(LONG_ENOUGH);
    expect(whole.end?.why).toBe('exit');
    const { instructions } = whole.machine;
    // Nothing of it hangs on where slices end, or on who looks.
    for (const slice of [50_000, 61]) {
      const cut = new MachineRun(config, slice);
      if (slice === 61)
        for (const each of cut.machine.processors) each.observer = { before: () => {}, delivered: () => {} };
      cut.runTo(LONG_ENOUGH);
      expect(cut.hash(), `slices of ${slice}`).toBe(whole.hash());
    }

    for (const part of [0, 0.31, 0.74]) {
      const first = new MachineRun(config, SLICE);
      first.runTo(instructions * part);
      expect(first.end).toBeUndefined();
      const second = new MachineRun(config, SLICE, first.stand());
      second.runTo(LONG_ENOUGH);

      expect(first.output + second.output, `saved after ${part} of the run`).toBe(whole.output);
      expect({ end: second.end, hash: second.hash() }).toEqual({ end: whole.end, hash: whole.hash() });
    }
  });
});
