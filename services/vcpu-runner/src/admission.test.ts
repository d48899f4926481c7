import { describe, expect, test } from 'vitest';
import { messages, type Init, type StartGuest } from '@tomei/contracts';
import { admit, capacityOf, checkStart, type KnownRun, type Situation } from './admission.ts';

const start = (more: Init<StartGuest> = {}): StartGuest =>
  messages.StartGuest.make({
    guestId: 'g-1',
    guestName: 'one',
    run: 2,
    spec: { vmxPath: 'one/one.vmx', memoryMib: 512, vcpus: 1 },
    disks: { target: 'disk-service:7410' },
    ...more,
  });
const run = (guestId: string, number: number, more: Partial<KnownRun> = {}): KnownRun => ({
  guestId,
  run: number,
  memoryMib: 512,
  vcpus: 1,
  isOver: false,
  ...more,
});
const situation = (runs: readonly KnownRun[], more: Partial<Situation> = {}): Situation => ({
  runnerId: 'r1',
  offers: { memoryMib: 1024, vcpus: 2 },
  draining: false,
  runs,
  ...more,
});
const codeOf = (work: () => unknown): string => {
  try {
    return String(work());
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('admission', () => {
  test.each<[string, Situation, string]>([
    ['an empty runner', situation([]), 'start'],
    ['one that is half full', situation([run('g-2', 1)]), 'start'],
    ['the run is there', situation([run('g-1', 2)]), 'known'],
    ['the run was there and ended', situation([run('g-1', 2, { isOver: true })]), 'known'],
    ['the run is there and the runner leaves', situation([run('g-1', 2)], { draining: true }), 'known'],
    ['a newer run is there', situation([run('g-1', 3)]), 'guest.stale-run'],
    ['a newer run ended', situation([run('g-1', 3, { isOver: true })]), 'guest.stale-run'],
    ['it leaves', situation([], { draining: true }), 'runner.draining'],
    ['no memory', situation([run('g-2', 1, { memoryMib: 600 })]), 'runner.no-room'],
    ['no processors', situation([run('g-2', 1, { vcpus: 2 })]), 'runner.no-room'],
    ['ended runs take no room', situation([run('g-2', 1, { memoryMib: 1024, isOver: true })]), 'start'],
    ['older runs of the guest make room', situation([run('g-1', 1), run('g-2', 1)]), 'start'],
  ])('%s: %s', (_, at, expected) => {
    expect(codeOf(() => admit(checkStart(start()), at))).toBe(expected);
  });

  test('a refusal for want of room says what is missing, and that waiting may help', () => {
    const full = situation([run('g-2', 1, { memoryMib: 1000, vcpus: 2 })]);

    expect(() => admit(checkStart(start()), full)).toThrow(
      expect.objectContaining({
        retryable: true,
        message:
          'r1 has no room for one: it needs 512 MiB of memory, of which 24 are free, and it needs 1 vCPUs, of which 0 are free',
      }) as Error,
    );
  });

  test('what ended is not in use', () => {
    const { offers, runs } = situation([run('g-1', 1), run('g-2', 1, { isOver: true })]);

    expect(capacityOf({ offers, runs })).toEqual({ memoryMib: 1024, vcpus: 2, usedMemoryMib: 512, usedVcpus: 1 });
  });

  test.each<[Init<StartGuest>, string]>([
    [{ guestId: '../x' }, 'guest.bad-id'],
    [{ run: 0 }, 'command.malformed'],
    [{ spec: undefined }, 'command.malformed'],
    [{ spec: { vmxPath: '', memoryMib: 1, vcpus: 1 } }, 'command.malformed'],
    [{ spec: { vmxPath: 'a', memoryMib: 0, vcpus: 1 } }, 'command.malformed'],
    [{ disks: { target: '' } }, 'command.malformed'],
  ])('refuses %j: %s', (more, code) => {
    expect(codeOf(() => checkStart(start(more)))).toBe(code);
  });
});
