import { setImmediate as turn } from 'node:timers/promises';
import { messages, type Guest } from '@tomei/contracts';
import { quietLog } from '@tomei/service';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RunnerView } from './api/schemas.ts';
import { Feed } from './feed.ts';
import { guestView } from './views.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

test('tells everything first, then what changes and what goes, and nothing twice', async () => {
  const guest = (id: string, name: string): Guest => messages.Guest.make({ id, name });
  let guests = [guest('g-1', 'one'), guest('g-2', 'two')];
  let runners = [{ id: 'r1' }, { id: 'r2' }] as RunnerView[];
  const feed = new Feed({ guests: () => Promise.resolve(guests), guestView, runners: () => runners, log: quietLog() });
  let told: string[] = [];
  const watching = feed.watch({
    guest: ({ id, name }) => void told.push(`${id} is ${name}`),
    guestGone: (id) => void told.push(`${id} is gone`),
    runner: ({ id }) => void told.push(`${id} is there`),
    runnerGone: (id) => void told.push(`${id} is gone`),
    synced: () => void told.push('synced'),
  });
  const look = async (): Promise<string[]> => {
    told = [];
    feed.touch();
    vi.advanceTimersByTime(1_000);
    await turn();
    return told;
  };

  expect(await look()).toEqual(['g-1 is one', 'g-2 is two', 'r1 is there', 'r2 is there', 'synced']);
  expect(await look()).toEqual([]);
  guests = [guest('g-2', 'second')];
  runners = [{ id: 'r2' }] as RunnerView[];
  expect(await look()).toEqual(['g-2 is second', 'g-1 is gone', 'r1 is gone']);
  watching.close();
  guests = [];
  expect(await look()).toEqual([]);
});
