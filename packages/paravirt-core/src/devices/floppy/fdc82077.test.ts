import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { RamWindow } from '../../machine/guest-memory.ts';
import { MemoryDisk } from '../virtio/memory-disk.ts';
import { fdc82077 } from './fdc82077.ts';
import { FLOPPY_SIZES, floppyDrives, formatOf } from './media.ts';
import { FloppyRig } from './rig.ts';

deviceBattery(fdc82077, {
  config: {},
  bench() {
    // The board's RAM is not known here, so the twin works on memory of its own: what it moves is not looked at.
    const memory = new RamWindow(new Uint8Array(2 << 20));
    const disk = new MemoryDisk({ memory, sectors: 2880, immediate: true });
    return {
      backends: [backend(floppyDrives, { drives: [disk, null] })],
      output: () => disk.submitted.map(({ kind, sector, count, segments }) => ({ kind, sector, count, segments })),
    };
  },
  disturb(_device, { board }) {
    const out = (port: number, ...values: number[]): void => {
      for (const value of values) board.portWrite(port, 1, value);
    };
    out(0x3f2, 0x1c);
    out(0x3f7, 0);
    out(0x3f5, 0x13, 0, 0x57, 7, 0x03, 0xaf, 0x03, 0x0f, 0, 3);
    // Read one sector without DMA, and take half of it.
    out(0x3f5, 0x46, 0, 3, 0, 5, 2, 18, 0x1b, 0xff);
    for (let i = 0; i < 200; i++) board.portRead(0x3f5, 1);
  },
});

const sector = (rig: FloppyRig, at: number, count = 1): Uint8Array =>
  rig.disks[0]!.data.slice(at * 512, (at + count) * 512);
const ABNORMAL = 0x40;

describe('the controller', () => {
  it('is in reset until DOR says otherwise, and then tells of four drives', () => {
    const rig = new FloppyRig();
    expect(rig.in(0x3f4)).toBe(0);
    rig.out(0x3f2, 0x0c);
    expect([rig.in(0x3f4), rig.level]).toEqual([0x80, true]);
    const told = [0, 1, 2, 3, 4].map(() => rig.command(0x08));
    expect(told).toEqual([[0xc0, 0], [0xc1, 0], [0xc2, 0], [0xc3, 0], [0x80]]);
    expect(rig.level).toBe(false);
    rig.out(0x3f4, 0x80);
    expect([rig.level, rig.command(0x08)]).toEqual([true, [0xc0, 0]]);
  });
  it('interrupts only with the DMA gate open', () => {
    const rig = new FloppyRig();
    rig.out(0x3f2, 0x04);
    expect(rig.level).toBe(false);
    rig.out(0x3f2, 0x0c);
    expect(rig.level).toBe(true);
  });
  it('knows its version, and keeps what is configured through a reset when it is locked', () => {
    const rig = new FloppyRig();
    rig.start();
    expect(rig.command(0x10)).toEqual([0x90]);
    expect(rig.command(0x18)).toEqual([0x80]);
    rig.command(0x13, 0, 0x57, 7);
    expect(rig.command(0x0e)).toEqual([0, 0, 0, 0, 0xaf, 2, 0, 0, 0x57, 7]);
    expect(rig.command(0x94)).toEqual([0x10]);
    rig.out(0x3f4, 0x80);
    expect(rig.command(0x0e)).toEqual([0, 0, 0, 0, 0xaf, 2, 0, 0x80, 0x57, 7]);
    expect(rig.command(0x14)).toEqual([0]);
    rig.out(0x3f4, 0x80);
    expect(rig.command(0x0e).slice(8)).toEqual([0x20, 0]);
  });
  it('seeks and recalibrates, and misses track 0 of a drive that is not there', () => {
    const rig = new FloppyRig();
    rig.start();
    rig.command(0x0f, 4, 33);
    expect([rig.level, rig.command(0x08), rig.command(0x04, 0)]).toEqual([true, [0x20, 33], [0x28]]);
    rig.command(0x8f, 0, 3);
    expect(rig.command(0x08)).toEqual([0x20, 30]);
    rig.command(0x07, 0);
    expect([rig.command(0x08), rig.command(0x04, 0)]).toEqual([[0x20, 0], [0x38]]);
    rig.command(0x07, 1);
    expect(rig.command(0x08)).toEqual([0x71, 0]);
  });
  it('tells of a changed disk until the heads have moved', () => {
    const rig = new FloppyRig();
    rig.start();
    expect(rig.in(0x3f7)).toBe(0x80);
    rig.command(0x0f, 0, 1);
    expect(rig.in(0x3f7)).toBe(0);
    expect(rig.insert(0, rig.disk(1440))).toBe(true);
    expect(rig.in(0x3f7)).toBe(0x80);
    rig.insert(0, undefined);
    rig.command(0x0f, 0, 2);
    expect(rig.in(0x3f7)).toBe(0x80);
    expect(rig.insert(1, rig.disk(1440))).toBe(false);
  });
});

