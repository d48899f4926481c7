/** Both ends of a stream in two directions, without grpc-js's events. */
import type { Readable } from 'node:stream';
import type { Init } from '@tomei/contracts';

/** Sends `Out`, receives `In`. */
export interface Duplex<In, Out> {
  /** Ends when the other side ends; throws when the call fails. */
  readonly messages: AsyncIterable<In>;
  /** Never waits: false says that more is buffered than is good, and that `drained` should be awaited. */
  send(message: Init<Out>): boolean;
  /** Fulfilled when there is room again, or the call is over. */
  drained(): Promise<void>;
  /** Aborted when the call is over, however it ended. */
  readonly signal: AbortSignal;
}

/** What both grpc-js ends have in common. */
export interface RawDuplex extends Readable {
  write(message: unknown): boolean;
  readonly writableNeedDrain?: boolean;
}

export function sendTo(raw: RawDuplex, signal: AbortSignal, message: unknown): boolean {
  return signal.aborted ? false : raw.write(message);
}
/** Waits for room in `raw`. */
export async function drainedOf(raw: RawDuplex, signal: AbortSignal): Promise<void> {
  if (signal.aborted || raw.writableNeedDrain === false) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  raw.once('drain', done);
  signal.addEventListener('abort', done, { once: true });
  await promise;
  raw.off('drain', done);
  signal.removeEventListener('abort', done);
}

/** What arrives on `raw`. Whoever stops reading early does not break the call: its status is still to be sent or received. */
export const messagesOf = (raw: RawDuplex): AsyncIterable<never> => ({
  [Symbol.asyncIterator]: () => raw.iterator({ destroyOnReturn: false }) as AsyncIterator<never>,
});
