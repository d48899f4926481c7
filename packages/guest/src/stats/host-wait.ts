/** For how long a thread was ready to run and the host gave it no processor (proc(5), /proc/pid/schedstat: the second figure). */
import { openSync, readSync } from 'node:fs';

const LONGEST = 128;
const SPACE = 0x20,
  ZERO = 0x30,
  NINE = 0x39;

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
      return secondFigure(bytes.subarray(0, readSync(file, bytes, 0, LONGEST, 0)));
    } catch {
      return undefined;
    }
  };
}

/** By bytes: whoever asks does so often. */
function secondFigure(text: Uint8Array): number | undefined {
  let at = text.indexOf(SPACE) + 1,
    value = 0;
  const from = at;
  for (; at < text.length && text[at]! >= ZERO && text[at]! <= NINE; at++) value = value * 10 + text[at]! - ZERO;
  return from > 0 && at > from ? value : undefined;
}
