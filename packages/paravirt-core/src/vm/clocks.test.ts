import { expect, test } from 'vitest';
import { HeldClock, InstructionClock } from './clocks.ts';
import type { Clock } from '@tomei/kit';

test('the time that devices see stands still until somebody looks', () => {
  let time = 0;
  const restless: Clock = { now: () => time++ };
  const held = new HeldClock(restless);

  const first = held.now();

  expect(held.now()).toBe(first);
  held.look();
  expect(held.now()).toBeGreaterThan(first);
});

test('an instruction clock moves by instructions, accesses and skipped sleeps, and never back by a skip', () => {
  const clock = new InstructionClock(2);

  clock.executed(50);
  expect(clock.now()).toBe(100);
  clock.touched();
  expect(clock.now()).toBe(200);
  clock.skipTo(150);
  expect(clock.now()).toBe(200);
  clock.skipTo(1000);
  expect(clock.now()).toBe(1000);
  clock.set(10);
  expect(clock.now()).toBe(10);
});
