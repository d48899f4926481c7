import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { ALL_REASONS, ByteRing, Doorbell } from './ring.ts';

describe('a byte ring', () => {
  test('gives out what was put in, in order, whatever the sizes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(40))), (steps) => {
        const ring = new ByteRing(ByteRing.allocate(32));
        const put: number[] = [],
          got: number[] = [];
        for (const [bytes, take] of steps) {
          const written = ring.write(bytes);
          put.push(...bytes.subarray(0, written));
          got.push(...ring.read(take));
        }
        got.push(...ring.read(32));
        expect(got).toEqual(put);
      }),
    );
  });

  test('takes a message whole or not at all', () => {
    const ring = new ByteRing(ByteRing.allocate(16));

    expect(ring.writeMessage(Uint8Array.of(1, 2, 3, 4, 5))).toBe(true);
    expect(ring.writeMessage(Uint8Array.of(6, 7, 8, 9))).toBe(false);
    expect([...ring.readMessage()!]).toEqual([1, 2, 3, 4, 5]);
    expect(ring.readMessage()).toBeUndefined();
    expect(ring.writeMessage(Uint8Array.of(6, 7, 8, 9))).toBe(true);
    expect([...ring.readMessage()!]).toEqual([6, 7, 8, 9]);
  });

  test('refuses a length that cannot be true', () => {
    const ring = new ByteRing(ByteRing.allocate(16));
    ring.write(Uint8Array.of(200, 0, 0, 0, 1));

    expect(() => ring.readMessage()).toThrow(RangeError);
  });
});

describe('a doorbell', () => {
  test('says for what it has rung since it was asked last, and has another ticket each time', () => {
    const memory = Doorbell.allocate(),
      [ringer, sleeper] = [new Doorbell(memory), new Doorbell(memory)];
    const before = sleeper.ticket;

    ringer.ring(1);
    ringer.ring(4);

    expect(sleeper.ticket).toBe(before + 2);
    expect([sleeper.takeReasons(), sleeper.takeReasons()]).toEqual([5, 0]);
    ringer.ring();
    expect(sleeper.takeReasons()).toBe(ALL_REASONS);
  });
  test('does not let anybody sleep who has not seen its last ring', () => {
    const bell = new Doorbell(Doorbell.allocate()),
      { ticket } = bell;
    bell.ring();

    const sleeping = vi.spyOn(Atomics, 'wait');
    bell.wait(ticket, 5_000);

    expect(sleeping.mock.results.map(({ value }) => value as string)).toEqual(['not-equal']);
    sleeping.mockRestore();
  });
});
