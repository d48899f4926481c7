/** One lease: an open disk, the epoch that its requests must carry, and what is under way on it. */
import { newId } from '@tomei/contracts';
import { TomeiError, assert } from '@tomei/kit';
import type { VmdkDisk } from '@tomei/vmdk';

export interface LeaseHolder {
  readonly guestId: string;
  /** For people; empty: not known. */
  readonly guestName: string;
  readonly run: number;
}

export class Lease {
  readonly id = newId();
  readonly holder: LeaseHolder;
  readonly disk: VmdkDisk;
  private current: number;
  private underWay = 0;
  private idle: PromiseWithResolvers<void> | undefined;
  private streams = 0;
  private heard: number;
  private readonly now: () => number;
  private over: TomeiError | undefined;

  /** `now`: milliseconds of any clock that only goes forward. */
  constructor(parts: { holder: LeaseHolder; disk: VmdkDisk; epoch: number; now: () => number }) {
    this.holder = parts.holder;
    this.disk = parts.disk;
    this.current = parts.epoch;
    this.now = parts.now;
    this.heard = parts.now();
  }
  get readOnly(): boolean {
    return this.disk.readOnly;
  }
  get epoch(): number {
    return this.current;
  }

  /** Throws `disk.stale-lease` for another epoch, and what the lease ended with. */
  check(epoch: number): void {
    if (this.over !== undefined) throw this.over;
    if (epoch === this.current) return;
    const what = `${this.disk.path}: epoch ${epoch} is over; it is ${this.current} now`;
    throw new TomeiError('disk.stale-lease', what, { data: { epoch, current: this.current } });
  }
  /** Does `work` on the disk, unless the lease is over or has another epoch by now. */
  async use<T>(epoch: number, work: (disk: VmdkDisk) => Promise<T>): Promise<T> {
    this.check(epoch);
    this.underWay++;
    try {
      return await work(this.disk);
    } finally {
      this.underWay--;
      this.heard = this.now();
      if (this.underWay === 0) this.idle?.resolve();
    }
  }
  /** Heard of: by a request that does nothing to the disk. */
  touch(): void {
    this.heard = this.now();
  }
  /** A stream that has used the lease keeps it alive until the returned function is called. */
  attach(): () => void {
    this.streams++;
    let attached = true;
    return () => {
      if (attached) this.streams--;
      attached = false;
      this.heard = this.now();
    };
  }
  /** Whether nothing was heard of it for `ttlMs`. */
  isDue(ttlMs: number): boolean {
    return this.streams === 0 && this.underWay === 0 && this.now() - this.heard >= ttlMs;
  }

  /** From now on requests carry the next epoch; fulfilled when those of the old one are done. */
  fence(epoch: number): Promise<void> {
    assert(epoch > this.current, 'epochs only grow');
    this.current = epoch;
    this.heard = this.now();
    return this.quiet();
  }
  /** Nothing more is done under this lease, and whoever tries hears `why`. Fulfilled when what was under way is done. */
  end(why: TomeiError): Promise<void> {
    this.over ??= why;
    return this.quiet();
  }
  private async quiet(): Promise<void> {
    while (this.underWay > 0) {
      this.idle ??= Promise.withResolvers<void>();
      await this.idle.promise;
      this.idle = undefined;
    }
  }
}
