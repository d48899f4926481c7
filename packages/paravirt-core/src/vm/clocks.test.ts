import { expect, test } from 'vitest';
import { HeldClock, HostClock, InstructionClock } from './clocks.ts';
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

test('an instruction clock tells how many instructions lead to a time, and at least one', () => {
  const clock = new InstructionClock(3);
  clock.set(100);

  expect([clock.instructionsUntil(106), clock.instructionsUntil(107), clock.instructionsUntil(100)]).toEqual([2, 3, 1]);
  expect(clock.instructionsUntil(50)).toBe(1);
});

test('a host clock passes by itself: it starts at 0, goes on from what it is set to, and takes no hints', () => {
  const clock = new HostClock();
  expect(clock.now()).toBeLessThan(1e9);

  clock.set(5e12);
  clock.executed();
  clock.touched();
  clock.skipTo();

  expect(clock.now()).toBeGreaterThanOrEqual(5e12);
  expect(clock.now()).toBeLessThan(5e12 + 60e9);
  expect(Number.isInteger(clock.now())).toBe(true);
  expect([clock.isReal, clock.instructionsUntil()]).toEqual([true, Infinity]);
});
