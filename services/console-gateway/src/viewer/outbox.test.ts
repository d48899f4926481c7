import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Outbox, type Wire } from './outbox.ts';

/** A wire that takes what the test lets it take. */
class SlowWire implements Wire {
  readonly written: Uint8Array[] = [];
  private readonly waiting: (() => void)[] = [];
  write(bytes: Uint8Array, done: () => void): void {
    this.written.push(bytes);
    this.waiting.push(done);
  }
  /** Lets one piece go out; false: none waits. */
  drain(): boolean {
    const done = this.waiting.shift();
    done?.();
    return done !== undefined;
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}
const KIB = 1024;

describe('an outbox', () => {
  test('brings out what was sent, in order, in pieces, with no more than a window under way', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 * KIB }), { maxLength: 8 }), (sizes) => {
        const wire = new SlowWire();
        const outbox = new Outbox(
          wire,
          () => undefined,
          () => 0,
        );
        const sent = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
        for (const bytes of sent) outbox.send(bytes);
        const underWay = wire.written.reduce((sum, { length }) => sum + length, 0);
        while (wire.drain());

        expect(underWay).toBeLessThanOrEqual(320 * KIB);
        expect(Buffer.concat(wire.written).equals(Buffer.concat(sent))).toBe(true);
        expect(outbox.pendingBytes).toBe(0);
      }),
      { seed: 7 },
    );
  });

  test('says once that there is room again', () => {
    const wire = new SlowWire();
    let times = 0;
    const outbox = new Outbox(
      wire,
      () => times++,
      () => 0,
    );

    outbox.send(new Uint8Array(200 * KIB));
    const roomWhileFull = outbox.hasRoom;
    while (wire.drain());

    expect([roomWhileFull, outbox.hasRoom, times]).toEqual([false, true, 1]);
  });

  test('stands still only while something waits and nothing goes out', () => {
    const wire = new SlowWire();
    let now = 0;
    const outbox = new Outbox(
      wire,
      () => undefined,
      () => now,
    );
    now = 1000;
    const idle = outbox.stalledMs;

    outbox.send(new Uint8Array(300 * KIB));
    now = 1500;
    const waiting = outbox.stalledMs;
    wire.drain();
    const after = outbox.stalledMs;

    expect([idle, waiting, after]).toEqual([0, 500, 0]);
  });
});
