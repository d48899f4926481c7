/** The service: the pool and its disks behind gRPC. */
import { DisksService, PoolService, newId } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { serve, startRpcServer, type Handlers, type RunningService, type ServiceParts } from '@tomei/service';
import { diskMetrics, type DiskMetrics } from './disk-metrics.ts';
import { Leases } from './leases.ts';
import { inPoolTerms } from './pool-error.ts';
import { Pool } from './pool.ts';
import { PiecePool, SERVED_DISKS } from './read-piece.ts';
import { serveTransfer } from './transfer.ts';

/** Longer than a connection takes to come back, shorter than a person waits. */
export const LEASE_TTL_MS = 15_000;
/** How long calls under way may take when the service is to end. */
const CLOSE_GRACE_MS = 5_000;

export interface DiskServiceOptions {
  /** The folder of images. */
  readonly pool: string;
  /** `host:port` or `unix:/path`. */
  readonly bind: string;
  /** The name under which others reach this machine. */
  readonly advertise?: string | undefined;
  /** Default 15 000. */
  readonly leaseTtlMs?: number;
  /** Milliseconds of a clock that only goes forward; the host's by default. */
  readonly now?: () => number;
}
export type DiskService = RunningService & {
  /** What clients dial. */
  readonly target: string;
  /** Ends the leases that have run out; the service itself does so four times in the time of a lease. */
  expireLeases(): Promise<void>;
};

/** Throws `pool.missing`, `service.cannot-listen`. */
export async function startDiskService(parts: ServiceParts, options: DiskServiceOptions): Promise<DiskService> {
  const { log } = parts;
  const { bind, advertise, leaseTtlMs: ttlMs = LEASE_TTL_MS, now = () => performance.now() } = options;
  const pool = await Pool.open(options.pool);
  const leases = new Leases({ pool, instanceId: newId(), ttlMs, log, now });
  const metrics = diskMetrics(parts.metrics, () => leases.size);
  const pieces = new PiecePool();
  const closing = new AbortController();
  const onBug = (error: unknown): void => log.error({ error }, 'a request met a bug');
  const disks: Handlers<typeof DisksService> = {
    open: (request) => leases.open(request),
    close: async ({ leaseId, epoch }) => {
      await leases.close(leaseId, epoch);
      return {};
    },
    transfer: (stream) =>
      serveTransfer(stream, { leases, metrics, pieces, root: pool.root, closing: closing.signal, log }),
  };
  const server = await startRpcServer({
    bind,
    advertise,
    services: [
      serve(PoolService, inTerms(poolHandlers(pool, leases), pool.root, metrics)),
      serve(SERVED_DISKS, {
        ...inTerms({ open: disks.open, close: disks.close }, pool.root, metrics),
        transfer: disks.transfer,
      }),
    ],
    onBug,
  });
  const timer = setInterval(() => void leases.expire(), ttlMs / 4).unref();
  log.info({ target: server.target, pool: pool.root }, 'disks are served');
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    clearInterval(timer);
    closing.abort();
    await server.close(CLOSE_GRACE_MS);
    await leases.closeAll();
  };
  return {
    target: server.target,
    readiness: () => (closed === undefined ? undefined : 'shutting down'),
    expireLeases: () => leases.expire(),
    close: () => (closed ??= close()),
  };
}

function poolHandlers(pool: Pool, leases: Leases): Handlers<typeof PoolService> {
  return {
    list: async ({ folder }) => ({ files: await pool.list(folder) }),
    info: async ({ path }) => {
      const located = await pool.locate(path, 'disk');
      const lease = leases.holderOf(located);
      const info = await pool.info(path);
      // A disk that somebody writes looks as if it had not been closed; its holder was told what there was to tell.
      return lease === undefined ? info : { ...info, lease, warnings: [] };
    },
    create: async (request) => ({ info: await pool.create(request) }),
    fetch: ({ path, maxBytes }) => pool.fetch(path, maxBytes),
  };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- handlers of any call; their types stay as they are
type Handler = (...args: any[]) => Promise<unknown> | AsyncIterable<unknown>;
/** The same handlers, with errors in the pool's terms, and counted. */
function inTerms<T extends Readonly<Record<string, Handler>>>(handlers: T, root: string, metrics: DiskMetrics): T {
  const said = (error: unknown): unknown => {
    metrics.refused(error instanceof TomeiError ? error.code : 'service.internal');
    return inPoolTerms(error, root);
  };
  async function* stream(messages: AsyncIterable<unknown>): AsyncGenerator<unknown> {
    try {
      yield* messages;
    } catch (error) {
      throw said(error);
    }
  }
  const wrapped = Object.entries(handlers).map(([name, handler]) => [
    name,
    (...args: unknown[]) => {
      const result = handler(...args);
      if (!(result instanceof Promise)) return stream(result);
      return result.catch((error: unknown) => {
        throw said(error);
      });
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}
