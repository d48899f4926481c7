/** The engine of the processor's thread, compiled while that loads. */
import { compileAhead } from '@tomei/paravirt-core';

/** Held for as long as the process lives. What keeps it from being compiled is met by the processor's thread as well, which tells. */
export const engine = compileAhead().catch(() => undefined);
