import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyWithin, cutOut, findDamage, type Damage, type Rectangle } from './damage.ts';
import type { Frame } from './frame.ts';

const WHITE = [255, 255, 255, 255],
  GREY = [128, 128, 128, 255];

function blank(width: number, height: number): Frame {
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  return { width, height, rgba };
}
const copyOf = (frame: Frame): Frame => ({ ...frame, rgba: frame.rgba.slice() });
function fill({ width, rgba }: Frame, part: Rectangle, dot: readonly number[]): void {
  for (let y = part.y; y < part.y + part.height; y++)
    for (let x = part.x; x < part.x + part.width; x++) rgba.set(dot, (y * width + x) * 4);
}
/** Rows of a look of their own: what a line of text is to the eye. */
function write(frame: Frame, y: number, height: number, seed: number, columns = frame.width): void {
  let state = seed | 1;
  for (let row = y; row < Math.min(y + height, frame.height); row++)
    for (let x = 0; x < columns; x++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
      frame.rgba.set((state >>> 16) & 1 ? WHITE : GREY, (row * frame.width + x) * 4);
    }
}
/** As a viewer does it. */
function apply(before: Frame, after: Frame, { copies, rectangles }: Damage): Frame {
  const picture =
    before.width === after.width && before.height === after.height
      ? copyOf(before)
      : { ...after, rgba: new Uint8Array(after.rgba.length) };
  for (const copy of copies) copyWithin(picture, copy);
  for (const part of rectangles) {
    const dots = cutOut(after, part);
    for (let y = 0; y < part.height; y++)
      picture.rgba.set(
        dots.subarray(y * part.width * 4, (y + 1) * part.width * 4),
        ((part.y + y) * picture.width + part.x) * 4,
      );
  }
  return picture;
}
const areaOf = (parts: readonly Rectangle[]): number => parts.reduce((sum, p) => sum + p.width * p.height, 0);
const overlap = (a: Rectangle, b: Rectangle): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** As `toEqual`, which is slow for so many numbers. */
function expectSame(picture: Frame, after: Frame): void {
  expect([picture.width, picture.height]).toEqual([after.width, after.height]);
  expect(Buffer.compare(picture.rgba, after.rgba)).toBe(0);
}

