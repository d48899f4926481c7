import { describe, expect, it } from 'vitest';
import { LONGEST_MS, Pace, SHORTEST_MS } from './pace.ts';

const afterMany = (pace: Pace, dots: number): number => {
  let pause = 0;
  for (let i = 0; i < 30; i++) pause = pace.after(dots);
  return pause;
};

describe('the pace of looks', () => {
  it('is quick while much changes', () => {
    expect(afterMany(new Pace(), 100_000)).toBe(SHORTEST_MS);
  });
  it.each([
    ['nothing changes', 0],
    ['a cursor blinks', 18],
  ])('falls off to a few looks a second when %s', (_, dots) => {
    const pace = new Pace();
    expect(pace.after(dots)).toBeGreaterThan(SHORTEST_MS);
    expect(afterMany(pace, dots)).toBe(LONGEST_MS);
    expect(pace.after(100_000)).toBe(SHORTEST_MS);
  });
  it('looks again at once when somebody types, and never more often than when much changes', () => {
    const pace = new Pace();
    afterMany(pace, 0);
    expect(pace.hurry(1000)).toBeLessThan(SHORTEST_MS);
    expect(pace.hurry(0)).toBe(SHORTEST_MS);
    expect(pace.after(0)).toBeLessThan(2 * SHORTEST_MS);
  });
});
