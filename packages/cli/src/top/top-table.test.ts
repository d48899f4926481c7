import { expect, test } from 'vitest';
import { short } from './top-table.ts';

test.each([
  [0, '0'],
  [7.4, '7'],
  [999.4, '999'],
  [999.6, '1.0k'],
  [1234, '1.2k'],
  [38_000_000, '38M'],
  [2e16, '20000T'],
])('%d is shown as %s', (n, text) => {
  expect(short(n)).toBe(text);
});
