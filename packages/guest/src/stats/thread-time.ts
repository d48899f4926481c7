/**
 * Host time of a thread, without what others did that it has woken. Linux likes to run a thread that wakes on the processor of who woke it,
 * and at once: the work of that thread (of a disk, of a network) would be counted as the waking one's.
 */

/** What is missing below that is rounding: processor time is told in microseconds. */
const LEAST_MS = 0.005;

const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

export class ThreadTime {
  private othersMs = 0;
  private readonly wallMs: () => number;
  private readonly ownMs: () => number;

  /** Milliseconds of a clock on the wall, and of processor time that the thread has had. */
  constructor(wallMs: () => number = () => performance.now(), ownMs: () => number = threadMs) {
    this.wallMs = wallMs;
    this.ownMs = ownMs;
  }
  /** In milliseconds, from some moment on. */
  now(): number {
    return this.wallMs() - this.othersMs;
  }
  /** Does what may wake another thread, and blocks for nothing. */
  waking(wake: () => void): void {
    const from = this.wallMs(),
      had = this.ownMs();
    wake();
    const own = this.ownMs() - had,
      others = this.wallMs() - from - own;
    if (others > LEAST_MS) this.othersMs += others;
  }
}
