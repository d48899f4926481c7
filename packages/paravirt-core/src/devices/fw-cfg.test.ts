import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { fwCfg } from './fw-cfg.ts';

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const config = {
  items: { 3: Uint8Array.of(0, 0, 16, 0, 0, 0, 0, 0) },
  files: [{ name: 'etc/e820', bytes: text('0123456789') }],
};
const REQUEST = 0x40;

function rig() {
  const ram = new Uint8Array(4096);
  const board = new Board({ ram, clock: new ManualClock() });
  board.add(fwCfg, config);
  board.reset();
  const data = new DataView(ram.buffer);
  return {
    ram,
    data,
    select: (key: number) => board.portWrite(0x510, 2, key),
    next: (count: number) => Array.from({ length: count }, () => board.portRead(0x511, 1)),
    read: (port: number) => board.portRead(port, 4),
    /** A request, whose address is written as SeaBIOS does it: big-endian, low half last. */
    dma(control: number, length: number, address: number, at = REQUEST) {
      data.setUint32(at, control);
      data.setUint32(at + 4, length);
      data.setBigUint64(at + 8, BigInt(address));
      const swapped = new DataView(new ArrayBuffer(4));
      swapped.setUint32(0, at);
      board.portWrite(0x514, 4, 0);
      board.portWrite(0x518, 4, swapped.getUint32(0, true));
      return data.getUint32(at);
    },
  };
}
const ascii = (bytes: readonly number[]): string => String.fromCharCode(...bytes);

describe('fw-cfg', () => {
  it('is known by its signature and says that it does DMA', () => {
    const { select, next, read } = rig();

    select(0);
    expect(ascii(next(5))).toBe('QEMU\0');
    select(1);
    expect(next(4)).toEqual([3, 0, 0, 0]);
    expect([read(0x514), read(0x518)]).toEqual([0x554d4551, 0x47464320]);
  });

  it('lists its files, big-endian, and reads them from the start when selected', () => {
    const { select, next } = rig();

    select(0x19);
    expect(next(4)).toEqual([0, 0, 0, 1]);
    expect(next(8)).toEqual([0, 0, 0, 10, 0, 0x20, 0, 0]);
    expect(ascii(next(9))).toBe('etc/e820\0');
    select(0x20);
    expect(ascii(next(11))).toBe('0123456789\0');
    select(0x20);
    expect(ascii(next(1))).toBe('0');
  });

  it('copies into guest memory, skips, and pads with zeros', () => {
    const { dma, ram } = rig();
    ram.fill(0xee, 0x200, 0x210);

    expect(dma((0x20 << 16) | 8 | 4, 8, 0)).toBe(0);
    expect(dma(2, 4, 0x200)).toBe(0);
    expect([...ram.subarray(0x200, 0x205)]).toEqual([0x38, 0x39, 0, 0, 0xee]);
  });

  it('refuses to be written to, and memory that is none', () => {
    const { dma } = rig();

    expect(dma((0x20 << 16) | 8 | 16, 4, 0x200)).toBe(1);
    expect(dma((0x20 << 16) | 8 | 2, 4, 0xffff_fff0)).toBe(1);
    expect(dma((0x20 << 16) | 8 | 2, 0xffff_ffff, 0)).toBe(1);
  });

  it('answers nothing for keys that are not there', () => {
    const { select, next } = rig();

    select(0x7777);
    expect(next(3)).toEqual([0, 0, 0]);
  });
});

deviceBattery(fwCfg, {
  config,
  disturb({ parts }) {
    parts.ports[0]!.write(0, 2, 0x20);
    parts.ports[0]!.read(1, 1);
    parts.ports[1]!.write(0, 4, 0x12);
  },
});
