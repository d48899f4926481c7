/** The last bytes of a serial port, for viewers that come later. */

export class Scrollback {
  private readonly ring: Uint8Array;
  /** Bytes that ever came; the next one goes to its remainder. */
  private total = 0;

  /** Keeps the last `limit` bytes. */
  constructor(limit: number) {
    this.ring = new Uint8Array(limit);
  }

  add(bytes: Uint8Array): void {
    const size = this.ring.length;
    const last = bytes.length > size ? bytes.subarray(bytes.length - size) : bytes;
    this.total += bytes.length - last.length;
    const at = this.total % size;
    const first = last.subarray(0, size - at);
    this.ring.set(first, at);
    this.ring.set(last.subarray(first.length), 0);
    this.total += last.length;
  }

  /** A copy of what is kept, oldest byte first. */
  tail(): Uint8Array {
    const size = this.ring.length;
    if (this.total <= size) return this.ring.slice(0, this.total);
    const at = this.total % size;
    return Buffer.concat([this.ring.subarray(at), this.ring.subarray(0, at)]);
  }

  clear(): void {
    this.total = 0;
  }
}
