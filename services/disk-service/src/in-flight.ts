/** How much of a stream is under way at once. Whoever sends more waits; whoever does not read is not written to. */

/** Bytes that requests hold while they are under way; a request larger than all of it goes alone. */
export class Budget {
  private readonly limit: number;
  private held = 0;
  private waiting: PromiseWithResolvers<void> | undefined;

  constructor(limit: number) {
    this.limit = limit;
  }
  /** For one taker at a time. */
  async take(bytes: number): Promise<void> {
    while (this.held > 0 && this.held + bytes > this.limit) {
      this.waiting ??= Promise.withResolvers<void>();
      await this.waiting.promise;
    }
    this.held += bytes;
  }
  give(bytes: number): void {
    this.held -= bytes;
    this.waiting?.resolve();
    this.waiting = undefined;
  }
}

/** The sending half of a stream, for many senders. */
export class Outbox<T> {
  private readonly stream: { send(message: T): boolean; drained(): Promise<void> };
  private room: Promise<void> | undefined;

  constructor(stream: { send(message: T): boolean; drained(): Promise<void> }) {
    this.stream = stream;
  }
  /** Fulfilled when there is room for more. */
  async send(message: T): Promise<void> {
    if (this.stream.send(message)) return;
    this.room ??= this.stream.drained().finally(() => {
      this.room = undefined;
    });
    await this.room;
  }
}
