/** Whatever happens in whatever order, a viewer that goes on asking ends with the server's picture, dot for dot. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Framebuffer, type Frame } from './framebuffer.ts';
import { COLOUR_MAP_FORMAT, SERVER_FORMAT, type PixelFormat } from './pixel-format.ts';
import { RfbSession } from './session.ts';
import { TestViewer, expectedPixel, ids, say } from './test-viewer.ts';

const colours = (bits: readonly [number, number, number], shifts: readonly [number, number, number]) => ({
  redMax: 2 ** bits[0] - 1,
  greenMax: 2 ** bits[1] - 1,
  blueMax: 2 ** bits[2] - 1,
  redShift: shifts[0],
  greenShift: shifts[1],
  blueShift: shifts[2],
});
const FORMATS: Readonly<Record<string, PixelFormat>> = {
  'the server’s': SERVER_FORMAT,
  'noVNC’s': { ...SERVER_FORMAT, ...colours([8, 8, 8], [0, 8, 16]) },
  'big-endian 24 in 32': { ...SERVER_FORMAT, bigEndian: true },
  'high 24 in 32': { ...SERVER_FORMAT, ...colours([8, 8, 8], [24, 16, 8]) },
  'high big-endian 24 in 32': { ...SERVER_FORMAT, bigEndian: true, ...colours([8, 8, 8], [8, 16, 24]) },
  'straddling 24 in 32': { ...SERVER_FORMAT, ...colours([8, 8, 8], [0, 12, 24]) },
  '30 bits': { ...SERVER_FORMAT, depth: 30, ...colours([10, 10, 10], [20, 10, 0]) },
  'depth 32': { ...SERVER_FORMAT, depth: 32 },
  '15 in 32': { ...SERVER_FORMAT, depth: 15, ...colours([5, 5, 5], [10, 5, 0]) },
  '565': { ...SERVER_FORMAT, bitsPerPixel: 16, depth: 16, ...colours([5, 6, 5], [11, 5, 0]) },
  'big-endian 565': {
    ...SERVER_FORMAT,
    bitsPerPixel: 16,
    depth: 16,
    bigEndian: true,
    ...colours([5, 6, 5], [11, 5, 0]),
  },
  'bgr 233': { ...SERVER_FORMAT, bitsPerPixel: 8, depth: 8, ...colours([3, 3, 2], [0, 3, 6]) },
  'one bit a colour': { ...SERVER_FORMAT, bitsPerPixel: 8, depth: 3, ...colours([1, 1, 1], [2, 1, 0]) },
  'colour map': COLOUR_MAP_FORMAT,
};
const ENCODINGS = { raw: ids.raw, zrle: ids.zrle, tight: ids.tight } as const;

/** Deterministic dots of a kind: few colours and many, runs and noise. */
function paint(kind: number, seed: number, count: number): Uint8Array {
  let state = seed | 1;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const palette = Array.from({ length: [1, 2, 3, 7, 16, 60, 200, 300][kind % 8]! }, () => random(2 ** 24));
  const isRuns = kind >= 8;
  const dots = new Uint8Array(count * 4);
  let colour = palette[0]!;
  let left = 0;
  for (let i = 0; i < count; i++) {
    if (left-- <= 0) {
      colour = palette[random(palette.length)]!;
      left = isRuns ? random(400) : 0;
    }
    dots.set([colour & 0xff, (colour >> 8) & 0xff, colour >> 16, random(256)], i * 4);
  }
  return dots;
}

