/** Bytes for a viewer: numbers in network order, in memory that grows. */

const FIRST_CAPACITY = 1024;

export class ByteWriter {
  /** Valid up to `length`. Replaced by `reserve`; hot loops take it afterwards. */
  data: Uint8Array;
  length = 0;

  constructor(capacity = FIRST_CAPACITY) {
    this.data = new Uint8Array(capacity);
  }

  /** Room for `count` more bytes. */
  reserve(count: number): void {
    if (this.length + count <= this.data.length) return;
    const grown = new Uint8Array(Math.max(this.length + count, this.data.length * 2));
    grown.set(this.data.subarray(0, this.length));
    this.data = grown;
  }

  u8(value: number): this {
    this.reserve(1);
    this.data[this.length++] = value;
    return this;
  }

  u16(value: number): this {
    return this.u8(value >> 8).u8(value);
  }

  u32(value: number): this {
    return this.u16(value >>> 16).u16(value & 0xffff);
  }

  bytes(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.data.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  zeros(count: number): this {
    this.reserve(count);
    this.data.fill(0, this.length, this.length + count);
    this.length += count;
    return this;
  }

  /** What was written, without a copy: valid until the next write. */
  written(): Uint8Array {
    return this.data.subarray(0, this.length);
  }

  /** What was written, as bytes of their own. */
  toBytes(): Uint8Array {
    return this.data.slice(0, this.length);
  }
}
