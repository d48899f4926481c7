/** What the engine asks of V8, for the whole process, before the modules that it is about are compiled. */
import { setFlagsFromString } from 'node:v8';

/**
 * How often code of the baseline compiler runs until V8 compiles it anew with the optimising one: in bytes of machine code, roughly, at
 * function ends and back edges. A guest's code is spread over thousands of functions, none of which would come to V8's own 13,000,000 soon.
 */
const BYTES_UNTIL_OPTIMIZED = 1_000_000;

const FLAGS = [
  // V8 heeds the hints that `ModuleBuilder` writes, so that what is seldom branched to does not lie in the midst of what runs.
  '--experimental-wasm-branch-hinting',
  `--wasm-tiering-budget=${BYTES_UNTIL_OPTIMIZED}`,
  // A copy of a loop's body or three cost the optimising compiler time, of which it has never enough for a guest, and the processor's
  // caches room. A guest's loops leave at each round where time is up, so that little is gained.
  '--no-wasm-loop-peeling',
  '--no-wasm-loop-unrolling',
  // Not at each round of each loop, and at each entry: regions do not call each other, they go on in each other, so that the stack is as
  // deep at most as it is for one instruction; and the engine leaves for JavaScript, which looks at all that the check is for, within a
  // slice.
  '--no-wasm-stack-checks',
] as const;

/** Has V8 compile as it is best for guests' code. It holds for what is compiled afterwards. */
export function tuneForGuests(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
