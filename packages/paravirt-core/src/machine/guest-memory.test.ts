import { describe, expect, it } from 'vitest';
import { RamWindow } from './guest-memory.ts';

describe('RamWindow', () => {
  it('reads and writes little-endian at any address, and tells of every write', () => {
    const written: number[][] = [];
    const ram = new RamWindow(new Uint8Array(64).subarray(16, 48), (address, length) =>
      written.push([address, length]),
    );

    ram.write32(1, 0xdeadbeef);
    ram.write16(28, 0x1234);
    ram.write8(31, 0xff);
    ram.write(8, Uint8Array.of(1, 2, 3));
    ram.view(12, 4).fill(9);
    ram.written(12, 4);

    const copy = new Uint8Array(4);
    ram.read(12, copy);
    expect([ram.read32(1), ram.read16(3), ram.read8(8), ram.read16(28), ram.read8(31)]).toEqual([
      0xdeadbeef, 0xdead, 1, 0x1234, 0xff,
    ]);
    expect([...copy]).toEqual([9, 9, 9, 9]);
    expect(written).toEqual([
      [1, 4],
      [28, 2],
      [31, 1],
      [8, 3],
      [12, 4],
    ]);
  });

  it('refuses what is not RAM', () => {
    const ram = new RamWindow(new Uint8Array(32));

    for (const [address, length] of [
      [-1, 1],
      [32, 1],
      [31, 2],
      [2 ** 53, 1],
      [0.5, 1],
      [0, Number.NaN],
    ] as const) {
      expect(ram.contains(address, length)).toBe(false);
      expect(() => ram.view(address, length)).toThrow(RangeError);
    }
    expect(ram.contains(32, 0)).toBe(true);
    expect(() => ram.read32(29)).toThrow(RangeError);
    expect(() => ram.write16(31, 0)).toThrow(RangeError);
  });
});
