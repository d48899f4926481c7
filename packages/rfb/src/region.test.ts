import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rectangle } from './geometry.ts';
import { Region } from './region.ts';

const SIDE = 24;
const rectangle = fc
  .record({
    x: fc.nat(SIDE - 1),
    y: fc.nat(SIDE - 1),
    width: fc.nat(SIDE),
    height: fc.nat(SIDE),
  })
  .map((r): Rectangle => ({ ...r, width: Math.min(r.width, SIDE - r.x), height: Math.min(r.height, SIDE - r.y) }));
const rectangles = fc.array(rectangle, { maxLength: 12 });

const regionOf = (list: readonly Rectangle[]): Region =>
  list.reduce((region, r) => region.union(Region.of(r)), Region.empty);

/** The dots of a region, as text: what sets are compared by. */
function dots(list: readonly Rectangle[]): Set<string> {
  const set = new Set<string>();
  for (const { x, y, width, height } of list) {
    for (let row = y; row < y + height; row++)
      for (let column = x; column < x + width; column++) set.add(`${column},${row}`);
  }
  return set;
}

const isSubset = (inner: Set<string>, outer: Set<string>): boolean => [...inner].every((dot) => outer.has(dot));

describe('regions', () => {
  test('are sets of dots, whatever is done with them', () => {
    fc.assert(
      fc.property(
        rectangles,
        rectangles,
        fc.integer({ min: -30, max: 30 }),
        fc.integer({ min: -30, max: 30 }),
        (a, b, dx, dy) => {
          const [inA, inB] = [dots(a), dots(b)];
          const [regionA, regionB] = [regionOf(a), regionOf(b)];
          expect(dots(regionA.union(regionB).rectangles())).toEqual(new Set([...inA, ...inB]));
          expect(dots(regionA.intersect(regionB).rectangles())).toEqual(
            new Set([...inA].filter((dot) => inB.has(dot))),
          );
          expect(dots(regionA.subtract(regionB).rectangles())).toEqual(
            new Set([...inA].filter((dot) => !inB.has(dot))),
          );
          const moved = a.map((r) => ({ ...r, x: r.x + dx, y: r.y + dy }));
          expect(dots(regionA.translate(dx, dy).rectangles())).toEqual(dots(moved));
          expect(regionA.isEmpty).toBe(inA.size === 0);
        },
      ),
    );
  });

  test('name no dot twice, and join bands that are alike', () => {
    fc.assert(
      fc.property(rectangles, (list) => {
        const apart = regionOf(list).rectangles();
        expect(apart.reduce((sum, r) => sum + r.width * r.height, 0)).toBe(dots(list).size);
      }),
    );
    expect(
      regionOf([
        { x: 1, y: 1, width: 4, height: 2 },
        { x: 1, y: 3, width: 4, height: 5 },
      ]).rectangles(),
    ).toEqual([{ x: 1, y: 1, width: 4, height: 7 }]);
  });

  test('have every dot still and few rectangles when they are coarse', () => {
    const clip = { x: 0, y: 0, width: SIDE, height: SIDE };
    fc.assert(
      fc.property(rectangles, fc.integer({ min: 1, max: 4 }), (list, limit) => {
        const coarse = regionOf(list).coarsened(limit, clip);
        expect(coarse.count).toBeLessThanOrEqual(limit);
        expect(isSubset(dots(list), dots(coarse.rectangles()))).toBe(true);
        expect(isSubset(dots(coarse.rectangles()), dots([clip]))).toBe(true);
      }),
    );
  });

  test('know whether a whole rectangle is in them', () => {
    const region = regionOf([
      { x: 0, y: 0, width: 4, height: 8 },
      { x: 4, y: 0, width: 4, height: 8 },
    ]);
    expect(region.contains({ x: 2, y: 2, width: 4, height: 4 })).toBe(true);
    expect(region.contains({ x: 2, y: 2, width: 7, height: 4 })).toBe(false);
  });
});
