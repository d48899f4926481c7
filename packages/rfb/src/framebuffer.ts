/** One guest's picture, shared by all its viewers. Frames come from another process and are checked before any is carried out. */
import { inflateSync } from 'node:zlib';
import { TomeiError, messageOf } from '@tomei/kit';
import { EncodedCache } from './encodings/encoded-cache.ts';
import { around, contains, type CopyRectangle, type Rectangle } from './geometry.ts';

/** New dots: rows from the top, four bytes a dot (red, green, blue, any); a zlib stream of them (RFC 1950) when `deflated`. */
export interface PixelRectangle extends Rectangle {
  readonly rgba: Uint8Array;
  readonly deflated?: boolean;
}

/** What changed since the frame before; the shape of `Frame` in proto/tomei/v1/console.proto. */
export interface Frame {
  /** Of the whole picture. When it differs from the frame before, what no rectangle covers is black. */
  readonly width: number;
  readonly height: number;
  /** Carried out first, in order, each from the picture as the ones before left it. */
  readonly copies: readonly CopyRectangle[];
  readonly rectangles: readonly PixelRectangle[];
}

/** What one frame did to the picture. */
export interface FrameChange {
  readonly resized: boolean;
  readonly copies: readonly CopyRectangle[];
  readonly damage: readonly Rectangle[];
}

/** The longest side of a picture: what VMware's SVGA device can be told at most, and far below RFB's 65535. */
export const MAX_SIDE = 8192;
/** The most dots of a picture: 64 MiB of memory. */
export const MAX_DOTS = 16 * 1024 * 1024;
/** Of one frame, with its copies. */
const MAX_RECTANGLES = 4096;
/** More damage than this is told as the one rectangle around it: every viewer keeps account of each. */
const MAX_DAMAGE_RECTANGLES = 256;
const BYTES_PER_DOT = 4;
/** Red, green and blue zero, as a 32-bit little-endian number. */
export const BLACK = 0xff000000;

export class Framebuffer {
  private size: { readonly width: number; readonly height: number };
  private dots: Uint32Array;
  /** Encodings of the picture as it is now, for all viewers together. */
  readonly encoded = new EncodedCache();
  private readonly listeners = new Set<(change: FrameChange) => void>();

  /** Black at first. The default is VGA's text screen, which a guest shows before anything else. */
  constructor(width = 720, height = 400) {
    this.size = { width, height };
    checkSize(width, height);
    this.dots = new Uint32Array(width * height).fill(BLACK);
  }

  get width(): number {
    return this.size.width;
  }

  get height(): number {
    return this.size.height;
  }

  /** One number a dot, rows from the top: red + green * 2^8 + blue * 2^16 + 255 * 2^24. To read only; replaced on a resize. */
  get pixels(): Uint32Array {
    return this.dots;
  }

  /** The same memory as bytes: red, green, blue, 255. */
  get rgba(): Uint8Array {
    return new Uint8Array(this.dots.buffer, this.dots.byteOffset, this.dots.byteLength);
  }

