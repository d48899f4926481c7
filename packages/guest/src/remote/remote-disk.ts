/** A disk of disk-service as a block device of the guest process. */
import { TomeiError } from '@tomei/kit';
import { SECTOR_BYTES, type BlockDevice } from '@tomei/vmdk';
import { DiskSession, closedError } from './disk-session.ts';
import { FlightLimit } from './flight-limit.ts';
import { ReadAhead } from './read-ahead.ts';
import { Unflushed } from './unflushed.ts';
import { WriteMessage } from './write-message.ts';

export interface RemoteDiskOptions {
  /** Of disk-service, as gRPC writes it. */
  readonly target: string;
  /** The disk's place in the pool. */
  readonly path: string;
  readonly guestId: string;
  /** For those who are told that the disk is in use. */
  readonly guestName?: string;
  /** A later run of a guest takes its disks over from an earlier one. */
  readonly run: number;
  readonly readOnly?: boolean;
  /** Told, in one sentence, when the connection is lost and when it is back. */
  readonly onWarning?: (text: string) => void;
  /** After so long without a connection requests fail with `disk.unreachable`. Default 60 000. */
  readonly ioTimeoutMs?: number;
}
/** Besides what every block device throws: `disk.unreachable`, and `disk.stale-lease` for good when another run has taken the disk. */
export interface RemoteDisk extends BlockDevice {
  /** What the user should know, from opening. */
  readonly warnings: readonly string[];
  discard(offset: number, length: number): Promise<void>;
  /** Flushes, and returns the content id of the disk as it is now; undefined when it has none. Call when no write is in flight. */
  pinContentId(): Promise<string | undefined>;
}

/** What disk-service takes in one request. */
const PIECE_BYTES = 1 << 20;
const DISCARD_BYTES = 2 ** 30;
/** Of reads and writes; a guest may ask for more than it has memory, many times over. */
const IN_FLIGHT_BYTES = 8 << 20;
/** Written and not flushed: from the first on it is flushed on the way, at the second writes wait for that. */
const FLUSH_FROM_BYTES = 16 << 20,
  UNFLUSHED_BYTES = 32 << 20;
/** Nothing can be lost any more, but a disk that is given back is there for others at once. */
const CLOSE_PATIENCE_MS = 5_000;

/** Opens a disk for a run of a guest. Throws what disk-service says (`disk.missing`, `disk.leased`), `disk.unreachable`. */
export async function openRemoteDisk(options: RemoteDiskOptions): Promise<RemoteDisk> {
  const unflushed = new Unflushed();
  const made: { disk?: Disk } = {};
  const session = await DiskSession.open(options, unflushed, () => made.disk?.forgetReads());
  made.disk = new Disk(options.path, session, unflushed);
  return made.disk;
}

class Disk implements RemoteDisk {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly warnings: readonly string[];
  private readonly path: string;
  private readonly session: DiskSession;
  private readonly unflushed: Unflushed;
  private readonly ahead: ReadAhead;
  private readonly flight = new FlightLimit(IN_FLIGHT_BYTES);
  private ownFlush: Promise<void> | undefined;
  private closed: Promise<void> | undefined;

