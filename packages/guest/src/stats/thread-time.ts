/**
 * Host time of a thread, without what others did that it has woken. Linux likes to run a thread that wakes on the processor of who woke it,
 * and at once: the work of that thread (of a disk, of a network) would be counted as the waking one's. What it takes is what the waking
 * thread waits for its processor meanwhile, which the host counts by the nanosecond. Processor time would not do: the host adds to that
 * once a tick.
 */
// The global of that name is a getter, which would be called for each look.
import { performance } from 'node:perf_hooks';
import { hostWaitOfThread } from './host-wait.ts';

/** Asking the host costs more than waking, where it is seldom done: one in so many is asked about, the prime of `Meter`, and stands for those behind it. */
const STRIDE = 31;

export class ThreadTime {
  private othersMs = 0;
  /** What the last one that was asked about has cost, undefined where the host does not say, and for how many more it stands. */
  private ownMs: number | undefined;
  private unasked = 0;
  private readonly wallMs: () => number;
  private readonly waitedNs: () => number | undefined;

  /** Milliseconds of a clock on the wall, and nanoseconds that this thread was ready and had no processor, as `hostWaitOfThread`. */
  constructor(wallMs: () => number = () => performance.now(), waitedNs: () => number | undefined = hostWaitOfThread()) {
    this.wallMs = wallMs;
    this.waitedNs = waitedNs;
  }
  /** In milliseconds, from some moment on. */
  now(): number {
    return this.wallMs() - this.othersMs;
  }
  /** Does what may wake another thread, and blocks for nothing. */
  waking(wake: () => void): void {
    const isAsked = this.unasked === 0,
      before = isAsked ? this.waitedNs() : undefined,
      from = this.wallMs();
    wake();
    const took = this.wallMs() - from;
    if (isAsked) {
      const after = this.waitedNs(),
        isKnown = before !== undefined && after !== undefined;
      this.ownMs = isKnown ? Math.max(0, took - (after - before) / 1e6) : undefined;
      this.unasked = STRIDE;
    }
    this.unasked--;
    if (this.ownMs !== undefined) this.othersMs += took - this.ownMs;
  }
}
