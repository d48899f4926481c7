import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteTail } from './byte-tail.ts';

describe('ByteTail', () => {
  it('keeps the last bytes, says how many were lost, and gives what is taken in order', () => {
    const step = fc.oneof(
      fc.record({ push: fc.uint8Array({ maxLength: 40 }) }),
      fc.record({ take: fc.nat({ max: 30 }) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.array(step, { maxLength: 40 }), (limit, steps) => {
        const tail = new ByteTail(limit);
        let model: number[] = [],
          lost = 0;
        for (const s of steps) {
          if ('push' in s) {
            tail.push(s.push);
            model.push(...s.push);
            lost += Math.max(0, model.length - limit);
            model = model.slice(-limit);
          } else {
            expect(tail.dropped).toBe(lost);
            expect([...tail.take(s.take)]).toEqual(model.splice(0, s.take));
            lost = 0;
          }
          expect([...tail.all()]).toEqual(model);
          expect(tail.length).toBe(model.length);
        }
      }),
    );
  });

  it('holds single bytes as cheaply as large pieces', () => {
    const tail = new ByteTail(4096);
    for (let i = 0; i < 10_000; i++) tail.push(Uint8Array.of(i));
    expect(tail.length).toBe(4096);
    expect(tail.dropped).toBe(10_000 - 4096);
    expect(tail.all().at(-1)).toBe(9999 & 0xff);
  });
});
