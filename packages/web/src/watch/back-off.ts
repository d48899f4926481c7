/** How long to wait before the next attempt to connect: longer each time, spread by chance so that many pages do not come at once. */

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/** Milliseconds before attempt `attempt` (1: after the first failure). `random` is from 0 to 1; the wait lies between half and all of the step. */
export function backOffMs(attempt: number, random: number): number {
  const step = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 16));
  return Math.round(step / 2 + (step / 2) * random);
}

/** What timers are used of a host: the browser's, or a test's. */
export interface Timers {
  set(callback: () => void, delayMs: number): number;
  clear(timer: number): void;
  random(): number;
}

export const browserTimers: Timers = {
  set: (callback, delayMs) => window.setTimeout(callback, delayMs),
  clear: (timer) => window.clearTimeout(timer),
  random: () => Math.random(),
};

/** Calls `connect` again after failures; a success makes the next wait short again. */
export class Reconnect {
  private readonly connect: () => void;
  private readonly timers: Timers;
  private attempt = 0;
  private timer: number | undefined;

  constructor(connect: () => void, timers: Timers = browserTimers) {
    this.connect = connect;
    this.timers = timers;
  }

  /** It did not work, or it was lost. Returns the wait in milliseconds. */
  failed(): number {
    this.cancel();
    this.attempt++;
    const delayMs = backOffMs(this.attempt, this.timers.random());
    this.timer = this.timers.set(() => {
      this.timer = undefined;
      this.connect();
    }, delayMs);
    return delayMs;
  }

  /** It works: what follows a later loss begins with the shortest wait. */
  succeeded(): void {
    this.attempt = 0;
  }

  /** A person does not want to wait. */
  now(): void {
    this.cancel();
    this.connect();
  }

  /** No attempt follows. */
  cancel(): void {
    if (this.timer !== undefined) this.timers.clear(this.timer);
    this.timer = undefined;
  }
}
