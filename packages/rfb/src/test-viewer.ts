/**
 * For tests: a viewer that decodes what a session sends, written from the documents alone and sharing no code with the
 * encodings. It keeps its picture as pixel values of its own format, and throws at anything that is not as specified.
 */
import { constants, inflateSync } from 'node:zlib';
import { assert } from '@tomei/kit';
import type { PixelFormat } from './pixel-format.ts';

export const ids = {
  raw: 0,
  copyRect: 1,
  tight: 7,
  zrle: 16,
  desktopSize: -223,
  lastRect: -224,
  cursor: -239,
  pointerMotion: -257,
  extendedKeys: -258,
  extendedDesktopSize: -308,
  fence: -312,
  continuousUpdates: -313,
} as const;

interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Reads one message, which must be whole. */
class Cursor {
  at = 0;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  take(count: number): Uint8Array {
    assert(
      this.at + count <= this.bytes.length,
      `message of ${this.bytes.length} bytes ends before ${this.at + count}`,
    );
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  u8 = (): number => this.take(1)[0]!;
  u16 = (): number => this.u8() * 256 + this.u8();
  u32 = (): number => this.u16() * 65536 + this.u16();
  i32 = (): number => this.u32() | 0;
}

/** A zlib stream that goes on: everything so far, inflated from its beginning each time. */
class Inflator {
  private compressed = new Uint8Array(0);
  private seen = 0;

  next(piece: Uint8Array): Uint8Array {
    this.compressed = Buffer.concat([this.compressed, piece]);
    const all = inflateSync(this.compressed, { finishFlush: constants.Z_SYNC_FLUSH });
    const fresh = all.subarray(this.seen);
    this.seen = all.length;
    return fresh;
  }
}

export interface ServerEvent {
  readonly kind: string;
  readonly [detail: string]: unknown;
}

export class TestViewer {
  width: number;
  height: number;
  /** Values as RFC 6143, 7.4 has them: colours at their shifts. */
  pixels: Uint32Array;
  format: PixelFormat;
  readonly events: ServerEvent[] = [];
  /** How many rectangles of each encoding came. */
  readonly counts = new Map<number, number>();
  /** Updates that had dots. */
  updates = 0;
  /** Those in the last SetEncodings; raw needs no mention. */
  offered: readonly number[] = [];
  /** Payloads of fences that ask for an answer. */
  readonly fences: { flags: number; payload: Uint8Array }[] = [];
  private readonly zrle = new Inflator();
  private readonly tight = Array.from({ length: 4 }, () => new Inflator());

  constructor(width: number, height: number, format: PixelFormat) {
    this.width = width;
    this.height = height;
    this.format = format;
    this.pixels = new Uint32Array(width * height);
  }

  /** Takes one message of the server after its ServerInit. */
  receive(message: Uint8Array): void {
    const c = new Cursor(message);
    const type = c.u8();
    switch (type) {
      case 0:
        this.update(c);
        break;
      case 1: {
        c.u8();
        const first = c.u16();
        const colours = Array.from({ length: c.u16() }, () => [c.u16(), c.u16(), c.u16()]);
        this.events.push({ kind: 'colour-map', first, colours });
        break;
      }
      case 150:
        this.events.push({ kind: 'end-of-continuous-updates' });
        break;
      case 248: {
        c.take(3);
        const flags = c.u32();
        const payload = c.take(c.u8()).slice();
        this.events.push({ kind: 'fence', flags, payload });
        if (flags >= 0x80000000) this.fences.push({ flags, payload });
        break;
      }
      default:
        throw new Error(`message of type ${type}`);
    }
    assert(c.at === message.length, `${message.length - c.at} bytes too many in a message of type ${type}`);
  }

  private update(c: Cursor): void {
    c.u8();
    const count = c.u16();
    let hasDots = false;
    let hasSize = false;
    for (let i = 0; i < count; i++) {
      const area = { x: c.u16(), y: c.u16(), width: c.u16(), height: c.u16() };
      const id = c.i32();
      this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
      assert(id === ids.raw || this.offered.includes(id), `encoding ${id}, which was not offered`);
      if (id >= 0) {
        const inside = area.x + area.width <= this.width && area.y + area.height <= this.height;
        assert(inside, `rectangle ${JSON.stringify(area)} outside ${this.width} x ${this.height}`);
        hasDots = true;
        this.dots(c, area, id);
      } else if (this.pseudo(c, area, id)) {
        hasSize = true;
      }
    }
    assert(!(hasDots && hasSize), 'dots in an update that changes the size');
    if (hasDots) this.updates++;
  }

