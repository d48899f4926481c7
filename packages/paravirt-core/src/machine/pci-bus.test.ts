import { ManualClock, pod, u32 } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { Board, type Placement } from './board.ts';
import { seededRandom } from './battery.ts';
import { defineDevice, typed, type PciFunction, type PciSlot } from './device.ts';
import type { VideoMapping } from './pci-bus.ts';

/** A function with memory, I/O and video BARs, two capabilities and an interrupt. */
const card = (extra: Partial<PciFunction> = {}) =>
  defineDevice({
    kind: 'card',
    version: 1,
    config: typed<Record<string, never>>(),
    state: pod({ value: u32() }),
    attach({ state }) {
      let slot: PciSlot | undefined;
      const registers = {
        read: (offset: number, width: number) => (state.value + offset) % 2 ** (8 * width),
        write: (_offset: number, _width: number, value: number) => void (state.value = value),
      };
      return {
        interrupt: (level: boolean) => slot?.interrupt(level),
        plugged: (given: PciSlot) => void (slot = given),
        pci: {
          vendorId: 0x1af4,
          deviceId: 0x1042,
          classCode: 0x010000,
          revision: 1,
          interruptPin: 1,
          bars: [
            { space: 'memory', size: 0x4000, ...registers },
            { space: 'io', size: 0x20, ...registers },
            { space: 'memory', size: 0x10_0000, prefetchable: true, videoMemory: { offset: 0 }, ...registers },
          ],
          capabilities: [
            { id: 0x09, body: Uint8Array.of(0x10, 1, 2, 3), writable: (offset) => offset === 5 },
            { id: 0x05, body: new Uint8Array(10), read: (offset) => 0x100 + offset },
          ],
          ...extra,
        } satisfies PciFunction as PciFunction,
      };
    },
  });

function build(...cards: (Placement & { fn?: Partial<PciFunction> })[]) {
  const video: VideoMapping[] = [];
  const board = new Board({
    ram: new Uint8Array(4096),
    clock: new ManualClock(),
    videoMemory: (mapping) => video.push(mapping),
  });
  const devices = cards.map(({ fn, ...at }) => board.add(card(fn), {}, at));
  board.reset();
  const select = (slot: number, register: number): void =>
    board.portWrite(0xcf8, 4, 0x8000_0000 + slot * 2048 + (register & 0xfc));
  return {
    board,
    devices,
    video,
    read(slot: number, register: number, width: 1 | 2 | 4 = 4): number {
      select(slot, register);
      return board.portRead(0xcfc + (register & 3), width);
    },
    write(slot: number, register: number, value: number, width: 1 | 2 | 4 = 4): void {
      select(slot, register);
      board.portWrite(0xcfc + (register & 3), width, value);
    },
  };
}

