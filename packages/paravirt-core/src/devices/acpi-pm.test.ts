import { ManualClock, seconds } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import type { Width } from '../machine/device.ts';
import { piix4Pm } from './acpi-pm.ts';
import { piix3 } from './i440fx.ts';

const PM = 0x600;
const SMBUS = 0x700;
const [STATUS, ENABLE, CONTROL, TIMER] = [PM, PM + 2, PM + 4, PM + 8];
/** 2^23 ticks of the timer. */
const HALF_TURN_NS = (0x80_0000 * 1_000_000_000) / 3_579_545;

function machine({ base = PM, firmware = false } = {}) {
  const clock = new ManualClock();
  const signals: string[] = [];
  const board = new Board({
    ram: new Uint8Array(16),
    clock,
    alarms: clock.alarms,
    firmware,
    signal: (signal) => signals.push(signal),
  });
  board.add(piix3, {}, { slot: 1 });
  const { parts } = board.add(piix4Pm, { base }, { slot: 1, function: 3 });
  board.reset();
  const config = (offset: number): number => 0x8000_0b00 + (offset & 0xfc);
  return {
    board,
    clock,
    parts,
    signals,
    read: (port: number, width: Width = 2) => board.portRead(port, width),
    write: (port: number, value: number, width: Width = 2) => board.portWrite(port, width, value),
    configRead(offset: number, width: Width) {
      board.portWrite(0xcf8, 4, config(offset));
      return board.portRead(0xcfc + (offset & 3), width);
    },
    configWrite(offset: number, width: Width, value: number) {
      board.portWrite(0xcf8, 4, config(offset));
      board.portWrite(0xcfc + (offset & 3), width, value);
    },
    enableAcpi: () => board.portWrite(0xb2, 1, 0xf1),
    interrupt: () => board.lines.level(9),
  };
}

describe('acpi-pm placement', () => {
  it('is off until firmware places it, and then follows PMBASE', () => {
    const { configWrite, configRead, read, write } = machine({ base: 0, firmware: true });

    expect(read(TIMER, 4)).toBe(0xffff_ffff);
    configWrite(0x40, 4, 0x0600 | 1);
    expect(read(TIMER, 4)).toBe(0xffff_ffff);
    configWrite(0x80, 1, 1);
    expect(read(TIMER, 4)).toBe(0);
    write(ENABLE, 0x100);
    configWrite(0x40, 4, 0xffff_b02a);
    expect(configRead(0x40, 4)).toBe(0xb001);
    expect(read(ENABLE)).toBe(0xffff);
    expect(read(0xb002)).toBe(0x100);
    configWrite(0x80, 1, 0);
    expect(read(0xb002)).toBe(0xffff);
    expect(configRead(0x5b, 1) & 2).toBe(2);
  });

  it('answers for the SMBus that nobody is there', () => {
    const { configWrite, read, write } = machine({ base: 0, firmware: true });
    configWrite(0x90, 4, SMBUS | 1);
    configWrite(0xd2, 1, 9);

    expect(read(SMBUS, 1)).toBe(0);
    write(SMBUS + 4, 0xa1, 1);
    write(SMBUS + 2, 0x48, 1);
    expect([read(SMBUS, 1), read(SMBUS + 2, 1), read(SMBUS + 4, 1)]).toEqual([4, 8, 0xa1]);
    write(SMBUS, 0xff, 1);
    expect(read(SMBUS, 1)).toBe(0);
  });
});

describe('acpi-pm timer', () => {
  it('counts 3.579545 MHz in 24 bits', () => {
    const { clock, read } = machine();

    clock.advance(seconds(1));
    expect(read(TIMER, 4)).toBe(3_579_545);
    expect(read(TIMER + 2)).toBe(3_579_545 >> 16);
    expect(read(TIMER + 1, 1)).toBe((3_579_545 >> 8) & 0xff);
    clock.advance(seconds(4));
    expect(read(TIMER, 4)).toBe((5 * 3_579_545) % 2 ** 24);
  });

  it('interrupts at every change of its highest bit', () => {
    const { clock, read, write, enableAcpi, interrupt } = machine();
    enableAcpi();
    write(ENABLE, 1);

    clock.advance(Math.floor(HALF_TURN_NS) - 1);
    expect(interrupt()).toBe(false);
    clock.advance(2);
    expect(interrupt()).toBe(true);
    expect(read(STATUS)).toBe(1);
    write(STATUS, 1);
    expect(interrupt()).toBe(false);
    clock.advance(Math.ceil(HALF_TURN_NS));
    expect(interrupt()).toBe(true);
    expect(read(TIMER, 4) & 0x80_0000).toBe(0);
  });
});

describe('acpi-pm events', () => {
  it('switches ACPI on and off by the command port', () => {
    const { read, write, enableAcpi } = machine();

    expect(read(CONTROL)).toBe(0);
    enableAcpi();
    expect([read(CONTROL), read(0xb2, 1)]).toEqual([1, 0xf1]);
    write(0xb2, 0xf0, 1);
    expect(read(CONTROL)).toBe(0);
  });

  it('tells of the power button whoever listens', () => {
    const { parts, read, write, enableAcpi, interrupt } = machine();

    expect(parts.powerButton()).toBe(false);
    expect(read(STATUS)).toBe(0x100);
    enableAcpi();
    write(STATUS, 0xffff);
    write(ENABLE, 0xffff);
    expect(read(ENABLE)).toBe(0x521);
    expect(parts.powerButton()).toBe(true);
    expect(interrupt()).toBe(true);
    write(STATUS + 1, 0x01, 1);
    expect(interrupt()).toBe(false);
  });

  it('goes off by soft-off alone', () => {
    const { read, write, signals } = machine();

    write(CONTROL, (5 << 10) | (1 << 13));
    write(CONTROL, 0);
    expect(signals).toEqual([]);
    write(CONTROL + 1, 0x20, 1);
    expect(signals).toEqual(['power-off']);
    expect(read(CONTROL)).toBe(0);
  });

  it('has a general-purpose block in which nothing happens', () => {
    const { read, write } = machine();

    write(0xafe0, 0xffff_ffff, 4);
    expect(read(0xafe0, 4)).toBe(0xffff_0000);
    write(0xafe3, 0x12, 1);
    expect(read(0xafe2)).toBe(0x12ff);
  });
});

deviceBattery(piix4Pm, {
  config: { base: PM },
  disturb({ parts }, { board, clock }) {
    clock.advance(3_000_000_000);
    board.portWrite(0xb2, 1, 0xf1);
    board.portWrite(0xb3, 1, 0x55);
    board.portWrite(ENABLE, 2, 0x521);
    board.portWrite(CONTROL, 2, 0x1402);
    board.portWrite(0xafe2, 2, 0x1234);
    board.portWrite(SMBUS + 2, 1, 0x48);
    board.portWrite(0xb2, 1, 0xf1);
    board.portWrite(STATUS, 2, 0xffff);
    parts.powerButton();
  },
  actions: [({ parts }) => parts.powerButton()],
});
