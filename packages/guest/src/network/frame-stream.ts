/**
 * Ethernet frames on a stream between two guest processes. Each side begins with a greeting, then come frames with their length in
 * front. What comes is hostile: it is checked here, and nothing is kept but the beginning of one frame.
 *
 *   greeting: 'TOMEINET', u8 version, 8 bytes that name the sender;   frame: u32 length (little-endian), `encodeFrame`
 */
import { TomeiError } from '@tomei/kit';
import { isEncodedLength } from '@tomei/paravirt-core';

export const NAME_BYTES = 8;
const VERSION = 2;
const MAGIC = new TextEncoder().encode('TOMEINET');
const GREETING_BYTES = MAGIC.length + 1 + NAME_BYTES;
const HEAD_BYTES = 4;
const NOTHING = new Uint8Array(0);

/** `name`: `NAME_BYTES` bytes in hexadecimal. */
export function greeting(name: string): Uint8Array {
  const bytes = new Uint8Array(GREETING_BYTES);
  bytes.set(MAGIC);
  bytes[MAGIC.length] = VERSION;
  bytes.set(Buffer.from(name, 'hex'), MAGIC.length + 1);
  return bytes;
}
/** A frame as it goes onto the stream. */
export function framed(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length, true);
  bytes.set(frame, HEAD_BYTES);
  return bytes;
}
export const isFrame = (bytes: Uint8Array): boolean => isEncodedLength(bytes.length);

export interface StreamEvents {
  /** The other side's name: once, first. */
  greeted(name: string): void;
  /** The bytes are there until it returns. */
  frame(bytes: Uint8Array): void;
}

/** Takes a stream apart. */
export class FrameStream {
  private readonly events: StreamEvents;
  /** The beginning of a greeting or of a length. */
  private rest: Uint8Array = NOTHING;
  /** A frame that has not come as a whole, and how much of it has. */
  private begun: Uint8Array | undefined;
  private arrived = 0;
  private isGreeted = false;

  constructor(events: StreamEvents) {
    this.events = events;
  }
  /** Throws `network.bad-peer`; nothing of the stream can be trusted after that. */
  push(bytes: Uint8Array): void {
    let all = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    this.rest = NOTHING;
    if (!this.isGreeted) {
      if (all.length < GREETING_BYTES) {
        this.rest = all.slice();
        return;
      }
      this.greet(all.subarray(0, GREETING_BYTES));
      all = all.subarray(GREETING_BYTES);
    }
    let at = this.goOn(all);
    while (this.begun === undefined && all.length - at >= HEAD_BYTES) {
      const length = new DataView(all.buffer, all.byteOffset + at, HEAD_BYTES).getUint32(0, true);
      if (!isEncodedLength(length)) throw badPeer(`a frame of ${length} bytes, head and all`);
      at += HEAD_BYTES;
      const end = at + length;
      if (end <= all.length) this.events.frame(all.subarray(at, end));
      else {
        this.begun = new Uint8Array(length);
        this.arrived = 0;
        this.goOn(all.subarray(at));
      }
      at = Math.min(end, all.length);
    }
    this.rest = all.slice(at);
  }
  /** Takes what belongs to the frame that has begun. Returns how much that is. */
  private goOn(bytes: Uint8Array): number {
    const { begun } = this;
    if (begun === undefined) return 0;
    const part = bytes.subarray(0, begun.length - this.arrived);
    begun.set(part, this.arrived);
    this.arrived += part.length;
    if (this.arrived === begun.length) {
      this.begun = undefined;
      this.events.frame(begun);
    }
    return part.length;
  }
  private greet(bytes: Uint8Array): void {
    if (!MAGIC.every((byte, i) => bytes[i] === byte)) throw badPeer('it is no guest of Tomei');
    const version = bytes[MAGIC.length]!;
    if (version !== VERSION) throw badPeer(`it speaks version ${version}, this program ${VERSION}`);
    this.isGreeted = true;
    this.events.greeted(Buffer.from(bytes.subarray(MAGIC.length + 1)).toString('hex'));
  }
}
const badPeer = (what: string): TomeiError =>
  new TomeiError('network.bad-peer', `somebody else on the network: ${what}`);
