/** A network card's far end, as the vCPU thread has it: two rings to the I/O thread, each message a frame (`encodeFrame`). */
import { MessageRing } from '@tomei/kit';
import {
  HEAD_BYTES,
  MOST_UNCUT,
  decodeFrame,
  encodeHead,
  wireFrames,
  type NicBackend,
  type Offload,
} from '@tomei/paravirt-core';

/** Shared memory of one card, named from the vCPU's side. */
export interface NicRings {
  readonly output: SharedArrayBuffer;
  readonly input: SharedArrayBuffer;
}
/** What either direction has room for: a burst of hundreds of frames, or of some that are still to be cut. */
const RING_BYTES = 1 << 20;
const allocate = (): SharedArrayBuffer => MessageRing.allocate(RING_BYTES, HEAD_BYTES + MOST_UNCUT);
export const allocateNicRings = (): NicRings => ({ output: allocate(), input: allocate() });

export class RingNic implements NicBackend {
  readonly linkUp: boolean;
  readonly takesOffloads = true;
  readonly counts = { sent: 0, received: 0, lost: 0 };
  private readonly output: MessageRing;
  private readonly input: MessageRing;
  private readonly isMute: boolean;
  private receive: (frame: Uint8Array) => boolean = () => false;
  private receiveOffloaded: (frame: Uint8Array, offload: Offload) => boolean | undefined = () => undefined;
  private isFresh = false;
  /** A message of the ring that is put together, and the frame in it. */
  private begun: { readonly message: Uint8Array; readonly frame: Uint8Array } | undefined;

  /** `linkUp`: whether the cable is plugged in. `isMute`: what the guest sends reaches nobody. */
  constructor(rings: NicRings, { linkUp, isMute }: { readonly linkUp: boolean; readonly isMute: boolean }) {
    this.linkUp = linkUp;
    this.isMute = isMute;
    this.output = new MessageRing(rings.output);
    this.input = new MessageRing(rings.input);
  }
  frame(length: number): Uint8Array | undefined {
    this.begun = undefined;
    const message = this.isMute ? undefined : this.output.begin(HEAD_BYTES + length);
    if (message === undefined) return undefined;
    const frame = message.subarray(HEAD_BYTES);
    this.begun = { message, frame };
    return frame;
  }
  send(frame: Uint8Array, offload?: Offload): void {
    this.counts.sent++;
    if (this.isMute) return;
    if (frame !== this.begun?.frame) this.frame(frame.length)?.set(frame);
    const { begun } = this;
    this.begun = undefined;
    if (begun === undefined) return void this.counts.lost++;
    encodeHead(begun.message, offload);
    this.output.commit();
    this.isFresh = true;
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
  /** The next of them, where it lies: until `taken`. */
  next(): Uint8Array | undefined {
    return this.input.peek();
  }
  taken(): void {
    this.input.release();
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
