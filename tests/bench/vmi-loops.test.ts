/** Each way of each VMI call comes back, as often as it should. */
import { expect, test } from 'vitest';
import { VMI_LOOPS, runVmiLoop } from './vmi-loops.ts';

test.for(
  VMI_LOOPS.flatMap(({ name, call, ways }) =>
    // Two for the stack, two for the loop, and what is measured: fewer than forty, but where pages are used as well.
    Object.entries(ways).map(([way, emit]) => [name, way, emit, call === undefined ? 40 : 600] as const),
  ),
)('%s, %s', ([, , emit, most]) => {
  const ROUNDS = 50;
  const { instructions } = runVmiLoop(emit, ROUNDS);

  expect(instructions).toBeGreaterThanOrEqual(ROUNDS * 4);
  expect(instructions).toBeLessThan(ROUNDS * most);
});