type Step =
  | {
      readonly do: 'paint';
      readonly at: readonly [number, number, number, number];
      readonly kind: number;
      readonly seed: number;
    }
  | {
      readonly do: 'copy';
      readonly at: readonly [number, number, number, number];
      readonly from: readonly [number, number];
    }
  | { readonly do: 'resize'; readonly size: readonly [number, number] }
  | { readonly do: 'request'; readonly incremental: boolean; readonly at?: readonly [number, number, number, number] }
  | { readonly do: 'continuous'; readonly on: boolean; readonly at?: readonly [number, number, number, number] }
  | { readonly do: 'busy'; readonly on: boolean }
  | { readonly do: 'fences' }
  | { readonly do: 'copyrect'; readonly on: boolean }
  | { readonly do: 'pump' };

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const area = fc.tuple(fraction, fraction, fraction, fraction);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('paint' as const), at: area, kind: fc.nat(15), seed: fc.nat() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('copy' as const), at: area, from: fc.tuple(fraction, fraction) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('resize' as const),
      size: fc.tuple(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 150 })),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record(
      { do: fc.constant('request' as const), incremental: fc.boolean(), at: area },
      { requiredKeys: ['do', 'incremental'] },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      { do: fc.constant('continuous' as const), on: fc.boolean(), at: area },
      { requiredKeys: ['do', 'on'] },
    ),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('busy' as const), on: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fences' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('copyrect' as const), on: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pump' as const) }) },
);

/** One viewer of one guest, and the steps between them. */
class Scene {
  readonly framebuffer = new Framebuffer(100, 80);
  readonly session: RfbSession;
  readonly viewer: TestViewer;
  private isBusy = false;
  private readonly extensions: readonly number[];
  private readonly encoding: number;
  private isRunning = false;
  private isAsked = false;
  private isContinuous = false;

  constructor(encoding: number, format: PixelFormat, extensions: readonly number[]) {
    this.encoding = encoding;
    this.extensions = extensions;
    this.viewer = new TestViewer(100, 80, format);
    this.session = new RfbSession({
      framebuffer: this.framebuffer,
      name: 'scene',
      viewOnly: false,
      random: (count) => new Uint8Array(count),
      send: (bytes) => this.isRunning && this.deliver(bytes),
      canSend: () => !this.isBusy,
      on: {},
    });
    this.session.receive(say.version());
    this.session.receive(new Uint8Array([1]));
    this.session.receive(new Uint8Array([1]));
    this.isRunning = true;
    this.session.receive(say.pixelFormat(format));
    this.setEncodings(true);
  }

  take(step: Step): void {
    const { framebuffer, session, viewer } = this;
    switch (step.do) {
      case 'paint': {
        const [x, y, width, height] = this.place(step.at);
        this.apply({ rectangles: [{ x, y, width, height, rgba: paint(step.kind, step.seed, width * height) }] });
        return;
      }
      case 'copy': {
        const [x, y, width, height] = this.place(step.at);
        const fromX = Math.floor(step.from[0] * (framebuffer.width - width));
        const fromY = Math.floor(step.from[1] * (framebuffer.height - height));
        this.apply({ copies: [{ x, y, width, height, fromX, fromY }] });
        return;
      }
      case 'resize': {
        const [width, height] = step.size;
        const rgba = paint(width % 16, height, width * height);
        framebuffer.apply({ width, height, copies: [], rectangles: [{ x: 0, y: 0, width, height, rgba }] });
        return;
      }
      case 'request': {
        const [x, y, width, height] = step.at ? this.place(step.at) : [0, 0, viewer.width, viewer.height];
        this.isAsked = true;
        session.receive(say.request(step.incremental, x, y, width, height));
        return;
      }
      case 'continuous': {
        if (!this.extensions.includes(ids.continuousUpdates)) return;
        const [x, y, width, height] = step.at ? this.place(step.at) : [0, 0, viewer.width, viewer.height];
        this.isContinuous = step.on;
        session.receive(say.continuous(step.on, x, y, width, height));
        return;
      }
      case 'busy':
        this.isBusy = step.on;
        return;
      case 'fences':
        this.answerFences();
        return;
      case 'copyrect':
        this.setEncodings(step.on);
        return;
      case 'pump':
        session.pump();
        return;
    }
  }

  /** Asks until nothing more comes. */
  settle(): void {
    this.isBusy = false;
    this.isContinuous = false;
    if (this.extensions.includes(ids.continuousUpdates)) this.session.receive(say.continuous(false, 0, 0, 0, 0));
    for (let i = 0; i < 5; i++) {
      this.answerFences();
      this.isAsked = true;
      this.session.receive(say.request(true, 0, 0, this.viewer.width, this.viewer.height));
    }
  }

