import { describe, expect, it } from 'vitest';
import { messages } from '@tomei/contracts';
import { findDamage, type Frame } from '@tomei/paravirt-core';
import { MAX_MESSAGE_BYTES } from '@tomei/service';
import { nextFrame } from './frame-messages.ts';
import { applyFrame } from './viewer.ts';

type Dot = (x: number, y: number) => number;
function draw(width: number, height: number, dot: Dot): Frame {
  const dots = new Uint32Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) dots[y * width + x] = (0xff00_0000 | dot(x, y)) >>> 0;
  return { width, height, rgba: new Uint8Array(dots.buffer) };
}
const plain: Dot = (x, y) => ((x >> 5) + (y >> 4)) * 0x10;
/** Nothing shrinks it. */
const noise =
  (seed: number): Dot =>
  (x, y) => {
    let h = Math.imul(x * 8191 + y, 0x9e37_79b1) ^ seed;
    h = Math.imul(h ^ (h >>> 15), 0x85eb_ca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
    return (h ^ (h >>> 16)) & 0xff_ffff;
  };

/** All messages that it takes, and what the receiver has in the end. */
async function send(before: Frame | undefined, after: Frame, deflate: boolean) {
  const sent = [];
  let shown = before,
    received = before;
  while (shown !== after) {
    const damage = findDamage(shown ?? { width: 0, height: 0, rgba: new Uint8Array(0) }, after);
    if (damage.rectangles.length === 0 && damage.copies.length === 0) break;
    const next = await nextFrame(shown, after, damage, { number: sent.length + 1, deflate });
    // Over the wire, as it really is.
    const bytes = messages.Frame.encode(next.message);
    expect(bytes.length).toBeLessThan(MAX_MESSAGE_BYTES);
    sent.push(next.message);
    received = applyFrame(received, messages.Frame.decode(bytes));
    shown = next.shown;
    expect(sent.length).toBeLessThan(50);
  }
  return { sent, received };
}

/** As `toEqual`, which takes seconds for pictures of this size. */
function expectSame(received: Frame | undefined, after: Frame): void {
  expect([received?.width, received?.height]).toEqual([after.width, after.height]);
  expect(Buffer.compare(received!.rgba, after.rgba)).toBe(0);
}

describe('pictures as messages', () => {
  it.each([true, false])('carry a whole picture, deflated: %s', async (deflate) => {
    const after = draw(720, 400, plain);
    const { sent, received } = await send(undefined, after, deflate);
    expectSame(received, after);
    expect(sent).toHaveLength(1);
    expect(sent[0]!.rectangles!.every((r) => r.deflated === deflate)).toBe(true);
  });

  it('carry what changed', async () => {
    const before = draw(720, 400, plain),
      after = draw(720, 400, (x, y) => (x >= 90 && x < 99 && y >= 32 && y < 48 ? 0xff_ffff : plain(x, y)));
    const { sent, received } = await send(before, after, true);
    expectSame(received, after);
    expect(sent[0]!.rectangles).toHaveLength(1);
    // So few dots are not worth deflating.
    expect(sent[0]!.rectangles![0]).toMatchObject({ x: 90, y: 32, width: 9, height: 16, deflated: false });
  });

  it('leave noise as it is', async () => {
    const after = draw(1024, 768, noise(1));
    const { sent, received } = await send(undefined, after, true);
    expectSame(received, after);
    expect(sent.flatMap((m) => m.rectangles!).filter((r) => r.deflated === true).length).toBeLessThanOrEqual(1);
  });

  it('carry a picture larger than a message in several, the first of which covers all of it', async () => {
    const before = draw(720, 400, plain),
      after = draw(2048, 1536, noise(2));
    const { sent, received } = await send(before, after, false);
    expect(sent.length).toBeGreaterThan(1);
    expectSame(received, after);
    const first = applyFrame(before, sent[0]!);
    // Alpha that is 0 was never sent; what is not there yet is black.
    expect(first.rgba.filter((_, i) => i % 4 === 3).every((alpha) => alpha === 255)).toBe(true);
  });

  it('carry a change larger than a message in several', async () => {
    const before = draw(2048, 1536, noise(3)),
      after = draw(2048, 1536, noise(4));
    const { sent, received } = await send(before, after, false);
    expect(sent.length).toBeGreaterThan(1);
    expectSame(received, after);
  });
});
