/** A nap that can be cut short. */

export class Wakeup {
  private waiting: (() => void) | undefined;
  private woken = false;

  /** Ends the nap, or the next one at once. */
  wake(): void {
    this.woken = true;
    this.waiting?.();
  }

  /** Fulfilled after `ms`, or as soon as somebody calls `wake`, or the signal is aborted. One at a time. */
  async nap(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.woken && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', resolve as () => void);
      this.waiting = resolve;
      await promise;
      clearTimeout(timer);
      signal.removeEventListener('abort', resolve as () => void);
      this.waiting = undefined;
    }
    this.woken = false;
  }
}
