import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { dma8237 } from './dma8237.ts';

deviceBattery(dma8237, {
  config: {},
  actions: [
    ({ parts }, random) => parts.dma(random.next(8)).transfer(new Uint8Array(random.next(2000)), random.next(2) === 1),
  ],
  disturb({ parts }, { board }) {
    for (const [port, value] of [
      [0x81, 0x05],
      [0x04, 0x34],
      [0x04, 0x12],
      [0x05, 0xff],
      [0x05, 0x01],
      [0x0b, 0x46],
      [0x0a, 0x02],
      [0xd6, 0x55],
      [0xd0, 0x01],
      [0xc4, 0x77],
    ] as const)
      board.portWrite(port, 1, value);
    parts.dma(2).transfer(new Uint8Array(100), true);
  },
});

const start = () => {
  const clock = new ManualClock();
  const ram = new Uint8Array(1 << 20);
  const board = new Board({ ram, clock, alarms: clock.alarms });
  const device = board.add(dma8237, {});
  board.reset();
  const out = (port: number, ...values: number[]): void => {
    for (const value of values) board.portWrite(port, 1, value);
  };
  /** Programs channel 2 as a floppy driver does. */
  const program = (mode: number, address: number, bytes: number): void => {
    out(0x0c, 0);
    out(0x0b, mode | 2);
    out(0x04, address & 0xff, (address >> 8) & 0xff);
    out(0x81, address >> 16);
    out(0x05, (bytes - 1) & 0xff, (bytes - 1) >> 8);
    out(0x0a, 2);
  };
  return { ram, board, out, program, channel: device.parts.dma(2), words: device.parts.dma(5) };
};
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i + 1);

describe('a channel', () => {
  it('moves to memory until its count runs out, and is masked then', () => {
    const { ram, board, program, channel } = start();
    program(0x44, 0x2_3456, 6);
    expect(channel.transfer(bytes(4), true)).toEqual({ moved: 4, terminalCount: false });
    expect(channel.transfer(bytes(4), true)).toEqual({ moved: 2, terminalCount: true });
    expect([...ram.slice(0x2_3456, 0x2_345d)]).toEqual([1, 2, 3, 4, 1, 2, 0]);
    expect([board.portRead(0x08, 1), board.portRead(0x08, 1)]).toEqual([4, 0]);
    expect(channel.transfer(bytes(4), true)).toEqual({ moved: 0, terminalCount: false });
  });
  it('starts anew by itself in auto-initialize mode', () => {
    const { ram, program, channel } = start();
    program(0x54, 0x1000, 2);
    channel.transfer(bytes(2), true);
    expect(channel.transfer(Uint8Array.of(9), true).moved).toBe(1);
    expect([...ram.slice(0x1000, 0x1002)]).toEqual([9, 2]);
  });
  it('moves from memory, only counts in verify mode, and wraps within its 64 KiB', () => {
    const { ram, program, channel } = start();
    ram[0x2_ffff] = 7;
    ram[0x2_0000] = 8;
    program(0x48, 0x2_ffff, 2);
    const got = new Uint8Array(2);
    expect(channel.transfer(got, false).terminalCount).toBe(true);
    expect([...got]).toEqual([7, 8]);
    program(0x40, 0x2_ffff, 2);
    channel.transfer(bytes(2), true);
    expect(ram[0x2_ffff]).toBe(7);
  });
  it('goes downward in decrement mode', () => {
    const { ram, program, channel } = start();
    program(0x64, 0x1001, 2);
    channel.transfer(bytes(2), true);
    expect([...ram.slice(0x1000, 0x1002)]).toEqual([2, 1]);
  });
  it('reads ones and writes nothing where there is no memory', () => {
    const { program, channel } = start();
    program(0x48, 0xff_0000, 2);
    const got = new Uint8Array(2);
    channel.transfer(got, false);
    expect([...got]).toEqual([0xff, 0xff]);
    program(0x44, 0xff_0000, 2);
    expect(channel.transfer(bytes(2), true).moved).toBe(2);
  });
  it('shows address and count byte by byte', () => {
    const { board, program, channel, out } = start();
    program(0x44, 0x1234, 0x100);
    channel.transfer(bytes(2), true);
    out(0x0c, 0);
    const [low, high, countLow, countHigh] = [0x04, 0x04, 0x05, 0x05].map((port) => board.portRead(port, 1));
    expect([low, high, countLow, countHigh]).toEqual([0x36, 0x12, 0xfd, 0x00]);
  });
  it('counts words above channel 4', () => {
    const { ram, out, words } = start();
    out(0xd8, 0);
    out(0xd6, 0x45);
    out(0xc4, 0x00, 0x10);
    out(0x8b, 0x03);
    out(0xc6, 1, 0);
    out(0xd4, 1);
    expect(words.transfer(bytes(8), true)).toEqual({ moved: 4, terminalCount: true });
    expect([...ram.slice(0x2_2000, 0x2_2005)]).toEqual([1, 2, 3, 4, 0]);
  });
});