describe('PciBus', () => {
  it('passes the probe of configuration mechanism 1', () => {
    const { board } = build();

    board.portWrite(0xcfb, 1, 1);
    board.portWrite(0xcf8, 4, 0x8000_0000);
    expect(board.portRead(0xcf8, 4)).toBe(0x8000_0000);
    expect(board.portRead(0xcfc, 4)).toBe(0xffff_ffff);
  });

  it('shows the header and keeps read-only registers', () => {
    const { read, write } = build({ slot: 3 });

    for (let register = 0; register < 0x10; register += 4) if (register !== 4) write(3, register, 0xffff_ffff);
    write(3, 0x2c, 0xffff_ffff);
    write(3, 0x34, 0xffff_ffff);
    expect(read(3, 0)).toBe(0x10421af4);
    expect(read(3, 8)).toBe(0x01000001);
    expect(read(3, 0x0c)).toBe(0xffff);
    expect(read(3, 0x0e, 1)).toBe(0);
    expect(read(3, 0x2c)).toBe(0);
    expect(read(3, 0x34, 1)).toBe(0x40);
    expect(read(3, 0x3d, 1)).toBe(1);
    expect([read(2, 0), read(4, 0)]).toEqual([0xffff_ffff, 0xffff_ffff]);
  });

  it('chains capabilities, with the bytes and hooks they ask for', () => {
    const { read, write } = build({ slot: 2 });

    expect(read(2, 6, 2) & 0x10).toBe(0x10);
    expect(read(2, 0x40)).toBe(0x01104809);
    write(2, 0x44, 0xffff_ffff);
    expect(read(2, 0x44)).toBe(0xff02);
    expect(read(2, 0x48, 2)).toBe(0x0005);
    expect(read(2, 0x4c, 4)).toBe(0x104);
  });

  it('sizes BARs by writing ones', () => {
    const { read, write } = build({ slot: 2 });

    write(2, 4, 0, 2);
    for (const bar of [0x10, 0x14, 0x18, 0x1c]) write(2, bar, 0xffff_ffff);
    expect([0x10, 0x14, 0x18, 0x1c].map((bar) => read(2, bar))).toEqual([0xffffc000, 0xffffffe1, 0xfff00008, 0]);
  });

  it('reads and writes the first bytes of a capability together with those of its header', () => {
    const written: number[][] = [];
    const { read, write } = build({
      slot: 2,
      fn: {
        capabilities: [
          {
            id: 0x11,
            body: Uint8Array.of(1, 2, 3, 4, 5, 6),
            read: (offset) => 0xa000 + offset,
            write: (...access) => void written.push(access),
          },
        ],
      },
    });

    expect([read(2, 0x40), read(2, 0x40, 2), read(2, 0x42, 2), read(2, 0x44)]).toEqual([
      0xa002_0011, 0x0011, 0xa002, 0xa004,
    ]);
    write(2, 0x40, 0x1234_5678);
    write(2, 0x40, 0x9999, 2);
    write(2, 0x42, 0x4321, 2);
    write(2, 0x44, 0x8765_4321);
    expect(written).toEqual([
      [2, 2, 0x1234],
      [2, 2, 0x4321],
      [4, 4, 0x8765_4321],
    ]);
  });

  it('decodes BARs where the guest puts them, and only while the command register says so', () => {
    const { board, read, write, video } = build({ slot: 2 });
    const [memory, io] = [read(2, 0x10), read(2, 0x14) - 1];

    board.memoryWrite(memory, 4, 0x100);
    expect([board.memoryRead(memory + 4, 4), board.portRead(io + 8, 4)]).toEqual([0x104, 0x108]);
    write(2, 0x10, 0xf000_0000);
    write(2, 0x14, 0xd000);
    write(2, 0x18, 0xf100_0000);
    expect([board.memoryRead(memory, 4), board.memoryRead(0xf000_0000, 4)]).toEqual([0xffff_ffff, 0x100]);
    expect([board.portRead(io, 2), board.portRead(0xd000, 2)]).toEqual([0xffff, 0x100]);
    write(2, 4, 0, 2);
    expect([board.memoryRead(0xf000_0000, 4), board.portRead(0xd000, 2)]).toEqual([0xffff_ffff, 0xffff]);
    expect(video.map((m) => m.base)).toEqual([0xe000_0000, 0xf100_0000, undefined]);
  });

  it('has the function of the lower slot answer where two lie at one address, after a restore too', () => {
    const other = (offset: number): number => 0x9900 + offset;
    const low = { slot: 2 };
    const high = { slot: 3, fn: { bars: [{ space: 'memory', size: 0x4000, read: other, write: () => undefined }, { space: 'io', size: 0x20, read: other, write: () => undefined }] } } as const; // prettier-ignore
    const { board, write } = build(low, high);
    for (const slot of [3, 2]) {
      write(slot, 0x10, 0xf000_0000);
      write(slot, 0x14, 0xd000);
    }
    const seen = ({ board: b }: { board: Board }): number[] => [b.memoryRead(0xf000_0004, 4), b.portRead(0xd004, 2)];
    const again = build(low, high);
    again.board.restore(structuredClone(board.save()));

    expect(seen({ board })).toEqual(seen(again));
    expect(seen(again)[0]).not.toBe(0x9904);
  });

  it('shows an expansion ROM where the guest puts it, while the register and the command register enable it', () => {
    const rom = { bytes: Uint8Array.of(0x55, 0xaa, 3, 0xe9, ...new Uint8Array(0x900)) };
    const { board, read, write } = build({ slot: 2, fn: { rom } }, { slot: 3 });

    write(2, 0x30, 0xffff_f800);
    expect(read(2, 0x30)).toBe(0xffff_f000);
    write(2, 0x30, 0xffff_ffff);
    expect(read(2, 0x30)).toBe(0xffff_f001);
    write(3, 0x30, 0xffff_ffff);
    expect(read(3, 0x30)).toBe(0);
    write(2, 0x30, 0xf020_0000);
    expect(board.memoryRead(0xf020_0000, 4)).toBe(0xffff_ffff);
    write(2, 0x30, 1, 1);
    board.memoryWrite(0xf020_0000, 4, 0);
    expect(board.memoryRead(0xf020_0000, 4)).toBe(0xe903_aa55);
    expect(board.memoryRead(0xf020_0002, 2)).toBe(0xe903);
    expect([board.memoryRead(0xf020_0903, 1), board.memoryRead(0xf020_0904, 1)]).toEqual([0, 0xff]);
    write(2, 4, 0, 2);
    expect(board.memoryRead(0xf020_0000, 4)).toBe(0xffff_ffff);
    write(2, 4, 2, 2);
    expect(board.memoryRead(0xf020_0000, 1)).toBe(0x55);
    board.reset();
    expect([read(2, 0x30), board.memoryRead(0xf020_0000, 1)]).toEqual([0, 0xff]);
  });

  it('routes INTx by slot through the PIIX lines, and obeys the interrupt disable bit', () => {
    const { board, devices, read, write } = build({ slot: 2 }, { slot: 3 }, { slot: 4 }, { slot: 6 });

    expect([2, 3, 4, 6].map((slot) => read(slot, 0x3c, 1))).toEqual([11, 10, 11, 11]);
    devices[0]!.parts.interrupt(true);
    devices[1]!.parts.interrupt(true);
    devices[2]!.parts.interrupt(true);
    expect([board.lines.level(10), board.lines.level(11)]).toEqual([true, true]);
    devices[1]!.parts.interrupt(false);
    devices[0]!.parts.interrupt(false);
    expect([board.lines.level(10), board.lines.level(11)]).toEqual([false, true]);
    expect(read(4, 6, 2) & 8).toBe(8);
    write(4, 4, 0x0407, 2);
    expect([board.lines.level(11), read(4, 6, 2) & 8]).toEqual([false, 8]);
  });

  it('follows the routing registers of the ISA bridge', () => {
    const { board, devices, write } = build(
      { slot: 1, fn: { classCode: 0x060100, bars: [], specific: { 0x60: 0x80, 0x61: 0x80, 0x62: 0x80, 0x63: 0x80 } } },
      { slot: 2 },
    );

    devices[1]!.parts.interrupt(true);
    expect(board.lines.level(11)).toBe(true);
    write(1, 0x61, 5, 1);
    expect([board.lines.level(11), board.lines.level(5)]).toEqual([false, true]);
    write(1, 0x61, 0x85, 1);
    expect(board.lines.level(5)).toBe(false);
  });

  it('refuses a slot that is taken and more than the windows hold', () => {
    expect(() => build({ slot: 2, name: 'a' }, { slot: 2, name: 'b' })).toThrow(
      expect.objectContaining({ code: 'pci.slot-taken' }),
    );
    const huge = { bars: [{ space: 'memory' as const, size: 0x2000_0000, read: () => 0, write: () => undefined }] };
    expect(() => build({ fn: huge })).toThrow(expect.objectContaining({ code: 'pci.no-room' }));
  });

  it('saves and restores BARs, routing and the address register, and refuses forged read-only bits', () => {
    const { board, write, devices } = build({ slot: 2 }, { slot: 3 });
    write(2, 0x10, 0xf000_0000);
    devices[1]!.parts.interrupt(true);
    const saved = structuredClone(board.save());
    const copy = build({ slot: 2 }, { slot: 3 });

    copy.board.restore(saved);
    expect(copy.board.save()).toEqual(saved);
    expect(copy.board.memory.ranges()).toEqual(board.memory.ranges());

    const forged = structuredClone(saved);
    const state = forged.devices['pci-bus']!.state as { functions: { config: Uint8Array }[] };
    state.functions[0]!.config[0] = 0x86;
    expect(() => copy.board.restore(forged)).toThrow(expect.objectContaining({ code: 'state.invalid' }));
    state.functions.pop();
    expect(() => copy.board.restore(forged)).toThrow(expect.objectContaining({ code: 'state.invalid' }));
    expect(copy.board.save()).toEqual(saved);
  });

  it('never throws, whatever a guest writes to configuration space', () => {
    const rom = { bytes: new Uint8Array(0x1234) };
    const { board, read, write } = build({ slot: 2, fn: { rom } }, { slot: 3 }, { slot: 4 });
    const random = seededRandom(8);
    const widths = [1, 2, 4] as const;

    for (let i = 0; i < 5_000; i++) {
      const register = random.next(3) === 0 ? 0x10 + random.next(36) : random.next(256);
      write(random.next(6), register, random.next(2 ** 32), widths[random.next(3)]!);
      expect(read(random.next(6), random.next(256), 4)).toBeGreaterThanOrEqual(0);
      board.portRead(random.next(65_536), 4);
      board.memoryRead(random.next(2 ** 32), 4);
    }
  });
});
