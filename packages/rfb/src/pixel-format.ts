/** Pixel formats (RFC 6143, 7.4) and the conversion of a picture's dots into them. */
import { TomeiError } from '@tomei/kit';
import type { ByteQueue } from './byte-queue.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { Rectangle } from './geometry.ts';

export interface PixelFormat {
  readonly bitsPerPixel: 8 | 16 | 32;
  readonly depth: number;
  readonly bigEndian: boolean;
  /** False: pixels are indexes into a colour map, which the server chose (`COLOUR_MAP_FORMAT`). */
  readonly trueColour: boolean;
  readonly redMax: number;
  readonly greenMax: number;
  readonly blueMax: number;
  readonly redShift: number;
  readonly greenShift: number;
  readonly blueShift: number;
}

/** Bytes of a pixel format on the wire. */
export const PIXEL_FORMAT_BYTES = 16;

/** What the server offers in ServerInit; the order of colours that most viewers have themselves. */
export const SERVER_FORMAT: PixelFormat = {
  bitsPerPixel: 32,
  depth: 24,
  bigEndian: false,
  trueColour: true,
  redMax: 255,
  greenMax: 255,
  blueMax: 255,
  redShift: 16,
  greenShift: 8,
  blueShift: 0,
};

/** How indexes are made for a viewer that wants a colour map: three bits red, three green, two blue. */
export const COLOUR_MAP_FORMAT: PixelFormat = {
  bitsPerPixel: 8,
  depth: 8,
  bigEndian: false,
  trueColour: false,
  redMax: 7,
  greenMax: 7,
  blueMax: 3,
  redShift: 5,
  greenShift: 2,
  blueShift: 0,
};

/** Reads the 16 bytes at the front. Throws `viewer.bad-pixel-format`. */
export function readPixelFormat(queue: ByteQueue): PixelFormat {
  const bitsPerPixel = queue.u8();
  const format = {
    depth: queue.u8(),
    bigEndian: queue.u8() !== 0,
    trueColour: queue.u8() !== 0,
    redMax: queue.u16(),
    greenMax: queue.u16(),
    blueMax: queue.u16(),
    redShift: queue.u8(),
    greenShift: queue.u8(),
    blueShift: queue.u8(),
  };
  queue.skip(3);
  if (bitsPerPixel !== 8 && bitsPerPixel !== 16 && bitsPerPixel !== 32) {
    throw bad(`${bitsPerPixel} bits a pixel; there are only 8, 16 and 32`);
  }
  if (!format.trueColour) {
    if (bitsPerPixel !== 8) throw bad(`a colour map with ${bitsPerPixel} bits a pixel; colour maps are for 8 bits`);
    return COLOUR_MAP_FORMAT;
  }
  for (const colour of ['red', 'green', 'blue'] as const) {
    const max = format[`${colour}Max`];
    const bits = 32 - Math.clz32(max);
    if (max !== 2 ** bits - 1 || max === 0) throw bad(`a ${colour} maximum of ${max}, which is not all ones`);
    const shift = format[`${colour}Shift`];
    if (shift + bits > bitsPerPixel) throw bad(`${bits} bits of ${colour} at bit ${shift} of ${bitsPerPixel}`);
  }
  return { bitsPerPixel, ...format };
}

function bad(why: string): TomeiError {
  return new TomeiError('viewer.bad-pixel-format', `the viewer asked for pixels with ${why}`);
}

export function writePixelFormat(out: ByteWriter, format: PixelFormat): void {
  out.u8(format.bitsPerPixel).u8(format.depth).u8(Number(format.bigEndian)).u8(Number(format.trueColour));
  out.u16(format.redMax).u16(format.greenMax).u16(format.blueMax);
  out.u8(format.redShift).u8(format.greenShift).u8(format.blueShift).zeros(3);
}

/** A picture as encodings read it: see `Framebuffer.pixels`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
}

/**
 * Turns dots into wire values: numbers whose lowest `bytes` bytes are what goes over the wire, lowest first.
 * A big-endian viewer's values are swapped by the tables already.
 */
export class PixelPacker {
  readonly bytes: 1 | 2 | 3 | 4;
  private readonly red: Uint32Array;
  private readonly green: Uint32Array;
  private readonly blue: Uint32Array;
  /** The dots are what goes over the wire, but for the fourth byte. */
  private readonly isPlain: boolean;

  constructor(bytes: 1 | 2 | 3 | 4, red: Uint32Array, green: Uint32Array, blue: Uint32Array) {
    this.bytes = bytes;
    this.red = red;
    this.green = green;
    this.blue = blue;
    const isShift = (table: Uint32Array, shift: number): boolean =>
      table.every((wire, v) => wire === (v << shift) >>> 0);
    this.isPlain = isShift(red, 0) && isShift(green, 8) && isShift(blue, 16);
  }