  /** Dots come when they were asked for, once for each time. */
  private deliver(bytes: Uint8Array): void {
    const before = this.viewer.updates;
    this.viewer.receive(bytes);
    if (this.viewer.updates === before || this.isContinuous) return;
    expect(this.isAsked, 'dots without a request').toBe(true);
    this.isAsked = false;
  }

  private answerFences(): void {
    for (const { flags, payload } of this.viewer.fences.splice(0)) {
      this.session.receive(say.fence(flags - 0x80000000, payload));
    }
  }

  private setEncodings(canCopy: boolean): void {
    this.viewer.offered = [...(canCopy ? [ids.copyRect] : []), this.encoding, ...this.extensions];
    this.session.receive(say.encodings(this.viewer.offered));
  }

  private apply(parts: Partial<Frame>): void {
    const { width, height } = this.framebuffer;
    this.framebuffer.apply({ width, height, copies: [], rectangles: [], ...parts });
  }

  private place([a, b, c, d]: readonly [number, number, number, number]): [number, number, number, number] {
    const { width, height } = this.framebuffer;
    const x = Math.floor(a * (width - 1));
    const y = Math.floor(b * (height - 1));
    return [x, y, 1 + Math.floor(c * (width - x - 1)), 1 + Math.floor(d * (height - y - 1))];
  }
}

/** What a viewer of that size shows: all of it, or what fits. */
function expected({ framebuffer, viewer }: Scene): number[] {
  return Array.from({ length: viewer.width * viewer.height }, (_, i) => {
    const [x, y] = [i % viewer.width, Math.floor(i / viewer.width)];
    const isInside = x < framebuffer.width && y < framebuffer.height;
    return isInside ? expectedPixel(framebuffer.pixels[y * framebuffer.width + x]!, viewer.format) : 0;
  });
}

const MODERN = [
  ids.extendedDesktopSize,
  ids.desktopSize,
  ids.cursor,
  ids.fence,
  ids.continuousUpdates,
  ids.extendedKeys,
];

describe.each(Object.entries(ENCODINGS))('a viewer with %s', (_, encoding) => {
  test.each(Object.entries(FORMATS))('and pixels of format %s ends with the server’s picture', (_name, format) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const scene = new Scene(encoding, format, MODERN);

        for (const each of steps) scene.take(each);
        scene.settle();

        expect(scene.session.closeReason).toBeUndefined();
        expect([scene.viewer.width, scene.viewer.height]).toEqual([scene.framebuffer.width, scene.framebuffer.height]);
        expect([...scene.viewer.pixels]).toEqual(expected(scene));
      }),
      { numRuns: 25 },
    );
  });

  test.each([
    ['only knows the older change of size', [ids.desktopSize]],
    ['cannot follow a change of size', []],
    ['cannot follow a change of size but has continuous updates', [ids.fence, ids.continuousUpdates]],
  ])('that %s ends with what fits of the server’s picture', (_name, extensions) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const scene = new Scene(encoding, SERVER_FORMAT, extensions);

        for (const each of steps) scene.take(each);
        scene.settle();

        expect(scene.session.closeReason).toBeUndefined();
        expect([...scene.viewer.pixels]).toEqual(expected(scene));
      }),
      { numRuns: 60 },
    );
  });
});

test('the pictures of these tests bring every kind of rectangle about', () => {
  const scene = new Scene(ids.tight, SERVER_FORMAT, MODERN);
  scene.take({ do: 'paint', at: [0, 0, 1, 1], kind: 7, seed: 1 });
  scene.settle();
  scene.take({ do: 'copy', at: [0, 0, 0.5, 0.5], from: [1, 1] });
  scene.settle();

  expect([...scene.viewer.counts.keys()].sort((a, b) => a - b)).toEqual(
    [ids.extendedKeys, ids.cursor, ids.copyRect, ids.tight].sort((a, b) => a - b),
  );
});
