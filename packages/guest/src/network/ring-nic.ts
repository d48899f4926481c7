/** A network card's far end, as the vCPU thread has it: two rings to the I/O thread, each message a frame (`encodeFrame`). */
import { ByteRing } from '@tomei/kit';
import { decodeFrame, encodeFrame, wireFrames, type NicBackend, type Offload } from '@tomei/paravirt-core';

/** Shared memory of one card, named from the vCPU's side. */
export interface NicRings {
  readonly output: SharedArrayBuffer;
  readonly input: SharedArrayBuffer;
}
/** What either direction has room for: a burst of hundreds of frames, or of some that are still to be cut. */
const RING_BYTES = 1 << 20;
export const allocateNicRings = (): NicRings => ({
  output: ByteRing.allocate(RING_BYTES),
  input: ByteRing.allocate(RING_BYTES),
});

export class RingNic implements NicBackend {
  readonly linkUp: boolean;
  readonly takesOffloads = true;
  readonly counts = { sent: 0, received: 0, lost: 0 };
  private readonly output: ByteRing;
  private readonly input: ByteRing;
  private readonly isMute: boolean;
  private receive: (frame: Uint8Array) => boolean = () => false;
  private receiveOffloaded: (frame: Uint8Array, offload: Offload) => boolean | undefined = () => undefined;
  private isFresh = false;

  /** `linkUp`: whether the cable is plugged in. `isMute`: what the guest sends reaches nobody. */
  constructor(rings: NicRings, { linkUp, isMute }: { readonly linkUp: boolean; readonly isMute: boolean }) {
    this.linkUp = linkUp;
    this.isMute = isMute;
    this.output = new ByteRing(rings.output);
    this.input = new ByteRing(rings.input);
  }
  send(frame: Uint8Array, offload?: Offload): void {
    this.counts.sent++;
    if (this.isMute) return;
    if (this.output.writeMessage(encodeFrame(frame, offload))) this.isFresh = true;
    else this.counts.lost++;
  }
  onReceive(handler: (frame: Uint8Array) => boolean): void {
    this.receive = handler;
  }
  onOffloaded(handler: (frame: Uint8Array, offload: Offload) => boolean | undefined): void {
    this.receiveOffloaded = handler;
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
  /** Gives the card a frame, or what that is on a wire for a card that takes no other. One without room loses it. */
  deliver(message: Uint8Array): void {
    const decoded = decodeFrame(message);
    if (decoded === undefined) return void this.counts.lost++;
    const { frame, offload } = decoded;
    if (offload === undefined) return this.count(this.receive(frame));
    const taken = this.receiveOffloaded(frame, offload);
    if (taken !== undefined) return this.count(taken);
    for (const each of wireFrames(frame, offload)) this.count(this.receive(each));
  }
  private count(isTaken: boolean): void {
    if (isTaken) this.counts.received++;
    else this.counts.lost++;
  }
}
