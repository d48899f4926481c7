import { messages, type Init, type RunnerHeartbeat } from '@tomei/contracts';
import { beforeEach, describe, expect, test } from 'vitest';
import { Runners } from './runners.ts';

const TIMEOUT_MS = 5_000;

describe('runners', () => {
  let nowMs: number;
  let runners: Runners;
  beforeEach(() => {
    nowMs = 1_000_000;
    runners = new Runners({ timeoutMs: TIMEOUT_MS, now: () => nowMs });
    runners.setListening(true);
  });
  const hear = (runnerId: string, more: Init<RunnerHeartbeat> = {}): readonly string[] =>
    runners.hear(messages.RunnerHeartbeat.encode({ runnerId, instanceId: 'i1', ...more }));
  const changes = (): string[] => runners.changes().map(({ runnerId, verb }) => `${runnerId} ${verb}`);
  const states = (): string[] => runners.list().map(({ id, state }) => `${id} ${state}`);
  const run = (guestId: string): { guestId: string; run: number } => ({ guestId, run: 1 });

  test('join with their first heartbeat, once', () => {
    hear('r1');
    hear('r1');

    expect(changes()).toEqual(['r1 joined']);
    expect(changes()).toEqual([]);
    expect(states()).toEqual(['r1 ready']);
  });

  test('are lost after their time of silence, not before, and join again when they are heard of', () => {
    hear('r1', { runs: [run('g')] });
    changes();

    nowMs += TIMEOUT_MS - 1;
    expect(changes()).toEqual([]);
    expect(runners.runsOf('g')).toHaveLength(1);
    nowMs += 1;
    expect(changes()).toEqual(['r1 lost']);
    expect(states()).toEqual(['r1 lost']);
    expect(runners.runsOf('g')).toEqual([]);
    hear('r1');
    expect(changes()).toEqual(['r1 joined']);
  });

  test('that said that they are about to leave, and have nothing more, have left', () => {
    hear('r1', { draining: true, runs: [run('g')] });
    changes();
    expect(states()).toEqual(['r1 draining']);
    hear('r1', { draining: true });

    nowMs += TIMEOUT_MS;

    expect(changes()).toEqual(['r1 left']);
    expect(states()).toEqual([]);
  });

  test('a new process of one has none of the runs of the old one, and joins', () => {
    hear('r1', { runs: [run('g')] });
    changes();

    expect(hear('r1', { instanceId: 'i2' })).toEqual(['g']);

    expect(runners.runsOf('g')).toEqual([]);
    expect(changes()).toEqual(['r1 joined']);
  });

  test('what an earlier process says after a later one is refused', () => {
    hear('r1', { instanceId: 'i1' });
    hear('r1', { instanceId: 'i2' });

    expect(() => hear('r1', { instanceId: 'i1', runs: [run('g')] })).toThrow(
      expect.objectContaining({ code: 'runner.replaced' }) as Error,
    );
    expect(runners.runs()).toEqual([]);
  });

  test('are not silent while nobody can hear them', () => {
    hear('r1');
    changes();
    runners.setListening(false);
    nowMs += 100 * TIMEOUT_MS;
    expect(changes()).toEqual([]);

    runners.setListening(true);
    nowMs += TIMEOUT_MS - 1;
    expect(changes()).toEqual([]);
    expect(runners.isSettled).toBe(false);
    nowMs += 1;
    expect(changes()).toEqual(['r1 lost']);
    expect(runners.isSettled).toBe(true);
  });

  test('that are long gone are forgotten', () => {
    hear('r1');
    changes();
    nowMs += TIMEOUT_MS;
    changes();

    nowMs += 3_600_000;
    changes();

    expect(states()).toEqual([]);
  });

  test('say which guests a heartbeat may concern: those it names, and those that the one before named', () => {
    hear('r1', { runs: [run('a'), run('b')] });

    expect(hear('r1', { runs: [run('b'), run('c')] }).toSorted()).toEqual(['a', 'b', 'c']);
  });

  test.each<[string, Uint8Array, string]>([
    ['no heartbeat', Uint8Array.of(0xff, 0xff, 0xff), 'message.malformed'],
    ['an id that is none', messages.RunnerHeartbeat.encode({ runnerId: 'a.b' }), 'runner.bad-id'],
    ['nothing', new Uint8Array(0), 'runner.bad-id'],
  ])('%s is refused', (_, bytes, code) => {
    expect(() => runners.hear(bytes)).toThrow(expect.objectContaining({ code }) as Error);
    expect(states()).toEqual([]);
  });

  test('guests whose ids are none are left out', () => {
    expect(hear('r1', { runs: [run(''), run('a b'), run('g')] })).toEqual(['g']);
    expect(runners.runs().map(({ report }) => report.guestId)).toEqual(['g']);
  });
});
