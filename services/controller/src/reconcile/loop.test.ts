import { quietLog } from '@tomei/service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Loop } from './loop.ts';

describe('the queue of keys', () => {
  let looks: string[];
  let outcomes: string[];
  /** What a look at a key comes to. */
  let look: (key: string) => Promise<number | undefined>;
  let loop: Loop;

  beforeEach(() => {
    vi.useFakeTimers();
    looks = [];
    outcomes = [];
    look = () => Promise.resolve(undefined);
    loop = new Loop({
      look: (key) => {
        looks.push(key);
        return look(key);
      },
      log: quietLog(),
      random: () => 1,
      onOutcome: (outcome) => outcomes.push(outcome),
    });
    loop.start();
  });
  afterEach(async () => {
    await loop.stop();
    vi.useRealTimers();
  });
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  test('a key that settles is not looked at again', async () => {
    loop.touch('a');
    await pass(60_000);

    expect(looks).toEqual(['a']);
    expect(outcomes).toEqual(['settled']);
  });

  test('a key is looked at again after the time that its look says', async () => {
    look = () => Promise.resolve(looks.length < 3 ? 1_000 : undefined);

    loop.touch('a');
    await pass(999);
    expect(looks).toHaveLength(1);
    await pass(1);
    expect(looks).toHaveLength(2);
    await pass(60_000);
    expect(looks).toHaveLength(3);
  });

  test('one worker a key: touched while it is looked at, it is looked at once more, however often it was', async () => {
    const first = Promise.withResolvers<undefined>();
    look = () => (looks.length === 1 ? first.promise : Promise.resolve(undefined));

    for (let i = 0; i < 5; i++) loop.touch('a');
    await pass(0);
    loop.touch('a');
    loop.touch('a');
    await pass(1_000);
    expect(looks).toEqual(['a']);
    first.resolve(undefined);
    await pass(0);

    expect(looks).toEqual(['a', 'a']);
  });

  test('a slow key holds up no other', async () => {
    const slow = Promise.withResolvers<undefined>();
    look = (key) => (key === 'slow' ? slow.promise : Promise.resolve(undefined));

    loop.touch('slow');
    loop.touch('a');
    await pass(0);

    expect(looks).toEqual(['slow', 'a']);
    slow.resolve(undefined);
  });

  test('what fails is tried again after longer and longer pauses, up to a limit, and from the start when it went well', async () => {
    const at: number[] = [];
    let fails = true;
    look = () => {
      at.push(Date.now());
      return fails ? Promise.reject(new Error('no')) : Promise.resolve(undefined);
    };

    loop.touch('a');
    await pass(60_000);
    const pauses = at.slice(1).map((t, i) => t - at[i]!);
    expect(pauses.slice(0, 8)).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000]);
    fails = false;
    await pass(20_000);
    fails = true;
    at.length = 0;
    loop.touch('a');
    await pass(300);
    expect(at[1]! - at[0]!).toBe(200);
  });

  test('touching does not hurry what failed, unless the world has changed', async () => {
    look = () => Promise.reject(new Error('no'));
    loop.touch('a');
    await pass(3_000);
    const before = looks.length;

    loop.touch('a');
    await pass(0);
    expect(looks).toHaveLength(before);
    loop.forgive();
    loop.touch('a');
    await pass(0);

    expect(looks).toHaveLength(before + 1);
  });

  test('stopped, it waits for the look under way, and begins no other', async () => {
    const under = Promise.withResolvers<undefined>();
    look = () => under.promise;
    loop.touch('a');
    let isStopped = false;
    const stopping = loop.stop().then(() => (isStopped = true));
    loop.touch('b');
    await pass(10_000);
    expect(isStopped).toBe(false);

    under.resolve(undefined);
    await stopping;

    expect(looks).toEqual(['a']);
  });
});
