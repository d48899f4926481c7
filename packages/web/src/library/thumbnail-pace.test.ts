import { expect, test } from 'vitest';
import { nextPaceMs } from './thumbnail-pace.ts';

test('a still screen is looked at ever more seldom, up to a limit; a change brings the quick pace back', () => {
  const waits = [0];
  for (let i = 0; i < 7; i++) waits.push(nextPaceMs(waits.at(-1)!, false));

  expect(waits.slice(1)).toEqual([2000, 3200, 5120, 8192, 13_107, 15_000, 15_000]);
  expect(nextPaceMs(15_000, true)).toBe(2000);
});
