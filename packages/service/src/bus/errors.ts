/** What goes wrong on a bus, said alike by both twins. */
import { EVENT_STREAM } from '@tomei/contracts';
import { TomeiError, messageOf } from '@tomei/kit';

/** Throws `message.too-large`. */
export function checkSize(what: string, bytes: Uint8Array, limit: number): void {
  if (bytes.length <= limit) return;
  throw new TomeiError(
    'message.too-large',
    `${what}: a message of ${bytes.length} bytes is larger than the bus takes, which is ${limit}`,
    { data: { sizeBytes: bytes.length, limitBytes: limit } },
  );
}
export const disconnected = (what: string, cause?: unknown): TomeiError =>
  new TomeiError('bus.disconnected', `${what}: the message bus cannot be reached now`, { retryable: true, cause });
export const noResponder = (subject: string): TomeiError =>
  new TomeiError('peer.unavailable', `nobody answers on ${subject}: the service there is not running`, {
    retryable: true,
  });
export const requestTimeout = (subject: string, timeoutMs: number): TomeiError =>
  new TomeiError('peer.timeout', `no answer on ${subject} within ${timeoutMs} ms`, { retryable: true });
export const slowHandler = (pattern: string): TomeiError =>
  new TomeiError('bus.slow-handler', `messages on ${pattern} are dropped: their handler is too far behind`);
export const streamInterrupted = (cause: unknown): TomeiError =>
  new TomeiError(
    'event-stream.interrupted',
    `events of the stream ${EVENT_STREAM} do not come (${messageOf(cause)}); trying again behind the last one`,
    { retryable: true, cause },
  );
/** Whoever followed it goes on from its beginning. */
export const streamMadeAnew = (): TomeiError =>
  new TomeiError(
    'event-stream.made-anew',
    `the stream ${EVENT_STREAM} has fewer events than were seen of it: it was made anew, and is followed from its beginning`,
  );
export const noJetStream = (cause: unknown): TomeiError =>
  new TomeiError(
    'bus.no-jetstream',
    'the NATS server has no JetStream: start it with `jetstream {}` in its configuration',
    {
      retryable: true,
      cause,
    },
  );
