/** The stream of block requests: many under way, answered as they get done, each error told on its own request. */
import type { TransferRequest, TransferResponse } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { troubleOf, type Duplex, type Log } from '@tomei/service';
import type { DiskMetrics, RequestKind } from './disk-metrics.ts';
import { Budget, Outbox } from './in-flight.ts';
import type { Lease } from './lease.ts';
import type { Leases } from './leases.ts';
import { inPoolTerms } from './pool-error.ts';
import { ReadPiece, type Outgoing, type PiecePool } from './read-piece.ts';

/** Of one read or write; a client cuts what is longer. */
export const MAX_TRANSFER_BYTES = 1 << 20;
/** Of one discard: it walks over all grains that it covers. */
export const MAX_DISCARD_BYTES = 2 ** 30;
/** Reads are answered in pieces of at most this. */
const PIECE_BYTES = 256 << 10;
/** What one stream may have under way. */
const IN_FLIGHT_BYTES = 8 << 20;
/** What a request costs besides its data. */
const REQUEST_BYTES = 4 << 10;

export interface TransferParts {
  readonly leases: Leases;
  readonly metrics: DiskMetrics;
  readonly pieces: PiecePool;
  /** Of the pool, which no client is told. */
  readonly root: string;
  /** Aborted when the service is to end: what is under way is done, nothing more is taken. */
  readonly closing: AbortSignal;
  readonly log: Log;
}
type Stream = Duplex<TransferRequest, TransferResponse>;

/** Serves one stream until its client ends it, it breaks, or the service is to end. */
export async function serveTransfer(stream: Stream, parts: TransferParts): Promise<void> {
  const session = new TransferSession(stream, parts);
  const stop = Promise.withResolvers<void>();
  const onStop = (): void => stop.resolve();
  // Of a call that was given up, grpc-js does not end the messages.
  const signals = [parts.closing, stream.signal];
  for (const signal of signals) signal.addEventListener('abort', onStop, { once: true });
  try {
    if (!signals.some((signal) => signal.aborted)) await Promise.race([session.receive(), stop.promise]);
  } finally {
    parts.closing.removeEventListener('abort', onStop);
    await session.finish();
  }
}

class TransferSession {
  private readonly parts: TransferParts;
  private readonly stream: Stream;
  private readonly outbox: Outbox<Outgoing>;
  private readonly budget = new Budget(IN_FLIGHT_BYTES);
  private readonly attached = new Map<Lease, () => void>();
  private readonly underWay = new Set<Promise<void>>();
  private finished = false;

  constructor(stream: Stream, parts: TransferParts) {
    this.parts = parts;
    this.stream = stream;
    this.outbox = new Outbox(stream);
  }

  async receive(): Promise<void> {
    for await (const request of this.stream.messages) {
      const cost = REQUEST_BYTES + dataBytes(request);
      await this.budget.take(cost);
      if (this.finished) return;
      const work = this.answer(request).finally(() => {
        this.budget.give(cost);
        this.underWay.delete(work);
      });
      this.underWay.add(work);
    }
  }
  /** Waits for what is under way. */
  async finish(): Promise<void> {
    this.finished = true;
    await Promise.all(this.underWay);
    for (const detach of this.attached.values()) detach();
    this.parts.log.debug({ leases: this.attached.size }, 'a stream is over');
  }

  private async answer(request: TransferRequest): Promise<void> {
    const { leases, metrics } = this.parts;
    const began = performance.now();
    try {
      const { kind, leaseId, epoch } = request;
      if (kind === undefined) throw new TomeiError('disk.bad-request', 'the request says not what is to be done');
      const lease = leases.find(leaseId, epoch);
      if (!this.attached.has(lease)) this.attached.set(lease, lease.attach());
      const last = await this.carryOut(kind, lease, request);
      metrics.done(kind, (performance.now() - began) / 1000);
      await this.outbox.send(last);
    } catch (error) {
      if (!(error instanceof TomeiError)) this.parts.log.error({ error }, 'a request for blocks met a bug');
      const trouble = troubleOf(inPoolTerms(error, this.parts.root));
      metrics.refused(trouble.code);
      await this.outbox.send({ id: request.id, trouble });
    }
  }

  /** Returns the last message of the answer. */
  private async carryOut(kind: RequestKind, lease: Lease, request: TransferRequest): Promise<Outgoing> {
    const { id, epoch } = request;
    switch (kind) {
      case 'read':
        return this.read(lease, request, request.read!);
      case 'write': {
        const { offset, data } = request.write!;
        refuseLong(data.length, MAX_TRANSFER_BYTES);
        await lease.use(epoch, (disk) => disk.write(offset, data));
        this.parts.metrics.moved('write', data.length);
        return { id };
      }
      case 'flush':
        await lease.use(epoch, (disk) => disk.flush());
        return { id };
      case 'discard': {
        const { offset, length } = request.discard!;
        refuseLong(length, MAX_DISCARD_BYTES);
        await lease.use(epoch, (disk) => disk.discard(offset, length));
        return { id };
      }
      case 'renew':
        lease.touch();
        return { id };
      case 'pin':
        return { id, contentId: (await lease.use(epoch, (disk) => disk.pinContentId())) ?? '' };
    }
  }
  /** A client that reads slowly holds up the next piece, but nobody who waits for the lease: the disk is not in use meanwhile. */
  private async read(
    lease: Lease,
    { id, epoch }: TransferRequest,
    { offset, length }: { offset: number; length: number },
  ): Promise<Outgoing> {
    refuseLong(length, MAX_TRANSFER_BYTES);
    for (let at = 0; ; at += PIECE_BYTES) {
      const piece = new ReadPiece(this.parts.pieces, Math.min(PIECE_BYTES, length - at));
      await lease.use(epoch, (disk) => disk.read(offset + at, piece.data));
      this.parts.metrics.moved('read', piece.data.length);
      if (at + piece.data.length >= length) return { id, piece };
      await this.outbox.send({ id, piece, more: true });
    }
  }
}

/** What a request holds while it is under way: a read no more than it is allowed to. */
function dataBytes({ read, write }: TransferRequest): number {
  return write?.data.length ?? Math.min(read?.length ?? 0, MAX_TRANSFER_BYTES);
}
function refuseLong(length: number, most: number): void {
  if (length <= most) return;
  throw new TomeiError('disk.too-large', `${length} bytes in one request; the most is ${most}, ask in pieces`, {
    data: { length, most },
  });
}
