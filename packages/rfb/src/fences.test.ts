import { describe, expect, test } from 'vitest';
import { Pace } from './fences.ts';

/** The payload of a fence that `sent` returned. */
const payloadOf = (fence: Uint8Array): Uint8Array => fence.slice(9);

describe('the pace of continuous updates', () => {
  test('has room for eight updates, and for more as they arrive', () => {
    const pace = new Pace();
    const fences = Array.from({ length: 8 }, () => pace.sent(100));
    expect(pace.hasRoom).toBe(false);
    pace.answered(payloadOf(fences[0]!));
    expect(pace.hasRoom).toBe(true);
  });

  test('has room for a mebibyte, and for more as it arrives', () => {
    const pace = new Pace();
    const fence = pace.sent(1024 * 1024);
    expect(pace.hasRoom).toBe(false);
    pace.answered(payloadOf(fence));
    expect(pace.hasRoom).toBe(true);
  });

  test('counts what went before an answered fence as arrived', () => {
    const pace = new Pace();
    pace.sent(600_000);
    pace.answered(payloadOf(pace.sent(600_000)));
    pace.sent(600_000);
    expect(pace.hasRoom).toBe(true);
  });

  test('is not hastened by answers to nothing', () => {
    const pace = new Pace();
    const fence = pace.sent(2 ** 20);
    for (const payload of [new Uint8Array(0), Uint8Array.of(0, 0, 0, 9), Uint8Array.of(1)]) pace.answered(payload);
    expect(pace.hasRoom).toBe(false);
    pace.answered(payloadOf(fence));
    pace.answered(payloadOf(fence));
    pace.sent(2 ** 20);
    expect(pace.hasRoom).toBe(false);
  });
});
