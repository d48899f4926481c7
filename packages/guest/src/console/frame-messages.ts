/** From damage to messages: the dots of rectangles, in pieces that fit into a message, deflated where that pays. */
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';
import type { Frame as FrameMessage, Init, PixelRectangle } from '@tomei/contracts';
import { copyWithin, cutOut, type Damage, type Frame, type Rectangle } from '@tomei/paravirt-core';

/** Dots of one message, in bytes on the wire: half of what a message may have. */
const MESSAGE_BYTES = 4 << 20;
/** A rectangle with more bytes than this is cut into stripes: so much is deflated in vain, at most, when dots are noise. */
const PIECE_BYTES = 256 << 10;
/** Smaller ones are not worth the call. */
const LEAST_DEFLATED = 4096;
/** Noise: when a piece shrinks to no less than this share, the rest of its frame is not tried. */
const WORTH = 0.75;

const deflated = promisify<Uint8Array, { level: number }, Buffer>(deflate);

export interface NextFrame {
  readonly message: Init<FrameMessage>;
  /** What the receiver has then: the new picture, or something between the two when all of it did not fit. */
  readonly shown: Frame;
}

/** The message that leads from `before` (undefined: nothing) towards `after`. `damage` is between these two. */
export async function nextFrame(
  before: Frame | undefined,
  after: Frame,
  damage: Damage,
  { number, deflate: small }: { readonly number: number; readonly deflate: boolean },
): Promise<NextFrame> {
  const { width, height } = after;
  const pieces = damage.rectangles.flatMap(stripes);
  const rectangles: Init<PixelRectangle>[] = [];
  const done: Rectangle[] = [];
  let size = 0,
    worthIt = small;
  for (const piece of pieces) {
    if (size >= MESSAGE_BYTES) break;
    const rgba = cutOut(after, piece);
    const packed = worthIt && rgba.length >= LEAST_DEFLATED ? await deflated(rgba, { level: 1 }) : undefined;
    if (packed !== undefined && packed.length > rgba.length * WORTH) worthIt = false;
    const smaller = packed !== undefined && packed.length < rgba.length;
    rectangles.push({ ...piece, rgba: smaller ? packed : rgba, deflated: smaller });
    done.push(piece);
    size += smaller ? packed.length : rgba.length;
  }
  const message = { number, width, height, copies: damage.copies.map(copyMessage), rectangles };
  if (done.length === pieces.length) return { message, shown: after };
  const sameSize = before?.width === width && before.height === height;
  const shown: Frame = {
    width,
    height,
    rgba: sameSize ? before.rgba.slice() : blackDots(width * height),
  };
  for (const copy of damage.copies) copyWithin(shown, copy);
  for (const piece of done) paste(shown, after, piece);
  if (sameSize) return { message, shown };
  // A picture of another size has to be covered as a whole: what did not fit is black until the next message.
  const rest = pieces.slice(done.length);
  const black = await Promise.all(rest.map(blackPiece));
  return { message: { ...message, rectangles: [...rectangles, ...black] }, shown };
}

function copyMessage({ x, y, width, height, fromX, fromY }: Damage['copies'][number]): object {
  return { x, y, width, height, fromX, fromY };
}
function stripes(part: Rectangle): Rectangle[] {
  const rows = Math.max(1, Math.floor(PIECE_BYTES / (part.width * 4)));
  return Array.from({ length: Math.ceil(part.height / rows) }, (_, i) => ({
    ...part,
    y: part.y + i * rows,
    height: Math.min(rows, part.height - i * rows),
  }));
}
/** Red, green and blue 0, opaque. */
const blackDots = (dots: number): Uint8Array => new Uint8Array(new Uint32Array(dots).fill(0xff00_0000).buffer);
async function blackPiece(piece: Rectangle): Promise<Init<PixelRectangle>> {
  const rgba = await deflated(blackDots(piece.width * piece.height), { level: 1 });
  return { ...piece, rgba, deflated: true };
}
function paste(to: Frame, from: Frame, { x, y, width, height }: Rectangle): void {
  for (let row = y; row < y + height; row++) {
    const at = (row * to.width + x) * 4;
    to.rgba.set(from.rgba.subarray(at, at + width * 4), at);
  }
}
