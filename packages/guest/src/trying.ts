/** What files and snapshots make impossible ends the guest with a reason, not the thread with an exception. */
import { TomeiError } from '@tomei/kit';
import type { VcpuMessage } from './protocol.ts';

/** Does something, or returns undefined, with the parent told why, when something is not as it has to be. Bugs go on as exceptions. */
export type Trying = <T>(what: () => T) => { readonly value: T } | undefined;

export function tryingTo(tell: (message: VcpuMessage) => void): Trying {
  return (what) => {
    try {
      return { value: what() };
    } catch (error) {
      if (!(error instanceof TomeiError)) throw error;
      tell({ kind: 'failed', code: error.code, message: error.message });
      return undefined;
    }
  };
}
