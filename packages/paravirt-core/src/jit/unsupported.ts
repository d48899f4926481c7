/** What emitting an instruction may end in. */

/** The instruction is not one for compiled code: the region ends before it. */
export const UNSUPPORTED = new Error('not for compiled code');
/** The instruction sets flags on some of its paths only: it is to be emitted with `flagsInPlace`. */
export const CONDITIONAL_FLAGS = new Error('flags are set conditionally');
/** The instruction needs the two words of the flags where it was not known that it does: the region is to be written anew (flag-needs.ts). */
export const NEEDS_WORDS = new Error('the words of the flags are needed');
