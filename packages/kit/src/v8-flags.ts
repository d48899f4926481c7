/**
 * What a guest's process asks of V8, before it loads or compiles anything of a guest. V8 keeps code of one set of flags only: whoever
 * changed them later would find nothing of what was compiled and kept by an earlier start.
 */

/**
 * How often code of the baseline compiler runs until V8 compiles it anew with the optimising one: in bytes of machine code, roughly, at
 * function ends and back edges. A guest's code is spread over thousands of functions, none of which would come to V8's own 13,000,000 soon.
 */
const BYTES_UNTIL_OPTIMIZED = 1_000_000;

/** Whether this process was started with all of them on its command line. */
export const startedWith = (flags: readonly string[]): boolean =>
  flags.every((flag) => process.execArgv.includes(flag));

/** What can be asked for at any time: it holds for what is compiled afterwards. */
export const COMPILING_V8_FLAGS: readonly string[] = [
  // V8 heeds the hints that `ModuleBuilder` writes, so that what is seldom branched to does not lie in the midst of what runs.
  '--experimental-wasm-branch-hinting',
  // A module's functions are compiled with it, by the thread that makes it, not when the processor's thread first comes by.
  '--no-wasm-lazy-compilation',
  `--wasm-tiering-budget=${BYTES_UNTIL_OPTIMIZED}`,
  // A copy of a loop's body or three cost the optimising compiler time, of which it has never enough for a guest, and the processor's
  // caches room. A guest's loops leave at each round where time is up, so that little is gained.
  '--no-wasm-loop-peeling',
  '--no-wasm-loop-unrolling',
  // Not at each round of each loop, and at each entry: regions do not call each other, they go on in each other, so that the stack is as
  // deep at most as it is for one instruction; and the engine leaves for JavaScript, which looks at all that the check is for, within a
  // slice.
  '--no-wasm-stack-checks',
];

/** For a process that runs a guest: on its command line, or set before it compiles any WebAssembly (guest/src/guest-code.ts). */
export const GUEST_V8_FLAGS: readonly string[] = [
  ...COMPILING_V8_FLAGS,
  // Regions call nothing that could be inlined; only counting the calls costs, each time that one is entered. Before all code or never:
  // what was compiled to count calls brings the process down when V8 has been told meanwhile that nobody counts.
  '--no-wasm-inlining',
  // For machine code of WebAssembly that was made beforehand (paravirt-core/src/wasm/machine-code.ts). A guest's process runs no JavaScript
  // but Tomei's.
  '--allow-natives-syntax',
];
