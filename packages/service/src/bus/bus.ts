/**
 * What services say to each other without knowing where the other is: NATS in a cluster, memory in a lab. Subjects and patterns are
 * NATS's (`*` one token, `>` the rest).
 */

export interface Subscription {
  /** Stops listening; a handler that is at work is awaited. Safe to call twice. */
  close(): Promise<void>;
}
export interface StoredMessage {
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** Place in the stream, counting from 1; it never goes back. */
  readonly sequence: number;
}
/**
 * Where to begin to follow: everything that is kept, what comes from now on (once there is a connection), or behind a place. Behind
 * a place that the stream has not reached: it was made anew, and is followed from its beginning.
 */
export type FollowFrom = 'all' | 'new' | { readonly after: number };

export interface Bus {
  /** Whether messages go through now. A handler is called at once with the state, then with each change. */
  onConnection(handler: (connected: boolean) => void): Subscription;

  /** At most once, to whoever listens now. Dropped when there is no connection. Throws `message.too-large`. */
  publish(subject: string, bytes: Uint8Array): void;
  /** Calls the handler for one message after another. What it throws is passed to the bus's `onError`. */
  subscribe(pattern: string, handler: (subject: string, bytes: Uint8Array) => void | Promise<void>): Subscription;

  /** Throws `peer.unavailable` when nobody responds there, `peer.timeout`, `message.too-large`, `bus.disconnected`. */
  request(subject: string, bytes: Uint8Array, options: { readonly timeoutMs: number }): Promise<Uint8Array>;
  /** Answers requests, several at a time. A handler that throws gives the caller no answer, and `onError` the error. */
  respond(subject: string, handler: (bytes: Uint8Array) => Promise<Uint8Array>): Subscription;

  /**
   * Appends to the stream of events. Fulfilled when it is stored; waits for a connection as long as `timeoutMs`. A second message
   * with an id of the last two minutes is dropped. Returns its place. Throws `bus.disconnected`, `message.too-large`.
   */
  emit(
    subject: string,
    bytes: Uint8Array,
    options: { readonly id: string; readonly timeoutMs?: number },
  ): Promise<number>;
  /** Events in their order, without a gap, across lost connections, one handler call after another. */
  follow(pattern: string, from: FollowFrom, handler: (message: StoredMessage) => void | Promise<void>): Subscription;

  /** Ends all subscriptions, waits a few seconds for what is at work, and lets go. Safe to call twice. */
  close(): Promise<void>;
}
