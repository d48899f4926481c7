/**
 * The guest's processor comes first: threads that compile for it run at a lower priority of the host (setpriority(2), which Linux has for
 * each thread), so that they use what processors of the host the guest leaves, and do not take turns with it.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';

/** Niceness of compilers. Where the guest has to share its only processor with them, code that is compiled late costs more. */
const NICENESS = availableParallelism() > 1 ? 10 : 4;
const TASKS = '/proc/self/task';
/** V8's own threads, which optimise what runs often, by their name. */
const OPTIMISERS = 'V8Worker';

/** The calling thread compiles for guests. */
export function yieldToGuest(): void {
  if (process.platform === 'linux') lower(0);
}
/** So do V8's threads in this process. */
export function optimisersYieldToGuest(): void {
  if (process.platform !== 'linux') return;
  for (const thread of readdirSync(TASKS)) {
    if (nameOf(thread) === OPTIMISERS) lower(Number(thread));
  }
}

/** 0 is the calling thread. */
function lower(thread: number): void {
  try {
    setPriority(thread, NICENESS);
  } catch {
    // A sandbox may forbid it, and the thread may have ended: all works without.
  }
}
function nameOf(thread: string): string | undefined {
  try {
    return readFileSync(`${TASKS}/${thread}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