  constructor(path: string, session: DiskSession, unflushed: Unflushed) {
    this.path = path;
    this.session = session;
    this.unflushed = unflushed;
    const { sizeBytes, readOnly, warnings } = session.opened;
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
    this.warnings = warnings;
    this.ahead = new ReadAhead(sizeBytes, (offset, length) => this.fetch(offset, length));
  }
  forgetReads(): void {
    this.ahead.forgetAll();
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.check(offset, into.length);
    const gaps = await this.ahead.read(offset, into);
    const pieces = gaps.flatMap((gap) => cut(gap.offset, gap.into.length, PIECE_BYTES).map((p) => ({ gap, ...p })));
    await allOf(
      pieces.map(({ gap, at, from, length }) => {
        return this.flight.while(length, () =>
          this.session.request({ read: { offset: from, length } }, (piece, within) => gap.into.set(piece, at + within)),
        );
      }),
    );
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.checkWrite(offset, from.length);
    this.ahead.forget(offset, from.length);
    try {
      const pieces = cut(offset, from.length, PIECE_BYTES);
      await allOf(
        pieces.map((piece) =>
          this.flight.while(piece.length, () => this.writePiece(piece.from, from, piece.at, piece.length)),
        ),
      );
    } finally {
      this.ahead.forget(offset, from.length);
    }
  }
  private async writePiece(offset: number, from: Uint8Array, at: number, length: number): Promise<void> {
    while (this.unflushed.bytes + length > UNFLUSHED_BYTES) await this.flushOnTheWay();
    // Guest memory may change while the request is on its way, and when it has to be sent again.
    const write = new WriteMessage(offset, from.subarray(at, at + length));
    await this.session.request({ write });
    this.unflushed.add(write);
    // Whoever has to wait for it is told when it fails.
    if (this.unflushed.bytes > FLUSH_FROM_BYTES) this.flushOnTheWay().catch(() => undefined);
  }
  private flushOnTheWay(): Promise<void> {
    this.ownFlush ??= this.flush().finally(() => {
      this.ownFlush = undefined;
    });
    return this.ownFlush;
  }

  async flush(): Promise<void> {
    this.refuseClosed();
    if (!this.readOnly) await this.settle({ flush: {} });
  }
  async pinContentId(): Promise<string | undefined> {
    this.refuseClosed();
    const contentId = await this.settle({ pin: {} });
    return contentId === '' ? undefined : contentId;
  }
  /** A request after which what was answered before it need not be kept. */
  private async settle(body: { flush: object } | { pin: object }): Promise<string> {
    const mark = this.unflushed.mark();
    const { contentId } = await this.session.request(body);
    this.unflushed.forget(mark);
    return contentId;
  }

  async discard(offset: number, length: number): Promise<void> {
    this.checkWrite(offset, length);
    this.ahead.forget(offset, length);
    try {
      for (const piece of cut(offset, length, DISCARD_BYTES))
        await this.session.request({ discard: { offset: piece.from, length: piece.length } });
    } finally {
      this.ahead.forget(offset, length);
    }
  }

  close(): Promise<void> {
    this.closed ??= this.closeNow();
    return this.closed;
  }
  private async closeNow(): Promise<void> {
    try {
      if (this.unflushed.size > 0) await this.settle({ flush: {} });
      else await this.session.settled(CLOSE_PATIENCE_MS);
    } finally {
      await this.session.close();
    }
  }

  private async fetch(offset: number, length: number): Promise<Uint8Array | undefined> {
    const whole: Uint8Array[] = [];
    try {
      await this.session.request({ read: { offset, length } }, (piece, at) => {
        if (at === 0) whole.length = 0;
        whole.push(piece);
      });
    } catch {
      return undefined;
    }
    return whole.length === 1 ? whole[0]! : Buffer.concat(whole);
  }

  private refuseClosed(): void {
    if (this.closed !== undefined) throw closedError(this.path);
  }
  private check(offset: number, length: number): void {
    this.refuseClosed();
    const isWhole = (n: number): boolean => Number.isSafeInteger(n) && n >= 0 && n % SECTOR_BYTES === 0;
    if (isWhole(offset) && isWhole(length) && offset + length <= this.sizeBytes) return;
    const what = `${length} bytes at ${offset} are not whole sectors within the ${this.sizeBytes} bytes of ${this.path}`;
    throw new TomeiError('disk.out-of-range', what, { data: { path: this.path, offset, length } });
  }
  private checkWrite(offset: number, length: number): void {
    this.check(offset, length);
    if (this.readOnly) throw new TomeiError('disk.read-only', `${this.path} is open for reading only`);
  }
}

/** Pieces of a range: `at` counts from its start, `from` from the start of the disk. */
function cut(offset: number, length: number, most: number): { at: number; from: number; length: number }[] {
  return Array.from({ length: Math.ceil(length / most) }, (_, i) => {
    const at = i * most;
    return { at, from: offset + at, length: Math.min(most, length - at) };
  });
}
/** Waits for all, so that nothing goes on with a caller's buffer, then throws the first failure. */
async function allOf(work: readonly Promise<unknown>[]): Promise<void> {
  if (work.length === 1) {
    await work[0];
    return;
  }
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
