/** Errors that a person or a program acts on: a stable code, the data behind the words, and the first cause. */

/** Exit codes of the command line, by what went wrong. `usage` follows BSD sysexits' spirit: one number, one meaning. */
export const EXIT = { ok: 0, failed: 1, usage: 2, badInput: 3, guestCrashed: 4, hostTrouble: 5 } as const;

/**
 * A situation outside the program: a file is bad, a disk is missing, a command is not legal now.
 * `code` is `<noun>.<what-is-wrong>` and never changes; `message` names the file, line, field or guest and says what to do.
 * Guest behaviour is never one of these, and neither is a bug (that is `assert`).
 */
export class TomeiError extends Error {
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Whether trying again without changing anything may help. */
  readonly retryable: boolean;

  constructor(
    code: string,
    message: string,
    options: ErrorOptions & { data?: Readonly<Record<string, unknown>>; retryable?: boolean } = {},
  ) {
    super(message, options);
    this.name = 'TomeiError';
    this.code = code;
    this.data = options.data ?? {};
    this.retryable = options.retryable ?? false;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A bug if it does not hold. Throws `Error`, never `TomeiError`. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${what}`);
}