  /** The wire values of an area, row by row, to the front of `target`. The area lies in the picture. */
  convert(picture: Picture, { x, y, width, height }: Rectangle, target: Uint32Array): void {
    const { pixels } = picture;
    const { red, green, blue, isPlain } = this;
    let to = 0;
    for (let row = y; row < y + height; row++) {
      let from = row * picture.width + x;
      const end = from + width;
      if (isPlain) {
        while (from < end) target[to++] = pixels[from++]! & 0xffffff;
      } else {
        while (from < end) {
          const dot = pixels[from++]!;
          target[to++] = red[dot & 0xff]! | green[(dot >>> 8) & 0xff]! | blue[(dot >>> 16) & 0xff]!;
        }
      }
    }
  }

  /** The wire value of one dot. */
  wire(dot: number): number {
    return (this.red[dot & 0xff]! | this.green[(dot >>> 8) & 0xff]! | this.blue[(dot >>> 16) & 0xff]!) >>> 0;
  }

  /** Writes the first `count` wire values. */
  write(out: ByteWriter, values: Uint32Array, count: number): void {
    out.reserve(count * this.bytes);
    const { data } = out;
    let at = out.length;
    switch (this.bytes) {
      case 1:
        for (let i = 0; i < count; i++) data[at++] = values[i]!;
        break;
      case 2:
        for (let i = 0; i < count; i++) {
          const value = values[i]!;
          data[at++] = value;
          data[at++] = value >>> 8;
        }
        break;
      case 3:
        for (let i = 0; i < count; i++) {
          const value = values[i]!;
          data[at++] = value;
          data[at++] = value >>> 8;
          data[at++] = value >>> 16;
        }
        break;
      case 4:
        // Node runs on little-endian machines only (x86, ARM); `Framebuffer.rgba` relies on it too.
        data.set(new Uint8Array(values.buffer, values.byteOffset, count * 4), at);
        at += count * 4;
        break;
    }
    out.length = at;
  }
}

/** The three kinds of pixel that encodings use. */
export interface Packers {
  /** The same text for formats that give the same bytes. */
  readonly key: string;
  /** RFC 6143, 7.4. */
  readonly pixel: PixelPacker;
  /** ZRLE's: RFC 6143, 7.7.5, "CPIXEL". */
  readonly compressed: PixelPacker;
  /** Tight's: rfbproto, "Tight Encoding", `TPIXEL`. */
  readonly tight: PixelPacker;
}

export function createPackers(format: PixelFormat): Packers {
  const pixel = createPacker(format, 0);
  const isDeep = format.trueColour && format.bitsPerPixel === 32 && format.depth <= 24;
  const isBytes = format.redMax === 255 && format.greenMax === 255 && format.blueMax === 255;
  return {
    key: Object.values(format).join(),
    pixel,
    compressed: (isDeep && createCompressed(format)) || pixel,
    tight:
      isDeep && format.depth === 24 && isBytes
        ? createPacker({ ...format, bigEndian: false, redShift: 0, greenShift: 8, blueShift: 16 }, 0, 3)
        : pixel,
  };
}

/** Three bytes where the colours leave the highest or the lowest byte of four unused. */
function createCompressed(format: PixelFormat): PixelPacker | undefined {
  const mask =
    ((format.redMax << format.redShift) |
      (format.greenMax << format.greenShift) |
      (format.blueMax << format.blueShift)) >>>
    0;
  const fitsLow = mask < 2 ** 24;
  const fitsHigh = (mask & 0xff) === 0;
  if (!fitsLow && !fitsHigh) return undefined;
  // Unused is the first byte on the wire, for low colours of a big-endian viewer and for high ones of a little-endian one.
  return createPacker(format, fitsLow === format.bigEndian ? 8 : 0, 3);
}

/** Drops `dropBits` of the wire value, and keeps `bytes` of it. */
function createPacker(
  format: PixelFormat,
  dropBits: number,
  bytes = (format.bitsPerPixel / 8) as 1 | 2 | 3 | 4,
): PixelPacker {
  const table = (max: number, shift: number): Uint32Array =>
    Uint32Array.from({ length: 256 }, (_, intensity) => {
      const value = (Math.round((intensity * max) / 255) << shift) >>> 0;
      return (format.bigEndian ? swapped(value, format.bitsPerPixel) : value) >>> dropBits;
    });
  return new PixelPacker(
    bytes,
    table(format.redMax, format.redShift),
    table(format.greenMax, format.greenShift),
    table(format.blueMax, format.blueShift),
  );
}

function swapped(value: number, bits: number): number {
  if (bits === 8) return value;
  const swapped16 = ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
  if (bits === 16) return swapped16;
  return ((swapped16 << 16) | ((value >>> 24) & 0xff) | ((value >>> 8) & 0xff00)) >>> 0;
}
