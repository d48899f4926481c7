/** Writing and reading the small numbers and short runs of bytes that stored vectors consist of. */
import { TomeiError } from '@tomei/kit';

/** Grows as needed. */
export class ByteWriter {
  private buffer = Buffer.alloc(64 * 1024);
  private length = 0;

  u8(value: number): void {
    this.reserve(1)[this.length++] = value;
  }

  u32(value: number): void {
    this.length = this.reserve(4).writeUInt32LE(value >>> 0, this.length);
  }

  /** Unsigned LEB128 of a number below 2^32. */
  varint(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.u8(rest);
  }

  /** A number from -2^31 to 2^31 - 1: small ones of either sign take one byte. */
  signed(value: number): void {
    this.varint((value << 1) ^ (value >> 31));
  }

  bytes(value: Uint8Array): void {
    this.reserve(value.length).set(value, this.length);
    this.length += value.length;
  }

  /** A length before the bytes. */
  block(value: Uint8Array): void {
    this.varint(value.length);
    this.bytes(value);
  }

  /** A copy of all that was written. */
  finish(): Uint8Array {
    return new Uint8Array(this.buffer.subarray(0, this.length));
  }

  private reserve(more: number): Buffer {
    if (this.length + more > this.buffer.length) {
      const larger = Buffer.alloc(Math.max(2 * this.buffer.length, this.length + more));
      this.buffer.copy(larger);
      this.buffer = larger;
    }
    return this.buffer;
  }
}

/** Reads what `ByteWriter` wrote; every read past the end throws `vectors.truncated`, naming the file. */
export class ByteReader {
  private readonly buffer: Buffer;
  private readonly file: string;
  private at = 0;

  constructor(bytes: Uint8Array, file: string) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.file = file;
  }

  get atEnd(): boolean {
    return this.at === this.buffer.length;
  }

  u8(): number {
    return this.buffer.readUInt8(this.take(1));
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.take(4));
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw this.invalid('a number of more than 32 bits');
  }

  signed(): number {
    const value = this.varint();
    return (value >>> 1) ^ -(value & 1);
  }

  /** A copy. */
  bytes(length: number): Uint8Array {
    const start = this.take(length);
    return new Uint8Array(this.buffer.subarray(start, start + length));
  }

  block(): Uint8Array {
    return this.bytes(this.varint());
  }

  /** The error for contents that cannot be, to be thrown. */
  invalid(what: string): TomeiError {
    return new TomeiError('vectors.invalid', `${this.file}: ${what} near byte ${this.at}; make the file again`);
  }

  private take(length: number): number {
    const start = this.at;
    if (length > this.buffer.length - start)
      throw new TomeiError(
        'vectors.truncated',
        `${this.file}: ends at byte ${this.buffer.length}; make the file again`,
      );
    this.at += length;
    return start;
  }
}
