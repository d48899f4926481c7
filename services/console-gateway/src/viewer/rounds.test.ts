import { expect, test } from 'vitest';
import { Rounds } from './rounds.ts';

const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('each viewer has its turn once, however often it was named, and a long one does not keep others from input', async () => {
  const rounds = new Rounds();
  const turns: string[] = [];
  const viewer = (name: string, ms: number) => ({
    pump: () => {
      const until = performance.now() + ms;
      while (performance.now() < until);
      turns.push(name);
    },
  });
  const [slow, quick, gone] = [viewer('slow', 10), viewer('quick', 0), viewer('gone', 0)];

  for (const one of [slow, quick, slow, gone, quick]) rounds.add(one);
  rounds.delete(gone);
  await breath();
  const first = [...turns];
  await breath();

  expect(first).toEqual(['slow']);
  expect(turns).toEqual(['slow', 'quick']);
});
