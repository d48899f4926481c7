/** What the engine asks of V8, for the whole process, before the modules that it is about are compiled. */
import { setFlagsFromString } from 'node:v8';

/**
 * How often code of the baseline compiler runs until V8 compiles it anew with the optimising one: in bytes of machine code, roughly, at
 * function ends and back edges. A guest's code is spread over thousands of functions, none of which would come to V8's own 13,000,000 soon.
 */
const BYTES_UNTIL_OPTIMIZED = 1_000_000;

/**
 * Has V8 heed the branch hints that `ModuleBuilder` writes, so that what is seldom branched to does not lie in the midst of what runs, and
 * optimise sooner.
 */
export function tuneForGuests(): void {
  setFlagsFromString('--experimental-wasm-branch-hinting');
  setFlagsFromString(`--wasm-tiering-budget=${BYTES_UNTIL_OPTIMIZED}`);
}
