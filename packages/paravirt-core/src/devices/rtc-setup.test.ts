import { describe, expect, it } from 'vitest';
import { cmosBytes } from './rtc-setup.ts';

const at = (bytes: ReadonlyMap<number, number>, ...indices: number[]): (number | undefined)[] =>
  indices.map((index) => bytes.get(index));

describe('what the set-up leaves in CMOS', () => {
  it('tells memory sizes, capped where a field ends', () => {
    const small = cmosBytes(8 << 20);
    const large = cmosBytes(3 * 2 ** 30);

    expect(at(small, 0x15, 0x16, 0x17, 0x18, 0x34, 0x35)).toEqual([0x80, 0x02, 0x00, 0x1c, 0, 0]);
    expect(at(large, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x5b)).toEqual([0xff, 0xff, 0xff, 0xff, 0x00, 0xbf, 0]);
    expect(at(cmosBytes(5 * 2 ** 30), 0x5b, 0x5c, 0x5d)).toEqual([0x00, 0x40, 0x00]);
  });

  it('tells floppy drives, in type and number', () => {
    expect(at(cmosBytes(1 << 24), 0x10, 0x14)).toEqual([0x00, 0x06]);
    expect(at(cmosBytes(1 << 24, { floppies: ['1.44M'] }), 0x10, 0x14)).toEqual([0x40, 0x07]);
    expect(at(cmosBytes(1 << 24, { floppies: ['2.88M', '1.2M'] }), 0x10, 0x14)).toEqual([0x52, 0x47]);
    expect(at(cmosBytes(1 << 24, { floppies: [undefined, '720K'] }), 0x10, 0x14)).toEqual([0x03, 0x07]);
  });

  it('tells the boot order', () => {
    expect(at(cmosBytes(1 << 24), 0x3d, 0x38)).toEqual([0x21, 0x30]);
    expect(at(cmosBytes(1 << 24, { boot: ['cdrom', 'network'] }), 0x3d, 0x38)).toEqual([0x43, 0x00]);
    expect(at(cmosBytes(1 << 24, { boot: [] }), 0x3d, 0x38)).toEqual([0, 0]);
  });

  it('tells disks, and has those of many cylinders shown by logical blocks', () => {
    const small = { cylinders: 520, heads: 16, sectors: 63 };
    const large = { cylinders: 16_383, heads: 16, sectors: 63 };
    const bytes = cmosBytes(1 << 24, { disks: [large, undefined, small, large] });

    expect(at(bytes, 0x12, 0x19, 0x1a, 0x39)).toEqual([0xf0, 47, undefined, 0b01_00_00_01]);
    expect(at(bytes, 0x1b, 0x1c, 0x1d, 0x20, 0x23)).toEqual([0xff, 0x3f, 16, 0xc8, 63]);
  });

  it('has the checksum of an AT', () => {
    const bytes = cmosBytes(1 << 26, { floppies: ['1.44M'], processors: 2 });
    let sum = 0;
    for (let index = 0x10; index <= 0x2d; index++) sum += bytes.get(index) ?? 0;

    expect(at(bytes, 0x2e, 0x2f, 0x5f)).toEqual([sum >> 8, sum & 0xff, 1]);
  });
});
