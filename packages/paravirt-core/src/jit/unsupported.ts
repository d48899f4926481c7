/** What emitting an instruction may end in. */

/** The instruction is not one for compiled code: the region ends before it. */
export const UNSUPPORTED = new Error('not for compiled code');
/** The instruction sets flags on some of its paths only: it is to be emitted with `flagsInPlace`. */
export const CONDITIONAL_FLAGS = new Error('flags are set conditionally');
