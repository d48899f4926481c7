import { expect, test } from 'vitest';
import { expectStep, sendStep } from './steps.ts';

const sent = (text: string): string => {
  const step = sendStep(text);
  return step.kind === 'send' ? Buffer.from(step.bytes).toString('latin1') : 'no bytes';
};

test.each([
  ['root\\n', 'root\n'],
  ['\\x03', '\x03'],
  ['a\\\\n', 'a\\n'],
  ['\\e[A\\t\\r\\0', '\x1b[A\t\r\0'],
  ['plain', 'plain'],
  ['', ''],
])('--send %j types %j', (text, expected) => {
  expect(sent(text)).toBe(expected);
});

test('--send types text beyond ASCII as UTF-8', () => {
  expect(sent('é')).toBe('\xc3\xa9');
});

test.each(['\\q', 'end\\', '\\x1', '\\😀'])('--send refuses %j, naming it', (text) => {
  expect(() => sendStep(text)).toThrow(expect.objectContaining({ code: 'usage.escape' }) as Error);
});

test('--expect refuses what is no regular expression, naming it', () => {
  expect(() => expectStep('(')).toThrow(/--expect "\("/);
});
