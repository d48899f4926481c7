/** The JetStream stream of events: that it is there and is as it should be, and whoever follows it. */
import { EVENT_STREAM, EVENT_STREAM_LIMITS, subjects } from '@tomei/contracts';
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  ErrorCode,
  RetentionPolicy,
  StorageType,
  nanos,
  type JetStreamManager,
  type JsMsg,
  type NatsConnection,
} from 'nats';
import { delays, sleep, unlessAborted } from '../patience.ts';
import type { FollowFrom, StoredMessage, Subscription } from './bus.ts';
import { noJetStream, streamInterrupted, streamMadeAnew } from './errors.ts';
import { Inbox, copyOf } from './listeners.ts';
import type { NatsLink } from './nats-connection.ts';
import { DUPLICATE_WINDOW_MS } from './limits.ts';

const REQUEST_TIMEOUT_MS = 5_000;
const BATCH = 200;
/** How long one request for messages stays with the server. */
const BATCH_MS = 30_000;
/** When the server forgets a follower that asks for nothing: one that is gone, or whose handler takes that long. */
const FORGET_AFTER_MS = 600_000;

const STREAM = {
  subjects: [subjects.everyEvent],
  max_age: nanos(EVENT_STREAM_LIMITS.maxAgeMs),
  max_msgs: EVENT_STREAM_LIMITS.maxMessages,
  duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  discard: DiscardPolicy.Old,
};

/** Makes the stream, or gives an old one today's limits. Rejected when JetStream does not answer or is not enabled. */
export async function ensureEventStream(connection: NatsConnection): Promise<void> {
  const { streams } = await connection.jetstreamManager({ timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
  const exists = await streams.info(EVENT_STREAM).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, NO_STREAM)) return false;
      throw isUnanswered(error) ? noJetStream(error) : error;
    },
  );
  if (exists) await streams.update(EVENT_STREAM, STREAM);
  else
    await streams.add({
      name: EVENT_STREAM,
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      ...STREAM,
    });
}
/** Of JetStream's errors: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const NO_STREAM = 10059;
const NO_MESSAGE = 10037;
const hasCode = (error: unknown, code: number): boolean =>
  (error as { api_error?: { err_code?: number } }).api_error?.err_code === code;

const isUnanswered = (error: unknown): boolean => (error as { code?: unknown }).code === ErrorCode.NoResponders;

/** How far a follower has come. */
interface Place {
  /** Of the last message that was taken; undefined: wherever the stream is now. */
  last: number | undefined;
  /** When that message was stored, in milliseconds since 1970; undefined before the first. */
  lastAt: number | undefined;
}

/**
 * One follower. It asks for messages in batches by a consumer that lives as long as the connection, and makes another one,
 * behind the last message that was handled, whenever anything goes wrong: no gap and no repetition.
 */
export function followStream(
  link: NatsLink,
  pattern: string,
  from: FollowFrom,
  handler: (message: StoredMessage) => void | Promise<void>,
  onError: (error: unknown) => void,
): Subscription {
  const closing = new AbortController();
  const inbox = new Inbox<StoredMessage>(handler, onError);
  const place: Place = { last: from === 'new' ? undefined : from === 'all' ? 0 : from.after, lastAt: undefined };

  const run = async (): Promise<void> => {
    const wait = delays();
    while (!closing.signal.aborted) {
      if (!(await link.state.until(true, closing.signal))) return;
      const lost = new AbortController();
      const watching = link.state.watch((connected) => {
        if (!connected) lost.abort();
      });
      const over = AbortSignal.any([closing.signal, lost.signal]);
      try {
        const connection = link.current;
        if (connection !== undefined) await followOnce(connection, over, () => wait.reset());
      } catch (error) {
        // Whatever it was that a lost connection did to the library: it is told by the connection itself.
        if (!over.aborted) onError(streamInterrupted(error));
      }
      await watching.close();
      if (!closing.signal.aborted) await sleep(wait.next(), closing.signal);
    }
  };

  const followOnce = async (connection: NatsConnection, over: AbortSignal, progress: () => void): Promise<void> => {
    const manager = await connection.jetstreamManager({ timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
    await checkPlace(place, manager, onError);
    const info = await manager.consumers.add(EVENT_STREAM, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: place.last! + 1,
      filter_subject: pattern,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(FORGET_AFTER_MS),
    });
    const consumer = connection.jetstream({ timeout: REQUEST_TIMEOUT_MS }).consumers.getPullConsumerFor(info);
    progress();
    let delivered = 0;
    try {
      while (!over.aborted) {
        const batch = await consumer.fetch({ max_messages: BATCH, expires: BATCH_MS });
        const stop = (): void => batch.stop();
        over.addEventListener('abort', stop, { once: true });
        try {
          for await (const message of batch) {
            if (over.aborted) return;
            // A hole in what the consumer sent: it is asked anew, from the last message on.
            if (message.info.deliverySequence !== ++delivered) return;
            await take(message, over);
          }
        } finally {
          over.removeEventListener('abort', stop);
          batch.stop();
        }
      }
    } finally {
      // It would go by itself; a server that is away has forgotten it already.
      if (!connection.isClosed()) void consumer.delete().catch(() => undefined);
    }
  };
  const take = async (message: JsMsg, over: AbortSignal): Promise<void> => {
    const at = Math.floor(message.info.timestampNanos / 1e6);
    if (message.seq <= place.last! || at < (place.lastAt ?? 0)) return;
    place.last = message.seq;
    place.lastAt = at;
    inbox.take({ subject: message.subject, bytes: copyOf(message.data), sequence: message.seq });
    await unlessAborted(inbox.idle(), over);
  };

  const running = run();
  return {
    close: async () => {
      closing.abort();
      await inbox.close();
      await running;
    },
  };
}

/**
 * Sees to it that the stream still counts as it did. A server that lost what it had, all or the end of it, gives the same numbers
 * to others: then the follower begins anew, and takes what was stored later than what it has seen.
 */
async function checkPlace(place: Place, manager: JetStreamManager, onError: (error: unknown) => void): Promise<void> {
  const { state } = await manager.streams.info(EVENT_STREAM);
  if (place.last === undefined) place.last = state.last_seq;
  if (place.last <= state.last_seq && (await isSame(place, manager))) return;
  onError(streamMadeAnew());
  place.last = 0;
}
async function isSame({ last, lastAt }: Place, manager: JetStreamManager): Promise<boolean> {
  if (last === undefined || last === 0 || lastAt === undefined) return true;
  try {
    const stored = await manager.streams.getMessage(EVENT_STREAM, { seq: last });
    return stored.time.getTime() === lastAt;
  } catch (error) {
    // Too old to be kept.
    if (hasCode(error, NO_MESSAGE)) return true;
    throw error;
  }
}
