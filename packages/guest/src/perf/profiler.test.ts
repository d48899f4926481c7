/** When samples are taken and what becomes of them, with time moved by hand. */
import type { GuestPlace } from '@tomei/paravirt-core';
import { expect, test } from 'vitest';
import { Profiler } from './profiler.ts';

const KERNEL: GuestPlace = { address: 0xc100_0000, ring: 0, space: 0x1000, callers: [0xc100_2000] };
const USER: GuestPlace = { address: 0x804_8000, ring: 3, space: 0x1000, callers: [] };

/** A sample is due each millisecond; the host counts processor time in steps of `tick`. */
function rig({ tick = 0.25 }: { readonly tick?: number }, ...places: readonly GuestPlace[]) {
  const left = [...places];
  let time = 100,
    cpu = 40;
  const profiler = new Profiler({
    look: () => left.shift()!,
    now: () => time,
    cpuMs: () => Math.floor(cpu / tick) * tick,
    random: () => 0.5,
    ram: new Uint8Array(4096),
  });
  const slice = (ms: number, { how = 'running', cpuMs = ms }: { how?: 'running' | 'halted'; cpuMs?: number } = {}) => {
    const asked = profiler.next();
    time += ms;
    cpu += cpuMs;
    profiler.ran(how);
    return asked;
  };
  return { profiler, left, slice };
}
const PLAIN = { limit: 10_000 },
  SAMPLE = { limit: 1001, exactly: true };

test('after a millisecond of slices a sample is taken, some exact steps on', () => {
  const { profiler, slice } = rig({}, KERNEL);

  const asked = [slice(0.5), slice(0.5), slice(0.25), slice(0.5)];

  expect(asked).toEqual([PLAIN, PLAIN, SAMPLE, PLAIN]);
  expect(profiler.profile(7)).toEqual({
    ...{ samples: 1, ms: 1.75, idleMs: 7 },
    stacks: [{ addresses: [0xc100_0000, 0xc100_2000], ring: 0, space: 0, ms: 1.25 }],
  });
});
test('the same stack counts together, kernel code of whatever process, user code by process', () => {
  const other = { space: 0x2000 };
  const { profiler, slice } = rig({}, KERNEL, { ...KERNEL, ...other }, USER, { ...USER, ...other });

  for (let n = 0; n < 8; n++) slice(1);

  expect(profiler.profile(0).stacks.map(({ ring, space }) => [ring, space])).toEqual([
    [0, 0],
    [3, 0x1000],
    [3, 0x2000],
  ]);
});
test('samples share the processor time that a coarse clock shows at once', () => {
  const { profiler, slice } = rig({ tick: 4 }, KERNEL, USER, USER, USER);

  for (let n = 0; n < 8; n++) slice(1);

  const { stacks, samples } = profiler.profile(0);
  expect(samples).toBe(4);
  expect(stacks.map(({ ms }) => ms)).toEqual([2, 6]);
});
test('where the host did something else the next look is later, and that time counts for nothing', () => {
  const { profiler, slice } = rig({}, KERNEL);

  const asked = [slice(0.5), slice(30, { cpuMs: 0.5 }), slice(0.25), slice(0.25), slice(0.25)];

  expect(asked).toEqual([PLAIN, PLAIN, PLAIN, PLAIN, SAMPLE]);
  expect(profiler.profile(0).stacks[0]!.ms).toBe(1.75);
});
test('a guest that halts on the way gives no sample; the time goes to the next one', () => {
  const { profiler, left, slice } = rig({}, USER);

  slice(1);
  slice(0.5, { how: 'halted' });
  expect(left).toHaveLength(1);
  slice(0.5);

  expect(profiler.profile(0).stacks[0]!.ms).toBe(2);
});
