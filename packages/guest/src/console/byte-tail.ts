/** The last bytes of a stream: so many, and how many were lost before them. */

export class ByteTail {
  private readonly limit: number;
  private chunks: Uint8Array[] = [];
  private size = 0;
  private lost = 0;

  constructor(limit: number) {
    this.limit = limit;
  }
  get length(): number {
    return this.size;
  }
  /** Bytes that had to make room since this was last read. */
  get dropped(): number {
    return this.lost;
  }
  /** Keeps the array: whoever pushes must not write to it later. */
  push(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.size += bytes.length;
    while (this.size > this.limit) {
      const first = this.chunks[0]!,
        over = Math.min(first.length, this.size - this.limit);
      if (over === first.length) this.chunks.shift();
      else this.chunks[0] = first.subarray(over);
      this.size -= over;
      this.lost += over;
    }
    // A guest writes byte by byte: many small arrays cost more than the bytes in them.
    if (this.chunks.length > MOST_CHUNKS) this.chunks = [this.all()];
  }
  /** All of it, in an array of its own. Takes nothing out. */
  all(): Uint8Array {
    return joined(this.chunks, this.size);
  }
  /** Takes at most `max` bytes out. */
  take(max: number): Uint8Array {
    const out: Uint8Array[] = [];
    let size = 0;
    while (size < max && this.chunks.length > 0) {
      const first = this.chunks[0]!,
        count = Math.min(first.length, max - size);
      out.push(first.subarray(0, count));
      if (count === first.length) this.chunks.shift();
      else this.chunks[0] = first.subarray(count);
      size += count;
    }
    this.size -= size;
    this.lost = 0;
    return joined(out, size);
  }
}
const MOST_CHUNKS = 512;

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}
