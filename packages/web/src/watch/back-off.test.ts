import { describe, expect, test } from 'vitest';
import { Reconnect, backOffMs, type Timers } from './back-off.ts';

class ManualTimers implements Timers {
  readonly waiting = new Map<number, { readonly callback: () => void; readonly delayMs: number }>();
  private next = 1;
  set(callback: () => void, delayMs: number): number {
    this.waiting.set(this.next, { callback, delayMs });
    return this.next++;
  }
  clear(timer: number): void {
    this.waiting.delete(timer);
  }
  random(): number {
    return 1;
  }
  fire(): void {
    for (const [timer, { callback }] of [...this.waiting]) {
      this.waiting.delete(timer);
      callback();
    }
  }
}

describe('waiting before another attempt', () => {
  test('doubles up to fifteen seconds, and chance takes up to half of it away', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 1000].map((attempt) => backOffMs(attempt, 1));
    const shortest = [1, 2, 3, 1000].map((attempt) => backOffMs(attempt, 0));

    expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    expect(shortest).toEqual([250, 500, 1000, 7500]);
  });

  test('a success makes the next wait short again', () => {
    const timers = new ManualTimers();
    const reconnect = new Reconnect(() => undefined, timers);

    const waits = [reconnect.failed(), reconnect.failed()];
    reconnect.succeeded();
    waits.push(reconnect.failed());

    expect(waits).toEqual([500, 1000, 500]);
  });

  test('one attempt at a time: a second failure replaces the first wait, a person skips it, cancelling ends it', () => {
    const timers = new ManualTimers();
    let attempts = 0;
    const reconnect = new Reconnect(() => attempts++, timers);

    reconnect.failed();
    reconnect.failed();
    const waiting = timers.waiting.size;
    timers.fire();
    reconnect.failed();
    reconnect.now();
    const afterNow = timers.waiting.size;
    reconnect.failed();
    reconnect.cancel();
    timers.fire();

    expect({ waiting, afterNow, attempts }).toEqual({ waiting: 1, afterNow: 0, attempts: 2 });
  });
});
