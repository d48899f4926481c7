/** The JetStream stream of events: that it is there and is as it should be, and whoever follows it. */
import { EVENT_STREAM, EVENT_STREAM_LIMITS, subjects } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  nanos,
  type JsMsg,
  type NatsConnection,
} from 'nats';
import { delays, sleep, unlessAborted } from '../patience.ts';
import type { FollowFrom, StoredMessage, Subscription } from './bus.ts';
import { Inbox } from './listeners.ts';
import type { NatsLink } from './nats-connection.ts';
import { DUPLICATE_WINDOW_MS } from './limits.ts';

const REQUEST_TIMEOUT_MS = 5_000;
const BATCH = 200;
/** How long one request for messages stays with the server. */
const BATCH_MS = 30_000;

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
      if (isMissing(error)) return false;
      throw error;
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
const isMissing = (error: unknown): boolean =>
  (error as { api_error?: { err_code?: number } }).api_error?.err_code === 10059;

interface Place {
  /** Of the last message that was handled. */
  last: number | undefined;
  /** When the stream was made in which `last` counts. */
  created: string | undefined;
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
  const place: Place = { last: from === 'new' ? undefined : from === 'all' ? 0 : from.after, created: undefined };

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
        if (!over.aborted) onError(error);
      }
      await watching.close();
      if (!closing.signal.aborted) await sleep(wait.next(), closing.signal);
    }
  };

  const followOnce = async (connection: NatsConnection, over: AbortSignal, progress: () => void): Promise<void> => {
    const manager = await connection.jetstreamManager({ timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
    const stream = await manager.streams.info(EVENT_STREAM);
    checkPlace(place, stream.created, stream.state.last_seq, onError);
    const info = await manager.consumers.add(EVENT_STREAM, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: place.last! + 1,
      filter_subject: pattern,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(2 * BATCH_MS),
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
    if (message.seq <= place.last!) return;
    place.last = message.seq;
    inbox.take({ subject: message.subject, bytes: message.data.slice(), sequence: message.seq });
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

/** Where to go on in the stream as it is now. */
function checkPlace(place: Place, created: string, lastSequence: number, onError: (error: unknown) => void): void {
  if (place.last === undefined) place.last = lastSequence;
  const isAnother = place.created !== undefined && place.created !== created;
  if (isAnother || place.last > lastSequence) {
    onError(
      new TomeiError(
        'event-stream.made-anew',
        `the stream ${EVENT_STREAM} counts from 1 again: NATS has lost its storage; events are followed from its beginning`,
      ),
    );
    place.last = 0;
  }
  place.created = created;
}
