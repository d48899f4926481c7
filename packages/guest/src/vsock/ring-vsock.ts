/** The virtio socket device's far end, as the vCPU thread has it: rings to the I/O thread, which has the connections. */
import { ByteRing } from '@tomei/kit';
import { cutVsockPacket, type VsockBackend } from '@tomei/paravirt-core';
import { NumberedOutlet } from '../numbered-outlet.ts';

/** Shared memory of the device, named from the vCPU's side. */
export interface VsockRings {
  /** Numbered packets, and `RESET`. */
  readonly output: SharedArrayBuffer;
  /** Numbers of packets that are done with, four bytes each. */
  readonly done: SharedArrayBuffer;
  /** Packets for the guest. */
  readonly input: SharedArrayBuffer;
}
const RING_BYTES = 1 << 20;
const NUMBER_BYTES = 4;
/** No packet: the driver has reset the device. */
export const RESET = new Uint8Array(0);
export const allocateVsockRings = (): VsockRings => ({
  output: ByteRing.allocate(RING_BYTES),
  done: ByteRing.allocate(RING_BYTES >> 8),
  input: ByteRing.allocate(RING_BYTES),
});

export class RingVsock implements VsockBackend {
  readonly cid: number;
  private readonly output: NumberedOutlet;
  private readonly dones: ByteRing;
  private readonly input: ByteRing;
  private readonly isMute: boolean;
  private held: Uint8Array | undefined;
  /** Whether a packet went either way since the last reset. */
  private isUsed = false;
  private handler: (id: number) => void = () => undefined;

  /** `isMute`: what the guest sends reaches nobody. */
  constructor(cid: number, rings: VsockRings, isMute: boolean) {
    this.cid = cid;
    this.output = new NumberedOutlet(rings.output);
    this.dones = new ByteRing(rings.done);
    this.input = new ByteRing(rings.input);
    this.isMute = isMute;
  }
  submit(id: number, packet: Uint8Array): void {
    if (this.isMute) return;
    this.isUsed = true;
    this.output.push({ id, bytes: packet });
  }
  reset(): void {
    if (this.isMute) return;
    this.output.drop();
    if (!this.isUsed) return;
    this.isUsed = false;
    this.output.push({ id: 0, bytes: RESET });
  }
  onDone(handler: (id: number) => void): void {
    this.handler = handler;
  }
  /** Passes on what waits for room. Whether something was sent since the last question. */
  flush(): boolean {
    return this.output.flush();
  }
  /** Whether packets wait for room in the ring. */
  get waitsForRoom(): boolean {
    return this.output.isWaiting;
  }
  /** The number of the next packet that is done with. */
  takeDone(): number | undefined {
    if (this.dones.used < NUMBER_BYTES) return undefined;
    return new DataView(this.dones.read(NUMBER_BYTES).buffer).getUint32(0, true);
  }
  /** Tells the guest so. */
  done(id: number): void {
    this.handler(id);
  }
  /** The packet that waits for the guest; `took` says how many bytes of its data the guest had room for. */
  get waiting(): Uint8Array | undefined {
    this.held ??= this.input.readMessage();
    return this.held;
  }
  /** The part that was taken. */
  took(packet: Uint8Array, data: number): Uint8Array {
    const [first, rest] = cutVsockPacket(packet, data);
    this.isUsed = true;
    this.held = first.length === packet.length ? undefined : rest;
    return first;
  }
}
