/** The project's own machine as a runner of test kernels: in this process, on a clock that counts instructions. */
import { readFileSync } from 'node:fs';
import { InstructionClock, Machine } from '@tomei/paravirt-core';
import { KERNEL_COMMAND_LINE, KERNEL_RAM, type KernelRun, type KernelRunner } from './runners.ts';

/** A kernel that has not ended by then never will. */
const MAX_INSTRUCTIONS = 400e6;

export const tomeiRunner: KernelRunner = {
  name: 'tomei',
  missing: () => undefined,
  run: (kernel) => Promise.resolve(runKernel(kernel)),
};

function runKernel(kernel: string): KernelRun {
  let output = '';
  const serial = { write: (byte: number) => void (output += String.fromCharCode(byte)) };
  const config = {
    ramBytes: KERNEL_RAM,
    videoMemoryBytes: 1 << 20,
    epoch: 1_000_000_000,
    kernel: { name: kernel, bytes: readFileSync(kernel) },
    commandLine: KERNEL_COMMAND_LINE,
  };
  const machine = new Machine(config, { serial: [serial], disks: [] }, new InstructionClock());
  machine.powerOn();
  for (;;) {
    const slice = machine.runSlice();
    if (slice.kind === 'stopped') return { lines: linesOf(output), end: endOf(slice) };
    if (machine.processor.instructions > MAX_INSTRUCTIONS) {
      throw new Error(`${kernel} did not end, ${machine.describe()}; last line: ${linesOf(output).at(-1) ?? 'none'}`);
    }
  }
}

const endOf = (end: { readonly why: string; readonly status: number }): string =>
  end.why === 'exit' ? `exit ${end.status >> 1}` : end.why.replace('-', ' ');

function linesOf(output: string): string[] {
  const lines = output.replaceAll('\r', '').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
