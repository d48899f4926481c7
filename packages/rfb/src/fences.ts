/** Fences (rfbproto, "ClientFence", "ServerFence"): answers to the viewer's, and the server's own, which pace continuous updates. */
import { ByteWriter } from './byte-writer.ts';

const SERVER_FENCE = 248;
const BLOCK_BEFORE = 1 << 0;
const BLOCK_AFTER = 1 << 1;
const SYNC_NEXT = 1 << 2;
const REQUEST = 0x80000000;
const UNDERSTOOD = BLOCK_BEFORE | BLOCK_AFTER | SYNC_NEXT;

/** On the way at most, in a network as slow as 30 pictures a second with a quarter second to and fro. */
const MAX_UPDATES_UNDER_WAY = 8;
/** Reached: nothing more until some have arrived. */
const MAX_BYTES_UNDER_WAY = 1024 * 1024;

function fence(flags: number, payload: Uint8Array): Uint8Array {
  return new ByteWriter().u8(SERVER_FENCE).zeros(3).u32(flags).u8(payload.length).bytes(payload).toBytes();
}

export const isFenceRequest = (flags: number): boolean => (flags & REQUEST) !== 0;

/** Whether the answer has to go out just before the next message is carried out. */
export const isSyncNext = (flags: number): boolean => (flags & SYNC_NEXT) !== 0;

/** The answer to the viewer's request. Messages are carried out one by one, so whatever may block has done so. */
export const fenceAnswer = (flags: number, payload: Uint8Array): Uint8Array => fence(flags & UNDERSTOOD, payload);

/** Says that the server knows fences. */
export const fenceGreeting = (): Uint8Array => fence((REQUEST | BLOCK_BEFORE) >>> 0, new Uint8Array(0));

/** Counts what is on its way to a viewer that gets pictures without asking for each. */
export class Pace {
  private underWay: { readonly number: number; readonly bytes: number }[] = [];
  private bytes = 0;
  private number = 0;

  get hasRoom(): boolean {
    return this.underWay.length < MAX_UPDATES_UNDER_WAY && this.bytes < MAX_BYTES_UNDER_WAY;
  }

  /** An update of so many bytes was sent; returns the fence to send after it. */
  sent(bytes: number): Uint8Array {
    this.number = (this.number + 1) >>> 0;
    this.underWay.push({ number: this.number, bytes });
    this.bytes += bytes;
    return fence((REQUEST | BLOCK_BEFORE) >>> 0, new ByteWriter(4).u32(this.number).toBytes());
  }

  /** The viewer answered a fence: what was sent up to it has arrived. An answer to nothing is ignored. */
  answered(payload: Uint8Array): void {
    if (payload.length !== 4) return;
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    const index = this.underWay.findIndex((update) => update.number === number);
    for (const arrived of this.underWay.splice(0, index + 1)) this.bytes -= arrived.bytes;
  }
}
