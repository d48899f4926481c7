import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Scrollback } from './scrollback.ts';

test('keeps the last bytes of whatever came', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(fc.uint8Array({ maxLength: 60 })), (limit, chunks) => {
      const scrollback = new Scrollback(limit);
      for (const chunk of chunks) scrollback.add(chunk);

      const all = Buffer.concat(chunks);
      expect(Buffer.from(scrollback.tail())).toEqual(all.subarray(Math.max(0, all.length - limit)));
    }),
    { seed: 11 },
  );
});

test('has nothing after it was cleared', () => {
  const scrollback = new Scrollback(4);
  scrollback.add(Buffer.from('login'));

  scrollback.clear();

  expect(scrollback.tail()).toEqual(new Uint8Array(0));
});
