/** Each way of each VMI call comes back, as often as it should. */
import { expect, test } from 'vitest';
import { VMI_LOOPS, runVmiLoop } from './vmi-loops.ts';

test.for(VMI_LOOPS.flatMap(({ name, ways }) => Object.entries(ways).map(([way, emit]) => [name, way, emit] as const)))(
  '%s, %s',
  ([, , emit]) => {
    const ROUNDS = 50;
    const { instructions } = runVmiLoop(emit, ROUNDS);

    // Two for the stack, two for the loop, and what is measured: fewer than forty.
    expect(instructions).toBeGreaterThanOrEqual(ROUNDS * 4);
    expect(instructions).toBeLessThan(ROUNDS * 40);
  },
);
