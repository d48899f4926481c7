/** Waiting between attempts. */

export interface Delays {
  /** Milliseconds until the next attempt: twice the last ones, up to a limit, not the same for all who wait. */
  next(): number;
  reset(): void;
}
export function delays({ firstMs = 50, mostMs = 2_000, random = Math.random } = {}): Delays {
  let base = firstMs;
  return {
    next: () => {
      const delay = base * (0.5 + random() / 2);
      base = Math.min(base * 2, mostMs);
      return Math.round(delay);
    },
    reset: () => {
      base = firstMs;
    },
  };
}

/** Fulfilled after this long, or when the signal is aborted. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const wake = (): void => resolve();
  signal.addEventListener('abort', wake, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', wake);
}

/** The value of `work`, or undefined when the signal is aborted first; what becomes of the work then, nobody hears. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  // Rejections of work that was given up are nobody's.
  work.catch(() => undefined);
  if (signal.aborted) return undefined;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const give = (): void => resolve(undefined);
  signal.addEventListener('abort', give, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', give);
  }
}

export interface Deadline {
  /** Aborted when the time is over, or a parent is aborted. */
  readonly signal: AbortSignal;
  readonly remainingMs: number;
  /** Lets go of the timer. */
  clear(): void;
}
/** A bound for several steps together. */
export function deadline(ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const end = performance.now() + ms;
  const abort = (): void => controller.abort();
  const timer = setTimeout(abort, ms);
  if (parent?.aborted === true) abort();
  parent?.addEventListener('abort', abort, { once: true });
  return {
    signal: controller.signal,
    get remainingMs() {
      return Math.max(0, Math.ceil(end - performance.now()));
    },
    clear: () => {
      clearTimeout(timer);
      parent?.removeEventListener('abort', abort);
    },
  };
}
