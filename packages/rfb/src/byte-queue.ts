/** Bytes from a viewer, waiting until a whole message is there. */

/** What a reader answers while its message is not whole; it has consumed nothing then. */
export const NEED_MORE = Symbol('need more');
export type NeedMore = typeof NEED_MORE;
/** Asks `has` before it consumes anything. Throws `TomeiError` for what no viewer may send. */
export type Reader<T> = (queue: ByteQueue) => T | NeedMore;

const FIRST_CAPACITY = 512;

export class ByteQueue {
  private buffer = new Uint8Array(FIRST_CAPACITY);
  private start = 0;
  private end = 0;

  get length(): number {
    return this.end - this.start;
  }

  push(bytes: Uint8Array): void {
    if (this.end + bytes.length > this.buffer.length) this.makeRoom(bytes.length);
    this.buffer.set(bytes, this.end);
    this.end += bytes.length;
  }

  has(count: number): boolean {
    return this.length >= count;
  }

  /** The byte `offset` from the front, which must be there. Consumes nothing. */
  peekU8(offset: number): number {
    return this.buffer[this.start + offset]!;
  }

  peekU16(offset: number): number {
    return (this.peekU8(offset) << 8) | this.peekU8(offset + 1);
  }

  peekU32(offset: number): number {
    return this.peekU16(offset) * 0x10000 + this.peekU16(offset + 2);
  }

  u8(): number {
    return this.buffer[this.start++]!;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  i32(): number {
    return this.u32() | 0;
  }

  skip(count: number): void {
    this.start += count;
  }

  /** A copy. */
  bytes(count: number): Uint8Array {
    this.start += count;
    return this.buffer.slice(this.start - count, this.start);
  }

  private makeRoom(more: number): void {
    const waiting = this.buffer.subarray(this.start, this.end);
    const needed = waiting.length + more;
    const target = needed * 2 > this.buffer.length ? new Uint8Array(needed * 2) : this.buffer;
    target.set(waiting, 0);
    this.buffer = target;
    this.end = waiting.length;
    this.start = 0;
  }
}
