import { describe, expect, it } from 'vitest';
import { IdeRig, PRIMARY } from './rig.ts';

const sector = (rig: IdeRig, at: number, count = 1): Uint8Array =>
  rig.media[0]!.data.slice(at * 512, (at + count) * 512);
const words = (bytes: Uint8Array): Uint16Array => new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
const text = (w: Uint16Array, from: number, count: number): string =>
  [...w.subarray(from, from + count)]
    .map((v) => String.fromCharCode(v >> 8, v & 0xff))
    .join('')
    .trim();

describe('the task file', () => {
  it('shows the signature of a disk after a reset, and takes values back', () => {
    const rig = new IdeRig(['disk']);
    expect([1, 2, 3, 4, 5, 6, 7].map((r) => rig.in(r))).toEqual([1, 1, 1, 0, 0, 0xa0, 0x50]);
    rig.out(2, 0x55);
    rig.out(3, 0xaa);
    expect([rig.in(2), rig.in(3)]).toEqual([0x55, 0xaa]);
    rig.control(4);
    expect(rig.alternate()).toBe(0x80);
    rig.control(0);
    expect([1, 2, 3, 4, 5, 6, 7].map((r) => rig.in(r))).toEqual([1, 1, 1, 0, 0, 0xa0, 0x50]);
  });

  it('is answered by device 0 for a device 1 that is absent, with a status of 0', () => {
    const rig = new IdeRig(['disk']);
    rig.out(6, 0xb0);
    rig.out(2, 0x55);
    expect([1, 2, 3, 4, 5, 6, 7].map((r) => rig.in(r))).toEqual([1, 0x55, 1, 0, 0, 0xb0, 0]);
    expect([2, 7].map((r) => rig.in(r, 0x170))).toEqual([0, 0]);
    rig.out(7, 0xec);
    expect(rig.alternate()).toBe(0);
    rig.out(6, 0xa0);
    expect(rig.in(7)).toBe(0x50);
  });

  it('is not there until its ports are decoded', () => {
    const rig = new IdeRig(['disk'], { decodes: false });
    expect(rig.in(7)).toBe(0xff);
    rig.configWrite(0x40, 2, 0x8000);
    expect(rig.in(7)).toBe(0x50);
    rig.configWrite(4, 2, 0);
    expect(rig.in(7)).toBe(0xff);
  });

  it('keeps what was written before for 48-bit addresses, and shows it by HOB until the next write', () => {
    const rig = new IdeRig(['disk']);
    rig.out(3, 0x11);
    rig.out(3, 0x22);
    rig.control(0x80);
    expect(rig.in(3)).toBe(0x11);
    rig.out(2, 0);
    expect(rig.in(3)).toBe(0x22);
  });
});

describe('IDENTIFY DEVICE', () => {
  it('describes the disk', () => {
    const rig = new IdeRig(['disk'], { sectors: 40_000 });
    expect(rig.command(0xec)).toBe(0x58);
    expect(rig.interrupts[14]).toBe(1);
    const bytes = rig.pioIn(512);
    const w = words(bytes);
    expect([w[1], w[3], w[6]]).toEqual([39, 16, 63]);
    expect(w[60]! + w[61]! * 65_536).toBe(40_000);
    expect(w[100]! + w[101]! * 65_536).toBe(40_000);
    expect([text(w, 10, 10), text(w, 27, 20)]).toEqual(['drive-0', 'TOMEI IDE HARD DISK']);
    expect(bytes.reduce((sum, b) => sum + b, 0) & 0xff).toBe(0);
    expect(rig.in(7)).toBe(0x50);
    expect(rig.interrupts[14]).toBe(1);
  });
});

