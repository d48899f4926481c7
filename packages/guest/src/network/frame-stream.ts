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
  /** The bytes are the receiver's. */
  frame(bytes: Uint8Array): void;
}

/** Takes a stream apart. */
export class FrameStream {
  private readonly events: StreamEvents;
  private rest: Uint8Array = new Uint8Array(0);
  private isGreeted = false;

  constructor(events: StreamEvents) {
    this.events = events;
  }
  /** Throws `network.bad-peer`; nothing of the stream can be trusted after that. */
  push(bytes: Uint8Array): void {
    let all = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    if (!this.isGreeted) {
      if (all.length < GREETING_BYTES) {
        this.rest = all.slice();
        return;
      }
      this.greet(all.subarray(0, GREETING_BYTES));
      all = all.subarray(GREETING_BYTES);
    }
    let at = 0;
    while (all.length - at >= HEAD_BYTES) {
      const length = new DataView(all.buffer, all.byteOffset + at, HEAD_BYTES).getUint32(0, true);
      if (!isEncodedLength(length)) throw badPeer(`a frame of ${length} bytes, head and all`);
      if (all.length - at - HEAD_BYTES < length) break;
      this.events.frame(Uint8Array.from(all.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)));
      at += HEAD_BYTES + length;
    }
    this.rest = all.slice(at);
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
