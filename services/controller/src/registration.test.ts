import { expect, test } from 'vitest';
import { fittingName } from './registration.ts';

test.each([
  ['Windows XP', 'Windows XP'],
  ['  web/db <1>: "old"\t', 'web db 1 old'],
  ['.hidden.', 'hidden'],
  ['Übung (2)', 'Übung (2)'],
  ['a\u202eb', 'a b'],
  [`${'x'.repeat(63)}\u{20000}`, 'x'.repeat(63)],
  [`${'x'.repeat(63)} y`, 'x'.repeat(63)],
  ['', 'tiny'],
  ['***', 'tiny'],
])('a guest whose displayName is %j is called %j', (displayName, name) => {
  expect(fittingName(displayName, 'a/tiny.vmx')).toBe(name);
});

test('a guest of which nothing makes a name has to be given one', () => {
  expect(() => fittingName('', 'a/_.vmx')).toThrow(/is no name for a guest/);
});