describe('PIO', () => {
  it.each([2, 4] as const)(
    'reads sectors through the data register, %i bytes at a time, an interrupt each',
    (width) => {
      const rig = new IdeRig(['disk']);
      expect(rig.command(0x20, { lba: 5, count: 3 })).toBe(0x58);
      const read: Uint8Array[] = [];
      for (let i = 0; i < 3; i++) {
        expect(rig.in(7)).toBe(0x58);
        read.push(rig.pioIn(512, width));
      }
      expect(Buffer.concat(read).equals(Buffer.from(sector(rig, 5, 3)))).toBe(true);
      expect([rig.in(7), rig.interrupts[14]]).toEqual([0x50, 3]);
      expect(rig.board.portRead(PRIMARY, 2)).toBe(0);
    },
  );

  it('reads 256 sectors for a count of 0, more than the buffer holds', () => {
    const rig = new IdeRig(['disk']);
    rig.command(0x20, { lba: 1000, count: 0 });
    expect(Buffer.from(rig.pioIn(256 * 512 + 2)).equals(Buffer.from([...sector(rig, 1000, 256), 0, 0]))).toBe(true);
    expect(rig.media[0]!.submitted.map((r) => [r.sector, r.count])).toEqual([
      [1000, 64],
      [1064, 64],
      [1128, 64],
      [1192, 64],
    ]);
  });

  it('writes sectors, with no interrupt before the first', () => {
    const rig = new IdeRig(['disk']);
    const bytes = Uint8Array.from({ length: 1024 }, (_, i) => (i * 3) & 0xff);
    expect(rig.command(0x30, { lba: 9, count: 2 })).toBe(0x58);
    expect(rig.interrupts[14]).toBe(0);
    rig.pioOut(bytes.subarray(0, 512));
    expect([rig.interrupts[14], rig.in(7)]).toEqual([1, 0x58]);
    rig.pioOut(bytes.subarray(512));
    expect([rig.interrupts[14], rig.in(7)]).toEqual([2, 0x50]);
    expect(sector(rig, 9, 2)).toEqual(bytes);
  });

  it('moves blocks of the size that SET MULTIPLE chose', () => {
    const rig = new IdeRig(['disk']);
    expect(rig.command(0xc4, { count: 4 })).toBe(0x51);
    expect(rig.in(1)).toBe(0x04);
    expect(rig.command(0xc6, { count: 4 })).toBe(0x50);
    rig.in(7);
    const before = rig.interrupts[14];
    rig.command(0xc4, { lba: 20, count: 6 });
    for (let i = 0; i < 2; i++) expect(rig.in(7), rig.pioIn(i === 0 ? 2048 : 1024) && '').toBe(0x58);
    expect(rig.interrupts[14] - before).toBe(2);
    expect(rig.command(0xc6, { count: 3 })).toBe(0x51);
    expect(rig.command(0xc6, { count: 32 })).toBe(0x51);
  });

  it('addresses by cylinder, head and sector in the translation that was set', () => {
    const rig = new IdeRig(['disk']);
    rig.command(0x20, { chs: [1, 2, 3] });
    expect(rig.pioIn(512)).toEqual(sector(rig, (1 * 16 + 2) * 63 + 2));
    rig.command(0x91, { count: 10, device: 0xa3 });
    expect(rig.in(7)).toBe(0x50);
    rig.command(0x20, { chs: [1, 2, 3] });
    expect(rig.pioIn(512)).toEqual(sector(rig, (1 * 4 + 2) * 10 + 2));
    expect(rig.command(0x20, { chs: [0, 4, 1] })).toBe(0x51);
    expect(rig.in(1)).toBe(0x10);
    expect(rig.command(0x20, { chs: [0, 0, 0] })).toBe(0x51);
  });

  it('reads and writes with 48-bit addresses', () => {
    const rig = new IdeRig(['disk']);
    expect(rig.commandExtended(0x24, 4000, 2)).toBe(0x58);
    expect(rig.pioIn(1024)).toEqual(sector(rig, 4000, 2));
    expect(rig.commandExtended(0x24, 2 ** 33, 1)).toBe(0x51);
    expect(rig.in(1)).toBe(0x10);
  });

  it('says that a sector does not exist, and which one could not be read', () => {
    const rig = new IdeRig(['disk'], { immediate: false });
    expect(rig.command(0x20, { lba: 4095, count: 2 })).toBe(0x51);
    expect(rig.in(1)).toBe(0x10);
    rig.in(7);
    expect(rig.command(0x20, { lba: 100, count: 70 })).toBe(0xd0);
    const disk = rig.media[0]!;
    disk.complete(disk.pending[0]!);
    rig.pioIn(64 * 512);
    expect(rig.alternate()).toBe(0xd0);
    disk.complete(disk.pending[0]!, false);
    expect([rig.in(7), rig.in(1), rig.in(3)]).toEqual([0x51, 0x40, 164]);
  });

  it('keeps BSY while the I/O side works, and takes no command meanwhile', () => {
    const rig = new IdeRig(['disk'], { immediate: false });
    expect(rig.command(0x20, { lba: 1 })).toBe(0xd0);
    rig.command(0xec);
    const disk = rig.media[0]!;
    expect([disk.pending.length, rig.interrupts[14], rig.in(7)]).toEqual([1, 0, 0xd0]);
    disk.completeAll();
    expect([rig.in(7), rig.interrupts[14]]).toEqual([0x58, 1]);
    expect(rig.pioIn(512)).toEqual(sector(rig, 1));
  });

  it('is reset while the I/O side works: what comes then is nobody s, and the next command waits for it', () => {
    const rig = new IdeRig(['disk'], { immediate: false });
    rig.command(0x20, { lba: 1 });
    rig.control(4);
    rig.control(0);
    expect(rig.in(7)).toBe(0x50);
    expect(rig.command(0x20, { lba: 2 })).toBe(0xd0);
    const disk = rig.media[0]!;
    expect(disk.pending.length).toBe(1);
    disk.complete(disk.pending[0]!);
    expect(rig.in(7)).toBe(0xd0);
    disk.complete(disk.pending[0]!);
    expect(rig.pioIn(512)).toEqual(sector(rig, 2));
  });

  it('refuses to write where the disk is read-only', () => {
    const rig = new IdeRig(['disk'], { readOnly: true });
    expect([rig.command(0x30), rig.in(1)]).toEqual([0x51, 0x04]);
  });
});

