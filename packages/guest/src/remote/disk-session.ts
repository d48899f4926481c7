/**
 * The lease of one disk and the stream of its requests: many in flight, a connection that comes back when it breaks, and what was in
 * flight then sent again. Nobody above sees the difference but by the time that it takes.
 */
import {
  DisksService,
  messages,
  type Init,
  type OpenResponse,
  type TransferRequest,
  type TransferResponse,
} from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { errorOf, rpcClient, type ClientDuplex, type RpcClient } from '@tomei/service';
import { Patience } from './patience.ts';
import type { RemoteDiskOptions } from './remote-disk.ts';
import type { Unflushed } from './unflushed.ts';
import type { WriteMessage } from './write-message.ts';

/** One attempt to open the disk: whoever has it may have much to write before it is given over. */
const OPEN_DEADLINE_MS = 30_000;
/** Reads on their way to us; with HTTP/2's own 64 KiB each quarter of a MiB waits for us four times. */
const WINDOW_BYTES = 1 << 20;
const CLOSE_DEADLINE_MS = 30_000;

/** What is asked for, without what only the session knows. */
export type Body = Pick<Init<TransferRequest>, 'read' | 'flush' | 'discard' | 'renew' | 'pin'> & {
  readonly write?: WriteMessage;
};
/** A request as it goes out: writes are encoded where their bytes are. */
type Outgoing = Init<TransferRequest> & { readonly encoded?: Buffer };
const CALLS = {
  ...DisksService,
  transfer: {
    ...DisksService.transfer,
    requestSerialize: (value: Outgoing): Buffer => value.encoded ?? DisksService.transfer.requestSerialize(value),
  },
};
/** Takes a piece of a read at its place in the request. */
export type TakePiece = (piece: Uint8Array, at: number) => void;

interface Pending {
  readonly body: Body;
  readonly expected: number;
  readonly take: TakePiece | undefined;
  readonly done: PromiseWithResolvers<TransferResponse>;
  received: number;
}
type Stream = ClientDuplex<TransferResponse, TransferRequest>;
type Client = RpcClient<typeof DisksService>;

export class DiskSession {
  /** What opening the disk said. */
  readonly opened: OpenResponse;
  private readonly options: RemoteDiskOptions;
  private readonly client: Client;
  private readonly unflushed: Unflushed;
  private readonly onBack: () => void;
  private readonly patience: Patience;
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  /** While a connection holds. */
  private stream: Stream | undefined;
  /** Set while new requests may go out: after a connection was lost, what was in flight goes first. */
  private isUp = false;
  private lease: OpenResponse;
  /** Of `pending`: what is written again because it may be lost. */
  private readonly again = new Set<number>();
  private asked = false;
  private over: TomeiError | undefined;
  private readonly ended: Promise<void>;

  private constructor(parts: {
    options: RemoteDiskOptions;
    client: Client;
    lease: OpenResponse;
    unflushed: Unflushed;
    onBack: () => void;
  }) {
    this.options = parts.options;
    this.client = parts.client;
    this.opened = this.lease = parts.lease;
    this.unflushed = parts.unflushed;
    this.onBack = parts.onBack;
    this.patience = new Patience(parts.options, (error) => this.failAll(error));
    this.ended = this.live();
  }

  /**
   * Opens the disk and its stream. `unflushed`: what is to be written again to another process of disk-service. `onBack` is called
   * when a lost connection is back: what was read before it was lost may have changed.
   */
  static async open(options: RemoteDiskOptions, unflushed: Unflushed, onBack: () => void): Promise<DiskSession> {
    const client = rpcClient(CALLS, options.target, { windowBytes: WINDOW_BYTES });
    const patience = new Patience(options, () => undefined);
    try {
      for (;;) {
        try {
          const lease = await openDisk(client, options, 0);
          return new DiskSession({ options, client, lease, unflushed, onBack });
        } catch (error) {
          if (!isConnectionTrouble(error)) throw error;
          patience.lost(error);
          if (patience.isOver !== undefined) throw patience.isOver;
          await patience.pause();
        }
      }
    } catch (error) {
      client.close();
      throw error;
    } finally {
      patience.end();
    }
  }

