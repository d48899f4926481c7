import { expect, test } from 'vitest';
import { FlightLimit } from './flight-limit.ts';

test('lets in what fits, in the order in which it came, and what is too large alone', async () => {
  const limit = new FlightLimit(10);
  const begun: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const start = (name: string, bytes: number): Promise<void> => {
    const gate = Promise.withResolvers<void>();
    gates.set(name, gate);
    return limit.while(bytes, () => {
      begun.push(name);
      return gate.promise;
    });
  };
  const all = [start('a', 6), start('b', 4), start('huge', 50), start('c', 1)];

  expect(begun).toEqual(['a', 'b']);
  gates.get('a')!.resolve();
  await all[0];
  expect(begun).toEqual(['a', 'b']);
  gates.get('b')!.resolve();
  await all[1];
  await Promise.resolve();
  expect(begun).toEqual(['a', 'b', 'huge']);
  gates.get('huge')!.resolve();
  await all[2];
  await Promise.resolve();
  expect(begun).toEqual(['a', 'b', 'huge', 'c']);
  gates.get('c')!.resolve();
  await all[3];
});
test('gives the room back when work fails', async () => {
  const limit = new FlightLimit(1);
  await expect(limit.while(1, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await limit.while(1, () => Promise.resolve('yes'))).toBe('yes');
});
