import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { i440fxHost, piix3 } from './i440fx.ts';
import { pic8259 } from './pic8259.ts';

function bridges() {
  const signals: unknown[] = [];
  const board = new Board({ ram: new Uint8Array(16), clock: new ManualClock(), signal: (s) => signals.push(s) });
  const host = board.add(i440fxHost, {}, { slot: 0 });
  board.add(piix3, {}, { slot: 1 });
  board.add(pic8259, {});
  board.reset();
  signals.length = 0;
  const select = (slot: number, register: number): void =>
    board.portWrite(0xcf8, 4, 0x8000_0000 + slot * 2048 + (register & 0xfc));
  return {
    board,
    host,
    signals,
    read(slot: number, register: number, width: 1 | 4 = 4) {
      select(slot, register);
      return board.portRead(0xcfc + (register & 3), width);
    },
    write(slot: number, register: number, value: number) {
      select(slot, register);
      board.portWrite(0xcfc + (register & 3), 1, value);
    },
  };
}

describe('the bridges', () => {
  it('are found where Linux looks for them', () => {
    const { read } = bridges();

    expect([read(0, 0), read(0, 8), read(1, 0), read(1, 8)]).toEqual([0x12378086, 0x06000002, 0x70008086, 0x06010000]);
    expect(read(1, 0x0e, 1)).toBe(0x80);
  });

  it('store how the BIOS region is shadowed', () => {
    const { host, write } = bridges();

    write(0, 0x59, 0x30);
    write(0, 0x5b, 0x13);
    expect(host.parts.shadow().filter((area) => area.readsRam || area.writesRam)).toEqual([
      { base: 0xc_8000, size: 0x4000, readsRam: true, writesRam: true },
      { base: 0xc_c000, size: 0x4000, readsRam: true, writesRam: false },
      { base: 0xf_0000, size: 0x1_0000, readsRam: true, writesRam: true },
    ]);
  });

  it('come up with the PIRQ wires routed and their interrupts level-triggered', () => {
    const { board, read } = bridges();

    expect(read(1, 0x60)).toBe(0x0b0a0b0a);
    expect(board.portRead(0x4d0, 2)).toBe(0x0c00);
  });

  it('reset the machine by port 0xCF9, which configuration addresses do not disturb', () => {
    const { board, signals } = bridges();

    board.portWrite(0xcf8, 4, 0x8000_0600);
    expect(signals).toEqual([]);
    board.portWrite(0xcf9, 1, 0x02);
    board.portWrite(0xcf9, 1, 0x06);
    board.portWrite(0xcf9, 1, 0x06);
    expect([signals, board.portRead(0xcf9, 1)]).toEqual([['reset'], 0x06]);
  });
});

deviceBattery(i440fxHost, { config: {}, disturb: () => undefined });
deviceBattery(piix3, { config: {}, disturb: ({ parts }) => parts.ports[0]!.write(0, 1, 2) });
