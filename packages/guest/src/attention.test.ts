import { Doorbell } from '@tomei/kit';
import { expect, test } from 'vitest';
import { Attention } from './attention.ts';
import { RUNG_FOR } from './protocol.ts';

const { frames, completions, others } = RUNG_FOR;
const made = () => {
  const bell = new Doorbell(Doorbell.allocate()),
    attention = new Attention(bell);
  return { bell, attention, due: (more = 0) => attention.due(bell.ticket, more) };
};

test('what is rung for is due once, and everything for a ring without a reason', () => {
  const { bell, due } = made();
  bell.ring(frames);
  bell.ring(completions);

  expect([due(), due(), due(others)]).toEqual([frames | completions, 0, others]);
  bell.ring();
  expect(due()).toBe(frames | completions | others);
});
test('what a look left behind is due until one leaves nothing', () => {
  const { attention, due } = made();
  attention.looked(frames, true, 1);
  attention.looked(others, true, 1);
  expect(due()).toBe(frames | others);
  attention.looked(frames, false, 2);
  expect(due()).toBe(others);
  attention.looked(others, false, 2);
  expect(due()).toBe(0);
});
test('frames are pressing; what waits for the guest is when that has run since, and only then', () => {
  const { attention } = made();
  expect(attention.isPressing(5)).toBe(false);
  attention.looked(others, true, 5);
  expect([attention.isPressing(5), attention.isPressing(6)]).toEqual([false, true]);
  attention.looked(frames, true, 6);
  expect(attention.isPressing(6)).toBe(true);
});