  private pseudo(c: Cursor, area: Area, id: number): boolean {
    switch (id) {
      case ids.desktopSize:
        this.resize(area.width, area.height);
        return true;
      case ids.extendedDesktopSize: {
        const screens = c.u8();
        c.take(3);
        const screen = Array.from({ length: screens }, () => [c.u32(), c.u16(), c.u16(), c.u16(), c.u16(), c.u32()]);
        this.events.push({ kind: 'size', by: area.x, status: area.y, width: area.width, height: area.height, screen });
        if (area.x !== 1 && (area.width !== this.width || area.height !== this.height)) {
          this.resize(area.width, area.height);
        }
        return true;
      }
      case ids.cursor: {
        const pixels = c.take(area.width * area.height * (this.format.bitsPerPixel / 8)).slice();
        const mask = c.take(Math.ceil(area.width / 8) * area.height).slice();
        this.events.push({ kind: 'cursor', ...area, pixels, mask });
        return false;
      }
      case ids.extendedKeys:
      case ids.pointerMotion:
        this.events.push({ kind: id === ids.extendedKeys ? 'extended-keys' : 'pointer-motion', ...area });
        return false;
      default:
        throw new Error(`pseudo-encoding ${id}`);
    }
  }

  /** The old content is thrown away, as some viewers do. */
  private resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(width * height).fill(0xdeadbeef);
  }

  private dots(c: Cursor, area: Area, id: number): void {
    const { width, height } = area;
    switch (id) {
      case ids.raw:
        this.paint(
          area,
          Array.from({ length: width * height }, () => this.pixel(c)),
        );
        return;
      case ids.copyRect: {
        const from = { x: c.u16(), y: c.u16(), width, height };
        assert(from.x + width <= this.width && from.y + height <= this.height, 'a copy from outside');
        this.paint(area, this.read(from));
        return;
      }
      case ids.zrle: {
        const data = new Cursor(this.zrle.next(c.take(c.u32())));
        for (let y = 0; y < height; y += 64) {
          for (let x = 0; x < width; x += 64) {
            const tile = {
              x: area.x + x,
              y: area.y + y,
              width: Math.min(64, width - x),
              height: Math.min(64, height - y),
            };
            this.paint(tile, this.zrleTile(data, tile));
          }
        }
        assert(data.at === data.bytes.length, 'ZRLE data left over');
        return;
      }
      case ids.tight:
        this.paint(area, this.tightDots(c, area));
        return;
      default:
        throw new Error(`encoding ${id}`);
    }
  }

  private zrleTile(c: Cursor, { width, height }: Area): number[] {
    const dots = width * height;
    const kind = c.u8();
    if (kind === 0) return Array.from({ length: dots }, () => this.compressedPixel(c));
    if (kind === 1) return new Array<number>(dots).fill(this.compressedPixel(c));
    if (kind <= 16) {
      const palette = Array.from({ length: kind }, () => this.compressedPixel(c));
      const bits = kind === 2 ? 1 : kind <= 4 ? 2 : 4;
      return this.packed(c, width, height, bits).map((index) => at(palette, index));
    }
    assert(kind === 128 || kind >= 130, `ZRLE subencoding ${kind}`);
    const palette = kind === 128 ? [] : Array.from({ length: kind - 128 }, () => this.compressedPixel(c));
    const list: number[] = [];
    while (list.length < dots) {
      let value: number;
      let length = 1;
      if (kind === 128) {
        value = this.compressedPixel(c);
        length = this.runLength(c);
      } else {
        const index = c.u8();
        value = at(palette, index & 0x7f);
        if (index >= 128) length = this.runLength(c);
      }
      for (let i = 0; i < length; i++) list.push(value);
    }
    assert(list.length === dots, 'a run beyond its tile');
    return list;
  }

