import { describe, expect, test } from 'vitest';
import type { StatsView } from '../cluster/views.ts';
import { sortUsage, usageBetween, type Usage } from './usage.ts';

const stats: StatsView = {
  id: 'g-1',
  name: 'tiny',
  phase: 'running',
  run: 1,
  runner: 'lab',
  instructions: 1_000_000_000,
  cpuMs: 4000,
  time: { interpreted: 1000, compiled: 2000, translating: 200, devices: 700, system: 100, idle: 6000 },
  exits: { port: 500, tlbMiss: 1000 },
  overhead: 0.25,
  translations: { flushesNonGlobal: 1000, flushesPage: 10, marked: 7 },
  regions: 10,
  compiledBytes: 4096,
};
const later: StatsView = {
  ...stats,
  instructions: 1_600_000_000,
  cpuMs: 5500,
  time: { interpreted: 1200, compiled: 3200, translating: 200, devices: 750, system: 150, idle: 6500 },
  exits: { port: 700, tlbMiss: 1100 },
  translations: { flushesNonGlobal: 1400, flushesPage: 30, marked: 900 },
  regions: 12,
};

describe('usage between two looks', () => {
  test('is what came in between, by the time that the guest’s processor had', () => {
    const [usage] = usageBetween([stats], [later]);

    expect(usage).toEqual({
      ...{ id: 'g-1', name: 'tiny', phase: 'running', runner: 'lab', regions: 12, compiledBytes: 4096 },
      mips: 400,
      busy: 0.75,
      shares: { interpreted: 0.1, compiled: 0.6, translating: 0, devices: 0.025, system: 0.025, idle: 0.25 },
      overhead: expect.closeTo(100 / 1400) as number,
      tlbFlushes: 210,
      tlbMisses: 50,
      exits: 150,
      exitsByCause: { port: 100, tlbMiss: 50 },
    });
  });
  test('of a guest that is new, or counts anew, is since its start', () => {
    const reset = { ...stats, instructions: 2_000_000_000 };

    expect(usageBetween([], [stats])[0]).toMatchObject({ mips: 250, busy: 0.4, exits: 150 });
    expect(usageBetween([{ ...later, run: 0 }], [stats])[0]).toMatchObject({ mips: 250 });
    expect(usageBetween([reset], [stats])[0]).toMatchObject({ mips: 250 });
  });
  test('stays what it was when nothing newer is known, and divides by nothing', () => {
    const former = usageBetween([stats], [later]);
    const time = { interpreted: 0, compiled: 0, translating: 0, devices: 0, system: 0, idle: 0 };

    expect(usageBetween([later], [later], former)).toEqual(former);
    expect(usageBetween([], [{ ...stats, time }])[0]).toMatchObject({ mips: 0, busy: 0, exits: 0 });
  });
});

describe('the order of guests', () => {
  const [one] = usageBetween([stats], [later]);
  const all: Usage[] = [
    { ...one!, name: 'b', mips: 1, tlbMisses: 3 },
    { ...one!, name: 'a', mips: 1, tlbMisses: 9 },
    { ...one!, name: 'c', mips: 2, tlbMisses: 0 },
  ];
  test.each([
    ['name', false, 'abc'],
    ['name', true, 'cba'],
    ['mips', false, 'cab'],
    ['mips', true, 'abc'],
    ['tlb', false, 'abc'],
  ] as const)('by %s, reversed %s: %s', (key, reversed, order) => {
    expect(
      sortUsage(all, key, reversed)
        .map(({ name }) => name)
        .join(''),
    ).toBe(order);
  });
});
