/** ZRLE: tiles of 64 x 64 dots with palettes and runs, then zlib (RFC 6143, 7.7.6). */
import { ByteWriter } from '../byte-writer.ts';
import type { Rectangle } from '../geometry.ts';
import type { PixelPacker } from '../pixel-format.ts';
import { split, type EncodeRequest, type EncodedRectangle, type Encoding } from './encoding.ts';
import { Palette } from './palette.ts';
import { deflatePiece, writePiece } from './zlib-streams.ts';

const TILE_SIDE = 64;
/** Keeps what is deflated at once to a few mebibytes. */
const STRIP_ROWS = 4 * TILE_SIDE;
const MAX_PALETTE = 127;
const MAX_PACKED_PALETTE = 16;
const LONG_RUN = 255;

const SUBENCODING_RAW = 0;
const SUBENCODING_PLAIN_RLE = 128;
/** Added to the palette's size, and to the index of a run of more than one. */
const RLE = 128;

export const zrle: Encoding = {
  id: 16,
  name: 'zrle',
  encode: (request) =>
    split(request.area, request.area.width, STRIP_ROWS).map((strip) => encodeStrip({ ...request, area: strip })),
};

function encodeStrip({ picture, area, packers, level }: EncodeRequest): EncodedRectangle {
  const tiles = new TileWriter(packers.compressed, Math.min(area.width, TILE_SIDE) * Math.min(area.height, TILE_SIDE));
  for (const tile of split(area, TILE_SIDE, TILE_SIDE)) {
    packers.compressed.convert(picture, tile, tiles.values);
    tiles.write(tile);
  }
  const piece = deflatePiece(tiles.out.written(), level);
  return {
    ...area,
    write: (out, streams) => writePiece(out, streams.header('zrle'), piece, (to, length) => to.u32(length)),
  };
}

class TileWriter {
  readonly out = new ByteWriter();
  /** The wire values of the tile that is to be written. */
  readonly values: Uint32Array;
  /** By run: its number in the palette, and its length. */
  private readonly runIndexes: Uint8Array;
  private readonly runLengths: Uint16Array;
  private runs = 0;
  private readonly palette = new Palette();
  private readonly packer: PixelPacker;

  /** For tiles of at most `dots`. */
  constructor(packer: PixelPacker, dots: number) {
    this.packer = packer;
    this.values = new Uint32Array(dots);
    this.runIndexes = new Uint8Array(dots);
    this.runLengths = new Uint16Array(dots);
  }

  write({ width, height }: Rectangle): void {
    const { out, palette, packer } = this;
    const dots = width * height;
    const hasPalette = this.findRuns(dots);
    if (hasPalette && palette.size === 1) {
      out.u8(1);
      packer.write(out, palette.values, 1);
      return;
    }

    const { plainRle, paletteRle } = this.runBytes();
    const rawBytes = dots * packer.bytes;
    const bits = indexBits(palette.size);
    const packedBytes =
      hasPalette && palette.size <= MAX_PACKED_PALETTE
        ? palette.size * packer.bytes + Math.ceil((width * bits) / 8) * height
        : Infinity;
    const paletteRleBytes = hasPalette ? palette.size * packer.bytes + paletteRle : Infinity;
    const smallest = Math.min(rawBytes, plainRle, packedBytes, paletteRleBytes);
    if (smallest === packedBytes) {
      out.u8(palette.size);
      packer.write(out, palette.values, palette.size);
      this.writePacked(width, height, bits);
    } else if (smallest === paletteRleBytes) {
      out.u8(RLE + palette.size);
      packer.write(out, palette.values, palette.size);
      this.writePaletteRuns();
    } else if (smallest === plainRle) {
      out.u8(SUBENCODING_PLAIN_RLE);
      this.writePlainRuns();
    } else {
      out.u8(SUBENCODING_RAW);
      packer.write(out, this.values, dots);
    }
  }

  /** Fills the runs, and the palette. Returns false when there are too many colours; run indexes are not valid then. */
  private findRuns(dots: number): boolean {
    const { values, palette, runIndexes, runLengths } = this;
    palette.clear();
    let runs = 0;
    let hasPalette = true;
    for (let i = 0; i < dots;) {
      const value = values[i]!;
      const start = i++;
      while (i < dots && values[i] === value) i++;
      if (hasPalette) {
        const index = palette.add(value, MAX_PALETTE);
        if (index < 0) hasPalette = false;
        else runIndexes[runs] = index;
      }
      runLengths[runs++] = i - start;
    }
    this.runs = runs;
    return hasPalette;
  }

  /** How many bytes the runs take, without the palette. */
  private runBytes(): { plainRle: number; paletteRle: number } {
    let lengthBytes = 0;
    let singles = 0;
    for (let i = 0; i < this.runs; i++) {
      const length = this.runLengths[i]!;
      if (length === 1) singles++;
      lengthBytes += length <= LONG_RUN ? 1 : 1 + Math.floor((length - 1) / LONG_RUN);
    }
    return {
      plainRle: this.runs * this.packer.bytes + lengthBytes,
      // A single dot has an index and no length.
      paletteRle: this.runs + lengthBytes - singles,
    };
  }

  private writePacked(width: number, height: number, bits: number): void {
    const { out, runIndexes, runLengths } = this;
    out.reserve(Math.ceil((width * bits) / 8) * height);
    const { data } = out;
    let at = out.length;
    let run = 0;
    let left = runLengths[0]!;
    for (let row = 0; row < height; row++) {
      let byte = 0;
      let filled = 0;
      for (let column = 0; column < width; column++) {
        if (left === 0) left = runLengths[++run]!;
        left--;
        byte = (byte << bits) | runIndexes[run]!;
        filled += bits;
        if (filled === 8) {
          data[at++] = byte;
          byte = filled = 0;
        }
      }
      // Rows begin at whole bytes.
      if (filled > 0) data[at++] = byte << (8 - filled);
    }
    out.length = at;
  }

  private writePaletteRuns(): void {
    for (let i = 0; i < this.runs; i++) {
      const length = this.runLengths[i]!;
      if (length === 1) {
        this.out.u8(this.runIndexes[i]!);
      } else {
        this.out.u8(RLE + this.runIndexes[i]!);
        writeRunLength(this.out, length);
      }
    }
  }

  private writePlainRuns(): void {
    const value = new Uint32Array(1);
    let at = 0;
    for (let i = 0; i < this.runs; i++) {
      value[0] = this.values[at]!;
      this.packer.write(this.out, value, 1);
      writeRunLength(this.out, this.runLengths[i]!);
      at += this.runLengths[i]!;
    }
  }
}

/** One more than the sum of the bytes; the first that is not 255 is the last. */
function writeRunLength(out: ByteWriter, length: number): void {
  let rest = length - 1;
  for (; rest >= LONG_RUN; rest -= LONG_RUN) out.u8(LONG_RUN);
  out.u8(rest);
}

const indexBits = (paletteSize: number): number => (paletteSize <= 2 ? 1 : paletteSize <= 4 ? 2 : 4);
