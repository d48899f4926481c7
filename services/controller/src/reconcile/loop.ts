/**
 * A queue of keys: each is looked at by one worker at a time, several keys at once, again after an error with longer and longer
 * pauses, and again when its look says so. It knows keys only: what woke it does not matter, the world is read anew.
 */
import { messageOf } from '@tomei/kit';
import type { Log } from '@tomei/service';

const FIRST_MS = 200,
  MOST_MS = 15_000;
const WORKERS = 16;

export interface LoopOptions {
  /** Looks at one key and takes a step. Returns after how many milliseconds to look again, undefined when there is no need. */
  readonly look: (key: string) => Promise<number | undefined>;
  readonly log: Log;
  /** 0 to 1, for pauses that are not the same for all. */
  readonly random?: () => number;
  readonly onOutcome?: (outcome: 'settled' | 'again' | 'failed') => void;
}

export class Loop {
  private readonly options: LoopOptions;
  private readonly queue = new Set<string>();
  private readonly working = new Set<string>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly failures = new Map<string, number>();
  private running = false;
  private idle = Promise.withResolvers<void>();

  constructor(options: LoopOptions) {
    this.options = options;
  }

  start(): void {
    this.running = true;
    this.pump();
  }
  /** Takes no new looks; fulfilled when none is under way. It may be started again. */
  async stop(): Promise<void> {
    this.running = false;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.queue.clear();
    this.failures.clear();
    while (this.working.size > 0) await this.idle.promise;
  }

  /** Something may have changed about a key. One that failed keeps its pause: whoever touches it often does not hurry it. */
  touch(key: string): void {
    if (!this.running || this.failures.has(key)) return;
    this.clear(key);
    this.queue.add(key);
    this.pump();
  }

  /** The world has changed so much that what failed need not fail again: no key keeps its pause. */
  forgive(): void {
    this.failures.clear();
  }

  private pump(): void {
    for (const key of this.queue) {
      if (!this.running || this.working.size >= WORKERS) return;
      // It is looked at again when the look under way is over.
      if (this.working.has(key)) continue;
      this.queue.delete(key);
      this.working.add(key);
      void this.work(key);
    }
  }
  private async work(key: string): Promise<void> {
    const { look, log, onOutcome } = this.options;
    try {
      const again = await look(key);
      this.failures.delete(key);
      onOutcome?.(again === undefined ? 'settled' : 'again');
      if (again !== undefined) this.later(key, again);
    } catch (error) {
      const count = (this.failures.get(key) ?? 0) + 1;
      this.failures.set(key, count);
      onOutcome?.('failed');
      const pauseMs = this.pause(count);
      log.warn({ key, why: messageOf(error), count, pauseMs }, 'a step failed and will be tried again');
      this.later(key, pauseMs);
    }
    this.working.delete(key);
    if (this.working.size === 0) {
      this.idle.resolve();
      this.idle = Promise.withResolvers();
    }
    this.pump();
  }
  private pause(count: number): number {
    const random = this.options.random ?? Math.random;
    return Math.round(Math.min(MOST_MS, FIRST_MS * 2 ** (count - 1)) * (0.5 + random() / 2));
  }
  private later(key: string, ms: number): void {
    if (!this.running || this.queue.has(key)) return;
    this.clear(key);
    const timer = setTimeout(() => {
      this.timers.delete(key);
      this.queue.add(key);
      this.pump();
    }, ms);
    this.timers.set(key, timer);
  }
  private clear(key: string): void {
    clearTimeout(this.timers.get(key));
    this.timers.delete(key);
  }
}
