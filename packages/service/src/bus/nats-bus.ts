/** The bus of a cluster: NATS, with JetStream for events. It may be away at any time, also at first. */
import { ErrorCode, NatsError, type NatsConnection, type Subscription as NatsSubscription } from 'nats';
import { EVENT_STREAM } from '@tomei/contracts';
import type { Log } from '../log.ts';
import { deadline, delays, sleep, unlessAborted } from '../patience.ts';
import type { Bus, FollowFrom, StoredMessage, Subscription } from './bus.ts';
import { checkSize, disconnected, noResponder, requestTimeout, slowHandler } from './errors.ts';
import { CLOSE_TIMEOUT_MS, DEFAULT_MAX_MESSAGE_BYTES, EMIT_TIMEOUT_MS } from './limits.ts';
import { Inbox, copyOf } from './listeners.ts';
import { NatsLink } from './nats-connection.ts';
import { ensureEventStream, followStream } from './nats-stream.ts';
import { checkPattern, checkSubject } from './subject.ts';

/** One responder gets a request, also when several listen. */
const RESPONDERS = 'responders';
/** The id of an event goes along in a header, which counts as part of the message. */
const HEADER_BYTES = 512;
const ACKNOWLEDGEMENT_TIMEOUT_MS = 5_000;

export interface NatsBusOptions {
  /** `nats://[user:password@|token@]host:port`, several with commas between them. */
  readonly url: string;
  /** As what the server knows this client. */
  readonly name: string;
  readonly log: Log;
  /** What handlers threw, and what was dropped; logged when absent. */
  readonly onError?: (error: unknown) => void;
}
// The library sends what it was given in a later turn: it is always given a copy.

/** Something that is to listen on every connection. */
type Listening = (connection: NatsConnection) => NatsSubscription;

export class NatsBus implements Bus {
  private readonly onError: (error: unknown) => void;
  private readonly link: NatsLink;
  private readonly listening = new Map<Listening, NatsSubscription | undefined>();
  private readonly open = new Set<Subscription>();
  private readonly closing = new AbortController();
  private maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES;

  /** Begins to connect, and does not wait for it. Throws `config.bad` for a URL that is none. */
  constructor({ url, name, log, onError }: NatsBusOptions) {
    this.onError = onError ?? ((error) => log.error({ error }, 'a message could not be handled'));
    this.link = new NatsLink({
      url,
      name,
      log,
      onOpen: (connection) => {
        for (const listen of this.listening.keys()) this.listening.set(listen, listen(connection));
      },
      prepare: async (connection) => {
        this.maxMessageBytes = connection.info?.max_payload ?? DEFAULT_MAX_MESSAGE_BYTES;
        await ensureEventStream(connection);
      },
    });
  }

  onConnection(handler: (connected: boolean) => void): Subscription {
    return this.link.state.watch(handler);
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkSubject(subject);
    checkSize(subject, bytes, this.maxMessageBytes);
    try {
      this.link.current?.publish(subject, copyOf(bytes));
    } catch (error) {
      // The connection went between the question and the call: dropped, as when there is none.
      if (!(error instanceof NatsError)) throw error;
    }
  }

  subscribe(pattern: string, handler: (subject: string, bytes: Uint8Array) => void | Promise<void>): Subscription {
    checkPattern(pattern);
    const inbox = new Inbox<[string, Uint8Array]>(([subject, bytes]) => handler(subject, bytes), this.onError);
    return this.listen(
      (connection) =>
        connection.subscribe(pattern, {
          callback: (error, message) => {
            if (error !== null) return this.onError(error);
            if (!inbox.take([message.subject, copyOf(message.data)])) this.onError(slowHandler(pattern));
          },
        }),
      () => inbox.close(),
    );
  }

  async request(subject: string, bytes: Uint8Array, { timeoutMs }: { timeoutMs: number }): Promise<Uint8Array> {
    checkSubject(subject);
    checkSize(subject, bytes, this.maxMessageBytes);
    const connection = this.link.current;
    if (connection === undefined) throw disconnected(`no request to ${subject}`);
    const lost = new AbortController();
    const watching = this.link.state.watch((connected) => {
      if (!connected) lost.abort();
    });
    try {
      const answer = await unlessAborted(
        connection.request(subject, copyOf(bytes), { timeout: timeoutMs }),
        lost.signal,
      );
      if (answer === undefined) throw disconnected(`no answer from ${subject}`);
      return copyOf(answer.data);
    } catch (error) {
      // A connection that ends makes requests time out at once.
      if (connection.isClosed()) throw disconnected(`no answer from ${subject}`, error);
      throw this.requestError(error, subject, timeoutMs);
    } finally {
      await watching.close();
    }
  }
  private requestError(error: unknown, subject: string, timeoutMs: number): unknown {
    if (!(error instanceof NatsError)) return error;
    // `as string`: the library's enum gives several names to one code.
    const code = error.code as string;
    if (code === ErrorCode.NoResponders) return noResponder(subject);
    if (code === ErrorCode.Timeout) return requestTimeout(subject, timeoutMs);
    return disconnected(`no answer from ${subject}`, error);
  }

