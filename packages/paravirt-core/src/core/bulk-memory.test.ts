import { describe, expect, test } from 'vitest';
import { bulkMemory, repeatPattern } from './bulk-memory.ts';

const area = (): { bulk: ReturnType<typeof bulkMemory>; u8: Uint8Array } => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  return { bulk: bulkMemory(memory), u8: new Uint8Array(memory.buffer) };
};

describe('bulk memory', () => {
  test('copies ranges that overlap as if through a buffer', () => {
    const { bulk, u8 } = area();
    u8.set([1, 2, 3, 4], 16);

    bulk.copy(18, 16, 4);

    expect([...u8.subarray(16, 23)]).toEqual([1, 2, 1, 2, 3, 4, 0]);
  });

  test('fills with the low byte of a value', () => {
    const { bulk, u8 } = area();

    bulk.fill(8, 0x1ab, 3);

    expect([...u8.subarray(7, 12)]).toEqual([0, 0xab, 0xab, 0xab, 0]);
  });

  test.each([2, 3, 4, 5, 7, 8, 1024])('repeats an element %i times and writes nothing behind', (count) => {
    const { bulk, u8 } = area();
    u8.set([1, 2, 3, 4], 32);

    repeatPattern(bulk, 32, 4, count * 4);

    expect([...u8.subarray(32, 32 + count * 4)]).toEqual(Array.from({ length: count * 4 }, (_, i) => (i % 4) + 1));
    expect(u8[32 + count * 4]).toBe(0);
  });
});
