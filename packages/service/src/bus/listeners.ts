/** What both buses and both stores do with those who listen. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Subscription } from './bus.ts';

/** How many messages wait for a slow handler before further ones are dropped: publishing is at most once. */
export const MAX_WAITING = 10_000;

/** Bytes that are nobody else's. A Buffer's own `slice` would share them. */
export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

/** Messages for one handler: one after another, in their order, and never more waiting than is good. */
export class Inbox<T> {
  private readonly waiting: T[] = [];
  private readonly handle: (item: T) => unknown;
  private readonly onError: (error: unknown) => void;
  private readonly inside = new AsyncLocalStorage<true>();
  private working: Promise<void> | undefined;
  private closed = false;
  private dropping = false;

  constructor(handle: (item: T) => unknown, onError: (error: unknown) => void) {
    this.handle = handle;
    this.onError = onError;
  }
  /** False when the handler is so far behind that the item was dropped. True again after it has caught up. */
  take(item: T): boolean {
    if (this.closed) return true;
    if (this.waiting.length >= MAX_WAITING || (this.dropping && this.waiting.length > MAX_WAITING / 2)) {
      this.dropping = true;
      return false;
    }
    this.dropping = false;
    this.waiting.push(item);
    this.working ??= this.work();
    return true;
  }
  /** Fulfilled when everything that was taken so far is handled. */
  async idle(): Promise<void> {
    await this.working;
  }
  /** Drops what waits and awaits the handler that is at work. */
  async close(): Promise<void> {
    this.closed = true;
    this.waiting.length = 0;
    // A handler may close its own subscription: it cannot wait for itself.
    if (this.inside.getStore() !== true) await this.working;
  }

  private async work(): Promise<void> {
    // Nothing is delivered in the caller's own turn: a publisher never runs the subscriber's code.
    await Promise.resolve();
    for (let item = this.waiting.shift(); item !== undefined; item = this.waiting.shift()) {
      try {
        await this.inside.run(true, () => this.handle(item));
      } catch (error) {
        this.onError(error);
      }
    }
    this.working = undefined;
  }
}

/** A state that others are told of: at once, and with each change. */
export class Announced<T> {
  private readonly handlers = new Set<(value: T) => void>();
  private current: T;

  constructor(initial: T) {
    this.current = initial;
  }
  get value(): T {
    return this.current;
  }
  set(value: T): void {
    if (value === this.current) return;
    this.current = value;
    for (const handler of [...this.handlers]) handler(value);
  }
  watch(handler: (value: T) => void): Subscription {
    const own = (value: T): void => handler(value);
    this.handlers.add(own);
    handler(this.current);
    return {
      close: () => {
        this.handlers.delete(own);
        return Promise.resolve();
      },
    };
  }
  /** Fulfilled once the value is this one, or the signal is aborted. */
  async until(value: T, signal?: AbortSignal): Promise<boolean> {
    if (this.current === value) return true;
    if (signal?.aborted === true) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const watching = this.watch((now) => {
      if (now === value) resolve(true);
    });
    const give = (): void => resolve(false);
    signal?.addEventListener('abort', give, { once: true });
    const result = await promise;
    signal?.removeEventListener('abort', give);
    await watching.close();
    return result;
  }
}
