/** A network card's far end, as the vCPU thread has it: two rings to the I/O thread, each message a frame. */
import { ByteRing } from '@tomei/kit';
import type { NicBackend } from '@tomei/paravirt-core';

/** Shared memory of one card, named from the vCPU's side. */
export interface NicRings {
  readonly output: SharedArrayBuffer;
  readonly input: SharedArrayBuffer;
}
/** What either direction has room for: a burst of a few hundred frames. */
const RING_BYTES = 1 << 18;
export const allocateNicRings = (): NicRings => ({
  output: ByteRing.allocate(RING_BYTES),
  input: ByteRing.allocate(RING_BYTES),
});

export class RingNic implements NicBackend {
  readonly linkUp: boolean;
  readonly counts = { sent: 0, received: 0, lost: 0 };
  private readonly output: ByteRing;
  private readonly input: ByteRing;
  private readonly isMute: boolean;
  private receive: (frame: Uint8Array) => boolean = () => false;
  private isFresh = false;

  /** `linkUp`: whether the cable is plugged in. `isMute`: what the guest sends reaches nobody. */
  constructor(rings: NicRings, { linkUp, isMute }: { readonly linkUp: boolean; readonly isMute: boolean }) {
    this.linkUp = linkUp;
    this.isMute = isMute;
    this.output = new ByteRing(rings.output);
    this.input = new ByteRing(rings.input);
  }
  send(frame: Uint8Array): void {
    this.counts.sent++;
    if (this.isMute) return;
    if (this.output.writeMessage(frame)) this.isFresh = true;
    else this.counts.lost++;
  }
  onReceive(handler: (frame: Uint8Array) => boolean): void {
    this.receive = handler;
  }
  /** Whether something was sent since the last question. */
  flush(): boolean {
    const was = this.isFresh;
    this.isFresh = false;
    return was;
  }
  /** Whether frames wait that came for the card. */
  get isWaiting(): boolean {
    return this.input.used > 0;
  }
  /** The next of them. */
  take(): Uint8Array | undefined {
    return this.input.readMessage();
  }
  /** Gives the card a frame. One without room loses it. */
  deliver(frame: Uint8Array): void {
    if (this.receive(frame)) this.counts.received++;
    else this.counts.lost++;
  }
}
