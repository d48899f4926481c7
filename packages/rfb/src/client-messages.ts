/** Messages from a viewer after the handshake (RFC 6143, 7.5; rfbproto for the rest): one reader each. */
import { TomeiError } from '@tomei/kit';
import { NEED_MORE, type ByteQueue, type NeedMore, type Reader } from './byte-queue.ts';
import type { Rectangle } from './geometry.ts';
import { PIXEL_FORMAT_BYTES, readPixelFormat, type PixelFormat } from './pixel-format.ts';

export type ClientMessage =
  | { readonly kind: 'pixel-format'; readonly format: PixelFormat }
  | { readonly kind: 'encodings'; readonly ids: readonly number[] }
  | { readonly kind: 'update-request'; readonly incremental: boolean; readonly area: Rectangle }
  | { readonly kind: 'key'; readonly down: boolean; readonly keysym: number }
  | { readonly kind: 'pointer'; readonly buttons: number; readonly x: number; readonly y: number }
  | { readonly kind: 'cut-text'; readonly text: string }
  /** Of the extended clipboard: actions and formats, and what comes with them. */
  | { readonly kind: 'clipboard'; readonly flags: number; readonly data: Uint8Array }
  /** So many bytes follow that are of no use. */
  | { readonly kind: 'skip'; readonly count: number }
  | { readonly kind: 'continuous-updates'; readonly enable: boolean; readonly area: Rectangle }
  | { readonly kind: 'fence'; readonly flags: number; readonly payload: Uint8Array }
  | {
      readonly kind: 'desktop-size';
      readonly width: number;
      readonly height: number;
      readonly screens: readonly Rectangle[];
    }
  | { readonly kind: 'scan-code'; readonly down: boolean; readonly keysym: number; readonly xtCode: number };

/** Longer text that a viewer's person copied is not kept. */
export const MAX_CUT_TEXT = 256 * 1024;
/** Of a message of the extended clipboard: its flags. */
const CLIPBOARD_FLAGS = 4;
/** Above it, the length is negative: a message of the extended clipboard. */
const MAX_LENGTH = 0x7fffffff;
/** rfbproto, "ClientFence". */
const MAX_FENCE_PAYLOAD = 64;
const SCREEN_BYTES = 16;
const QEMU_KEY_EVENT = 0;

function readArea(queue: ByteQueue): Rectangle {
  return { x: queue.u16(), y: queue.u16(), width: queue.u16(), height: queue.u16() };
}

/** By message type. Each consumes the type too. */
const READERS: Readonly<Record<number, Reader<ClientMessage>>> = {
  0: (q) => {
    if (!q.has(4 + PIXEL_FORMAT_BYTES)) return NEED_MORE;
    q.skip(4);
    return { kind: 'pixel-format', format: readPixelFormat(q) };
  },
  2: (q) => {
    if (!q.has(4)) return NEED_MORE;
    const count = q.peekU16(2);
    if (!q.has(4 + 4 * count)) return NEED_MORE;
    q.skip(4);
    return { kind: 'encodings', ids: Array.from({ length: count }, () => q.i32()) };
  },
  3: (q) => {
    if (!q.has(10)) return NEED_MORE;
    q.skip(1);
    return { kind: 'update-request', incremental: q.u8() !== 0, area: readArea(q) };
  },
  4: (q) => {
    if (!q.has(8)) return NEED_MORE;
    q.skip(1);
    const down = q.u8() !== 0;
    q.skip(2);
    return { kind: 'key', down, keysym: q.u32() };
  },
  5: (q) => {
    if (!q.has(6)) return NEED_MORE;
    q.skip(1);
    return { kind: 'pointer', buttons: q.u8(), x: q.u16(), y: q.u16() };
  },
  6: readCutText,
  150: (q) => {
    if (!q.has(10)) return NEED_MORE;
    q.skip(1);
    return { kind: 'continuous-updates', enable: q.u8() !== 0, area: readArea(q) };
  },
  248: (q) => {
    if (!q.has(9)) return NEED_MORE;
    const length = q.peekU8(8);
    if (length > MAX_FENCE_PAYLOAD) throw broken(`a fence with ${length} bytes; ${MAX_FENCE_PAYLOAD} are allowed`);
    if (!q.has(9 + length)) return NEED_MORE;
    q.skip(4);
    const flags = q.u32();
    q.skip(1);
    return { kind: 'fence', flags, payload: q.bytes(length) };
  },
  251: (q) => {
    if (!q.has(8)) return NEED_MORE;
    const count = q.peekU8(6);
    if (!q.has(8 + SCREEN_BYTES * count)) return NEED_MORE;
    q.skip(2);
    const width = q.u16();
    const height = q.u16();
    q.skip(2);
    const screens = Array.from({ length: count }, () => {
      q.skip(4);
      const area = readArea(q);
      q.skip(4);
      return area;
    });
    return { kind: 'desktop-size', width, height, screens };
  },
  255: (q) => {
    if (!q.has(2)) return NEED_MORE;
    const submessage = q.peekU8(1);
    if (submessage !== QEMU_KEY_EVENT) throw broken(`QEMU message ${submessage}, which was not offered`);
    if (!q.has(12)) return NEED_MORE;
    q.skip(2);
    return { kind: 'scan-code', down: q.u16() !== 0, keysym: q.u32(), xtCode: q.u32() };
  },
};

function readCutText(q: ByteQueue): ClientMessage | NeedMore {
  if (!q.has(8)) return NEED_MORE;
  const length = q.peekU32(4);
  if (length > MAX_LENGTH) return readClipboard(q, -(length | 0));
  if (length > MAX_CUT_TEXT) {
    q.skip(8);
    return { kind: 'skip', count: length };
  }
  if (!q.has(8 + length)) return NEED_MORE;
  q.skip(8);
  return { kind: 'cut-text', text: Buffer.from(q.bytes(length)).toString('latin1') };
}

function readClipboard(q: ByteQueue, length: number): ClientMessage | NeedMore {
  if (length < CLIPBOARD_FLAGS) throw broken('a message of the extended clipboard without flags');
  if (length > CLIPBOARD_FLAGS + MAX_CUT_TEXT) {
    q.skip(8);
    return { kind: 'skip', count: length };
  }
  if (!q.has(8 + length)) return NEED_MORE;
  q.skip(8);
  return { kind: 'clipboard', flags: q.u32(), data: q.bytes(length - CLIPBOARD_FLAGS) };
}

/** The next message, when it is whole. Throws `viewer.broken-protocol` or `viewer.bad-pixel-format`. */
export function readClientMessage(queue: ByteQueue): ClientMessage | NeedMore {
  if (!queue.has(1)) return NEED_MORE;
  const type = queue.peekU8(0);
  const read = READERS[type];
  if (read === undefined) throw broken(`a message of type ${type}, which there is not or which was not offered`);
  return read(queue);
}

export function broken(what: string): TomeiError {
  return new TomeiError('viewer.broken-protocol', `the viewer sent ${what}`);
}
