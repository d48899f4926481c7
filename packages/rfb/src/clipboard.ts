/**
 * What viewers and guests copy: plain texts of Latin-1 (RFC 6143, 7.5.6 and 7.6.4), and with viewers that can, any text (rfbproto, "Extended
 * Clipboard Pseudo-Encoding"): who has one says so, and the other asks for it.
 */
import { constants, deflateSync, inflateSync } from 'node:zlib';
import { ByteWriter } from './byte-writer.ts';
import { MAX_CUT_TEXT, broken } from './client-messages.ts';

const SERVER_CUT_TEXT = 3;
const TEXT = 1 << 0;
const CAPS = 1 << 24,
  REQUEST = 1 << 25,
  PEEK = 1 << 26,
  NOTIFY = 1 << 27,
  PROVIDE = 1 << 28;
const ACTIONS = CAPS | REQUEST | PEEK | NOTIFY | PROVIDE;
/** Before a text in what is provided: its size, which counts the zero at its end. */
const SIZE_BYTES = 4;

/** What a message of the viewer leads to. */
export interface Received {
  readonly answer?: Uint8Array;
  /** What its person has copied. */
  readonly text?: string;
}

export class Clipboard {
  /** Of a viewer that has answered the greeting. */
  private canBeAsked = false;
  private offered: string | undefined;

  /** Says what the server can do: texts up to a size are taken without being announced. */
  greeting(): Uint8Array {
    return extended(ACTIONS | TEXT, new ByteWriter().u32(MAX_CUT_TEXT).toBytes());
  }

  /** An extended message of the viewer. Throws `viewer.broken-protocol` for what cannot be unpacked. */
  received(flags: number, data: Uint8Array): Received {
    const hasText = (flags & TEXT) !== 0;
    if ((flags & CAPS) !== 0) {
      this.canBeAsked = hasText && (flags & NOTIFY) !== 0;
      return {};
    }
    switch (flags & ACTIONS) {
      case REQUEST:
        return hasText && this.offered !== undefined ? { answer: provide(this.offered) } : {};
      case PEEK:
        return { answer: extended(NOTIFY | (this.offered === undefined ? 0 : TEXT)) };
      case NOTIFY:
        return hasText ? { answer: extended(REQUEST | TEXT) } : {};
      case PROVIDE:
        return hasText ? { text: provided(data) } : {};
      default:
        return {};
    }
  }

  /** The message by which a viewer hears of a text that the guest has copied. */
  offer(text: string): Uint8Array {
    this.offered = text;
    return this.canBeAsked ? extended(NOTIFY | TEXT) : plainText(text);
  }
}

/** A text for viewers that know no other: what is not Latin-1 becomes a question mark. */
export function plainText(text: string): Uint8Array {
  const bytes = Uint8Array.from(text, (character) => {
    const code = character.codePointAt(0)!;
    return code > 0xff ? 0x3f : code;
  });
  return new ByteWriter().u8(SERVER_CUT_TEXT).zeros(3).u32(bytes.length).bytes(bytes).toBytes();
}

/** A negative length says that the text is an extended message. */
function extended(flags: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const length = SIZE_BYTES + data.length;
  return new ByteWriter()
    .u8(SERVER_CUT_TEXT)
    .zeros(3)
    .u32(-length >>> 0)
    .u32(flags >>> 0)
    .bytes(data)
    .toBytes();
}
function provide(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(`${text.replaceAll(/\r\n|\r|\n/g, '\r\n')}\0`);
  return extended(PROVIDE | TEXT, deflateSync(new ByteWriter().u32(bytes.length).bytes(bytes).written()));
}
function provided(data: Uint8Array): string {
  let bytes: Buffer;
  try {
    // noVNC does not finish its stream.
    const finishFlush = constants.Z_SYNC_FLUSH;
    bytes = inflateSync(data, { finishFlush, maxOutputLength: SIZE_BYTES + MAX_CUT_TEXT });
  } catch {
    throw broken(`a text for the clipboard that cannot be unpacked, or has more than ${MAX_CUT_TEXT} bytes`);
  }
  const size = bytes.length < SIZE_BYTES ? Infinity : bytes.readUInt32BE(0);
  if (size > bytes.length - SIZE_BYTES) throw broken('a text for the clipboard that is shorter than it says');
  const text = bytes.toString('utf8', SIZE_BYTES, SIZE_BYTES + size);
  return (text.endsWith('\0') ? text.slice(0, -1) : text).replaceAll('\r\n', '\n');
}
