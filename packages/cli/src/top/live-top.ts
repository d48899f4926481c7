/** `tomei top` in a terminal: a table that renews itself, and keys. */
import { clearScreenDown, cursorTo, emitKeypressEvents, type Key } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { TomeiError } from '@tomei/kit';
import type { StatsView } from '../cluster/views.ts';
import { topScreen } from './top-table.ts';
import { SORT_KEYS, sortUsage, usageBetween, type SortKey, type Usage } from './usage.ts';

/** ECMA-48 and xterm: the alternate screen without a cursor, and back; reverse video. */
const ENTER = '\u001b[?1049h\u001b[?25l',
  LEAVE = '\u001b[?25h\u001b[?1049l';
const REVERSE = '\u001b[7m',
  PLAIN = '\u001b[0m';
/** The line of headings, from 0. */
const HEADINGS = 3;

export interface TopSource {
  readonly server: string;
  stats(): Promise<readonly StatsView[]>;
}
export interface LiveTopOptions {
  readonly intervalMs: number;
  readonly key: SortKey;
}
/** What is needed of a terminal. */
export type TopInput = Pick<ReadStream, 'on' | 'off' | 'resume' | 'pause' | 'setRawMode'>;
export type TopOutput = Pick<WriteStream, 'write' | 'columns' | 'rows' | 'on' | 'off'>;

/** Until `q` or Ctrl-C. A server that goes away is waited for; one that never was is an error. */
export async function liveTop(
  source: TopSource,
  { intervalMs, key: first }: LiveTopOptions,
  { input, output }: { readonly input: TopInput; readonly output: TopOutput },
): Promise<void> {
  let before = await source.stats();
  let usages: readonly Usage[] = usageBetween([], before),
    key = first,
    reversed = false,
    trouble: string | undefined;
  const left = Promise.withResolvers<void>();

  const draw = (): void => {
    const time = new Date().toTimeString().slice(0, 8),
      state = { server: source.server, time, key, reversed, ...(trouble === undefined ? {} : { trouble }) };
    const lines = topScreen(sortUsage(usages, key, reversed), state, output);
    cursorTo(output as WriteStream, 0, 0);
    clearScreenDown(output as WriteStream);
    output.write(
      lines.map((line, i) => (i === HEADINGS ? `${REVERSE}${line.padEnd(output.columns)}${PLAIN}` : line)).join('\r\n'),
    );
  };
  const look = async (): Promise<void> => {
    try {
      const now = await source.stats();
      usages = usageBetween(before, now, usages);
      before = now;
      trouble = undefined;
    } catch (error) {
      if (!(error instanceof TomeiError) || !error.retryable) return left.reject(error);
      trouble = error.message;
    }
    draw();
  };
  const pressed = (_: string | undefined, { name, ctrl }: Key): void => {
    if (name === 'q' || (ctrl === true && name === 'c')) return left.resolve();
    const chosen = (Object.keys(SORT_KEYS) as SortKey[]).find((each) => SORT_KEYS[each] === name);
    if (chosen === undefined) return;
    reversed = chosen === key && !reversed;
    key = chosen;
    draw();
  };

  emitKeypressEvents(input as ReadStream);
  input.setRawMode(true);
  input.on('keypress', pressed);
  input.resume();
  output.on('resize', draw);
  output.write(ENTER);
  draw();
  const timer = setInterval(() => void look(), intervalMs);
  try {
    await left.promise;
  } finally {
    clearInterval(timer);
    output.off('resize', draw);
    input.off('keypress', pressed);
    input.setRawMode(false);
    input.pause();
    output.write(LEAVE);
  }
}
