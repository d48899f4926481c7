/** Ctrl-C and its like in the middle of a measurement: what was started is ended, and what was written is removed. */

/** What a shell says of a program that was ended by Ctrl-C. */
export const INTERRUPTED = 130;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `work` with a signal that is aborted by the first of those signals; the second one ends the program as ever. Comes to
 * INTERRUPTED when `work` rejects after that.
 */
export async function interruptible(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  const abort = (): void => {
    remove();
    controller.abort();
  };
  const remove = (): void => {
    for (const name of SIGNALS) process.off(name, abort);
  };
  for (const name of SIGNALS) process.on(name, abort);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    return INTERRUPTED;
  } finally {
    remove();
  }
}
