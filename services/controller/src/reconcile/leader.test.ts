import { MemoryStore, quietLog } from '@tomei/service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Leader } from './leader.ts';

const TTL_MS = 5_000;

describe('leading', () => {
  let store: MemoryStore;
  let told: string[];
  const open: Leader[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
    store = new MemoryStore({ now: () => Date.now() });
    told = [];
  });
  afterEach(async () => {
    store.setConnected(true);
    for (const leader of open.splice(0)) await leader.close();
    vi.useRealTimers();
  });
  function stand(owner: string, over = store, onLose: () => Promise<void> = () => Promise.resolve()): Leader {
    const leader = new Leader({
      store: over,
      owner,
      ttlMs: TTL_MS,
      log: quietLog(),
      now: () => Date.now(),
      onLead: () => told.push(`${owner} leads`),
      onLose: () => {
        told.push(`${owner} loses`);
        return onLose();
      },
    });
    open.push(leader);
    leader.start();
    return leader;
  }
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  test('one of several leads, and goes on leading', async () => {
    const [a, b] = [stand('a'), stand('b')];

    await pass(10 * TTL_MS);

    expect([a.isLeader, b.isLeader]).toEqual([true, false]);
    expect(told).toEqual(['a leads']);
  });

  test('who closes gives it back, and another one need not wait for the end of the lease', async () => {
    const [a, b] = [stand('a'), stand('b')];
    await pass(100);

    await a.close();
    await pass(TTL_MS / 3);

    expect([a.isLeader, b.isLeader]).toEqual([false, true]);
    expect(told).toEqual(['a leads', 'a loses', 'b leads']);
  });

  test('who cannot reach the store stops leading before another one can begin', async () => {
    // The two see one store, of which the first loses sight.
    let isCut = false;
    const cut = new Proxy(store, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown =>
          isCut ? Promise.reject(new Error('cut off')) : (value as (...a: unknown[]) => unknown).apply(target, args);
      },
    });
    const a = stand('a', cut);
    await pass(100);
    const b = stand('b');
    isCut = true;

    for (let at = 0; at < 4 * TTL_MS; at += 50) {
      await pass(50);
      expect([a.isLeader, b.isLeader]).not.toEqual([true, true]);
    }

    expect([a.isLeader, b.isLeader]).toEqual([false, true]);
    isCut = false;
    await pass(TTL_MS);
    expect([a.isLeader, b.isLeader]).toEqual([false, true]);
  });

  test('without the store nobody leads, and with it again somebody does', async () => {
    const a = stand('a');
    await pass(100);

    store.setConnected(false);
    await pass(2 * TTL_MS);
    expect(a.isLeader).toBe(false);
    expect(told).toEqual(['a leads', 'a loses']);
    store.setConnected(true);
    await pass(TTL_MS);

    expect(a.isLeader).toBe(true);
  });
});
