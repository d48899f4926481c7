/** For how long a thread was ready to run and the host gave it no processor (proc(5), /proc/pid/schedstat: the second figure). */
import { openSync, readSync } from 'node:fs';

const LONGEST = 128;

/** Answers the nanoseconds of the calling thread since it began; undefined where the host does not say. */
export function hostWaitOfThread(path = '/proc/thread-self/schedstat'): () => number | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return () => undefined;
  }
  const bytes = Buffer.alloc(LONGEST);
  return () => {
    try {
      const [, waited] = bytes.toString('latin1', 0, readSync(file, bytes, 0, LONGEST, 0)).split(' ');
      const nanoseconds = Number(waited ?? NaN);
      return Number.isFinite(nanoseconds) ? nanoseconds : undefined;
    } catch {
      return undefined;
    }
  };
}
