/** The bus of a lab: one process, the same promises as NatsBus. */
import { EVENT_STREAM_LIMITS } from '@tomei/contracts';
import { deadline, unlessAborted } from '../patience.ts';
import type { Bus, FollowFrom, StoredMessage, Subscription } from './bus.ts';
import { checkSize, disconnected, noResponder, requestTimeout, slowHandler, streamMadeAnew } from './errors.ts';
import { CLOSE_TIMEOUT_MS, DEFAULT_MAX_MESSAGE_BYTES, DUPLICATE_WINDOW_MS, EMIT_TIMEOUT_MS } from './limits.ts';
import { Announced, Inbox, copyOf } from './listeners.ts';
import { checkPattern, checkSubject, matches } from './subject.ts';

export interface MemoryBusOptions {
  /** What handlers threw, and what was dropped. */
  readonly onError?: (error: unknown) => void;
  readonly maxMessageBytes?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}
type Responder = (bytes: Uint8Array) => Promise<Uint8Array>;

export class MemoryBus implements Bus {
  private readonly onError: (error: unknown) => void;
  private readonly maxMessageBytes: number;
  private readonly now: () => number;
  private readonly connection = new Announced(true);
  private readonly subscribers = new Set<{ readonly pattern: string; readonly inbox: Inbox<[string, Uint8Array]> }>();
  private readonly responders = new Map<string, Responder[]>();
  private readonly stream: { readonly message: StoredMessage; readonly at: number; readonly id: string }[] = [];
  private readonly ids = new Map<string, number>();
  private readonly followers = new Set<() => void>();
  private readonly open = new Set<Subscription>();
  private readonly closing = new AbortController();
  private lastSequence = 0;

  constructor(options: MemoryBusOptions = {}) {
    this.onError = options.onError ?? (() => undefined);
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.now = options.now ?? Date.now;
  }

  /** For tests of what a service does without a bus. */
  setConnected(connected: boolean): void {
    this.connection.set(connected);
    if (connected) for (const wake of this.followers) wake();
  }
  onConnection(handler: (connected: boolean) => void): Subscription {
    return this.connection.watch(handler);
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkSubject(subject);
    checkSize(subject, bytes, this.maxMessageBytes);
    if (!this.connection.value) return;
    this.deliver(subject, bytes);
  }
  private deliver(subject: string, bytes: Uint8Array): void {
    for (const { pattern, inbox } of this.subscribers) {
      if (!matches(pattern, subject)) continue;
      if (!inbox.take([subject, copyOf(bytes)])) this.onError(slowHandler(pattern));
    }
  }
  subscribe(pattern: string, handler: (subject: string, bytes: Uint8Array) => void | Promise<void>): Subscription {
    checkPattern(pattern);
    const inbox = new Inbox<[string, Uint8Array]>(([subject, bytes]) => handler(subject, bytes), this.onError);
    const subscriber = { pattern, inbox };
    this.subscribers.add(subscriber);
    return this.opened(() => {
      this.subscribers.delete(subscriber);
      return inbox.close();
    });
  }

