/** Bytes on their way into the guest's serial ports. What finds no room in a ring waits here until the guest has read. */
import { ByteRing, type Doorbell } from '@tomei/kit';

/** When to look again whether a full ring has room. */
const RETRY_MS = 10;

export class TypedBytes {
  private readonly rings: readonly ByteRing[];
  private readonly bell: Doorbell;
  private readonly queues: Uint8Array[][];
  private timer: NodeJS.Timeout | undefined;

  constructor(rings: readonly SharedArrayBuffer[], bell: Doorbell) {
    this.rings = rings.map((memory) => new ByteRing(memory));
    this.queues = rings.map(() => []);
    this.bell = bell;
  }
  /** Bytes of a port that found no room yet. */
  waiting(port: number): number {
    return this.queues[port]?.reduce((sum, bytes) => sum + bytes.length, 0) ?? 0;
  }
  push(port: number, bytes: Uint8Array): void {
    this.queues[port]?.push(bytes);
    this.pass();
  }
  private pass(): void {
    let left = false;
    this.queues.forEach((queue, port) => {
      while (queue.length > 0) {
        const written = this.rings[port]!.write(queue[0]!);
        if (written < queue[0]!.length) {
          queue[0] = queue[0]!.subarray(written);
          left = true;
          break;
        }
        queue.shift();
      }
    });
    this.bell.ring();
    if (left) this.timer ??= setTimeout(() => this.again(), RETRY_MS);
  }
  private again(): void {
    this.timer = undefined;
    this.pass();
  }
}
