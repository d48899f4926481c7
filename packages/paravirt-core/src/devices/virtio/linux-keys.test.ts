import { expect, it } from 'vitest';
import { linuxKey } from './linux-keys.ts';

it.each([
  [0x1e, 30],
  [0x58, 88],
  [0xe04b, 105],
  [0xe05d, 127],
  [0, undefined],
  [0x59, undefined],
  [0xe011, undefined],
])('of make code %i is %s', (code, key) => {
  expect(linuxKey(code)).toBe(key);
});
