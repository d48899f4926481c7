import { expect, test } from 'vitest';
import { CopiedTexts } from './copied-texts.ts';

test('passes the first text at once, and of many the newest, ten times a second', () => {
  let now = 1000;
  const told: string[] = [];
  const texts = new CopiedTexts(
    (text) => void told.push(text),
    () => now,
  );
  texts.pass();
  texts.copied('one');
  texts.pass();
  expect(told).toEqual(['one']);
  for (let i = 0; i < 1000; i++) {
    texts.copied(`text ${i}`);
    texts.pass();
  }
  expect([told.length, texts.isWaiting]).toEqual([1, true]);
  now += 100;
  texts.pass();
  texts.pass();
  expect([told, texts.isWaiting]).toEqual([['one', 'text 999'], false]);
});
