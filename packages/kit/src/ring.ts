/**
 * Rings in shared memory between one writer and one reader, each on a thread of its own. Neither ever waits for the other: a push
 * that does not fit says so, a pop of nothing is empty.
 */

const HEAD = 0,
  TAIL = 1,
  HEADER_BYTES = 16;
/** Words of a doorbell. */
const TICKET = 0,
  REASONS = 1;
/** A doorbell's ring for everything that there may be. */
export const ALL_REASONS = ~0;

/** Bytes in order. `head` counts bytes written, `tail` bytes read, both modulo 2^32. */
export class ByteRing {
  private readonly counts: Int32Array;
  private readonly data: Uint8Array;
  private readonly mask: number;

  /** The shared memory for a ring of `capacity` bytes, a power of two. */
  static allocate(capacity: number): SharedArrayBuffer {
    if (capacity < 16 || (capacity & (capacity - 1)) !== 0)
      throw new RangeError(`a ring of ${capacity} bytes: use a power of two`);
    return new SharedArrayBuffer(HEADER_BYTES + capacity);
  }

  constructor(memory: SharedArrayBuffer) {
    this.counts = new Int32Array(memory, 0, 2);
    this.data = new Uint8Array(memory, HEADER_BYTES);
    this.mask = this.data.length - 1;
  }

  get capacity(): number {
    return this.data.length;
  }
  /** Bytes that wait to be read. */
  get used(): number {
    return (Atomics.load(this.counts, HEAD) - Atomics.load(this.counts, TAIL)) >>> 0;
  }

  /** Writes as much as fits and returns how much that was. */
  write(bytes: Uint8Array): number {
    const head = Atomics.load(this.counts, HEAD);
    const count = Math.min(bytes.length, this.data.length - this.used);
    this.copyIn(head, bytes.subarray(0, count));
    Atomics.store(this.counts, HEAD, (head + count) | 0);
    return count;
  }
  /** Reads at most `max` bytes into an array of its own. */
  read(max: number): Uint8Array<ArrayBuffer> {
    const tail = Atomics.load(this.counts, TAIL);
    const out = this.copyOut(tail, Math.min(max, this.used));
    Atomics.store(this.counts, TAIL, (tail + out.length) | 0);
    return out;
  }

  /** Writes a whole message with its length in front, or nothing: false when there is no room. */
  writeMessage(message: Uint8Array): boolean {
    if (message.length + 4 > this.data.length - this.used) return false;
    const head = Atomics.load(this.counts, HEAD);
    for (let i = 0; i < 4; i++) this.data[(head + i) & this.mask] = message.length >>> (8 * i);
    this.copyIn((head + 4) | 0, message);
    Atomics.store(this.counts, HEAD, (head + 4 + message.length) | 0);
    return true;
  }
  /** The next whole message, or undefined. Throws RangeError when the length in front cannot be true. */
  readMessage(): Uint8Array<ArrayBuffer> | undefined {
    const { used } = this;
    if (used < 4) return undefined;
    const tail = Atomics.load(this.counts, TAIL);
    let length = 0;
    for (let i = 3; i >= 0; i--) length = length * 256 + this.data[(tail + i) & this.mask]!;
    if (length + 4 > used) throw new RangeError(`a message of ${length} bytes in a ring that holds ${used}`);
    const message = this.copyOut((tail + 4) | 0, length);
    Atomics.store(this.counts, TAIL, (tail + 4 + length) | 0);
    return message;
  }

  private copyIn(at: number, bytes: Uint8Array): void {
    const start = at & this.mask,
      first = this.data.length - start;
    if (bytes.length <= first) return this.data.set(bytes, start);
    this.data.set(bytes.subarray(0, first), start);
    this.data.set(bytes.subarray(first), 0);
  }
  private copyOut(at: number, length: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(length),
      start = at & this.mask,
      first = Math.min(length, this.data.length - start);
    out.set(this.data.subarray(start, start + first), 0);
    if (first < length) out.set(this.data.subarray(0, length - first), first);
    return out;
  }
}

/** A counter that one thread rings and another sleeps on, with what it was rung for: bits that those who use it agree upon. */
export class Doorbell {
  private readonly words: Int32Array;

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(8);
  }
  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory);
  }

  /** What to give to `wait`: read it before looking whether there is work. */
  get ticket(): number {
    return Atomics.load(this.words, TICKET);
  }
  /** What there is to look at has been written before. */
  ring(reasons = ALL_REASONS): void {
    Atomics.or(this.words, REASONS, reasons);
    Atomics.add(this.words, TICKET, 1);
    Atomics.notify(this.words, TICKET);
  }
  /** For what it has rung since the last call. 0 may be: the call before has taken what this ticket stood for. */
  takeReasons(): number {
    return Atomics.exchange(this.words, REASONS, 0);
  }
  /** Blocks the thread until it rings after `ticket` was taken, or the time is over. */
  wait(ticket: number, milliseconds: number): void {
    Atomics.wait(this.words, TICKET, ticket, milliseconds);
  }
  /** As `wait`, for a thread with an event loop. */
  async waitAsync(ticket: number): Promise<void> {
    const { async, value } = Atomics.waitAsync(this.words, TICKET, ticket);
    if (async) await value;
  }
}
