/** All viewers of a gateway: how many there may be, and a look after each of them once a second. */
import { TomeiError } from '@tomei/kit';
import type { Log } from '@tomei/service';
import type { GatewayMetrics, ViewerKind } from '../metrics.ts';
import type { Limits } from '../options.ts';

/** Why a viewer's connection ended; a label of a metric. */
export type EndedBy = 'left' | 'refused' | 'stalled' | 'error' | 'guest-gone' | 'closing';

export interface Viewer {
  readonly kind: ViewerKind;
  readonly guestId: string;
  /** Ends itself when it has stood still for too long. */
  check(): void;
}

/** Between two looks, in milliseconds. */
const CHECK_MS = 1000;

export class Viewers {
  private readonly limits: Limits;
  private readonly metrics: GatewayMetrics;
  private readonly log: Log;
  private readonly all = new Set<Viewer>();
  private readonly byGuest = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  constructor(limits: Limits, metrics: GatewayMetrics, log: Log) {
    this.limits = limits;
    this.metrics = metrics;
    this.log = log;
  }

  get count(): number {
    return this.all.size;
  }

  /** Throws `viewers.too-many`. */
  checkRoom(guestId: string): void {
    const ofGuest = this.byGuest.get(guestId) ?? 0;
    if (ofGuest < this.limits.viewersPerGuest && this.all.size < this.limits.viewers) return;
    this.metrics.viewersRefused.inc();
    throw new TomeiError(
      'viewers.too-many',
      ofGuest >= this.limits.viewersPerGuest
        ? `guest ${guestId} is watched by ${ofGuest} viewers, and no more may; close one`
        : `the gateway has ${this.all.size} viewers, and takes no more; close one`,
      { retryable: true },
    );
  }

  add(viewer: Viewer): void {
    const { kind, guestId } = viewer;
    this.all.add(viewer);
    this.byGuest.set(guestId, (this.byGuest.get(guestId) ?? 0) + 1);
    this.metrics.viewers.inc({ kind });
    this.timer ??= setInterval(() => {
      for (const one of this.all) one.check();
    }, CHECK_MS);
  }

  remove(viewer: Viewer, by: EndedBy, why: string): void {
    if (!this.all.delete(viewer)) return;
    const { kind, guestId } = viewer;
    const left = this.byGuest.get(guestId)! - 1;
    if (left > 0) this.byGuest.set(guestId, left);
    else this.byGuest.delete(guestId);
    this.metrics.viewers.dec({ kind });
    this.metrics.viewersEnded.inc({ kind, why: by });
    this.log.info({ guestId, kind, by, why }, 'a viewer is gone');
    if (this.all.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
