/** Whose time it is while a thread wakes another one. */
import { expect, it } from 'vitest';
import { ThreadTime } from './thread-time.ts';

function clocks(): { time: ThreadTime; pass: (own: number, others: number) => void } {
  let wall = 1000,
    waited = 10;
  const pass = (own: number, others: number): void => {
    wall += own + others;
    waited += others * 1e6;
  };
  return {
    time: new ThreadTime(
      () => wall,
      () => waited,
    ),
    pass,
  };
}

it('what another thread did when it was woken is left out, what waking costs is not', () => {
  const { time, pass } = clocks();
  const from = time.now();
  pass(1, 0);
  time.waking(() => pass(0.01, 0.5));
  expect(time.now() - from).toBeCloseTo(1.01, 9);
});

it('what others take at other times is no matter of waking', () => {
  const { time, pass } = clocks();
  const from = time.now();
  pass(0, 2);
  for (let i = 0; i < 100; i++) time.waking(() => pass(0.01, 0.002));
  expect(time.now() - from).toBeCloseTo(2 + 100 * 0.01, 9);
});

it('what one of thirty-one wakings has cost stands for those behind it, whatever others did', () => {
  const { time, pass } = clocks();
  const from = time.now();
  const costs = Array.from({ length: 62 }, (_, i) => (i < 31 ? 0.01 : 0.03));
  costs.forEach((own, i) => time.waking(() => pass(i % 31 === 0 ? own : 0.5, i)));
  expect(time.now() - from).toBeCloseTo(31 * 0.01 + 31 * 0.03, 9);
});

it('where the host does not say who waited, nothing is left out', () => {
  let wall = 0;
  const time = new ThreadTime(
    () => wall,
    () => undefined,
  );
  time.waking(() => (wall += 3));
  expect(time.now()).toBe(3);
});

it('of this very thread goes on as a clock does', () => {
  const time = new ThreadTime();
  const from = time.now();
  let rung = 0;
  time.waking(() => rung++);
  expect(rung).toBe(1);
  expect(time.now()).toBeGreaterThanOrEqual(from);
});