  private runLength(c: Cursor): number {
    let length = 1;
    for (;;) {
      const byte = c.u8();
      length += byte;
      if (byte !== 255) return length;
    }
  }

  private packed(c: Cursor, width: number, height: number, bits: number): number[] {
    const list: number[] = [];
    for (let y = 0; y < height; y++) {
      const row = c.take(Math.ceil((width * bits) / 8));
      for (let x = 0; x < width; x++) {
        const bit = x * bits;
        list.push((row[bit >> 3]! >> (8 - bits - (bit & 7))) & ((1 << bits) - 1));
      }
    }
    return list;
  }

  private tightDots(c: Cursor, { width, height }: Area): number[] {
    assert(width <= 2048, `a Tight rectangle ${width} wide`);
    const dots = width * height;
    const control = c.u8();
    assert((control & 0x0f) === 0, 'stream resets');
    if (control === 0x80) return new Array<number>(dots).fill(this.tightPixel(c));
    assert(control < 0x80, `Tight control ${control}`);
    const filter = (control & 0x40) === 0 ? 0 : c.u8();
    const stream = this.tight[(control >> 4) & 3]!;
    if (filter === 0) {
      const data = this.tightData(c, stream, dots * this.tightBytes);
      const list = Array.from({ length: dots }, () => this.tightPixel(data));
      assert(data.at === data.bytes.length, 'Tight data left over');
      return list;
    }
    assert(filter === 1, `Tight filter ${filter}`);
    const palette = Array.from({ length: c.u8() + 1 }, () => this.tightPixel(c));
    const bits = palette.length === 2 ? 1 : 8;
    const data = this.tightData(c, stream, Math.ceil((width * bits) / 8) * height);
    return this.packed(data, width, height, bits).map((index) => at(palette, index));
  }

  private tightData(c: Cursor, stream: Inflator, size: number): Cursor {
    if (size < 12) return new Cursor(c.take(size));
    let length = 0;
    for (let i = 0; i < 3; i++) {
      const byte = c.u8();
      length += (i === 2 ? byte : byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) break;
    }
    const data = stream.next(c.take(length));
    assert(data.length === size, `${data.length} bytes of Tight data instead of ${size}`);
    return new Cursor(data);
  }

  private get isTrue24(): boolean {
    const { trueColour, bitsPerPixel, depth, redMax, greenMax, blueMax } = this.format;
    return trueColour && bitsPerPixel === 32 && depth === 24 && redMax === 255 && greenMax === 255 && blueMax === 255;
  }

  private get tightBytes(): number {
    return this.isTrue24 ? 3 : this.format.bitsPerPixel / 8;
  }

  private tightPixel(c: Cursor): number {
    if (!this.isTrue24) return this.pixel(c);
    const { redShift, greenShift, blueShift } = this.format;
    return c.u8() * 2 ** redShift + c.u8() * 2 ** greenShift + c.u8() * 2 ** blueShift;
  }

  private pixel(c: Cursor): number {
    const bytes = [...c.take(this.format.bitsPerPixel / 8)];
    if (!this.format.bigEndian) bytes.reverse();
    return bytes.reduce((value, byte) => value * 256 + byte, 0);
  }

  private compressedPixel(c: Cursor): number {
    const { trueColour, bitsPerPixel, depth, bigEndian } = this.format;
    const used = wholePixel(this.format);
    const low = used < 2 ** 24;
    const high = used % 256 === 0;
    if (!trueColour || bitsPerPixel !== 32 || depth > 24 || (!low && !high)) return this.pixel(c);
    const bytes = [...c.take(3)];
    if (!bigEndian) bytes.reverse();
    return bytes.reduce((value, byte) => value * 256 + byte, 0) * (low ? 1 : 256);
  }

  private read({ x, y, width, height }: Area): number[] {
    const list: number[] = [];
    for (let row = y; row < y + height; row++) {
      for (let column = x; column < x + width; column++) list.push(this.pixels[row * this.width + column]!);
    }
    return list;
  }

  private paint({ x, y, width, height }: Area, list: readonly number[]): void {
    assert(list.length === width * height, `${list.length} dots for ${width} x ${height}`);
    for (let i = 0; i < list.length; i++) {
      this.pixels[(y + Math.floor(i / width)) * this.width + x + (i % width)] = list[i]!;
    }
  }
}

