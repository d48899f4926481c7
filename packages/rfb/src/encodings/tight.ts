/**
 * Tight: one colour, a palette, or all of the dots, then zlib (rfbproto, "Tight Encoding"). Lossless only: no JPEG, and no
 * gradient filter, which pays off on photographs alone.
 */
import { ByteWriter } from '../byte-writer.ts';
import type { Rectangle } from '../geometry.ts';
import type { PixelPacker } from '../pixel-format.ts';
import { split, type EncodeRequest, type EncodedRectangle, type Encoding } from './encoding.ts';
import { Palette } from './palette.ts';
import { deflatePiece, writePiece } from './zlib-streams.ts';

/** "the width of any Tight-encoded rectangle cannot exceed 2048 pixels" */
const MAX_WIDTH = 2048;
/** Keeps lengths well below the 22 bits that they have. */
const MAX_DOTS = 65_536;
/** What is shorter goes as it is, without a length. */
const MIN_TO_COMPRESS = 12;
const MAX_PALETTE = 256;
/** A palette must not be larger than what it saves: at most one colour for so many dots. */
const DOTS_A_COLOUR = 8;

/** The compression-control byte. */
const FILL = 0x80;
const FILTER_FOLLOWS = 0x40;
const FILTER_PALETTE = 1;
/** Streams, one for each kind of content, as TightVNC's servers have them. */
const STREAM_FULL = 0;
const STREAM_MONO = 1;
const STREAM_INDEXED = 2;

export const tight: Encoding = {
  id: 7,
  name: 'tight',
  encode(request) {
    const width = Math.min(request.area.width, MAX_WIDTH);
    const parts = split(request.area, width, Math.max(1, Math.floor(MAX_DOTS / width)));
    const scratch = new Scratch();
    return parts.map((part) => encodePart({ ...request, area: part }, scratch));
  },
};

/** What one part's encoding leaves behind for the next one's. */
class Scratch {
  values = new Uint32Array(0);
  indexes = new Uint8Array(0);
  readonly palette = new Palette();

  fit(dots: number): void {
    if (this.values.length >= dots) return;
    this.values = new Uint32Array(dots);
    this.indexes = new Uint8Array(dots);
  }
}

function encodePart({ picture, area, packers, level }: EncodeRequest, scratch: Scratch): EncodedRectangle {
  const packer = packers.tight;
  const dots = area.width * area.height;
  scratch.fit(dots);
  packer.convert(picture, area, scratch.values);
  const hasPalette = findPalette(scratch, dots, paletteLimit(packer, dots));
  const { palette } = scratch;
  if (hasPalette && palette.size === 1) return encodeFill(area, packer, palette);

  const head = new ByteWriter(4 + palette.size * packer.bytes);
  let content: Uint8Array;
  let stream: number;
  if (hasPalette) {
    stream = palette.size === 2 ? STREAM_MONO : STREAM_INDEXED;
    head.u8((stream << 4) | FILTER_FOLLOWS).u8(FILTER_PALETTE);
    head.u8(palette.size - 1);
    packer.write(head, palette.values, palette.size);
    content = palette.size === 2 ? toBits(scratch.indexes, area) : scratch.indexes.subarray(0, dots);
  } else {
    stream = STREAM_FULL;
    head.u8(stream << 4);
    const all = new ByteWriter(dots * packer.bytes);
    packer.write(all, scratch.values, dots);
    content = all.written();
  }
  if (content.length < MIN_TO_COMPRESS) {
    head.bytes(content);
    return { ...area, write: (out) => void out.bytes(head.written()) };
  }
  const piece = deflatePiece(content, level);
  return {
    ...area,
    write(out, streams) {
      out.bytes(head.written());
      writePiece(out, streams.header(`tight ${stream}`), piece, writeCompactLength);
    },
  };
}

function encodeFill(area: Rectangle, packer: PixelPacker, palette: Palette): EncodedRectangle {
  const body = new ByteWriter(1 + packer.bytes).u8(FILL);
  packer.write(body, palette.values, 1);
  return { ...area, write: (out) => void out.bytes(body.written()) };
}

function paletteLimit(packer: PixelPacker, dots: number): number {
  // An index of 8 bits saves nothing over a pixel of 8 bits; a single bit does.
  const most = packer.bytes === 1 ? 2 : MAX_PALETTE;
  return Math.max(2, Math.min(most, Math.floor(dots / DOTS_A_COLOUR)));
}

/** Fills the palette and the indexes. Returns false when there are more than `limit` colours. */
function findPalette({ values, indexes, palette }: Scratch, dots: number, limit: number): boolean {
  palette.clear();
  for (let i = 0; i < dots;) {
    const value = values[i]!;
    const index = palette.add(value, limit);
    if (index < 0) return false;
    do indexes[i++] = index;
    while (i < dots && values[i] === value);
  }
  return true;
}

/** One bit a dot, the leftmost highest; rows begin at whole bytes. */
function toBits(indexes: Uint8Array, { width, height }: Rectangle): Uint8Array {
  const rowBytes = (width + 7) >> 3;
  const bits = new Uint8Array(rowBytes * height);
  let from = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (indexes[from++] === 1) bits[row * rowBytes + (column >> 3)]! |= 0x80 >> (column & 7);
    }
  }
  return bits;
}

/** Seven bits, seven bits, eight bits, the lowest first; the highest bit of the first two says that more follows. */
function writeCompactLength(out: ByteWriter, length: number): void {
  if (length < 0x80) out.u8(length);
  else if (length < 0x4000) out.u8((length & 0x7f) | 0x80).u8(length >> 7);
  else
    out
      .u8((length & 0x7f) | 0x80)
      .u8(((length >> 7) & 0x7f) | 0x80)
      .u8(length >> 14);
}
