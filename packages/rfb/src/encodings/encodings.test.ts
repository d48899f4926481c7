/** Each encoding's bytes as the documents have them, for pictures that bring every case about. */
import { inflateSync, constants } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../byte-writer.ts';
import { SERVER_FORMAT, createPackers, type PixelFormat } from '../pixel-format.ts';
import { hex } from '../test-scene.ts';
import { copyRect } from './copy-rect.ts';
import type { Encoding } from './encoding.ts';
import { chooseEncoding } from './index.ts';
import { raw } from './raw.ts';
import { tight } from './tight.ts';
import { ZlibStreams } from './zlib-streams.ts';
import { zrle } from './zrle.ts';

const RED = 0xff0000ff;
const GREEN = 0xff00ff00;
const BLUE = 0xffff0000;
const COLOURS = Array.from({ length: 300 }, (_, n) => (0xff000000 | (n * 0x010203)) >>> 0);

/** What follows the rectangles' headers. */
function encode(
  encoding: Encoding,
  width: number,
  dots: readonly number[],
  format = SERVER_FORMAT,
  streams = new ZlibStreams(),
) {
  const height = dots.length / width;
  const picture = { width, height, pixels: Uint32Array.from(dots) };
  const area = { x: 0, y: 0, width, height };
  const rectangles = encoding.encode({ picture, area, packers: createPackers(format), level: 6 });
  return rectangles.map((rectangle) => {
    const out = new ByteWriter();
    rectangle.write(out, streams);
    return Buffer.from(out.toBytes());
  });
}

const inflate = (bytes: Uint8Array): string =>
  inflateSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString('hex');

describe('raw', () => {
  test('is the dots in the viewer’s format', () => {
    expect(encode(raw, 2, [RED, GREEN])[0]!.toString('hex')).toBe(hex('0000ff00 00ff0000'));
    const format: PixelFormat = {
      ...SERVER_FORMAT,
      bitsPerPixel: 16,
      depth: 16,
      bigEndian: true,
      redMax: 31,
      greenMax: 63,
      blueMax: 31,
      redShift: 11,
      greenShift: 5,
    };
    expect(encode(raw, 3, [RED, GREEN, BLUE], format)[0]!.toString('hex')).toBe(hex('f800 07e0 001f'));
  });
});

describe('CopyRect', () => {
  test('is where the dots come from', () => {
    const out = new ByteWriter();
    copyRect.write(out, { x: 1, y: 2, width: 3, height: 4, fromX: 0x102, fromY: 0x304 });
    expect(Buffer.from(out.toBytes()).toString('hex')).toBe('01020304');
  });
});

describe('ZRLE', () => {
  const R = '0000ff';
  const G = '00ff00';
  const B = 'ff0000';
  const content = (width: number, dots: readonly number[]): string => {
    const [body] = encode(zrle, width, dots);
    expect(body!.readUInt32BE(0)).toBe(body!.length - 4);
    return inflate(body!.subarray(4));
  };

  test.each<[name: string, width: number, dots: readonly number[], bytes: string]>([
    ['one colour', 2, [RED, RED], `01 ${R}`],
    [
      'two colours, a bit each, rows filled up to bytes',
      3,
      [RED, GREEN, GREEN, GREEN, RED, RED, RED, GREEN, RED],
      `02 ${R} ${G} 60 80 40`,
    ],
    [
      'three colours, two bits each',
      5,
      [RED, GREEN, BLUE, RED, GREEN, BLUE, RED, GREEN, RED, BLUE],
      `03 ${R} ${G} ${B} 18 40 84 80`,
    ],
    [
      'a long run, and its length in bytes of 255',
      64,
      [...new Array<number>(512).fill(RED), ...new Array<number>(64).fill(GREEN)],
      `80 ${R} ff ff 01 ${G} 3f`,
    ],
    [
      'runs of one by their index alone',
      64,
      [RED, ...new Array<number>(511).fill(GREEN), BLUE, ...new Array<number>(63).fill(GREEN)],
      `83 ${R} ${G} ${B} 00 81 ff ff 00 02 81 3e`,
    ],
  ])('has %s', (_, width, dots, bytes) => {
    expect(content(width, dots)).toBe(hex(bytes));
  });

  test('has dots as they are where there are too many colours', () => {
    const dots = COLOURS.slice(0, 200);
    const bytes = dots.map((c) => Buffer.from([c >> 16, c >> 8, c]).toString('hex')).join('');
    expect(content(20, dots)).toBe('00' + bytes);
  });

  test('has runs of too many colours without a palette', () => {
    const dots = COLOURS.slice(0, 128).flatMap((c) => new Array<number>(8).fill(c));
    const bytes = COLOURS.slice(0, 128).map((c) => Buffer.from([c >> 16, c >> 8, c, 7]).toString('hex'));
    expect(content(64, dots)).toBe('80' + bytes.join(''));
  });

  test('has tiles of 64 from the left, from the top', () => {
    const width = 65;
    const dots = Array.from({ length: width * 65 }, (_, i) => {
      const [right, low] = [i % width === 64, Math.floor(i / width) === 64];
      return low ? (right ? COLOURS[100]! : BLUE) : right ? GREEN : RED;
    });
    expect(content(width, dots)).toBe(hex(`01 ${R} 01 ${G} 01 ${B} 01 64c92c`));
  });

  test('is one zlib stream: its header comes once', () => {
    const streams = new ZlibStreams();
    const [first] = encode(zrle, 1, [RED], SERVER_FORMAT, streams);
    const [second] = encode(zrle, 1, [GREEN], SERVER_FORMAT, streams);
    expect(first!.subarray(4, 6).toString('hex')).toBe('7801');
    expect(inflate(Buffer.concat([first!.subarray(4), second!.subarray(4)]))).toBe(hex(`01 ${R} 01 ${G}`));
  });
});

