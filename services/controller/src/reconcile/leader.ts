/** One controller leads: it holds a lease of the store, and stops when it may have lost it, before anybody else can have it. */
import { messageOf } from '@tomei/kit';
import type { Lease, Log, Store } from '@tomei/service';

const LEASE = 'controller-leader';

export interface LeaderOptions {
  readonly store: Store;
  readonly owner: string;
  /** How long the lease holds without being renewed, in milliseconds. */
  readonly ttlMs: number;
  readonly log: Log;
  readonly now: () => number;
  readonly onLead: () => void;
  /** Fulfilled when nothing is under way any more. */
  readonly onLose: () => Promise<void>;
}

export class Leader {
  private readonly options: LeaderOptions;
  private lease: Lease | undefined;
  private untilMs = 0;
  private leading = false;
  private timer: NodeJS.Timeout | undefined;
  private round: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(options: LeaderOptions) {
    this.options = options;
  }

  /** False as soon as the lease may have run out, whether that has been noticed or not. */
  get isLeader(): boolean {
    return this.leading && this.options.now() < this.untilMs;
  }
  /** Stands for election until `close`. */
  start(): void {
    this.next(0);
  }
  /** Gives the lease back, so that another one need not wait for its end. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.round;
    await this.step(false);
    if (this.lease !== undefined) await this.options.store.release(this.lease).catch(() => undefined);
    this.lease = undefined;
  }

  private next(ms: number): void {
    if (this.closed) return;
    this.timer = setTimeout(() => {
      this.round = this.tryOnce().finally(() => this.next(this.options.ttlMs / 3));
    }, ms);
  }
  private async tryOnce(): Promise<void> {
    const { store, owner, ttlMs, log, now } = this.options;
    // Counted from before the question: the store's own clock for it starts later.
    const asked = now();
    try {
      if (this.lease !== undefined && (await store.renew(this.lease, ttlMs))) this.untilMs = asked + ttlMs;
      else {
        await this.step(false);
        this.lease = await store.acquire(LEASE, owner, ttlMs);
        if (this.lease !== undefined) this.untilMs = asked + ttlMs;
      }
    } catch (error) {
      log.warn({ why: messageOf(error) }, 'the lease of the leader cannot be renewed');
    }
    if (!this.closed) await this.step(this.lease !== undefined && now() < this.untilMs);
  }
  private async step(isLeading: boolean): Promise<void> {
    if (isLeading === this.leading) return;
    this.leading = isLeading;
    this.options.log.info(
      { isLeading },
      isLeading ? 'this controller leads' : 'this controller does not lead any more',
    );
    if (isLeading) this.options.onLead();
    else await this.options.onLose();
  }
}