  /** Fulfilled when the request is done; a read's pieces go to `take` on the way. Throws what disk-service says, `disk.unreachable`. */
  request(body: Body, take?: TakePiece): Promise<TransferResponse> {
    const refused = this.over ?? this.patience.isOver;
    if (refused !== undefined) return Promise.reject(refused);
    const { id, pending } = this.enter(body, take);
    if (this.isUp) this.send(id, pending);
    return pending.done.promise;
  }

  /** Waits for a connection that is lost, but no longer than that. */
  async settled(mostMs: number): Promise<void> {
    if (this.isUp) return;
    const up = this.request({ renew: {} }).catch(() => undefined);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, mostMs);
    await Promise.race([up, late]);
    clearTimeout(timer);
  }

  /** Gives the lease back. What is still in flight fails with `disk.closed`. Throws what closing the disk did. */
  async close(): Promise<void> {
    const { leaseId, epoch } = this.lease;
    const wasOver = this.over;
    this.fail(closedError(this.options.path));
    await this.ended;
    try {
      if (wasOver === undefined) await this.client.calls.close({ leaseId, epoch }, { deadlineMs: CLOSE_DEADLINE_MS });
    } catch (error) {
      // Out of reach, the lease runs out by itself, or the next run takes it over: what was flushed is safe.
      if (!isConnectionTrouble(error)) throw error;
    } finally {
      this.client.close();
    }
  }

  private enter(body: Body, take?: TakePiece): { id: number; pending: Pending } {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.pending.has(this.lastId));
    const expected = body.read?.length ?? 0;
    const pending: Pending = { body, expected, take, done: Promise.withResolvers(), received: 0 };
    this.pending.set(this.lastId, pending);
    return { id: this.lastId, pending };
  }
  private send(id: number, pending: Pending): void {
    const { leaseId, epoch } = this.lease;
    pending.received = 0;
    this.asked = true;
    const { write, ...rest } = pending.body;
    const request: Outgoing =
      write === undefined
        ? { id, leaseId, epoch, ...rest }
        : { encoded: write.encoded(messages.TransferRequest.encode({ id, leaseId, epoch })) };
    this.stream?.send(request);
  }

  /** One connection after the other, until the disk is closed or somebody else's. */
  private async live(): Promise<void> {
    // The lease under which everything was written that is not flushed. Another one means another process of disk-service, or a disk
    // that was closed meanwhile: nobody knows whether that went well.
    let writtenUnder = this.lease.leaseId;
    for (let first = true; this.over === undefined; first = false) {
      let why: unknown;
      try {
        if (!first) await this.reopen();
        await this.converse(async () => {
          if (this.lease.leaseId !== writtenUnder) await this.writeAgain();
          writtenUnder = this.lease.leaseId;
        });
        why = 'disk-service has ended the stream';
      } catch (error) {
        why = error;
      }
      if (why instanceof TomeiError && isForGood(why)) this.fail(why);
      if (this.over !== undefined) break;
      this.patience.lost(why);
      await this.patience.pause();
    }
    this.patience.end();
  }

  private async reopen(): Promise<void> {
    const { options, lease } = this;
    const next = await openDisk(this.client, options, options.readOnly === true ? 0 : lease.epoch);
    if (next.sizeBytes !== lease.sizeBytes) {
      const what = `${options.path} has ${next.sizeBytes} bytes now; it had ${lease.sizeBytes} when the guest started`;
      throw new TomeiError('disk.changed', what, { data: { path: options.path } });
    }
    this.lease = next;
  }

  /** Uses one stream until it ends; throws why it broke. What is in flight is asked for again when `prepare` is done. */
  private async converse(prepare: () => Promise<void>): Promise<void> {
    const stream = (this.stream = this.client.calls.transfer());
    const renewal = setInterval(() => this.renew(), Math.max(this.lease.leaseTtlMs / 3, 50)).unref();
    const broken = Promise.withResolvers<never>();
    const begin = async (): Promise<void> => {
      await prepare();
      if (this.stream !== stream) return;
      this.isUp = true;
      this.onBack();
      for (const [id, pending] of this.pending) this.send(id, pending);
      this.patience.isBack(this.unflushed.size);
    };
    try {
      begin().catch((error: unknown) => broken.reject(error as Error));
      await Promise.race([this.listen(stream), broken.promise]);
    } finally {
      this.isUp = false;
      this.stream = undefined;
      clearInterval(renewal);
      stream.cancel();
      this.dropAgain();
    }
  }
  private async listen(stream: Stream): Promise<void> {
    for await (const answer of stream.messages) {
      const pending = this.pending.get(answer.id);
      if (pending !== undefined) this.hear(answer, pending);
    }
  }
  private hear(answer: TransferResponse, pending: Pending): void {
    const { trouble, data, more, id } = answer;
    if (trouble !== undefined) {
      const error = errorOf(trouble);
      // Not an answer to this request: the lease is gone, and the request goes out again when there is another.
      if (isForGood(error) || error.code === 'disk.unknown-lease') throw error;
      this.pending.delete(id);
      pending.done.reject(error);
      return;
    }
    const end = pending.received + data.length;
    if (end > pending.expected || (!more && end < pending.expected)) {
      const what = `${this.options.path}: disk-service answered with ${end} bytes where ${pending.expected} were asked for`;
      this.pending.delete(id);
      pending.done.reject(new TomeiError('disk.io', what));
      return;
    }
    if (data.length > 0) pending.take?.(data, pending.received);
    pending.received = end;
    if (more) return;
    this.pending.delete(id);
    pending.done.resolve(answer);
  }

  private async writeAgain(): Promise<void> {
    for (const group of this.unflushed.groups()) {
      await Promise.all(
        group.map((write) => {
          const { id, pending } = this.enter({ write });
          this.again.add(id);
          this.send(id, pending);
          return pending.done.promise;
        }),
      );
    }
  }
  /** They are asked for anew over the next connection, before anything that came after them. */
  private dropAgain(): void {
    const error = new TomeiError('peer.unavailable', 'the connection was lost', { retryable: true });
    for (const id of this.again) {
      this.pending.get(id)?.done.reject(error);
      this.pending.delete(id);
    }
    this.again.clear();
  }
  /** A stream keeps its lease by itself; renewing it finds out when it is gone. */
  private renew(): void {
    if (this.isUp && !this.asked) this.request({ renew: {} }).catch(() => undefined);
    this.asked = false;
  }

  private fail(error: TomeiError): void {
    this.over ??= error;
    this.stream?.cancel();
    this.patience.end();
    this.failAll(error);
  }
  private failAll(error: TomeiError): void {
    const all = [...this.pending.values()];
    this.pending.clear();
    for (const { done } of all) done.reject(error);
  }
}

async function openDisk(client: Client, options: RemoteDiskOptions, resumeEpoch: number): Promise<OpenResponse> {
  const { path, guestId, guestName, run, readOnly = false } = options;
  return client.calls.open({ path, guestId, guestName, run, readOnly, resumeEpoch }, { deadlineMs: OPEN_DEADLINE_MS });
}

const isConnectionTrouble = (error: unknown): boolean => error instanceof TomeiError && error.code.startsWith('peer.');
const isForGood = ({ code }: TomeiError): boolean => code === 'disk.stale-lease' || code === 'disk.changed';
export const closedError = (path: string): TomeiError =>
  new TomeiError('disk.closed', `${path} is closed`, { data: { path } });
