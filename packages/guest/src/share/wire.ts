/**
 * How 9P2000.L puts values on the wire: little-endian numbers, strings with a 16-bit length, qids of 13 bytes. What a
 * guest sent is read with bounds; whatever is too short, too long or no text is a `Malformed`.
 */

/** A message that breaks the protocol. It has no right answer, so the request fails with EINVAL. */
export class Malformed extends Error {}

/** What a server knows a file by: kind, version and a number that no other file of the share has. */
export interface Qid {
  readonly type: number;
  readonly version: number;
  readonly path: bigint;
}
export const QID_BYTES = 13;

/** Reads values of a message one after another. */
export class WireReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  private step(count: number): number {
    const { at } = this;
    if (count > this.bytes.length - at) throw new Malformed(`${count} bytes wanted at ${at} of ${this.bytes.length}`);
    this.at = at + count;
    return at;
  }
  u8(): number {
    return this.view.getUint8(this.step(1));
  }
  u16(): number {
    return this.view.getUint16(this.step(2), true);
  }
  u32(): number {
    return this.view.getUint32(this.step(4), true);
  }
  u64(): bigint {
    return this.view.getBigUint64(this.step(8), true);
  }
  /** A copy of the next `count` bytes. */
  data(count: number): Uint8Array {
    const at = this.step(count);
    return this.bytes.slice(at, at + count);
  }
  /** UTF-8 with a 16-bit length before it. */
  string(): string {
    const bytes = this.data(this.u16());
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Malformed('a string is no UTF-8');
    }
  }
  /** Refuses what follows the last value. */
  end(): void {
    if (this.at !== this.bytes.length) throw new Malformed(`${this.bytes.length - this.at} bytes too many`);
  }
}

/** Writes values one after another. */
export class WireWriter {
  private bytes = new Uint8Array(256);
  private length = 0;

  private grow(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.bytes.length));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
    }
    return at;
  }
  private get view(): DataView {
    return new DataView(this.bytes.buffer);
  }
  u8(value: number): this {
    const at = this.grow(1);
    this.view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    const at = this.grow(2);
    this.view.setUint16(at, value, true);
    return this;
  }
  u32(value: number): this {
    const at = this.grow(4);
    this.view.setUint32(at, value, true);
    return this;
  }
  u64(value: bigint): this {
    const at = this.grow(8);
    this.view.setBigUint64(at, value, true);
    return this;
  }
  data(bytes: Uint8Array): this {
    const at = this.grow(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }
  string(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u16(bytes.length).data(bytes);
  }
  qid({ type, version, path }: Qid): this {
    return this.u8(type).u32(version).u64(path);
  }
  get size(): number {
    return this.length;
  }
  /** All that was written. */
  done(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}