function at(palette: readonly number[], index: number): number {
  assert(index < palette.length, `colour ${index} of ${palette.length}`);
  return palette[index]!;
}

/** The value with every bit of every colour set. */
function wholePixel({ redMax, redShift, greenMax, greenShift, blueMax, blueShift }: PixelFormat): number {
  return Number(
    (BigInt(redMax) << BigInt(redShift)) |
      (BigInt(greenMax) << BigInt(greenShift)) |
      (BigInt(blueMax) << BigInt(blueShift)),
  );
}

/** What a viewer with that format shows for a dot of the server's picture. */
export function expectedPixel(dot: number, format: PixelFormat): number {
  const part = (shift: number, max: number): bigint => BigInt(Math.round((((dot >>> shift) & 0xff) * max) / 255));
  return Number(
    (part(0, format.redMax) << BigInt(format.redShift)) |
      (part(8, format.greenMax) << BigInt(format.greenShift)) |
      (part(16, format.blueMax) << BigInt(format.blueShift)),
  );
}

/** A viewer's messages. */
export const say = {
  version: (minor = 8): Uint8Array => Buffer.from(`RFB 003.00${minor}\n`),
  pixelFormat(format: PixelFormat): Uint8Array {
    const bytes = Buffer.alloc(20);
    bytes[4] = format.bitsPerPixel;
    bytes[5] = format.depth;
    bytes[6] = Number(format.bigEndian);
    bytes[7] = Number(format.trueColour);
    bytes.writeUInt16BE(format.redMax, 8);
    bytes.writeUInt16BE(format.greenMax, 10);
    bytes.writeUInt16BE(format.blueMax, 12);
    bytes[14] = format.redShift;
    bytes[15] = format.greenShift;
    bytes[16] = format.blueShift;
    return bytes;
  },
  encodings(list: readonly number[]): Uint8Array {
    const bytes = Buffer.alloc(4 + 4 * list.length);
    bytes[0] = 2;
    bytes.writeUInt16BE(list.length, 2);
    list.forEach((id, i) => bytes.writeInt32BE(id, 4 + 4 * i));
    return bytes;
  },
  request: (incremental: boolean, x: number, y: number, width: number, height: number): Uint8Array =>
    Buffer.concat([Buffer.from([3, Number(incremental)]), u16s(x, y, width, height)]),
  key: (keysym: number, down: boolean): Uint8Array =>
    Buffer.concat([Buffer.from([4, Number(down), 0, 0]), u16s(keysym >>> 16, keysym & 0xffff)]),
  scanCode: (xtCode: number, keysym: number, down: boolean): Uint8Array =>
    Buffer.concat([
      Buffer.from([255, 0, 0, Number(down)]),
      u16s(keysym >>> 16, keysym & 0xffff, xtCode >>> 16, xtCode & 0xffff),
    ]),
  pointer: (buttons: number, x: number, y: number): Uint8Array =>
    Buffer.concat([Buffer.from([5, buttons]), u16s(x, y)]),
  cutText: (text: string): Uint8Array =>
    Buffer.concat([
      Buffer.from([6, 0, 0, 0]),
      u16s(text.length >>> 16, text.length & 0xffff),
      Buffer.from(text, 'latin1'),
    ]),
  continuous: (enable: boolean, x: number, y: number, width: number, height: number): Uint8Array =>
    Buffer.concat([Buffer.from([150, Number(enable)]), u16s(x, y, width, height)]),
  fence: (flags: number, payload: Uint8Array): Uint8Array =>
    Buffer.concat([
      Buffer.from([248, 0, 0, 0]),
      u16s(Math.floor(flags / 65536), flags & 0xffff),
      Buffer.from([payload.length]),
      payload,
    ]),
  desktopSize: (width: number, height: number, screens: readonly Area[]): Uint8Array =>
    Buffer.concat([
      Buffer.from([251, 0]),
      u16s(width, height),
      Buffer.from([screens.length, 0]),
      ...screens.map((s) => u16s(0, 0, s.x, s.y, s.width, s.height, 0, 0)),
    ]),
};

function u16s(...values: number[]): Uint8Array {
  return Buffer.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}
