import { describe, expect, it } from 'vitest';
import { PhysicalMap } from './physical.ts';

describe('the map of guest-physical memory', () => {
  it('knows nothing at first: everything belongs to devices', () => {
    expect([new PhysicalMap().hostPage(0), new PhysicalMap().isWritable(0xffff_ffff)]).toEqual([0, false]);
  });
  it('gives the page of any address in a range, and whether it may be written', () => {
    const map = new PhysicalMap();
    map.map(0x10_0000, 0x50_0000, 0x2000, true);
    map.map(0x20_0000, 0x60_0000, 0x1000, false);

    expect([map.hostPage(0x10_0fff), map.hostPage(0x10_1000), map.hostPage(0x10_2000)]).toEqual([
      0x50_0000, 0x50_1000, 0,
    ]);
    expect([map.isWritable(0x10_1fff), map.isWritable(0x20_0000), map.hostPage(0x20_0fff)]).toEqual([
      true,
      false,
      0x60_0000,
    ]);
  });
  it('holds host addresses above 2 GiB and the last guest page', () => {
    const map = new PhysicalMap();
    map.map(0xffff_f000, 0xffff_0000, 0x1000, true);
    expect(map.hostPage(0xffff_ffff)).toBe(0xffff_0000);
  });
  it('forgets what is unmapped, and nothing around it', () => {
    const map = new PhysicalMap();
    map.map(0, 0x10_0000, 0x3000, true);
    map.unmap(0x1000, 0x1000);
    expect([0, 0x1000, 0x2000].map((at) => map.hostPage(at))).toEqual([0x10_0000, 0, 0x10_2000]);
  });
  it('takes whole pages only', () => {
    for (const [address, host, size] of [
      [1, 0, 4096],
      [0, 1, 4096],
      [0, 0, 100],
    ] as const)
      expect(() => new PhysicalMap().map(address, host, size, true)).toThrow(RangeError);
  });
});

describe('a page that registers of the processor cover', () => {
  it('is no memory, whatever is mapped there, and again what it was once it is uncovered', () => {
    const map = new PhysicalMap();
    map.map(0, 0x10000, 0x4000, true);
    map.cover([0x1000]);
    expect([map.hostPage(0), map.hostPage(0x1800), map.hostPage(0x2000)]).toEqual([0x10000, 0, 0x12000]);

    map.map(0, 0x20000, 0x2000, false);
    expect([map.hostPage(0), map.hostPage(0x1000)]).toEqual([0x20000, 0]);
    map.cover([0x3000]);
    expect([map.hostPage(0x1000), map.isWritable(0x1000), map.hostPage(0x3000)]).toEqual([0x21000, false, 0]);

    map.unmap(0, 0x4000);
    map.cover([0xf_fee0_0000]);
    expect([0, 0x1000, 0x2000, 0x3000].map((at) => map.hostPage(at))).toEqual([0, 0, 0, 0]);
    map.map(0x3000, 0x13000, 0x1000, true);
    map.cover([]);
    expect(map.hostPage(0x3000)).toBe(0x13000);
  });
});
