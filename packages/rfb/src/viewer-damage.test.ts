import { describe, expect, test } from 'vitest';
import type { FrameChange } from './framebuffer.ts';
import { Region } from './region.ts';
import { ViewerDamage } from './viewer-damage.ts';

const ALL = Region.of({ x: 0, y: 0, width: 100, height: 100 });
const change = (parts: Partial<FrameChange>): FrameChange => ({ resized: false, copies: [], damage: [], ...parts });
const at = (x: number, y: number, width = 10, height = 10) => ({ x, y, width, height });
const copy = (fromX: number, fromY: number, x: number, y: number) => ({ ...at(x, y), fromX, fromY });

function clean(): ViewerDamage {
  const damage = new ViewerDamage(100, 100);
  damage.take(ALL);
  return damage;
}

describe('a viewer’s damage', () => {
  test('is everything at first, and nothing once that was sent', () => {
    const damage = new ViewerDamage(100, 100);
    expect(damage.take(ALL)).toEqual({ copies: [], damage: [at(0, 0, 100, 100)] });
    expect(damage.take(ALL)).toEqual({ copies: [], damage: [] });
  });

  test('stays where it was not asked for', () => {
    const damage = clean();
    damage.add(change({ damage: [at(0, 0), at(50, 50)] }), true);
    expect(damage.take(Region.of(at(0, 0, 20, 20))).damage).toEqual([at(0, 0)]);
    expect(damage.take(ALL).damage).toEqual([at(50, 50)]);
  });

  test('lets a viewer copy what it has', () => {
    const damage = clean();
    damage.add(change({ copies: [copy(0, 0, 50, 50)], damage: [at(0, 0)] }), true);
    expect(damage.take(ALL)).toEqual({ copies: [copy(0, 0, 50, 50)], damage: [at(0, 0)] });
  });

  test('goes along with a copy of what the viewer has not', () => {
    const damage = clean();
    damage.add(change({ damage: [at(0, 0, 5, 10)] }), true);
    damage.add(change({ copies: [copy(0, 0, 50, 50)] }), true);
    expect(damage.take(ALL)).toEqual({ copies: [copy(0, 0, 50, 50)], damage: [at(0, 0, 5, 10), at(50, 50, 5, 10)] });
  });

  test('is mended by a copy over it', () => {
    const damage = clean();
    damage.add(change({ damage: [at(50, 50)] }), true);
    damage.add(change({ copies: [copy(0, 0, 50, 50)] }), true);
    expect(damage.take(ALL)).toEqual({ copies: [copy(0, 0, 50, 50)], damage: [] });
  });

  test('takes the place of a copy of which nothing would be right', () => {
    const damage = clean();
    damage.add(change({ damage: [at(0, 0)] }), true);
    damage.add(change({ copies: [copy(0, 0, 50, 50)] }), true);
    expect(damage.take(ALL)).toEqual({ copies: [], damage: [at(0, 0), at(50, 50)] });
  });

  test.each<[string, (damage: ViewerDamage) => unknown]>([
    ['that does not understand copies', (damage) => damage.add(change({ copies: [copy(0, 0, 50, 50)] }), false)],
    [
      'that does not understand them any more',
      (damage) => (damage.add(change({ copies: [copy(0, 0, 50, 50)] }), true), damage.flattenCopies()),
    ],
  ])('takes the place of a copy for a viewer %s', (_, happens) => {
    const damage = clean();
    happens(damage);
    expect(damage.take(ALL)).toEqual({ copies: [], damage: [at(50, 50)] });
  });

  test('takes the place of copies for a viewer that asks for a part', () => {
    const damage = clean();
    damage.add(change({ copies: [copy(0, 0, 50, 50)] }), true);
    expect(damage.take(Region.of(at(0, 0, 55, 55)))).toEqual({ copies: [], damage: [at(50, 50, 5, 5)] });
    expect(damage.take(ALL).damage).toEqual([at(55, 50, 5, 5), at(50, 55, 10, 5)]);
  });

  test('takes the place of copies for a viewer that is far behind', () => {
    const damage = clean();
    for (let i = 0; i < 33; i++) damage.add(change({ copies: [copy(0, 0, 50, i)] }), true);
    expect(damage.take(ALL)).toEqual({ copies: [], damage: [at(50, 0, 10, 42)] });
  });

  test('is rounded up when it is in very many places', () => {
    const damage = clean();
    const dots = Array.from({ length: 200 }, (_, i) => at(7 * (i % 14), 7 * Math.floor(i / 14), 1, 1));
    damage.add(change({ damage: dots }), true);
    expect(damage.take(ALL).damage.length).toBeLessThanOrEqual(64);
  });

  test('does not reach outside the picture that the viewer knows', () => {
    const damage = clean();
    damage.add(change({ damage: [at(95, 95)] }), true);
    expect(damage.take(Region.of(at(0, 0, 200, 200))).damage).toEqual([at(95, 95, 5, 5)]);
  });
});
