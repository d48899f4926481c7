/**
 * Noise that is executed at the highest privilege: every exception and interrupt goes on elsewhere in the noise, so that it also reaches
 * control registers, model-specific registers, ports and descriptor tables. The machine only ever runs, halts or stops, and takes no more
 * of the host than at first.
 */
import { InstructionClock, Machine } from '@tomei/paravirt-core';
import { expect, test } from 'vitest';
import { Random } from '../conformance/random.ts';
import { smallKernel } from './small-kernel.ts';

const MiB = 2 ** 20;
/** Where things are, below the kernel. */
const TABLES = 0x7000,
  GDT = 0x8000,
  IDT = 0x9000,
  HANDLER = 0xa000,
  NOISE = 0x2_0000,
  NOISE_BYTES = 0x1_0000,
  STACK = 0x7_ff00;
const le32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const le16 = (n: number): number[] => [n & 0xff, n >>> 8];

/** Flat segments, then into the noise at a place that depends on the time. */
const HANDLE = [
  ...[0xb8, ...le32(0x10), 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], // mov eax, 10h; mov ds, ax; mov es, ax; mov ss, ax
  ...[0xbc, ...le32(STACK)], // mov esp, STACK
  ...[0x0f, 0x31, 0x69, 0xc0, ...le32(0x9e37_79b1), 0xc1, 0xe8, 16], // rdtsc; imul eax, eax, 9E3779B1h; shr eax, 16
  ...[0x05, ...le32(NOISE), 0xff, 0xe0], // add eax, NOISE; jmp eax
];
const START = [
  ...[0xfa, 0x0f, 0x01, 0x15, ...le32(TABLES), 0x0f, 0x01, 0x1d, ...le32(TABLES + 8)], // cli; lgdt; lidt
  ...[0xea, ...le32(HANDLER), ...le16(8)], // jmp 8:HANDLER
];
const GATE = [...le16(HANDLER & 0xffff), ...le16(8), 0, 0x8e, ...le16(HANDLER >>> 16)];

const SEEDS = 16;
const STARTS = 4;
const SLICES = 40;
/** Instructions. */
const SLICE = 500;

test('noise at the highest privilege ends a guest at most', { timeout: 300_000 }, () => {
  const kernel = { name: 'noise', bytes: smallKernel(START) };
  const config = { ramBytes: 16 * MiB, videoMemoryBytes: 2 * MiB, epoch: 1e9, kernel, commandLine: '' };
  const machine = new Machine(config, { serial: [{ write: () => undefined }], disks: [] }, new InstructionClock());
  const ends = new Set<string>();
  const sizes: number[] = [];
  let executed = 0;

  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(`noise ${seed}`);
    for (let start = 0; start < STARTS; start++) {
      machine.powerOn();
      const write = (at: number, bytes: readonly number[] | Uint8Array): void => machine.board.ram.write(at, Uint8Array.from(bytes));
      write(TABLES, [...le16(0x17), ...le32(GDT), 0, 0, ...le16(0x7ff), ...le32(IDT)]);
      write(GDT, [...le32(0), ...le32(0), ...le32(0xffff), ...le32(0x00cf_9b00), ...le32(0xffff), ...le32(0x00cf_9300)]);
      write(IDT, Array.from({ length: 256 }, () => GATE).flat());
      write(HANDLER, HANDLE);
      write(NOISE, random.bytes(NOISE_BYTES));
      const before = machine.instructions;
      let end = '';
      // Slices are counted: a repetition of four thousand million is one instruction.
      for (let n = 0; n < SLICES && end === ''; n++) {
        const slice = machine.runSlice(SLICE);
        if (slice.kind === 'stopped') end = slice.why;
        if (slice.kind === 'halted' && slice.until === null) end = 'halted';
      }
      executed += machine.instructions - before;
      ends.add(end === '' ? 'running' : end);
    }
    sizes.push(JSON.stringify(machine.save().board).length);
  }

  // It was no quick death each time, and went through more than one door.
  expect(executed, `${[...ends].join()}`).toBeGreaterThan(SEEDS * STARTS * 100);
  expect(ends.size).toBeGreaterThan(1);
  expect(Math.max(...sizes)).toBeLessThan(4 * sizes[0]! + MiB);
});