describe('reading', () => {
  it('moves sectors by DMA to the terminal count', () => {
    const rig = new FloppyRig();
    rig.start();
    rig.command(0x0f, 0, 2);
    rig.command(0x08);
    const before = rig.interrupts;
    expect(rig.read(2, 1, 4, 3)).toEqual([4, 0, 0, 2, 1, 7, 2]);
    expect(rig.ram.slice(0x2000, 0x2600)).toEqual(sector(rig, (2 * 2 + 1) * 18 + 3, 3));
    expect([rig.interrupts - before, rig.level]).toEqual([1, false]);
  });
  it('goes over to the second side, and ends behind the cylinder', () => {
    const rig = new FloppyRig();
    rig.start();
    expect(rig.read(0, 0, 1, 36)).toEqual([0, 0, 0, 1, 0, 1, 2]);
    expect(Buffer.from(rig.ram.slice(0x2000, 0x2000 + 36 * 512)).equals(Buffer.from(sector(rig, 0, 36)))).toBe(true);
  });
  it('ends with an error where the terminal count does not come, where it is masked, and where a sector is missing', () => {
    const rig = new FloppyRig();
    rig.start();
    expect(rig.read(0, 1, 18, 4).slice(0, 3)).toEqual([ABNORMAL, 0x80, 0]);
    rig.out(0x0a, 6);
    expect(rig.command(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff).slice(0, 2)).toEqual([ABNORMAL, 0x10]);
    expect(rig.read(0, 0, 19, 1, 20).slice(0, 2)).toEqual([ABNORMAL, 4]);
    expect(rig.read(1, 0, 1, 1).slice(0, 3)).toEqual([ABNORMAL, 4, 0x10]);
  });
  it('finds nothing at a data rate that is not the disk s, or without a disk', () => {
    const rig = new FloppyRig({ sectors: [1440, 0] });
    rig.start();
    expect(rig.read(0, 0, 1, 1).slice(0, 2)).toEqual([ABNORMAL, 1]);
    expect(rig.command(0x4a, 0).slice(0, 2)).toEqual([ABNORMAL, 1]);
    rig.out(0x3f7, 2);
    expect(rig.read(0, 0, 1, 1, 9).slice(0, 2)).toEqual([0, 0]);
    expect(rig.command(0x4a, 0)).toEqual([0, 0, 0, 0, 0, 3, 2]);
    rig.out(0x3f2, 0x2d);
    expect(rig.command(0x4a, 1).slice(0, 2)).toEqual([ABNORMAL | 1, 1]);
  });
  it('waits for a slow disk with the busy bit', () => {
    const rig = new FloppyRig({ immediate: false });
    rig.start();
    expect(rig.read(0, 0, 1, 1)).toEqual([]);
    expect([rig.in(0x3f4), rig.level]).toEqual([0x10, false]);
    const copy = new FloppyRig({ immediate: false });
    copy.board.restore(structuredClone(rig.board.save()));
    for (const r of [rig, copy]) {
      r.disks[0]!.completeAll();
      expect([r.level, r.result()]).toEqual([true, [0, 0, 0, 0, 0, 2, 2]]);
      expect(r.ram.slice(0x2000, 0x2200)).toEqual(sector(r, 0));
    }
  });
  it('reports what cannot be read', () => {
    const rig = new FloppyRig({ immediate: false });
    rig.start();
    rig.read(0, 0, 1, 1);
    rig.disks[0]!.complete(rig.disks[0]!.pending[0]!, false);
    expect(rig.result().slice(0, 3)).toEqual([ABNORMAL, 0x20, 0x20]);
  });
  it('hands bytes to the processor in non-DMA mode', () => {
    const rig = new FloppyRig();
    rig.start();
    rig.command(0x03, 0xaf, 0x03);
    rig.command(0x46, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    const got: number[] = [];
    while ((rig.in(0x3f4) & 0xf0) === 0xf0) got.push(rig.in(0x3f5));
    expect(Uint8Array.from(got)).toEqual(sector(rig, 16, 2));
    expect(rig.result().slice(0, 2)).toEqual([ABNORMAL, 0x80]);
  });
  it('seeks by itself when that is configured', () => {
    const rig = new FloppyRig();
    rig.start();
    rig.command(0x13, 0, 0x57, 0);
    expect(rig.read(5, 0, 1, 1).slice(0, 2)).toEqual([0, 0]);
  });
});

describe('writing', () => {
  it('moves sectors by DMA', () => {
    const rig = new FloppyRig();
    rig.start();
    rig.ram.fill(0x5a, 0x3000, 0x3400);
    rig.dma(0x4a, 0x3000, 1024);
    expect(rig.command(0xc5, 0, 0, 0, 3, 2, 18, 0x1b, 0xff)).toEqual([0, 0, 0, 0, 0, 5, 2]);
    expect([...new Set(sector(rig, 2, 2)), sector(rig, 4)[0] === 0x5a]).toEqual([0x5a, false]);
  });
  it('takes bytes from the processor in non-DMA mode', () => {
    const rig = new FloppyRig();
    rig.start();
    rig.command(0x03, 0xaf, 0x03);
    for (const byte of [0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff]) rig.out(0x3f5, byte);
    for (let i = 0; i < 512; i++) {
      expect(rig.in(0x3f4) & 0xf0).toBe(0xb0);
      rig.out(0x3f5, i & 0xff);
    }
    expect(rig.result().slice(0, 2)).toEqual([ABNORMAL, 0x80]);
    expect([...sector(rig, 17).slice(250, 260)]).toEqual([250, 251, 252, 253, 254, 255, 0, 1, 2, 3]);
  });
  it('is refused by a protected disk, which SENSE DRIVE STATUS shows', () => {
    const rig = new FloppyRig({ readOnly: true });
    rig.start();
    rig.dma(0x4a, 0x3000, 512);
    expect(rig.command(0xc5, 0, 0, 0, 3, 2, 18, 0x1b, 0xff).slice(0, 2)).toEqual([ABNORMAL, 2]);
    expect(rig.command(0x4d, 0, 2, 18, 0x54, 0xf6).slice(0, 2)).toEqual([ABNORMAL, 2]);
    expect(rig.command(0x04, 0)).toEqual([0x78]);
  });
  it('formats a track: fills its sectors', () => {
    const rig = new FloppyRig();
    rig.start();
    rig.command(0x0f, 4, 1);
    rig.command(0x08);
    rig.dma(0x4a, 0x3000, 72);
    expect(rig.command(0x4d, 4, 2, 18, 0x54, 0xf6).slice(0, 3)).toEqual([4, 0, 0]);
    expect([...new Set(sector(rig, 3 * 18, 18))]).toEqual([0xf6]);
    expect(sector(rig, 4 * 18)[0]).not.toBe(0xf6);
  });
});

describe('formats', () => {
  it('are those of the usual sizes, and of the next larger one for others', () => {
    expect(FLOPPY_SIZES.map((bytes) => formatOf(bytes / 512).sectorsPerTrack)).toEqual([
      8, 9, 8, 9, 9, 10, 15, 18, 21, 21, 36,
    ]);
    expect([formatOf(2532).sectorsPerTrack, formatOf(100_000).sectorsPerTrack]).toEqual([18, 36]);
  });
  it('has zeros where a short image ends', () => {
    const rig = new FloppyRig({ sectors: [20] });
    rig.start();
    expect(rig.read(0, 0, 18, 19).slice(0, 2)).toEqual([0, 0]);
    expect(rig.ram.slice(0x2000, 0x2600)).toEqual(Uint8Array.from([...sector(rig, 17, 3)]));
    expect(rig.ram.slice(0x2600, 0x2000 + 19 * 512).every((b) => b === 0)).toBe(true);
  });
});

describe('a guest that does what no driver does', () => {
  it.each([1, 2, 3, 4])('harms nobody (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const rig = new FloppyRig({ sectors: [2880, 1440], immediate: seed % 2 === 0 });
    const codes = [
      0xe6, 0xc5, 0x45, 0x46, 0x4a, 0x4d, 0x0f, 0x8f, 0x07, 0x08, 0x03, 0x13, 0x42, 0x16, 0xf6, 0x12, 0x94,
    ];
    for (let i = 0; i < 8000; i++) {
      const dice = random.next(10);
      if (dice === 0) rig.out(0x3f0 + random.next(8), random.next(256));
      else if (dice === 1) rig.out(0x3f2, [0x1c, 0x1d, 0x14, 0x00, 0x2d][random.next(5)]!);
      else if (dice === 2)
        rig.dma([0x46, 0x4a, 0x56, 0x42][random.next(4)]!, random.next(1 << 24), 1 + random.next(65_536));
      else if (dice === 3) rig.out(random.next(16), random.next(256));
      else if (dice < 6) {
        rig.out(0x3f5, codes[random.next(codes.length)]!);
        for (let n = 0; n < 8; n++) rig.out(0x3f5, random.next(3) === 0 ? random.next(256) : random.next(4));
      } else if (dice === 6) for (let n = random.next(600); n > 0; n--) rig.in(0x3f5);
      else if (dice === 7) for (let n = random.next(600); n > 0; n--) rig.out(0x3f5, random.next(256));
      else if (dice === 8) {
        for (const disk of rig.disks) {
          const request = disk?.pending[0];
          if (request !== undefined) disk!.complete(request, random.next(5) !== 0);
        }
      } else rig.insert(random.next(3), random.next(2) === 0 ? rig.disk(2880) : undefined);
    }
    for (const disk of rig.disks)
      for (const r of disk!.submitted) expect(r.sector + r.count).toBeLessThanOrEqual(disk!.sectors);
    for (const disk of rig.disks) disk!.completeAll();
    rig.insert(0, rig.disk(2880));
    rig.out(0x3f2, 0);
    rig.start();
    rig.out(0x0d, 0);
    rig.command(0x07, 0);
    rig.command(0x08);
    expect(rig.read(0, 0, 1, 1).slice(0, 2)).toEqual([0, 0]);
  });
});
