import { describe, expect, test } from 'vitest';
import { Unflushed } from './unflushed.ts';
import { WriteMessage } from './write-message.ts';

const written = (offset: number, length: number): WriteMessage => new WriteMessage(offset, new Uint8Array(length));
const shape = (unflushed: Unflushed): number[][][] =>
  [...unflushed.groups()].map((group) => group.map(({ offset, data }) => [offset, data.length]));

describe('what was not flushed', () => {
  test('is given oldest first, and what overlaps not at once', () => {
    const unflushed = new Unflushed();
    for (const [offset, length] of [
      [0, 4096],
      [8192, 4096],
      [4096, 8192],
      [65_536, 512],
    ] as const)
      unflushed.add(written(offset, length));

    expect(shape(unflushed)).toEqual([
      [
        [0, 4096],
        [8192, 4096],
      ],
      [
        [4096, 8192],
        [65_536, 512],
      ],
    ]);
    expect(unflushed.bytes).toBe(4096 + 4096 + 8192 + 512);
  });
  test('keeps only the last of writes at one place, unless it is shorter', () => {
    const unflushed = new Unflushed();
    unflushed.add(written(0, 512));
    unflushed.add(written(0, 1024));
    unflushed.add(written(0, 512));

    expect(shape(unflushed)).toEqual([[[0, 1024]], [[0, 512]]]);
    expect(unflushed.bytes).toBe(1536);
  });
  test('a flush forgets what was written before it began, and not what was written over it since', () => {
    const unflushed = new Unflushed();
    unflushed.add(written(0, 512));
    unflushed.add(written(4096, 512));
    const mark = unflushed.mark();
    unflushed.add(written(0, 512));
    unflushed.add(written(8192, 512));

    unflushed.forget(mark);

    expect(shape(unflushed).flat()).toEqual([
      [0, 512],
      [8192, 512],
    ]);
    unflushed.forget(unflushed.mark());
    expect([unflushed.size, unflushed.bytes, shape(unflushed)]).toEqual([0, 0, []]);
  });
});
