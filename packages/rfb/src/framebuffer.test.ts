import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BLACK, Framebuffer, type Frame, type FrameChange } from './framebuffer.ts';

const rgba = (...dots: number[][]): Uint8Array => Uint8Array.from(dots.flatMap((dot) => [...dot, 255]));
const RED = [255, 0, 0];
const GREEN = [0, 255, 0];
const BLUE = [0, 0, 255];
const frame = (parts: Partial<Frame>): Frame => ({ width: 3, height: 2, copies: [], rectangles: [], ...parts });

describe('a framebuffer', () => {
  test('is black at first, then what frames paint, plain or deflated', () => {
    const framebuffer = new Framebuffer(3, 2);
    expect([...framebuffer.pixels]).toEqual(new Array(6).fill(BLACK));

    framebuffer.apply(frame({ rectangles: [{ x: 1, y: 0, width: 2, height: 1, rgba: rgba(RED, GREEN) }] }));
    const deflated = { x: 0, y: 1, width: 1, height: 1, rgba: deflateSync(rgba(BLUE)), deflated: true };
    framebuffer.apply(frame({ rectangles: [deflated] }));

    expect(framebuffer.rgba).toEqual(rgba([0, 0, 0], RED, GREEN, BLUE, [0, 0, 0], [0, 0, 0]));
  });

  test('carries out copies first, in order, also over themselves', () => {
    const framebuffer = new Framebuffer(3, 2);
    framebuffer.apply(frame({ rectangles: [{ x: 0, y: 0, width: 3, height: 1, rgba: rgba(RED, GREEN, BLUE) }] }));

    framebuffer.apply(
      frame({
        copies: [
          { x: 1, y: 0, width: 2, height: 1, fromX: 0, fromY: 0 },
          { x: 0, y: 1, width: 3, height: 1, fromX: 0, fromY: 0 },
        ],
        rectangles: [{ x: 0, y: 0, width: 1, height: 1, rgba: rgba(BLUE) }],
      }),
    );

    expect(framebuffer.rgba).toEqual(rgba(BLUE, RED, GREEN, RED, RED, GREEN));
  });

  test.each([
    ['down', 0, 1, [RED, RED, GREEN]],
    ['up', 1, 0, [GREEN, BLUE, BLUE]],
  ])('copies rows %s over themselves', (_, fromY, y, rows) => {
    const framebuffer = new Framebuffer(1, 3);
    const picture = { width: 1, height: 3, copies: [], rectangles: [] };
    framebuffer.apply({ ...picture, rectangles: [{ x: 0, y: 0, width: 1, height: 3, rgba: rgba(RED, GREEN, BLUE) }] });

    framebuffer.apply({ ...picture, copies: [{ x: 0, y, width: 1, height: 2, fromX: 0, fromY }] });

    expect(framebuffer.rgba).toEqual(rgba(...rows));
  });

  test('tells what changed until nobody listens any more', () => {
    const framebuffer = new Framebuffer(3, 2);
    const changes: FrameChange[] = [];
    const stop = framebuffer.onChange((change) => changes.push(change));
    const dot = { x: 2, y: 1, width: 1, height: 1 };
    const copy = { x: 0, y: 0, width: 1, height: 1, fromX: 1, fromY: 1 };

    framebuffer.apply(frame({ copies: [copy], rectangles: [{ ...dot, rgba: rgba(RED) }] }));
    framebuffer.apply(frame({}));
    framebuffer.apply({ ...frame({}), width: 4 });
    stop();
    framebuffer.apply(frame({}));

    expect(changes).toEqual([
      { resized: false, copies: [copy], damage: [dot] },
      { resized: true, copies: [], damage: [{ x: 0, y: 0, width: 4, height: 2 }] },
    ]);
  });

  const dot = { x: 0, y: 0, width: 1, height: 1, rgba: rgba(RED) };
  test.each<[name: string, frame: Frame, says: RegExp]>([
    [
      'outside its picture',
      frame({ rectangles: [dot, { ...dot, x: 3 }] }),
      /a rectangle lies outside its 3 x 2 dots: 1 x 1 at 3, 0/,
    ],
    ['of a negative size', frame({ rectangles: [{ ...dot, width: -1 }] }), /outside/],
    ['at no whole dot', frame({ rectangles: [{ ...dot, x: 0.5 }] }), /outside/],
    ['with too few bytes', frame({ rectangles: [{ ...dot, rgba: new Uint8Array(3) }] }), /3 bytes instead of 4/],
    [
      'that inflates to too much',
      frame({ rectangles: [{ ...dot, rgba: deflateSync(Buffer.alloc(9)), deflated: true }] }),
      /does not inflate to 4 bytes/,
    ],
    [
      'that inflates to too little',
      frame({ rectangles: [{ ...dot, rgba: deflateSync(Buffer.alloc(3)), deflated: true }] }),
      /3 bytes instead of 4/,
    ],
    ['that is no zlib stream', frame({ rectangles: [{ ...dot, deflated: true }] }), /does not inflate/],
    [
      'that copies from outside',
      frame({ copies: [{ x: 0, y: 0, width: 1, height: 1, fromX: 3, fromY: 0 }] }),
      /a copy comes from outside/,
    ],
    [
      'that copies to outside',
      frame({ copies: [{ x: 3, y: 0, width: 1, height: 1, fromX: 0, fromY: 0 }] }),
      /a copy goes outside/,
    ],
    ['without a size', { ...frame({}), width: 0 }, /size of 0 x 2/],
    ['of a size that is too large', { ...frame({}), width: 8193 }, /size of 8193 x 2/],
    ['with too many rectangles', frame({ rectangles: new Array(4097).fill(dot) }), /4097 rectangles/],
    [
      'that names the same dots over and over',
      { width: 8192, height: 2048, copies: [], rectangles: new Array(3).fill({ ...dot, width: 8192, height: 2048 }) },
      /have 50331648 dots/,
    ],
  ])('refuses a frame %s, and has not changed then', (_, bad, says) => {
    const framebuffer = new Framebuffer(3, 2);
    const before = framebuffer.rgba.slice();
    framebuffer.onChange(() => expect.unreachable());

    expect(() => framebuffer.apply(bad)).toThrow(
      expect.objectContaining({ code: 'frame.bad', message: expect.stringMatching(says) }),
    );

    expect([framebuffer.width, framebuffer.height, framebuffer.rgba]).toEqual([3, 2, before]);
  });

  test('tells of very many rectangles as the one around them', () => {
    const framebuffer = new Framebuffer(64, 64);
    const changes: FrameChange[] = [];
    framebuffer.onChange((change) => changes.push(change));

    framebuffer.apply({
      width: 64,
      height: 64,
      copies: [],
      rectangles: Array.from({ length: 300 }, (_, i) => ({
        x: 2 * (i % 30),
        y: 2 * Math.floor(i / 30) + 5,
        width: 1,
        height: 1,
        rgba: rgba(RED),
      })),
    });

    expect(changes.map((change) => change.damage)).toEqual([[{ x: 0, y: 5, width: 59, height: 19 }]]);
  });
});
