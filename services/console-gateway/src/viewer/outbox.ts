/**
 * What waits to go out to one viewer. A little of it is given to the connection at a time, so that how fast the viewer takes it can
 * be seen: one that is slow is left out of pictures, one that takes nothing at all is ended.
 */

/** The connection as an outbox sees it: a TCP socket or a WebSocket. */
export interface Wire {
  /** `done` is called when the bytes have left the process, or never when the connection is broken. */
  write(bytes: Uint8Array, done: () => void): void;
  /** Takes no more from the viewer, until `resume`. */
  pause(): void;
  resume(): void;
  /** Closes after what was written; `code` is the error's, `why` a sentence. */
  end(code: string, why: string): void;
  /** Drops the connection, and what was written with it. */
  destroy(): void;
}

const SLICE_BYTES = 64 << 10;
/** What the connection has at a time. */
const WINDOW_BYTES = 256 << 10;
/** With less than this waiting there is room for another picture. */
const ROOM_BYTES = 64 << 10;

export class Outbox {
  private readonly wire: Wire;
  private readonly now: () => number;
  private readonly onRoom: () => void;
  private readonly queue: Uint8Array[] = [];
  private queuedBytes = 0;
  private inFlight = 0;
  private lastProgress: number;

  /** `onRoom` is called whenever `hasRoom` becomes true; `now` gives milliseconds. */
  constructor(wire: Wire, onRoom: () => void, now: () => number) {
    this.wire = wire;
    this.onRoom = onRoom;
    this.now = now;
    this.lastProgress = now();
  }

  get pendingBytes(): number {
    return this.queuedBytes + this.inFlight;
  }
  get hasRoom(): boolean {
    return this.pendingBytes < ROOM_BYTES;
  }
  /** Since when nothing has gone out although something waits, in milliseconds; 0 when nothing waits. */
  get stalledMs(): number {
    return this.pendingBytes === 0 ? 0 : this.now() - this.lastProgress;
  }

  send(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.pendingBytes === 0) this.lastProgress = this.now();
    this.queue.push(bytes);
    this.queuedBytes += bytes.length;
    this.pass();
  }

  private pass(): void {
    while (this.inFlight < WINDOW_BYTES && this.queue.length > 0) {
      const first = this.queue[0]!;
      const slice = first.subarray(0, SLICE_BYTES);
      if (slice.length === first.length) this.queue.shift();
      else this.queue[0] = first.subarray(SLICE_BYTES);
      this.queuedBytes -= slice.length;
      this.inFlight += slice.length;
      this.wire.write(slice, () => this.gone(slice.length));
    }
  }

  private gone(bytes: number): void {
    const hadRoom = this.hasRoom;
    this.inFlight -= bytes;
    this.lastProgress = this.now();
    this.pass();
    if (!hadRoom && this.hasRoom) this.onRoom();
  }
}