  respond(subject: string, handler: (bytes: Uint8Array) => Promise<Uint8Array>): Subscription {
    checkSubject(subject);
    const underWay = new Set<Promise<void>>();
    return this.listen(
      (connection) =>
        connection.subscribe(subject, {
          queue: RESPONDERS,
          callback: (error, message) => {
            if (error !== null) return this.onError(error);
            const answering = (async (): Promise<void> => {
              try {
                const answer = await handler(copyOf(message.data));
                checkSize(`an answer on ${subject}`, answer, this.maxMessageBytes);
                message.respond(copyOf(answer));
              } catch (error) {
                this.onError(error);
              }
            })();
            underWay.add(answering);
            void answering.then(() => underWay.delete(answering));
          },
        }),
      async () => {
        await Promise.all(underWay);
      },
    );
  }

  /** Listens now and on every later connection, until it is closed. */
  private listen(listen: Listening, finish: () => Promise<void>): Subscription {
    const { latest } = this.link;
    this.listening.set(listen, latest === undefined || latest.isClosed() ? undefined : listen(latest));
    const subscription: Subscription = {
      close: async () => {
        this.listening.get(listen)?.unsubscribe();
        this.listening.delete(listen);
        this.open.delete(subscription);
        await finish();
      },
    };
    this.open.add(subscription);
    return subscription;
  }

  async emit(
    subject: string,
    bytes: Uint8Array,
    { id, timeoutMs = EMIT_TIMEOUT_MS }: { id: string; timeoutMs?: number },
  ): Promise<number> {
    checkSubject(subject);
    checkSize(subject, bytes, this.maxMessageBytes - HEADER_BYTES);
    const copy = copyOf(bytes);
    const wait = delays();
    const bound = deadline(timeoutMs, this.closing.signal);
    let cause: unknown;
    try {
      for (;;) {
        await this.link.state.until(true, bound.signal);
        const connection = this.link.current;
        if (connection === undefined) throw disconnected(`the event on ${subject} is not stored`, cause);
        try {
          const sequence = await this.store(connection, subject, copy, id);
          if (sequence !== undefined) return sequence;
        } catch (error) {
          cause = error;
        }
        // Again, under the same id: whether it was stored is not known, and a second one would be dropped.
        await sleep(wait.next(), bound.signal);
        if (bound.signal.aborted) throw disconnected(`the event on ${subject} is not stored`, cause);
      }
    } finally {
      bound.clear();
    }
  }
  /** Undefined when the connection is lost meanwhile. */
  private async store(
    connection: NatsConnection,
    subject: string,
    copy: Uint8Array,
    id: string,
  ): Promise<number | undefined> {
    const lost = new AbortController();
    const watching = this.link.state.watch((connected) => {
      if (!connected) lost.abort();
    });
    try {
      const acknowledged = connection.jetstream().publish(subject, copy, {
        msgID: id,
        timeout: ACKNOWLEDGEMENT_TIMEOUT_MS,
        expect: { streamName: EVENT_STREAM },
      });
      return (await unlessAborted(acknowledged, lost.signal))?.seq;
    } finally {
      await watching.close();
    }
  }

  follow(pattern: string, from: FollowFrom, handler: (message: StoredMessage) => void | Promise<void>): Subscription {
    checkPattern(pattern);
    const following = followStream(this.link, pattern, from, handler, this.onError);
    const subscription: Subscription = {
      close: async () => {
        this.open.delete(subscription);
        await following.close();
      },
    };
    this.open.add(subscription);
    return subscription;
  }

  async close(): Promise<void> {
    this.closing.abort();
    // Answers that are under way still go out.
    const bound = deadline(CLOSE_TIMEOUT_MS);
    await unlessAborted(Promise.all([...this.open].map((subscription) => subscription.close())), bound.signal);
    const { current } = this.link;
    if (current !== undefined) await unlessAborted(current.flush(), bound.signal).catch(() => undefined);
    bound.clear();
    await this.link.close();
  }
}
