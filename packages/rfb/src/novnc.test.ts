/** noVNC's own decoders (the pages' viewer) understand what the encodings send. */
import { describe, expect, test, vi } from 'vitest';
import { Framebuffer } from './framebuffer.ts';
import { SERVER_FORMAT } from './pixel-format.ts';
import { TestScene } from './test-scene.ts';
import { ids, say } from './test-viewer.ts';

/** What a decoder of noVNC asks of its socket and of its display; the package has no types. */
interface Decoder {
  decodeRect(x: number, y: number, w: number, h: number, socket: unknown, display: Display, depth: number): boolean;
}
interface Socket {
  _rQ: Uint8Array;
  _rQlen: number;
  _rQi: number;
  rQlen(): number;
  rQshift8(): number;
  rQshift16(): number;
  rQshift32(): number;
}

/** What noVNC draws on, in memory. */
class Display {
  readonly width: number;
  readonly rgba: Uint8Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.rgba = new Uint8Array(width * height * 4);
  }

  blitImage(x: number, y: number, width: number, height: number, bytes: Uint8Array, offset: number): void {
    for (let row = 0; row < height; row++) {
      const from = offset + row * width * 4;
      this.rgba.set(bytes.subarray(from, from + width * 4), ((y + row) * this.width + x) * 4);
    }
  }

  fillRect(
    x: number,
    y: number,
    width: number,
    height: number,
    [red, green, blue]: ArrayLike<number> & Iterable<number>,
  ): void {
    for (let row = y; row < y + height; row++) {
      for (let column = x; column < x + width; column++)
        this.rgba.set([red!, green!, blue!, 255], (row * this.width + column) * 4);
    }
  }

  copyImage(fromX: number, fromY: number, x: number, y: number, width: number, height: number): void {
    const rows = Array.from({ length: height }, (_, row) => {
      const from = ((fromY + row) * this.width + fromX) * 4;
      return this.rgba.slice(from, from + width * 4);
    });
    rows.forEach((row, i) => this.rgba.set(row, ((y + i) * this.width + x) * 4));
  }
}

/** The package exports its viewer alone, which needs a browser; its parts lie beside it. */
async function load<T>(file: string): Promise<new () => T> {
  const module = (await import(new URL(file, import.meta.resolve('@novnc/novnc')).href)) as { default: new () => T };
  return module.default;
}

// Its log looks for the window's console; without one it is silent.
vi.stubGlobal('window', {});

const NOVNC_FORMAT = { ...SERVER_FORMAT, redShift: 0, greenShift: 8, blueShift: 16 };
const [Websock, Tight, Zrle, Raw, Copy] = await Promise.all([
  load<Socket & { init(): void }>('./websock.js'),
  load<Decoder>('./decoders/tight.js'),
  load<Decoder>('./decoders/zrle.js'),
  load<Decoder>('./decoders/raw.js'),
  load<Decoder>('./decoders/copyrect.js'),
]);

/** Text like a console's, and noise like a photograph's. */
function picture(kind: string, width: number, height: number): Uint8Array {
  let state = 7;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8;
  const dots = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const colour =
      kind === 'noise'
        ? random()
        : kind === 'text'
          ? [0, 0, 0, 0xaaaaaa][random() % 4]!
          : [0x550000, 0xaa, 0xff55][Math.floor(i / 50) % 3]!;
    dots.set([colour & 0xff, (colour >> 8) & 0xff, colour >> 16, 255], i * 4);
  }
  return dots;
}

describe.each([
  ['tight', ids.tight],
  ['zrle', ids.zrle],
  ['raw', ids.raw],
])('noVNC decodes %s', (_, encoding) => {
  test.each(['text', 'noise', 'runs'])('of %s', (kind) => {
    const [width, height] = [200, 150];
    const framebuffer = new Framebuffer(width, height);
    const scene = new TestScene({ framebuffer }).connect();
    const display = new Display(width, height);
    const socket = new Websock();
    socket.init();
    const decoders = new Map([
      [ids.tight, new Tight()],
      [ids.zrle, new Zrle()],
      [ids.raw, new Raw()],
      [ids.copyRect, new Copy()],
    ] as [number, Decoder][]);
    const show = (): void => {
      const bytes = Buffer.concat(scene.sent.splice(0));
      socket._rQ.set(bytes);
      socket._rQlen = bytes.length;
      socket._rQi = 0;
      while (socket.rQlen() > 0) {
        expect(socket.rQshift16()).toBe(0);
        for (let rectangles = socket.rQshift16(); rectangles > 0; rectangles--) {
          const [x, y, w, h] = [socket.rQshift16(), socket.rQshift16(), socket.rQshift16(), socket.rQshift16()];
          const decoder = decoders.get(socket.rQshift32())!;
          expect(decoder.decodeRect(x, y, w, h, socket, display, 24)).toBe(true);
        }
      }
    };
    scene.receive(say.pixelFormat(NOVNC_FORMAT), say.encodings([ids.copyRect, encoding]));

    const frames = [
      { copies: [], rectangles: [{ x: 0, y: 0, width, height, rgba: picture(kind, width, height) }] },
      { copies: [{ x: 0, y: 0, width, height: 130, fromX: 0, fromY: 20 }], rectangles: [] },
      { copies: [], rectangles: [{ x: 33, y: 44, width: 70, height: 3, rgba: picture(kind, 70, 3) }] },
      { copies: [], rectangles: [{ x: 5, y: 5, width: 2, height: 1, rgba: picture(kind, 2, 1) }] },
    ];
    for (const frame of frames) {
      framebuffer.apply({ width, height, ...frame });
      scene.receive(say.request(true, 0, 0, width, height));
      show();
      expect(Buffer.compare(display.rgba, framebuffer.rgba)).toBe(0);
    }
  });
});
