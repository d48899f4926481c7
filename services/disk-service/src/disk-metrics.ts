/** What is counted of the blocks that are served. */
import type { TransferRequest } from '@tomei/contracts';
import type { Metrics } from '@tomei/service';

export type RequestKind = NonNullable<TransferRequest['kind']>;
/** From a cached block to a disk that spins up. */
const BUCKETS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

interface Counted {
  readonly count: { inc(): void };
  readonly latency: { observe(value: number): void };
}

export interface DiskMetrics {
  /** A request was carried out: `seconds` from its arrival until the disk was done. */
  done(kind: RequestKind, seconds: number): void;
  /** Bytes of data that were read for a client, or written for one. */
  moved(kind: 'read' | 'write', bytes: number): void;
  refused(code: string): void;
}

/** `leases`: how many there are now. */
export function diskMetrics(metrics: Metrics, leases: () => number): DiskMetrics {
  const requests = metrics.counter({
    name: 'tomei_disk_requests_total',
    help: 'Requests for blocks that were carried out.',
    labelNames: ['kind'],
  });
  const bytes = metrics.counter({
    name: 'tomei_disk_bytes_total',
    help: 'Bytes of disks that were read and written for guests.',
    labelNames: ['kind'],
  });
  const latency = metrics.histogram({
    name: 'tomei_disk_request_seconds',
    help: 'From the arrival of a request until the disk was done with it.',
    labelNames: ['kind'],
    buckets: BUCKETS_SECONDS,
  });
  const refused = metrics.counter({
    name: 'tomei_disk_refused_total',
    help: 'Requests and calls that were refused or failed, by error code.',
    labelNames: ['code'],
  });
  metrics.gauge({
    name: 'tomei_disk_leases',
    help: 'Leases that are held now.',
    collect() {
      this.set(leases());
    },
  });
  // Found once, not at every request.
  const of = (kind: RequestKind): Counted => ({ count: requests.labels({ kind }), latency: latency.labels({ kind }) });
  const byKind: Readonly<Record<RequestKind, Counted>> = {
    read: of('read'),
    write: of('write'),
    flush: of('flush'),
    discard: of('discard'),
    renew: of('renew'),
    pin: of('pin'),
  };
  const byDirection = { read: bytes.labels({ kind: 'read' }), write: bytes.labels({ kind: 'write' }) };
  return {
    done: (kind, seconds) => {
      byKind[kind].count.inc();
      byKind[kind].latency.observe(seconds);
    },
    moved: (kind, count) => byDirection[kind].inc(count),
    refused: (code) => refused.labels({ code }).inc(),
  };
}