describe('Tight', () => {
  const R = 'ff0000';
  const G = '00ff00';
  const B = '0000ff';
  const bytes = (width: number, dots: readonly number[], format?: PixelFormat): string[] =>
    encode(tight, width, dots, format).map((body) => body.toString('hex'));

  test('fills with one colour', () => {
    expect(bytes(2, [RED, RED])).toEqual([hex(`80 ${R}`)]);
  });

  test('has two colours in bits, uncompressed below twelve bytes', () => {
    expect(bytes(3, [RED, GREEN, GREEN, GREEN, RED, RED])).toEqual([hex(`50 01 01 ${R} ${G} 60 80`)]);
  });

  test('has three and more colours in bytes', () => {
    const [body] = encode(tight, 8, [RED, GREEN, BLUE, ...new Array<number>(21).fill(RED)]);
    expect(body!.subarray(0, 12).toString('hex')).toBe(hex(`60 01 02 ${R} ${G} ${B}`));
    expect(body![12]).toBe(body!.length - 13);
    expect(inflate(body!.subarray(13))).toBe('000102' + '00'.repeat(21));
  });

  test('has all dots where a palette does not pay', () => {
    const [body] = encode(tight, 4, COLOURS.slice(1, 5));
    expect(body!.subarray(0, 2).toString('hex')).toBe(hex('00') + Buffer.from([body!.length - 2]).toString('hex'));
    expect(inflate(body!.subarray(2))).toBe(hex('030201 060402 090603 0c0804'));
    expect(bytes(3, COLOURS.slice(1, 4))).toEqual([hex('00 030201 060402 090603')]);
  });

  test('has lengths in one, two and three bytes', () => {
    const noise = (count: number): number[] =>
      Array.from({ length: count }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 8);
    const lengths = [20, 1000, 10_000].map((count) => {
      const [body] = encode(tight, count / 10, noise(count));
      const header = [...body!.subarray(1, 4)];
      const size = header.findIndex((byte) => byte < 0x80) + 1 || 3;
      const length = header
        .slice(0, size)
        .reduce((sum, byte, i) => sum + (i === 2 ? byte : byte & 0x7f) * 2 ** (7 * i), 0);
      return [size, length === body!.length - 1 - size];
    });
    expect(lengths).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
  });

  test('has pixels of the viewer’s format where that is not three bytes', () => {
    const format: PixelFormat = {
      ...SERVER_FORMAT,
      bitsPerPixel: 16,
      depth: 16,
      redMax: 31,
      greenMax: 63,
      blueMax: 31,
      redShift: 11,
      greenShift: 5,
    };
    expect(bytes(2, [GREEN, GREEN], format)).toEqual([hex('80 e007')]);
  });

  test('has no palette where pixels have eight bits, but for two colours', () => {
    const format: PixelFormat = {
      ...SERVER_FORMAT,
      bitsPerPixel: 8,
      depth: 8,
      redMax: 7,
      greenMax: 7,
      blueMax: 3,
      redShift: 5,
      greenShift: 2,
    };
    expect(bytes(3, [RED, GREEN, BLUE], format)).toEqual([hex('00 e01c03')]);
  });

  test('splits what is wider than 2048 or has more than 65536 dots', () => {
    const area = { x: 0, y: 0, width: 5000, height: 40 };
    const picture = { width: 5000, height: 40, pixels: new Uint32Array(200_000) };
    const parts = tight.encode({ picture, area, packers: createPackers(SERVER_FORMAT), level: 1 });
    expect(parts.map(({ x, y, width, height }) => [x, y, width, height])).toEqual([
      [0, 0, 2048, 32],
      [2048, 0, 2048, 32],
      [4096, 0, 904, 32],
      [0, 32, 2048, 8],
      [2048, 32, 2048, 8],
      [4096, 32, 904, 8],
    ]);
  });
});

test('the viewer’s order counts, and raw is for those who name nothing known', () => {
  expect([[16, 7], [7, 16], [5, 16], [], [5]].map((offered) => chooseEncoding(offered).name)).toEqual([
    'zrle',
    'tight',
    'zrle',
    'raw',
    'raw',
  ]);
});