describe('findDamage', () => {
  it('finds nothing between pictures that look alike', () => {
    expect(findDamage(blank(720, 400), blank(720, 400))).toEqual({ copies: [], rectangles: [] });
  });

  it('takes the whole picture when its size is another one', () => {
    const whole = { x: 0, y: 0, width: 320, height: 200 };
    expect(findDamage(blank(720, 400), blank(320, 200))).toEqual({ copies: [], rectangles: [whole] });
  });

  it('costs a blinking cursor no more than its own dots', () => {
    const before = blank(720, 400),
      after = copyOf(before);
    const cursor = { x: 9 * 41, y: 16 * 7 + 13, width: 9, height: 2 };
    fill(after, cursor, WHITE);
    expect(findDamage(before, after).rectangles.reduce((sum, r) => sum + r.width * r.height, 0)).toBe(18);
    for (const part of findDamage(before, after).rectangles) expect(overlap(part, cursor)).toBe(true);
  });

  it('keeps changes that lie apart in rectangles of their own, and joins a block to one', () => {
    const before = blank(700, 390),
      after = copyOf(before);
    fill(after, { x: 3, y: 5, width: 8, height: 8 }, WHITE);
    fill(after, { x: 600, y: 300, width: 90, height: 80 }, WHITE);
    expect(findDamage(before, after).rectangles).toEqual([
      { x: 3, y: 5, width: 8, height: 8 },
      { x: 600, y: 300, width: 90, height: 80 },
    ]);
  });

  it.each([
    ['up, as a console does', 16, 0],
    ['up by three lines, beside a still margin', 48, 200],
    ['down, as a pager does', -16, 0],
  ])('costs a scroll one copy and the new rows: %s', (_, shift, margin) => {
    const before = blank(720, 400);
    for (let line = 0; line < 25; line++) write(before, line * 16, 14, line + 1, 720 - margin);
    const after = copyOf(before);
    const height = 400 - Math.abs(shift);
    const [y, fromY] = shift > 0 ? [0, shift] : [-shift, 0];
    copyWithin(after, { x: 0, y, width: 720 - margin, height, fromX: 0, fromY });
    write(after, shift > 0 ? height : 0, Math.abs(shift), 99, 720 - margin);

    const damage = findDamage(before, after);
    expect(damage.copies).toHaveLength(1);
    expect(areaOf(damage.rectangles)).toBeLessThanOrEqual((720 - margin) * Math.abs(shift));
    expectSame(apply(before, after, damage), after);
  });

  it('leaves a status line alone when the text above it scrolls, and mends the cursor that was in it', () => {
    const before = blank(720, 400);
    for (let line = 0; line < 25; line++) write(before, line * 16, 16, line + 1);
    const after = copyOf(before);
    copyWithin(after, { x: 0, y: 0, width: 720, height: 23 * 16, fromX: 0, fromY: 16 });
    write(after, 23 * 16, 16, 77);
    fill(before, { x: 90, y: 200, width: 9, height: 2 }, [255, 0, 0, 255]);
    const damage = findDamage(before, after);
    expect(damage.copies).toHaveLength(1);
    // The new line, and the two rows of the cursor, moved up by the copy.
    expect(areaOf(damage.rectangles)).toBeLessThanOrEqual(720 * 16 + 18);
    expectSame(apply(before, after, damage), after);
  });

  it('joins a picture that changed everywhere a little to few rectangles', () => {
    const before = blank(1024, 768),
      after = copyOf(before);
    for (let y = 0; y < 768; y += 32)
      for (let x = 0; x < 1024; x += 32) fill(after, { x, y, width: 1, height: 1 }, WHITE);
    const damage = findDamage(before, after);
    expect(damage.rectangles.length).toBeLessThanOrEqual(48);
    expectSame(apply(before, after, damage), after);
  });

  it('turns any picture into any other, whatever was drawn, moved and scrolled in between', () => {
    const size = fc.integer({ min: 1, max: 100 });
    const coordinate = fc.nat({ max: 99 });
    const edit = fc.oneof(
      fc.record({ kind: fc.constant('fill' as const), x: coordinate, y: coordinate, w: size, h: size, dot: fc.nat(3) }),
      fc.record({ kind: fc.constant('write' as const), y: coordinate, h: size, seed: fc.nat() }),
      fc.record({
        kind: fc.constant('move' as const),
        x: coordinate,
        w: size,
        y: coordinate,
        fromY: coordinate,
        h: size,
      }),
    );
    const edits = fc.array(edit, { maxLength: 6 });
    const draw = (
      frame: Frame,
      list: readonly (typeof edits extends fc.Arbitrary<infer T> ? T : never)[number][],
    ): void => {
      const { width, height } = frame;
      for (const e of list) {
        if (e.kind === 'write') write(frame, e.y % height, e.h, e.seed);
        else {
          const x = e.x % width,
            y = e.y % height;
          const part = { x, y, width: Math.min(e.w, width - x), height: Math.min(e.h, height - y) };
          if (e.kind === 'fill') fill(frame, part, [e.dot * 80, 0, 0, 255]);
          else {
            const fromY = e.fromY % height;
            copyWithin(frame, { ...part, height: Math.min(part.height, height - fromY), fromX: x, fromY });
          }
        }
      }
    };
    fc.assert(
      fc.property(size, size, edits, edits, (width, height, first, then) => {
        const before = blank(width, height);
        draw(before, first);
        const after = copyOf(before);
        draw(after, then);
        const damage = findDamage(before, after);
        expectSame(apply(before, after, damage), after);
        for (const part of damage.rectangles) {
          expect(part.width > 0 && part.height > 0).toBe(true);
          expect(part.x >= 0 && part.y >= 0 && part.x + part.width <= width && part.y + part.height <= height).toBe(
            true,
          );
        }
        damage.rectangles.forEach((a, i) => {
          for (const b of damage.rectangles.slice(i + 1)) expect(overlap(a, b)).toBe(false);
        });
      }),
      { numRuns: 400 },
    );
  });
});
