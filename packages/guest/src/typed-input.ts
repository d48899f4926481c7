/** What was typed at serial ports, as the vCPU thread gives it to UARTs: bytes that one has no room for wait here. */
import { ByteRing } from '@tomei/kit';

/** Bytes of a port at one look. */
const AT_ONCE = 4096;
const NOTHING = new Uint8Array(0);

/** Gives a port bytes, and answers how many of them it took; undefined where there is no such port. */
export type TypedAt = (port: number, bytes: Uint8Array) => number | undefined;

export class TypedInput {
  private readonly rings: readonly ByteRing[];
  private readonly held: Uint8Array[];
  /** Whether something is left: a UART had no room for all of it, or more was typed behind what it had room for. */
  isWaiting = false;

  /** Rings by port. */
  constructor(rings: readonly SharedArrayBuffer[]) {
    this.rings = rings.map((memory) => new ByteRing(memory));
    this.held = rings.map(() => NOTHING);
  }
  /** Gives to ports what there is, and tells `taken` of what one took. */
  give(type: TypedAt, taken: (port: number, bytes: Uint8Array) => void): void {
    this.isWaiting = false;
    for (let port = 0; port < this.rings.length; port++) {
      const bytes = this.next(port);
      if (bytes.length === 0) continue;
      const count = type(port, bytes) ?? 0;
      if (count > 0) taken(port, bytes.subarray(0, count));
      this.held[port] = bytes.subarray(count);
      // What came while a part was held has rung already: nobody rings for it again.
      this.isWaiting ||= count < bytes.length || this.rings[port]!.used > 0;
    }
  }
  /** Nobody is to hear of it. */
  drop(): void {
    this.isWaiting = false;
    for (let port = 0; port < this.rings.length; port++) {
      this.next(port);
      this.held[port] = NOTHING;
    }
  }
  private next(port: number): Uint8Array {
    const ring = this.rings[port]!;
    if (this.held[port]!.length === 0 && ring.used > 0) this.held[port] = ring.read(AT_ONCE);
    return this.held[port]!;
  }
}
