/**
 * Whole messages in shared memory between one writer and one reader, each on a thread of its own. A message lies in one piece: it is put
 * together where the reader finds it, and read where it lies, so that it is copied once. Neither side ever waits for the other.
 *
 *   i32 bytes written, i32 bytes read (both modulo 2^32), i32 capacity, 4 bytes unused; then messages: u32 length, the message, up to 3
 *   bytes so that the next one begins at a multiple of 4. One that begins before the capacity ends goes on behind it, where there is
 *   room for the longest one.
 */

const HEAD = 0,
  TAIL = 1,
  CAPACITY = 2,
  HEADER_BYTES = 16,
  LENGTH_BYTES = 4;

const padded = (length: number): number => LENGTH_BYTES + ((length + 3) & ~3);

export class MessageRing {
  private readonly counts: Int32Array;
  private readonly lengths: Uint32Array;
  private readonly data: Uint8Array;
  private readonly capacity: number;
  private readonly longest: number;
  /** The length of the message that is being put together. */
  private begun: number | undefined;

  /** The shared memory for a ring of `capacity` bytes, a power of two, and messages of at most `longest` bytes. */
  static allocate(capacity: number, longest: number): SharedArrayBuffer {
    if (capacity < 16 || (capacity & (capacity - 1)) !== 0)
      throw new RangeError(`a ring of ${capacity} bytes: use a power of two`);
    if (longest < 0 || padded(longest) > capacity)
      throw new RangeError(`messages of ${longest} bytes have no room in a ring of ${capacity}`);
    const memory = new SharedArrayBuffer(HEADER_BYTES + capacity + padded(longest));
    new Int32Array(memory)[CAPACITY] = capacity;
    return memory;
  }

  constructor(memory: SharedArrayBuffer) {
    this.counts = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.lengths = new Uint32Array(memory, HEADER_BYTES);
    this.data = new Uint8Array(memory, HEADER_BYTES);
    this.capacity = this.counts[CAPACITY]!;
    this.longest = this.data.length - this.capacity - LENGTH_BYTES;
  }

  /** Bytes of messages that wait to be read, and of what lies around them. */
  get used(): number {
    return (Atomics.load(this.counts, HEAD) - Atomics.load(this.counts, TAIL)) >>> 0;
  }

  /**
   * Where a message of `length` bytes is put together, holding anything; undefined when there is no room for it. What was begun before
   * and not committed is forgotten.
   */
  begin(length: number): Uint8Array | undefined {
    this.begun = undefined;
    if (length > this.longest || padded(length) > this.capacity - this.used) return undefined;
    this.begun = length;
    const at = this.placeOf(HEAD) + LENGTH_BYTES;
    return this.data.subarray(at, at + length);
  }
  /** The message that was begun is the reader's from now on. */
  commit(): void {
    const { begun } = this;
    if (begun === undefined) throw new RangeError('no message was begun');
    this.begun = undefined;
    this.lengths[this.placeOf(HEAD) >> 2] = begun;
    Atomics.add(this.counts, HEAD, padded(begun));
  }
  /** Writes a whole message, or nothing: false when there is no room. */
  write(message: Uint8Array): boolean {
    const place = this.begin(message.length);
    if (place === undefined) return false;
    place.set(message);
    this.commit();
    return true;
  }

  /** The next message where it lies, until it is released; undefined when there is none. Throws RangeError when its length cannot be true. */
  peek(): Uint8Array | undefined {
    const { used } = this;
    if (used === 0) return undefined;
    const at = this.placeOf(TAIL),
      length = this.lengths[at >> 2]!;
    if (length > this.longest || padded(length) > used)
      throw new RangeError(`a message of ${length} bytes in a ring that holds ${used}`);
    return this.data.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length);
  }
  /** Gives the place of the message that `peek` shows back to the writer. */
  release(): void {
    const at = this.placeOf(TAIL);
    Atomics.add(this.counts, TAIL, padded(this.lengths[at >> 2]!));
  }

  private placeOf(count: typeof HEAD | typeof TAIL): number {
    return Atomics.load(this.counts, count) & (this.capacity - 1);
  }
}
