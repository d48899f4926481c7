/** A person's terminal on a guest's serial line: every key goes to the guest, except the one that leaves. */
import type { SerialEnd } from './serial-end.ts';

/** Ctrl-], as in telnet: no shell or editor needs it. */
export const LEAVE_KEY = 0x1d;

/** What is used of `process.stdin`. */
export interface TerminalInput extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

export interface AttachedTerminal {
  /** Fulfilled when the person leaves with Ctrl-]. */
  readonly left: Promise<void>;
  /** Gives the terminal back as it was. May be called again. */
  detach(): void;
}

/**
 * Connects a terminal. On a TTY the input is raw, so that Ctrl-C is the guest's too; from a pipe bytes are passed on as they
 * come, and the end of the pipe leaves the guest running.
 */
export function attachTerminal(
  serial: SerialEnd,
  input: TerminalInput,
  output: NodeJS.WritableStream,
): AttachedTerminal {
  const { promise, resolve } = Promise.withResolvers<void>();
  const raw = input.isTTY === true && input.setRawMode !== undefined;
  let attached = true;

  const onInput = (chunk: Buffer | string): void => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const leave = raw ? bytes.indexOf(LEAVE_KEY) : -1;
    const typed = leave < 0 ? bytes : bytes.subarray(0, leave);
    if (typed.length > 0) serial.write(typed);
    if (leave >= 0) {
      detach();
      resolve();
    }
  };
  const detach = (): void => {
    if (!attached) return;
    attached = false;
    input.off('data', onInput);
    process.off('exit', detach);
    input.pause();
    if (raw) input.setRawMode?.(false);
  };

  serial.onData((bytes) => {
    if (attached) output.write(bytes);
  });
  if (raw) input.setRawMode?.(true);
  // However the process ends, the shell gets a terminal that works.
  process.on('exit', detach);
  input.on('data', onInput);
  input.resume();
  return { left: promise, detach };
}
