/**
 * What a guest's process asks of V8, from its start on. V8 keeps code of one set of flags only: whoever changed them later would find
 * nothing of what was compiled and kept by an earlier start.
 */

/**
 * How often code of the baseline compiler runs until V8 compiles it anew with the optimising one: in bytes of machine code, roughly, at
 * function ends and back edges. A guest's code is spread over thousands of functions, none of which would come to V8's own 13,000,000 soon.
 */
const BYTES_UNTIL_OPTIMIZED = 1_000_000;

/** On the command line of a process that runs a guest. */
export const GUEST_V8_FLAGS: readonly string[] = [
  // V8 heeds the hints that `ModuleBuilder` writes, so that what is seldom branched to does not lie in the midst of what runs.
  '--experimental-wasm-branch-hinting',
  // And those that say what is compiled when. The interpreter's loop is optimised while the rest is loaded: its baseline code would ask
  // V8 for it every few instructions, since what a loop takes of the budget is how far its end lies from its begin. Regions are compiled
  // by the thread that makes their module, not when the processor's thread first comes by.
  '--experimental-wasm-compilation-hints',
  `--wasm-tiering-budget=${BYTES_UNTIL_OPTIMIZED}`,
  // A copy of a loop's body or three cost the optimising compiler time, of which it has never enough for a guest, and the processor's
  // caches room. A guest's loops leave at each round where time is up, so that little is gained.
  '--no-wasm-loop-peeling',
  '--no-wasm-loop-unrolling',
  // Not at each round of each loop, and at each entry: regions do not call each other, they go on in each other, so that the stack is as
  // deep at most as it is for one instruction; and the engine leaves for JavaScript, which looks at all that the check is for, within a
  // slice.
  '--no-wasm-stack-checks',
  // Regions call nothing that could be inlined; only counting the calls costs, each time that one is entered.
  '--no-wasm-inlining',
];
