/** Numbered messages on their way into a ring, for devices whose guests have no more of them in flight than their rings hold. */
import { ByteRing } from '@tomei/kit';
import { encodeNumbered, type NumberedMessage } from './numbered-message.ts';

export class NumberedOutlet {
  private readonly ring: ByteRing;
  /** What the ring had no room for. */
  private readonly unsent: Uint8Array[] = [];
  private isFresh = false;

  constructor(ring: SharedArrayBuffer) {
    this.ring = new ByteRing(ring);
  }
  /** Sends a message, at once or when there is room. */
  push(message: NumberedMessage): void {
    this.unsent.push(encodeNumbered(message));
    this.send();
  }
  /** Forgets what was not sent yet; answers how many messages that were. */
  drop(): number {
    const { length } = this.unsent;
    this.unsent.length = 0;
    return length;
  }
  /** Passes on what waits for room. Whether something was sent since the last question. */
  flush(): boolean {
    this.send();
    const was = this.isFresh;
    this.isFresh = false;
    return was;
  }
  /** Whether messages wait for room. */
  get isWaiting(): boolean {
    return this.unsent.length > 0;
  }
  private send(): void {
    while (this.unsent.length > 0 && this.ring.writeMessage(this.unsent[0]!)) {
      this.unsent.shift();
      this.isFresh = true;
    }
  }
}
