/** Lists that keep their room. */
import { expect, it } from 'vitest';
import { NumberList } from './number-list.ts';

it('holds what was pushed since it was emptied last, however much that was', () => {
  const list = new NumberList();
  const held = (): number[] => [...list.words.subarray(0, list.count)];
  const many = Array.from({ length: 1000 }, (_, i) => i - 500);

  for (const each of many) list.push(each);
  expect(held()).toEqual(many);
  const room = list.words.length;
  list.clear();
  expect(held()).toEqual([]);
  for (const each of many) list.push(-each);
  expect(held()).toEqual(many.map((each) => -each + 0));
  expect(list.words.length).toBe(room);
});
