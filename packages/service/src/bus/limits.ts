/** What both buses keep to. */

/** What a NATS server allows unless it is told otherwise. */
export const DEFAULT_MAX_MESSAGE_BYTES = 1 << 20;
/** How long the stream of events knows the ids of its messages: JetStream's default, and what `Bus.emit` promises. */
export const DUPLICATE_WINDOW_MS = 120_000;
/** How long `Bus.emit` waits unless it is told otherwise. */
export const EMIT_TIMEOUT_MS = 5_000;
/** How long `Bus.close` waits for handlers that are at work. */
export const CLOSE_TIMEOUT_MS = 5_000;
