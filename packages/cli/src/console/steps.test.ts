import { expect, test } from 'vitest';
import { discStep, expectStep, powerButtonStep, sendStep } from './steps.ts';

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

test('--disc and --power-button are done to the machine', async () => {
  const done: unknown[] = [];
  const guest = {
    powerButton: () => Promise.resolve(done.push('power button') > 0),
    changeDisc: (...disc: unknown[]) => Promise.resolve(void done.push(disc)),
  };
  for (const step of [discStep('ide1:0=/a=b.iso'), discStep('sata0:1='), powerButtonStep()])
    if (step.kind === 'act') await step.act(guest);
  expect(done).toEqual([['ide1:0', '/a=b.iso'], ['sata0:1', undefined], 'power button']);
});

test('--power-button fails where nobody listens to it', async () => {
  const guest = { powerButton: () => Promise.resolve(false), changeDisc: () => Promise.resolve() };
  const step = powerButtonStep();
  await expect(step.kind === 'act' ? step.act(guest) : undefined).rejects.toMatchObject({
    code: 'guest.no-power-button',
  });
});

test.each(['two.iso', 'ide1:0', '=x', 'IDE1=x'])('--disc refuses %j, naming it', (text) => {
  expect(() => discStep(text)).toThrow(expect.objectContaining({ code: 'usage.disc' }) as Error);
});
