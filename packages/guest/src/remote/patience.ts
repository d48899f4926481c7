/** How long a lost connection is waited for, and what is said about it meanwhile. */
import { TomeiError, messageOf } from '@tomei/kit';

const IO_TIMEOUT_MS = 60_000;
const FIRST_PAUSE_MS = 20,
  LONGEST_PAUSE_MS = 1_000;
const STEADY_MS = 1_000;

export interface PatienceOptions {
  readonly path: string;
  readonly target: string;
  readonly ioTimeoutMs?: number;
  readonly onWarning?: (text: string) => void;
}

export class Patience {
  private readonly options: PatienceOptions;
  private readonly onOver: (error: TomeiError) => void;
  private lostAt: number | undefined;
  private why: unknown;
  private backAt = Number.NEGATIVE_INFINITY;
  private attempts = 0;
  private said = false;
  private timer: NodeJS.Timeout | undefined;
  private over: TomeiError | undefined;
  private waiting: { wake: () => void } | undefined;
  private ended = false;

  /** `onOver` is called once each time that a connection is not back within `ioTimeoutMs`. */
  constructor(options: PatienceOptions, onOver: (error: TomeiError) => void) {
    this.options = options;
    this.onOver = onOver;
  }
  /** `disk.unreachable`, from when the time is up until the connection is back. */
  get isOver(): TomeiError | undefined {
    return this.over;
  }

  /** The connection is lost, or an attempt to get it back has failed. */
  lost(why: unknown): void {
    this.why = why;
    if (this.ended || this.lostAt !== undefined) return;
    this.lostAt = performance.now();
    // A connection that breaks as soon as it is there is no reason to try faster.
    if (this.lostAt - this.backAt > STEADY_MS) this.attempts = 0;
    this.timer = setTimeout(() => this.giveUp(), this.options.ioTimeoutMs ?? IO_TIMEOUT_MS);
  }
  /** `repeated`: how many writes were written again. */
  isBack(repeated: number): void {
    clearTimeout(this.timer);
    this.backAt = performance.now();
    const { lostAt, said } = this;
    this.lostAt = this.over = undefined;
    this.said = false;
    if (lostAt === undefined || !said) return;
    const seconds = ((performance.now() - lostAt) / 1000).toFixed(1);
    const writes = repeated === 0 ? '' : `; ${repeated} writes were not flushed and are safe`;
    this.say(`disk-service is back after ${seconds} s${writes}`);
  }
  /** Waits before the next attempt: not at all before the first, then longer each time. */
  async pause(): Promise<void> {
    if (this.ended) return;
    // The first attempt is usually enough; nobody needs to hear of it.
    if (this.attempts > 0 && !this.said) {
      this.said = true;
      this.say(`disk-service at ${this.options.target} is lost (${messageOf(this.why)}); the disk waits for it`);
    }
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.attempts++, LONGEST_PAUSE_MS);
    // Clients of one service that went down do not all come back at the same moment.
    const pauseMs = longest * (0.5 + Math.random() / 2);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.waiting = {
        wake: () => {
          clearTimeout(timer);
          resolve();
        },
      };
    });
    this.waiting = undefined;
  }
  /** Nothing is waited for any more. */
  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    this.waiting?.wake();
  }

  private giveUp(): void {
    const { path, target, ioTimeoutMs = IO_TIMEOUT_MS } = this.options;
    this.over = new TomeiError(
      'disk.unreachable',
      `${path}: disk-service at ${target} could not be reached for ${ioTimeoutMs / 1000} s: ${messageOf(this.why)}`,
      { cause: this.why, data: { path, target }, retryable: true },
    );
    this.onOver(this.over);
  }
  private say(text: string): void {
    this.options.onWarning?.(`${this.options.path}: ${text}`);
  }
}
