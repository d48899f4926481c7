/** Frames as PNG files (W3C PNG, third edition): eight-bit RGB, no interlace. */
import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { TomeiError } from '@tomei/kit';
import type { Frame } from './frame.ts';

/** Clause 5.2. */
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** Clause 11.2.1: bit depth and colour type. */
const BIT_DEPTH = 8;
const COLOUR_RGB = 2;
const COLOUR_RGBA = 6;
/** Clause 9.2. */
const FILTER_NONE = 0;
const FILTER_SUB = 1;
const FILTER_UP = 2;
const FILTER_AVERAGE = 3;
const FILTER_PAETH = 4;

const CHANNELS = 3;
/** Length, type and CRC of a chunk. */
const CHUNK_OVERHEAD = 12;
const IHDR_LENGTH = 13;
/** Frames of guests are far smaller; this bounds what a header can make us allocate. */
const MAX_SIDE = 16_384;

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + CHUNK_OVERHEAD);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

const concat = (parts: readonly Uint8Array[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

/** Encodes a frame; alpha is left out, since a screen has none. */
export function encodePng(frame: Frame): Uint8Array {
  const { width, height, rgba } = frame;
  const header = new Uint8Array(IHDR_LENGTH);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([BIT_DEPTH, COLOUR_RGB, 0, 0, 0], 8);

  const stride = width * CHANNELS;
  const raw = new Uint8Array((stride + 1) * height);
  let above = new Uint8Array(stride);
  let row = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    for (let x = 0, from = y * width * 4, to = 0; x < width; x++, from += 4, to += CHANNELS) {
      row[to] = rgba[from]!;
      row[to + 1] = rgba[from + 1]!;
      row[to + 2] = rgba[from + 2]!;
    }
    writeFiltered(raw, y * (stride + 1), row, above);
    [above, row] = [row, above];
  }
  const data = deflateSync(raw, { level: 9 });
  return concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', new Uint8Array(0))]);
}

/** Writes a scanline with the filter whose sum of absolute differences is least (clause 12.7). */
function writeFiltered(raw: Uint8Array, at: number, row: Uint8Array, above: Uint8Array): void {
  let none = 0;
  let sub = 0;
  let up = 0;
  for (let i = 0; i < row.length; i++) {
    const value = row[i]!;
    none += magnitude(value);
    sub += magnitude(value - (i < CHANNELS ? 0 : row[i - CHANNELS]!));
    up += magnitude(value - above[i]!);
  }
  const least = Math.min(none, sub, up);
  const filter = least === up ? FILTER_UP : least === sub ? FILTER_SUB : FILTER_NONE;
  raw[at] = filter;
  for (let i = 0; i < row.length; i++) {
    const left = i < CHANNELS ? 0 : row[i - CHANNELS]!;
    raw[at + 1 + i] = row[i]! - (filter === FILTER_UP ? above[i]! : filter === FILTER_SUB ? left : 0);
  }
}
const magnitude = (difference: number): number => {
  const byte = difference & 0xff;
  return byte < 128 ? byte : 256 - byte;
};

const refuse = (what: string): never => {
  throw new TomeiError('png.unreadable', `${what}; only eight-bit RGB or RGBA without interlace is read`);
};

/** Decodes eight-bit RGB and RGBA images. Throws `png.unreadable` on anything else and on damage. */
export function decodePng(file: Uint8Array): Frame {
  if (SIGNATURE.some((byte, i) => file[i] !== byte)) refuse('not a PNG file');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const parts: Uint8Array[] = [];
  let header: DataView | undefined;
  for (let at = SIGNATURE.length; ;) {
    if (at + CHUNK_OVERHEAD > file.length) return refuse(`file ends in a chunk at byte ${at}`);
    const length = view.getUint32(at);
    const end = at + CHUNK_OVERHEAD + length;
    if (end > file.length) return refuse(`chunk at byte ${at} reaches outside the file`);
    if (crc32(file.subarray(at + 4, end - 4)) !== view.getUint32(end - 4))
      refuse(`bad checksum in chunk at byte ${at}`);
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (type === 'IHDR' && length === IHDR_LENGTH) header = new DataView(file.buffer, file.byteOffset + at + 8, length);
    if (type === 'IDAT') parts.push(file.subarray(at + 8, end - 4));
    if (type === 'IEND') break;
    at = end;
  }
  if (header === undefined) return refuse('no image header');
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const colour = header.getUint8(9);
  const supported = header.getUint8(8) === BIT_DEPTH && (colour === COLOUR_RGB || colour === COLOUR_RGBA);
  if (!supported || header.getUint8(12) !== 0) refuse(`bit depth ${header.getUint8(8)}, colour type ${colour}`);
  if (width === 0 || height === 0 || width > MAX_SIDE || height > MAX_SIDE) refuse(`image of ${width}x${height}`);
  const channels = colour === COLOUR_RGB ? 3 : 4;
  const size = (width * channels + 1) * height;
  let raw: Uint8Array;
  try {
    raw = inflateSync(concat(parts), { maxOutputLength: size });
  } catch (error) {
    throw new TomeiError('png.unreadable', 'image data does not decompress', { cause: error });
  }
  if (raw.length !== size) refuse(`image data holds ${raw.length} bytes instead of ${size}`);
  return { width, height, rgba: unfilter(raw, width, height, channels) };
}

function unfilter(raw: Uint8Array, width: number, height: number, channels: number): Uint8Array {
  const stride = width * channels;
  const rgba = new Uint8Array(width * height * 4).fill(0xff);
  let above = new Uint8Array(stride);
  let row = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const at = y * (stride + 1);
    const filter = raw[at]!;
    if (filter > FILTER_PAETH) refuse(`unknown filter ${filter} in row ${y}`);
    for (let i = 0; i < stride; i++) {
      const left = i < channels ? 0 : row[i - channels]!;
      const upLeft = i < channels ? 0 : above[i - channels]!;
      row[i] = raw[at + 1 + i]! + predict(filter, left, above[i]!, upLeft);
    }
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) rgba[(y * width + x) * 4 + c] = row[x * channels + c]!;
    }
    [above, row] = [row, above];
  }
  return rgba;
}

/** Clause 9.2, with the Paeth predictor of 9.4. */
function predict(filter: number, left: number, up: number, upLeft: number): number {
  if (filter === FILTER_NONE) return 0;
  if (filter === FILTER_SUB) return left;
  if (filter === FILTER_UP) return up;
  if (filter === FILTER_AVERAGE) return (left + up) >> 1;
  const estimate = left + up - upLeft;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - upLeft)];
  return a <= b && a <= c ? left : b <= c ? up : upLeft;
}
