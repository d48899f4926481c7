import { describe, expect, test } from 'vitest';

import { boardMemoryMap, E820_RESERVED, E820_USABLE, highMemoryEnd, isUsable, RAM_LIMIT } from './e820.ts';

const MIB = 2 ** 20;

describe('boardMemoryMap', () => {
  test('lists conventional memory, the BIOS area, high memory and the fixed devices of a 32 MiB board', () => {
    expect(boardMemoryMap(32 * MIB)).toEqual([
      { address: 0, length: 0x9_fc00, type: E820_USABLE },
      { address: 0x9_fc00, length: 0x6_0400, type: E820_RESERVED },
      { address: MIB, length: 31 * MIB, type: E820_USABLE },
      { address: 0xfec0_0000, length: 0x1000, type: E820_RESERVED },
      { address: 0xfee0_0000, length: 0x1000, type: E820_RESERVED },
      { address: 0xfffc_0000, length: 0x4_0000, type: E820_RESERVED },
    ]);
  });

  test.each([2 * MIB, 64 * MIB, 2048 * MIB, RAM_LIMIT])('of %i bytes is in order and without overlaps', (size) => {
    const map = boardMemoryMap(size);

    const gaps = map.slice(1).map((range, i) => range.address - map[i]!.address - map[i]!.length);

    expect(gaps.every((gap) => gap >= 0)).toBe(true);
    expect(highMemoryEnd(map)).toBe(size);
  });

  test.each([0, MIB, 32 * MIB + 1, RAM_LIMIT + 4096])('refuses %i bytes as a bug', (size) => {
    expect(() => boardMemoryMap(size)).toThrow('assertion failed');
  });
});

test.each([
  [0, 0x9_fc00, true],
  [0, 0x9_fc01, false],
  [0xa_0000, 1, false],
  [MIB, 31 * MIB, true],
  [MIB, 31 * MIB + 1, false],
  [0x9_0000, 0x8_0000, false],
  [32 * MIB, 0, true],
])('isUsable at %i for %i bytes is %s with 32 MiB', (address, length, expected) => {
  expect(isUsable(boardMemoryMap(32 * MIB), address, length)).toBe(expected);
});
