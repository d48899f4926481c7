/** A board with DMA and floppy controllers, and what a floppy driver does: for tests. */
import { ManualClock } from '@tomei/kit';
import { Board, backend } from '../../machine/board.ts';
import { dma8237 } from '../dma8237.ts';
import { MemoryDisk } from '../virtio/memory-disk.ts';
import { fdc82077 } from './fdc82077.ts';
import { floppyDrives } from './media.ts';

export interface FloppyRigOptions {
  /** Of A: and B:; 0 is an empty drive, undefined none. */
  readonly sectors?: readonly (number | undefined)[];
  readonly immediate?: boolean;
  readonly readOnly?: boolean;
}

export class FloppyRig {
  readonly ram = new Uint8Array(1 << 20);
  readonly board: Board;
  readonly disks: readonly (MemoryDisk | undefined)[];
  readonly insert: (drive: number, disk: MemoryDisk | undefined) => boolean;
  level = false;
  interrupts = 0;

  constructor({ sectors = [2880], immediate = true, readOnly = false }: FloppyRigOptions = {}) {
    const clock = new ManualClock();
    this.board = new Board({ ram: this.ram, clock, alarms: clock.alarms });
    this.disks = sectors.map((count) => {
      if (count === undefined || count === 0) return undefined;
      const disk = this.disk(count, immediate, readOnly);
      disk.data.forEach((_, i) => (disk.data[i] = (i * 3 + (i >> 9)) & 0xff));
      return disk;
    });
    this.board.lines.listen((line, level) => {
      if (line !== 6) return;
      if (level && !this.level) this.interrupts++;
      this.level = level;
    });
    this.board.add(dma8237, {});
    const drives = sectors.map((count, i) => (count === undefined ? undefined : (this.disks[i] ?? null)));
    const device = this.board.add(fdc82077, {}, { backends: [backend(floppyDrives, { drives })] });
    const { insert } = device.parts as { insert?: (drive: number, disk: MemoryDisk | undefined) => boolean };
    this.insert = insert!;
    this.board.reset();
  }
  disk(sectors: number, immediate = true, readOnly = false): MemoryDisk {
    const memory = { view: (address: number, length: number): Uint8Array => this.board.ioView(address, length) };
    return new MemoryDisk({ memory, sectors, immediate, readOnly });
  }

  in(port: number): number {
    return this.board.portRead(port, 1);
  }
  out(port: number, value: number): void {
    this.board.portWrite(port, 1, value);
  }

  /** Out of reset with motor A: on, the four interrupts of the reset told, 500 kbit/s, by DMA. */
  start(rate = 0): void {
    this.out(0x3f2, 0x1c);
    for (let i = 0; i < 4; i++) this.command(0x08);
    this.out(0x3f7, rate);
    this.command(0x03, 0xaf, 0x02);
  }
  /** Sends a command and reads its result while there is one. */
  command(...bytes: number[]): number[] {
    for (const byte of bytes) this.out(0x3f5, byte);
    return this.result();
  }
  result(): number[] {
    const result: number[] = [];
    while ((this.in(0x3f4) & 0xf0) === 0xd0) result.push(this.in(0x3f5));
    return result;
  }
  /** Programs channel 2: 0x46 to memory, 0x4a from memory. */
  dma(mode: number, address: number, bytes: number): void {
    for (const [port, value] of [
      [0x0a, 6],
      [0x0c, 0],
      [0x0b, mode],
      [0x04, address & 0xff],
      [0x04, (address >> 8) & 0xff],
      [0x81, address >> 16],
      [0x05, (bytes - 1) & 0xff],
      [0x05, (bytes - 1) >> 8],
      [0x0a, 2],
    ] as const)
      this.out(port, value);
  }
  /** Reads `count` sectors by DMA to 0x2000, multi-track; returns the result bytes. */
  read(cylinder: number, head: number, sector: number, count: number, last = 18): number[] {
    this.dma(0x46, 0x2000, count * 512);
    return this.command(0xe6, head << 2, cylinder, head, sector, 2, last, 0x1b, 0xff);
  }
}