  async request(subject: string, bytes: Uint8Array, { timeoutMs }: { timeoutMs: number }): Promise<Uint8Array> {
    checkSubject(subject);
    checkSize(subject, bytes, this.maxMessageBytes);
    if (!this.connection.value) throw disconnected(`no request to ${subject}`);
    const responder = this.responders.get(subject)?.[0];
    if (responder === undefined) throw noResponder(subject);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const timer = setTimeout(() => reject(requestTimeout(subject, timeoutMs)), timeoutMs);
    const watching = this.connection.watch((connected) => {
      if (!connected) reject(disconnected(`no answer from ${subject}`));
    });
    queueMicrotask(() => void this.answer(responder, copyOf(bytes), resolve));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      await watching.close();
    }
  }
  private async answer(responder: Responder, bytes: Uint8Array, resolve: (bytes: Uint8Array) => void): Promise<void> {
    try {
      const answer = await responder(bytes);
      checkSize('an answer', answer, this.maxMessageBytes);
      resolve(copyOf(answer));
    } catch (error) {
      this.onError(error);
    }
  }
  respond(subject: string, handler: Responder): Subscription {
    checkSubject(subject);
    const underWay = new Set<Promise<unknown>>();
    const responder: Responder = (bytes) => {
      const work = Promise.resolve().then(() => handler(bytes));
      underWay.add(work);
      const done = (): unknown => underWay.delete(work);
      work.then(done, done);
      return work;
    };
    this.responders.set(subject, [...(this.responders.get(subject) ?? []), responder]);
    return this.opened(async () => {
      const others = (this.responders.get(subject) ?? []).filter((r) => r !== responder);
      if (others.length > 0) this.responders.set(subject, others);
      else this.responders.delete(subject);
      await Promise.allSettled(underWay);
    });
  }

  async emit(
    subject: string,
    bytes: Uint8Array,
    { id, timeoutMs = EMIT_TIMEOUT_MS }: { id: string; timeoutMs?: number },
  ): Promise<number> {
    checkSubject(subject);
    checkSize(subject, bytes, this.maxMessageBytes);
    const bound = deadline(timeoutMs, this.closing.signal);
    const isConnected = await this.connection.until(true, bound.signal);
    bound.clear();
    if (!isConnected) throw disconnected(`the event on ${subject} is not stored`);
    const at = this.now();
    this.expire(at);
    const known = this.ids.get(id);
    if (known !== undefined) return known;
    const message = { subject, bytes: copyOf(bytes), sequence: ++this.lastSequence };
    this.stream.push({ message, at, id });
    this.ids.set(id, message.sequence);
    this.deliver(subject, bytes);
    for (const wake of this.followers) wake();
    return message.sequence;
  }
  private expire(now: number): void {
    const { maxAgeMs, maxMessages } = EVENT_STREAM_LIMITS;
    let gone = this.stream.findIndex(({ at }) => at > now - maxAgeMs);
    if (gone < 0) gone = this.stream.length;
    this.stream.splice(0, Math.max(gone, this.stream.length - maxMessages));
    // In the order in which they came: the first that is recent ends it.
    for (const [id, sequence] of this.ids) {
      const stored = this.at(sequence);
      if (stored !== undefined && stored.at > now - DUPLICATE_WINDOW_MS) break;
      this.ids.delete(id);
    }
  }
  /** Sequences have no holes: the place in the array follows from the first one's. */
  private at(sequence: number): { readonly message: StoredMessage; readonly at: number } | undefined {
    const first = this.stream[0]?.message.sequence ?? 0;
    return this.stream[sequence - first];
  }

  follow(pattern: string, from: FollowFrom, handler: (message: StoredMessage) => void | Promise<void>): Subscription {
    checkPattern(pattern);
    let next = from === 'all' ? 1 : from === 'new' ? this.lastSequence + 1 : from.after + 1;
    if (next > this.lastSequence + 1) {
      this.onError(streamMadeAnew());
      next = 1;
    }
    let more = Promise.withResolvers<void>();
    let closed = false;
    const inbox = new Inbox<StoredMessage>(handler, this.onError);
    const pump = async (): Promise<void> => {
      while (!closed) {
        next = Math.max(next, this.stream[0]?.message.sequence ?? 0);
        const stored = this.connection.value ? this.at(next) : undefined;
        if (stored === undefined) {
          await more.promise;
          continue;
        }
        next += 1;
        const { message } = stored;
        if (!matches(pattern, message.subject)) continue;
        inbox.take({ ...message, bytes: copyOf(message.bytes) });
        await inbox.idle();
      }
    };
    const wake = (): void => {
      more.resolve();
      more = Promise.withResolvers<void>();
    };
    this.followers.add(wake);
    void pump();
    return this.opened(async () => {
      closed = true;
      this.followers.delete(wake);
      wake();
      await inbox.close();
    });
  }

  async close(): Promise<void> {
    this.closing.abort();
    const bound = deadline(CLOSE_TIMEOUT_MS);
    await unlessAborted(Promise.all([...this.open].map((subscription) => subscription.close())), bound.signal);
    bound.clear();
    this.connection.set(false);
  }
  private opened(close: () => Promise<void>): Subscription {
    const subscription: Subscription = {
      close: async () => {
        this.open.delete(subscription);
        await close();
      },
    };
    this.open.add(subscription);
    return subscription;
  }
}