describe('commands without data', () => {
  it.each([0x10, 0x70, 0x40, 0xe0, 0xe1, 0xe2, 0xe3, 0xe7, 0xea, 0xf8])('carries out %i', (code) => {
    const rig = new IdeRig(['disk']);
    expect([rig.command(code), rig.interrupts[14]]).toEqual([0x50, 1]);
  });
  it.each([0x00, 0x08, 0xa0, 0xa1, 0xb0, 0xff])('refuses %i', (code) => {
    const rig = new IdeRig(['disk']);
    expect([rig.command(code), rig.in(1)]).toEqual([0x51, 0x04]);
  });
  it('verifies with 48-bit addresses', () => {
    const rig = new IdeRig(['disk']);
    expect([rig.commandExtended(0x42, 4000, 96), rig.commandExtended(0x42, 4000, 97)]).toEqual([0x50, 0x51]);
  });
  it('checks power, native size and transfer modes', () => {
    const rig = new IdeRig(['disk']);
    rig.command(0xe5, { count: 0 });
    expect(rig.in(2)).toBe(0xff);
    rig.command(0xf8);
    expect(rig.in(3) | (rig.in(4) << 8)).toBe(4095);
    expect(rig.command(0xef, { feature: 3, count: 0x45 })).toBe(0x50);
    rig.command(0xec);
    expect(words(rig.pioIn(512))[88]).toBe(0x203f);
    expect(rig.command(0xef, { feature: 3, count: 0x47 })).toBe(0x51);
  });
  it('diagnoses both drives, and device 0 interrupts', () => {
    const rig = new IdeRig(['disk', 'disk']);
    rig.out(6, 0xb0);
    rig.out(7, 0x90);
    expect([rig.interrupts[14], rig.in(1), rig.in(6), rig.in(7)]).toEqual([1, 1, 0xa0, 0x50]);
  });
});

describe('interrupts', () => {
  it('are taken back by reading the status, not the alternate one, and held by nIEN', () => {
    const rig = new IdeRig(['disk']);
    rig.control(2);
    rig.command(0x10);
    expect(rig.level[14]).toBe(false);
    rig.control(0);
    expect(rig.level[14]).toBe(true);
    rig.alternate();
    expect(rig.level[14]).toBe(true);
    rig.in(7);
    expect(rig.level[14]).toBe(false);
  });
  it('reach the second channel by line 15', () => {
    const rig = new IdeRig([undefined, undefined, 'disk']);
    rig.command(0x10, { base: 0x170 });
    expect(rig.interrupts).toEqual({ 14: 0, 15: 1 });
  });
});
