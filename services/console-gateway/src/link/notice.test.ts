import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Framebuffer } from '@tomei/rfb';
import { noticeFrame } from './notice.ts';

const shown = (width: number, height: number, lines: readonly string[]): Framebuffer => {
  const framebuffer = new Framebuffer(width, height);
  framebuffer.apply(noticeFrame(width, height, lines));
  return framebuffer;
};
const colours = ({ pixels }: Framebuffer): number => new Set(pixels).size;

test('shows lines on a quiet ground, each in its colour', () => {
  expect(colours(shown(720, 400, []))).toBe(1);
  expect(colours(shown(720, 400, ['tiny']))).toBe(2);
  expect(colours(shown(720, 400, ['tiny', 'powered off']))).toBe(3);
});

test('fits any picture and takes any text', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { maxLength: 4 }),
      (width, height, lines) => {
        const { width: w, height: h } = shown(width, height, lines);
        expect([w, h]).toEqual([width, height]);
      },
    ),
    { seed: 3 },
  );
});
