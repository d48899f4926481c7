/** The battery, and guests that do what no driver does. */
import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { RamWindow } from '../../machine/guest-memory.ts';
import { MemoryDisk } from '../virtio/memory-disk.ts';
import { ideDrives } from './drives.ts';
import { piixIde } from './piix-ide.ts';
import { IdeRig } from './rig.ts';

deviceBattery(piixIde, {
  config: { decodes: true },
  bench() {
    // The board's RAM is not known here, so the twins work on memory of their own: what they move is not looked at.
    const memory = new RamWindow(new Uint8Array(2 << 20));
    const disk = (): MemoryDisk => new MemoryDisk({ memory, sectors: 8192, immediate: true });
    const media = [disk(), disk(), disk()];
    const drives = [
      { kind: 'disk', disk: media[0]! },
      { kind: 'disk', disk: media[1]! },
      { kind: 'cdrom', disc: media[2]! },
      { kind: 'cdrom', disc: undefined },
    ] as const;
    return {
      backends: [backend(ideDrives, { drives })],
      output: () =>
        media.flatMap((m) =>
          m.submitted.map(({ kind, sector, count, segments }) => ({ kind, sector, count, segments })),
        ),
    };
  },
  disturb(_device, rig) {
    const { board } = rig;
    const out = (port: number, value: number): void => board.portWrite(port, 1, value);
    for (const base of [0x1f0, 0x170]) {
      out(base + 0x206, 0x02);
      out(base + 6, 0xe0);
      for (const [offset, value] of [
        [1, 0x12],
        [2, 2],
        [3, 3],
        [4, 0],
        [5, 0],
        [7, 0x20],
      ] as const)
        out(base + offset, value);
      for (let i = 0; i < 300; i++) board.portRead(base, 2);
    }
  },
});

/** Anything that a guest can write, at any port and in RAM. */
function torment(rig: IdeRig, seed: number, steps: number): void {
  const random = seededRandom(seed);
  const commands = [
    0x20, 0x24, 0x25, 0x29, 0x30, 0x35, 0xa0, 0xa1, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xec, 0xef, 0x08, 0x90, 0x91, 0xe7,
  ];
  const ram = rig.board.ram;
  for (let i = 0; i < steps; i++) {
    const base = random.next(2) === 0 ? 0x1f0 : 0x170;
    switch (random.next(12)) {
      case 0:
        rig.out(7, commands[random.next(commands.length)]!, base);
        break;
      case 1:
        rig.out(1 + random.next(7), random.next(256), base);
        break;
      case 2:
        for (let n = random.next(600); n > 0; n--) rig.board.portRead(base, random.next(2) === 0 ? 2 : 4);
        break;
      case 3:
        for (let n = random.next(600); n > 0; n--) rig.board.portWrite(base, 2, random.next(65_536));
        break;
      case 4: {
        // A table of the guest's, true or false.
        const at = random.next(0x1_0000) & ~3;
        for (let n = 0; n < 16; n++) {
          const address = random.next(3) === 0 ? random.next(2 ** 32) : random.next(rig.ram.length);
          ram.write32(at + 8 * n, address);
          ram.write32(at + 8 * n + 4, (random.next(0x1_0000) + (random.next(8) === 0 ? 0x8000_0000 : 0)) >>> 0);
        }
        rig.board.portWrite(
          rig.busMaster + (base === 0x1f0 ? 4 : 12),
          4,
          random.next(4) === 0 ? random.next(2 ** 32) : at,
        );
        break;
      }
      case 5:
        rig.board.portWrite(rig.busMaster + random.next(16), 1, random.next(256));
        break;
      case 6:
        rig.control(random.next(8) === 0 ? 4 : random.next(3) === 0 ? 2 : 0, base);
        break;
      case 7:
        rig.configWrite(4, 2, random.next(5) === 0 ? random.next(8) : 5);
        break;
      case 8:
        if (random.next(20) === 0) rig.configWrite(0x40 + 2 * random.next(2), 2, random.next(65_536));
        else rig.configWrite(0x40, 4, 0x8000_8000);
        break;
      case 9:
        rig.in(1 + random.next(7), base);
        break;
      case 10:
        for (const disk of rig.media) {
          const request = disk?.pending[random.next(Math.max(1, disk.pending.length))];
          if (request !== undefined) disk!.complete(request, random.next(6) !== 0);
        }
        break;
      default:
        rig.board.portWrite(rig.busMaster + (base === 0x1f0 ? 0 : 8), 1, random.next(2) * 9);
    }
  }
}

describe('a guest that does what no driver does', () => {
  it.each([1, 2, 3, 4, 5, 6])('harms nobody (seed %i)', (seed) => {
    const rig = new IdeRig(['disk', 'disk', 'cdrom', 'tray'], { immediate: seed % 2 === 0, sectors: 2048 });
    torment(rig, seed, 6000);
    // What is on its way stays within what was given out: one request for each drive, and those that a reset gave up.
    for (const disk of rig.media)
      for (const r of disk?.submitted ?? []) expect(r.sector + r.count).toBeLessThanOrEqual(2048);
    for (const disk of rig.media) disk?.completeAll();
    rig.configWrite(4, 2, 5);
    rig.configWrite(0x40, 4, 0x8000_8000);
    rig.control(4);
    rig.control(0);
    expect(rig.command(0x20, { lba: 1 }) & 0x80).toBe(rig.media[0]!.pending.length > 0 ? 0x80 : 0);
    for (const disk of rig.media) disk?.completeAll();
    expect(rig.pioIn(512)).toEqual(rig.media[0]!.data.slice(512, 1024));
  });

  it('stays as it was through a snapshot in the middle of a read, with its requests made again', () => {
    const rig = new IdeRig(['disk'], { immediate: false });
    rig.command(0x20, { lba: 6, count: 70 });
    const copy = new IdeRig(['disk'], { immediate: false });
    copy.board.restore(structuredClone(rig.board.save()));
    for (const r of [rig, copy]) {
      expect(r.media[0]!.pending.map((p) => [p.sector, p.count])).toEqual([[6, 64]]);
      r.media[0]!.completeAll();
    }
    const middle = new IdeRig(['disk'], { immediate: false });
    rig.pioIn(1000);
    middle.board.restore(structuredClone(rig.board.save()));
    const rest = [rig, middle].map((r) => {
      const bytes = r.pioIn(64 * 512 - 1000);
      r.media[0]!.completeAll();
      return Buffer.concat([bytes, r.pioIn(6 * 512)]);
    });
    expect(rest[1]!.equals(rest[0]!)).toBe(true);
    expect(rest[0]!.equals(Buffer.from(rig.media[0]!.data.slice(6 * 512 + 1000, 76 * 512)))).toBe(true);
  });

  it('goes on with DMA after a snapshot in the middle', () => {
    const rig = new IdeRig(['disk'], { immediate: false });
    rig.command(0xc8, { lba: 6, count: 4 });
    rig.startDma([
      [0x8000, 1024],
      [0x9000, 1024],
    ]);
    const copy = new IdeRig(['disk'], { immediate: false });
    copy.ram.set(rig.ram);
    copy.board.restore(structuredClone(rig.board.save()));
    copy.media[0]!.completeAll();
    expect(copy.ram.slice(0x9000, 0x9400)).toEqual(copy.media[0]!.data.slice(8 * 512, 10 * 512));
    expect([copy.in(7), copy.interrupts[14], copy.busMasterStatus]).toEqual([0x50, 1, 4]);
  });
});
