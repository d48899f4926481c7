import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageRing } from './message-ring.ts';

const CAPACITY = 64,
  LONGEST = 40;
const makeRing = (): MessageRing => new MessageRing(MessageRing.allocate(CAPACITY, LONGEST));
const next = (ring: MessageRing): number[] | undefined => {
  const message = ring.peek();
  if (message === undefined) return undefined;
  const bytes = [...message];
  ring.release();
  return bytes;
};

describe('a message ring', () => {
  test('gives out what was put in, whole and in order, or says that there is no room', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.uint8Array({ maxLength: LONGEST + 2 }), fc.constant('read' as const))),
        (steps) => {
          const ring = makeRing(),
            waiting: number[][] = [];
          for (const step of steps) {
            if (step === 'read') expect(next(ring)).toEqual(waiting.shift());
            else {
              const used = waiting.reduce((sum, { length }) => sum + 4 + 4 * Math.ceil(length / 4), 0);
              const fits = step.length <= LONGEST && used + 4 + 4 * Math.ceil(step.length / 4) <= CAPACITY;
              expect(ring.write(step)).toBe(fits);
              if (fits) waiting.push([...step]);
            }
          }
          for (const message of waiting) expect(next(ring)).toEqual(message);
          expect([ring.used, next(ring)]).toEqual([0, undefined]);
        },
      ),
    );
  });

  test('shows nothing of what was begun before it is committed, and forgets it for what is begun next', () => {
    const ring = makeRing();

    ring.begin(8)!.fill(1);
    expect(ring.peek()).toBeUndefined();
    ring.begin(3)!.fill(2);
    ring.commit();

    expect(next(ring)).toEqual([2, 2, 2]);
    expect(() => ring.commit()).toThrow(RangeError);
    expect(ring.begin(LONGEST + 1)).toBeUndefined();
    expect(() => ring.commit()).toThrow(RangeError);
  });

  test('keeps a message where it is until it is released', () => {
    const ring = makeRing();
    ring.write(Uint8Array.of(1, 2, 3));
    const message = ring.peek()!;

    while (ring.write(Uint8Array.of(9, 9, 9, 9)));

    expect([...message]).toEqual([1, 2, 3]);
    expect([...ring.peek()!]).toEqual([1, 2, 3]);
  });

  test('refuses a length that cannot be true', () => {
    const memory = MessageRing.allocate(CAPACITY, LONGEST);
    new MessageRing(memory).write(Uint8Array.of(1));
    new Uint32Array(memory, 16)[0] = 30;

    expect(() => new MessageRing(memory).peek()).toThrow(/30 bytes in a ring that holds 8/);
    expect(() => MessageRing.allocate(60, 10)).toThrow(/power of two/);
    expect(() => MessageRing.allocate(64, 61)).toThrow(/no room/);
  });

  test('loses and mixes up nothing between two threads', async () => {
    const memory = MessageRing.allocate(1024, 100),
      ring = new MessageRing(memory),
      count = 20_000;
    const code = `
      const { workerData: { memory, module, count } } = require('node:worker_threads');
      import(module).then(({ MessageRing }) => {
        const ring = new MessageRing(memory);
        for (let n = 0; n < count;) {
          const place = ring.begin(4 + (n * 7) % 97);
          if (place === undefined) continue;
          place.fill(n);
          new DataView(place.buffer, place.byteOffset).setUint32(0, n);
          ring.commit();
          n++;
        }
      });`;
    const module = new URL('./message-ring.ts', import.meta.url).href;
    const writer = new Worker(code, { eval: true, workerData: { memory, module, count } });
    const failed = new Promise<never>((_, reject) => writer.once('error', reject));
    for (let n = 0; n < count;) {
      const message = ring.peek();
      if (message === undefined) {
        await Promise.race([failed, new Promise((resolve) => setImmediate(resolve))]);
        continue;
      }
      const number = new DataView(message.buffer, message.byteOffset).getUint32(0);
      if (number !== n || message.length !== 4 + ((n * 7) % 97) || message.subarray(4).some((b) => b !== (n & 0xff)))
        throw new Error(`message ${n} came as ${number}, ${message.length} bytes`);
      ring.release();
      n++;
    }
    await writer.terminate();
    expect(ring.used).toBe(0);
  });
});
