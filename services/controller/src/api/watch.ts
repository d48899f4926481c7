/** `GET /api/v1/watch`: the state of everything and its changes as server-sent events (WHATWG HTML, section 9.2). */
import type { ServerResponse } from 'node:http';
import { TomeiError } from '@tomei/kit';
import type { EventLog, KeptEvent } from '../event-log.ts';
import type { Feed } from '../feed.ts';
import { eventView } from '../views.ts';

/** A client that lets so much wait is ended; it comes again and says what it has. */
const MOST_WAITING_BYTES = 1 << 20;
/** Each has a connection, and what it was told last. */
export const MOST_CLIENTS = 500;
/** So that proxies, and the client, see that the connection lives. */
const COMMENT_MS = 15_000;
const RETRY_MS = 1_000;

export interface WatchParts {
  readonly feed: Feed;
  readonly events: EventLog;
  /** Everybody who watches, to be ended with the service. */
  readonly clients: Set<ServerResponse>;
}

/** Throws `watch.too-many`. */
export function admit({ clients }: WatchParts): void {
  if (clients.size < MOST_CLIENTS) return;
  const what = `${MOST_CLIENTS} clients watch already, and that is all that there is room for`;
  throw new TomeiError('watch.too-many', what, { retryable: true });
}

/** Speaks until the client goes. `after`: the place of the last event that it has; undefined: only new ones. */
export function watch(response: ServerResponse, after: number | undefined, parts: WatchParts): void {
  const { feed, events, clients } = parts;
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    // For proxies that would otherwise gather the stream.
    'x-accel-buffering': 'no',
  });
  // The whole first state comes at once, however large the cluster is; what comes later may not wait behind it for ever.
  let isSynced = false;
  let mostWaiting = Infinity;
  const write = (text: string): void => {
    if (response.writableEnded || response.destroyed) return;
    if (isSynced) mostWaiting = Math.min(mostWaiting, response.writableLength + MOST_WAITING_BYTES);
    response.write(text);
    if (response.writableLength > mostWaiting) response.destroy();
  };
  const send = (event: string, data: unknown, id?: number): void =>
    write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
  const sendEvent = ({ sequence, event }: KeptEvent): void => send('event', eventView(sequence, event), sequence);
  write(`retry: ${RETRY_MS}\n\n`);
  if (after !== undefined) for (const kept of events.after(after)) sendEvent(kept);
  const listening = events.onEvent(sendEvent);
  const watching = feed.watch({
    guest: (view) => send('guest', view),
    guestGone: (id) => send('guest-gone', { id }),
    runner: (view) => send('runner', view),
    runnerGone: (id) => send('runner-gone', { id }),
    synced: () => {
      send('synced', {});
      mostWaiting = response.writableLength + MOST_WAITING_BYTES;
      isSynced = true;
    },
  });
  const comments = setInterval(() => write(': still here\n\n'), COMMENT_MS);
  clients.add(response);
  response.on('close', () => {
    clients.delete(response);
    clearInterval(comments);
    listening.close();
    watching.close();
  });
}