  /**
   * Carries out a frame and tells every listener. Throws `frame.bad` before anything has changed when the frame reaches
   * outside its picture, has too few or too many bytes, or is too large.
   */
  apply(frame: Frame): void {
    const { width, height } = frame;
    checkSize(width, height);
    if (frame.copies.length + frame.rectangles.length > MAX_RECTANGLES) {
      throw bad(
        `it has ${frame.copies.length + frame.rectangles.length} rectangles and copies, over ${MAX_RECTANGLES}`,
      );
    }
    const picture = { x: 0, y: 0, width, height };
    for (const copy of frame.copies) {
      checkInside(copy, picture, 'a copy goes');
      checkInside({ ...copy, x: copy.fromX, y: copy.fromY }, picture, 'a copy comes from');
    }
    let total = 0;
    for (const rectangle of frame.rectangles) {
      checkInside(rectangle, picture, 'a rectangle lies');
      total += rectangle.width * rectangle.height;
    }
    // Inflated all at once, so a frame must not be able to name the same dots thousands of times.
    if (total > 2 * MAX_DOTS) throw bad(`its rectangles have ${total} dots, over ${2 * MAX_DOTS}`);
    const contents = frame.rectangles.map(contentOf);

    const resized = width !== this.width || height !== this.height;
    if (resized) {
      this.size = { width, height };
      this.dots = new Uint32Array(width * height).fill(BLACK);
    } else {
      for (const copy of frame.copies) this.copy(copy);
    }
    frame.rectangles.forEach((rectangle, index) => this.paint(rectangle, contents[index]!));
    this.encoded.clear();
    const damage = resized ? [picture] : damageOf(frame.rectangles);
    const copies = resized ? [] : frame.copies.filter((c) => c.width > 0 && c.height > 0);
    if (!resized && damage.length === 0 && copies.length === 0) return;
    for (const listener of this.listeners) listener({ resized, copies, damage });
  }

  /** Calls `listener` after every frame that changed something, until the returned function is called. */
  onChange(listener: (change: FrameChange) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private copy({ x, y, width, height, fromX, fromY }: CopyRectangle): void {
    const stride = this.width;
    // Upwards from the bottom when it moves down: the areas may overlap. Within a row `copyWithin` takes care.
    const down = y > fromY;
    for (let i = 0; i < height; i++) {
      const row = down ? height - 1 - i : i;
      const from = (fromY + row) * stride + fromX;
      this.dots.copyWithin((y + row) * stride + x, from, from + width);
    }
  }

  private paint({ x, y, width, height }: Rectangle, content: Uint8Array): void {
    const target = this.dots;
    let at = 0;
    for (let row = y; row < y + height; row++) {
      let to = row * this.width + x;
      for (const end = to + width; to < end; to++, at += BYTES_PER_DOT) {
        target[to] = content[at]! | (content[at + 1]! << 8) | (content[at + 2]! << 16) | BLACK;
      }
    }
  }
}

function damageOf(rectangles: readonly Rectangle[]): readonly Rectangle[] {
  const damage = rectangles
    .filter((r) => r.width > 0 && r.height > 0)
    .map(({ x, y, width, height }) => ({ x, y, width, height }));
  return damage.length > MAX_DAMAGE_RECTANGLES ? [around(damage)] : damage;
}

function contentOf(rectangle: PixelRectangle): Uint8Array {
  const expected = rectangle.width * rectangle.height * BYTES_PER_DOT;
  let content = rectangle.rgba;
  if (rectangle.deflated === true && expected > 0) {
    try {
      content = inflateSync(content, { maxOutputLength: expected });
    } catch (error) {
      throw bad(`a rectangle's content does not inflate to ${expected} bytes: ${messageOf(error)}`, error);
    }
  }
  if (content.length !== expected) throw bad(`a rectangle has ${content.length} bytes instead of ${expected}`);
  return content;
}

function checkSize(width: number, height: number): void {
  const fits = (side: number): boolean => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE;
  if (!fits(width) || !fits(height) || width * height > MAX_DOTS) {
    throw bad(`its size of ${width} x ${height} dots is over ${MAX_SIDE} a side or ${MAX_DOTS} in all, or empty`);
  }
}

function checkInside(inner: Rectangle, picture: Rectangle, what: string): void {
  const whole = [inner.x, inner.y, inner.width, inner.height].every((n) => Number.isInteger(n) && n >= 0);
  if (!whole || !contains(picture, inner)) {
    throw bad(
      `${what} outside its ${picture.width} x ${picture.height} dots: ` +
        `${inner.width} x ${inner.height} at ${inner.x}, ${inner.y}`,
    );
  }
}

function bad(why: string, cause?: unknown): TomeiError {
  return new TomeiError('frame.bad', `the guest's console sent a frame that cannot be shown: ${why}`, { cause });
}
