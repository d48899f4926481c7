/** A board with an IDE controller, and a driver that does what drivers do: for tests. */
import { ManualClock } from '@tomei/kit';
import { Board, backend } from '../../machine/board.ts';
import type { Device } from '../../machine/device.ts';
import { MemoryDisk } from '../virtio/memory-disk.ts';
import { ideDrives, type IdeDrive } from './drives.ts';
import { piixIde } from './piix-ide.ts';
import { BSY, DRQ } from './registers.ts';

/** Ports of the primary channel; the secondary ones lie 0x80 below. */
export const PRIMARY = 0x1f0;
export const SECONDARY = 0x170;
const CONTROL = 0x206;
const SLOT = 1;
const FUNCTION = 1;

/** What one plug holds in a rig. */
export type Plug = 'disk' | 'cdrom' | 'tray' | undefined;

export class IdeRig {
  readonly ram = new Uint8Array(1 << 20);
  readonly clock = new ManualClock();
  readonly board: Board;
  readonly device: Device;
  /** By plug. */
  readonly media: (MemoryDisk | undefined)[];
  /** Rises of lines 14 and 15. */
  readonly interrupts = { 14: 0, 15: 0 };
  readonly level = { 14: false, 15: false };
  readonly written: { address: number; length: number }[] = [];

  constructor(
    plugs: readonly Plug[],
    options: { sectors?: number; immediate?: boolean; readOnly?: boolean; decodes?: boolean } = {},
  ) {
    const { sectors = 4096, immediate = true, readOnly = false, decodes = true } = options;
    this.board = new Board({
      ram: this.ram,
      clock: this.clock,
      alarms: this.clock.alarms,
      ramWritten: (address, length) => this.written.push({ address, length }),
    });
    const memory = { view: (address: number, length: number) => this.board.ioView(address, length) };
    this.media = plugs.map((plug, i) =>
      plug === undefined || plug === 'tray'
        ? undefined
        : new MemoryDisk({ memory, sectors, immediate, readOnly: readOnly || plug === 'cdrom', id: `drive-${i}` }),
    );
    for (const disk of this.media) disk?.data.forEach((_, i) => (disk.data[i] = (i * 7 + (i >> 9)) & 0xff));
    const drives = plugs.map((plug, i): IdeDrive | undefined => {
      if (plug === undefined) return undefined;
      return plug === 'disk' ? { kind: 'disk', disk: this.media[i]! } : { kind: 'cdrom', disc: this.media[i] };
    });
    this.board.lines.listen((line, level) => {
      if (line !== 14 && line !== 15) return;
      if (level && !this.level[line]) this.interrupts[line]++;
      this.level[line] = level;
    });
    this.device = this.board.add(
      piixIde,
      { decodes },
      {
        slot: SLOT,
        function: FUNCTION,
        backends: [backend(ideDrives, { drives })],
      },
    );
    this.board.reset();
    this.configWrite(4, 2, 5);
  }

  configRead(offset: number, width: 1 | 2 | 4): number {
    this.board.portWrite(0xcf8, 4, 0x8000_0000 + SLOT * 0x800 + FUNCTION * 0x100 + (offset & 0xfc));
    return this.board.portRead(0xcfc + (offset & 3), width);
  }
  configWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    this.board.portWrite(0xcf8, 4, 0x8000_0000 + SLOT * 0x800 + FUNCTION * 0x100 + (offset & 0xfc));
    this.board.portWrite(0xcfc + (offset & 3), width, value);
  }
  get busMaster(): number {
    return this.configRead(0x20, 4) & 0xfff0;
  }

  in(offset: number, base = PRIMARY): number {
    return this.board.portRead(base + offset, 1);
  }
  out(offset: number, value: number, base = PRIMARY): void {
    this.board.portWrite(base + offset, 1, value);
  }
  control(value: number, base = PRIMARY): void {
    this.board.portWrite(base + CONTROL, 1, value);
  }
  alternate(base = PRIMARY): number {
    return this.board.portRead(base + CONTROL, 1);
  }

  /** Writes the task file and the command; returns the status, without taking the interrupt back. */
  command(
    code: number,
    given: {
      lba?: number;
      count?: number;
      device?: number;
      feature?: number;
      base?: number;
      chs?: [number, number, number];
    } = {},
  ): number {
    const { lba = 0, count = 1, device = 0xe0, feature = 0, base = PRIMARY, chs } = given;
    this.out(6, chs === undefined ? device | ((lba >>> 24) & 0x0f) : (device & ~0x40) | chs[1], base);
    this.out(1, feature, base);
    this.out(2, count & 0xff, base);
    this.out(3, chs === undefined ? lba & 0xff : chs[2], base);
    this.out(4, chs === undefined ? (lba >> 8) & 0xff : chs[0] & 0xff, base);
    this.out(5, chs === undefined ? (lba >> 16) & 0xff : chs[0] >> 8, base);
    this.out(7, code, base);
    return this.alternate(base);
  }
  /** A command with a 48-bit address. */
  commandExtended(code: number, lba: number, count: number, device = 0xe0): number {
    this.out(6, device);
    this.out(2, count >> 8);
    this.out(3, Math.floor(lba / 2 ** 24) & 0xff);
    this.out(4, Math.floor(lba / 2 ** 32) & 0xff);
    this.out(5, Math.floor(lba / 2 ** 40) & 0xff);
    this.out(2, count & 0xff);
    this.out(3, lba & 0xff);
    this.out(4, (lba >> 8) & 0xff);
    this.out(5, (lba >> 16) & 0xff);
    this.out(7, code);
    return this.alternate();
  }

  /** Reads through the data register while the drive offers it, at most `bytes`. */
  pioIn(bytes: number, width: 2 | 4 = 2, base = PRIMARY): Uint8Array {
    const into = new Uint8Array(bytes);
    const view = new DataView(into.buffer);
    for (let at = 0; at < bytes && (this.alternate(base) & (BSY | DRQ)) === DRQ; at += width) {
      const value = this.board.portRead(base, width);
      if (width === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
    }
    return into;
  }
  pioOut(bytes: Uint8Array, base = PRIMARY): void {
    for (let at = 0; at < bytes.length && (this.alternate(base) & (BSY | DRQ)) === DRQ; at += 2)
      this.board.portWrite(base, 2, bytes[at]! | ((bytes[at + 1] ?? 0) << 8));
  }

  /** Writes a PRD table at 0x1000 and starts the bus master of the primary channel. */
  startDma(regions: readonly (readonly [number, number])[], toMemory = true, table = 0x1000): void {
    regions.forEach(([address, length], i) => {
      const end = i === regions.length - 1 ? 0x8000_0000 : 0;
      this.board.ram.write32(table + 8 * i, address);
      this.board.ram.write32(table + 8 * i + 4, (end + (length & 0xffff)) >>> 0);
    });
    const base = this.busMaster;
    this.board.portWrite(base, 1, 0);
    this.board.portWrite(base + 4, 4, table);
    this.board.portWrite(base, 1, toMemory ? 9 : 1);
  }
  get busMasterStatus(): number {
    return this.board.portRead(this.busMaster + 2, 1);
  }
}
