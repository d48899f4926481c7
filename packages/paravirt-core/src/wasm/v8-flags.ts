/** What the engine asks of V8, where its process was not started with it. */
import { setFlagsFromString } from 'node:v8';
import { COMPILING_V8_FLAGS, startedWith } from '@tomei/kit';

/** Has V8 compile as it is best for guests' code. It holds for what is compiled afterwards. */
export function tuneForGuests(): void {
  // Setting them again would change nothing, but V8 computes anew what tells its kept code apart.
  if (startedWith(COMPILING_V8_FLAGS)) return;
  for (const flag of COMPILING_V8_FLAGS) setFlagsFromString(flag);
}
