import { messages, type Guest, type RunReport } from '@tomei/contracts';
import { describe, expect, test } from 'vitest';
import { choose, offersOf, type Choice, type Needs, type Offer } from './placement.ts';
import type { RunnerState, SeenRunner } from './runners.ts';

const offer = (runnerId: string, freeMemoryMib: number, freeVcpus: number): Offer => ({
  runnerId,
  freeMemoryMib,
  freeVcpus,
});
const needs: Needs = { memoryMib: 64, vcpus: 1 };

describe('which runner is chosen', () => {
  test.each<[name: string, needs: Needs, offers: Offer[], choice: Choice]>([
    ['nobody there', needs, [], { why: 'no runner takes guests now' }],
    ['the most free memory', needs, [offer('a', 100, 9), offer('b', 200, 1)], { runnerId: 'b' }],
    ['of equal memory, the most free processors', needs, [offer('a', 100, 1), offer('b', 100, 2)], { runnerId: 'b' }],
    ['of equals the first by id', needs, [offer('b', 100, 1), offer('a', 100, 1)], { runnerId: 'a' }],
    ['exactly enough', needs, [offer('a', 64, 1)], { runnerId: 'a' }],
    [
      'too little memory',
      needs,
      [offer('a', 63, 9), offer('b', 8, 9)],
      { why: 'no runner has 64 MiB of memory free: the most is 63 MiB' },
    ],
    [
      'too few processors',
      { memoryMib: 64, vcpus: 2 },
      [offer('a', 100, 1)],
      { why: 'no runner has 2 virtual processors free: the most is 1' },
    ],
    [
      'enough of each, and not together',
      needs,
      [offer('a', 100, 0), offer('b', 10, 4)],
      { why: 'no runner has 64 MiB of memory and 1 virtual processors free together' },
    ],
    [
      'more in use than there is',
      needs,
      [offer('a', -100, -1)],
      { why: 'no runner has 64 MiB of memory free: the most is 0 MiB' },
    ],
  ])('%s', (_, wanted, offers, choice) => {
    expect(choose(wanted, offers)).toEqual(choice);
  });
});

const runner = (
  id: string,
  { state = 'ready' as RunnerState, usedMemoryMib = 0, runs = [] as Partial<RunReport>[] } = {},
): SeenRunner => ({
  id,
  state,
  heardMs: 0,
  heartbeat: messages.RunnerHeartbeat.make({
    runnerId: id,
    capacity: { memoryMib: 256, vcpus: 4, usedMemoryMib },
    runs,
  }),
});
const placed = (
  id: string,
  runnerId: string,
  desired: { power?: 'POWER_ON' | 'POWER_OFF'; run?: number } = {},
): Guest =>
  messages.Guest.make({
    id,
    spec: { memoryMib: 64, vcpus: 1 },
    desired: { power: 'POWER_ON', run: 1, ...desired },
    observed: { runnerId, run: 1 },
  });

describe('what runners have to give', () => {
  test('their capacity without what they use', () => {
    expect(offersOf([runner('a', { usedMemoryMib: 100 })], [])).toEqual([offer('a', 156, 4)]);
  });

  test('those that are lost or about to leave give nothing', () => {
    expect(offersOf([runner('a', { state: 'lost' }), runner('b', { state: 'draining' })], [])).toEqual([]);
  });

  test('what was promised counts until their heartbeats show it, and then once', () => {
    const shown = runner('a', { usedMemoryMib: 64, runs: [{ guestId: 'g', run: 1 }] });

    expect(offersOf([runner('a')], [placed('g', 'a')])).toEqual([offer('a', 192, 3)]);
    expect(offersOf([shown], [placed('g', 'a')])).toEqual([offer('a', 192, 4)]);
  });

  test.each<[string, Guest]>([
    ['a guest on another runner', placed('g', 'b')],
    ['a guest that is not wanted any more', placed('g', 'a', { power: 'POWER_OFF' })],
    ['a guest that is wanted in a later run', placed('g', 'a', { run: 2 })],
  ])('%s was promised nothing', (_, guest) => {
    expect(offersOf([runner('a')], [guest])).toEqual([offer('a', 256, 4)]);
  });
});
