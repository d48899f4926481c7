/** Local APICs of several processors on one board: who is meant, who is started, whose registers they are. */
import { ManualClock } from '@tomei/kit';
import { beforeEach, describe, expect, it } from 'vitest';
import { Board } from '../machine/board.ts';
import type { DeviceOf } from '../machine/device.ts';
import * as R from './lapic-registers.ts';
import { lapic } from './lapic.ts';
import { pic8259 } from './pic8259.ts';

const PROCESSORS = 3;
const ENABLE = 0x1ff;
const OTHERS = 0xc_0000,
  LOGICAL = 0x800,
  INIT = 0x4500,
  START_UP = 0x4600,
  NMI = 0x4400,
  LOWEST = 0x100;

let board: Board, apics: DeviceOf<typeof lapic>[], signals: unknown[];
beforeEach(() => {
  const clock = new ManualClock();
  signals = [];
  board = new Board({
    ...{ ram: new Uint8Array(16), clock, alarms: clock.alarms },
    signal: (signal, value) => signals.push([signal, value]),
  });
  apics = Array.from({ length: PROCESSORS }, (_, id) => board.add(lapic, { id }, { processor: id }));
  board.add(pic8259, {});
  board.reset();
  for (const { parts } of apics) parts.writeRegister(R.APIC_SVR, ENABLE);
});
function send(from: number, to: number, command: number): void {
  apics[from]!.parts.writeRegister(R.APIC_ICR_HIGH, (to << 24) >>> 0);
  apics[from]!.parts.writeRegister(R.APIC_ICR_LOW, command);
}
const requested = (): boolean[] => apics.map((_, processor) => board.interruptRequestedOf(processor));

describe('local APICs of several processors', () => {
  it('have identifiers, and pins, of their own', () => {
    expect(apics.map(({ parts }) => parts.readRegister(R.APIC_ID))).toEqual([0, 1 << 24, 2 << 24]);
    expect(board.names).toEqual(['lapic', 'lapic#1', 'lapic#2', 'pic8259']);
    send(0, 2, 0x41);
    expect(requested()).toEqual([false, false, true]);
    expect([board.acknowledge(2), requested()]).toEqual([0x41, [false, false, false]]);
  });
  it('hear each other by shorthand and by logical destination', () => {
    send(1, 0, OTHERS | 0x41);
    expect(requested()).toEqual([true, false, true]);
    for (const [id, { parts }] of apics.entries()) parts.writeRegister(R.APIC_LDR, (1 << (24 + id)) >>> 0);
    for (const processor of [0, 2]) board.acknowledge(processor);
    for (const { parts } of apics) parts.writeRegister(R.APIC_EOI, 0);
    send(0, 0b010, LOGICAL | 0x42);
    expect(requested()).toEqual([false, true, false]);
  });
  it('give a message for one of several to the one of the lowest priority', () => {
    for (const { parts } of apics) parts.writeRegister(R.APIC_LDR, 1 << 24);
    for (const [id, priority] of [0x40, 0x20, 0x30].entries()) apics[id]!.parts.writeRegister(R.APIC_TPR, priority);
    send(0, 1, LOGICAL | LOWEST | 0x71);
    expect(requested()).toEqual([false, true, false]);
  });
  it('have application processors stopped and started, and the machine reset by INIT to the first one', () => {
    send(0, 0, OTHERS | INIT);
    send(0, 2, START_UP | 0x9a);
    send(0, 1, NMI);
    expect(signals).toEqual([
      ['init', 1],
      ['init', 2],
      ['start-up', 0x29a],
      ['nmi', 1],
    ]);
    send(1, 0, START_UP | 0x9a);
    send(1, 0, INIT);
    expect(signals.slice(4)).toEqual([['reset', 0]]);
  });
  it('lose what they held by INIT, and keep their identifiers', () => {
    apics[1]!.parts.writeRegister(R.APIC_ID, 5 << 24);
    send(0, 5, 0x41);
    expect(requested()).toEqual([false, true, false]);
    send(0, 5, INIT);
    expect([requested()[1], apics[1]!.parts.readRegister(R.APIC_SVR)]).toEqual([false, 0xff]);
    expect(apics[1]!.parts.readRegister(R.APIC_ID)).toBe(5 << 24);
    // It is told by its number, whatever the guest calls it.
    expect(signals).toEqual([['init', 1]]);
  });
  it('have the 8259 pair at the first one alone, and registers on the board of the first one alone', () => {
    for (const [port, value] of [
      [0x20, 0x11],
      [0x21, 0x20],
      [0x21, 4],
      [0x21, 1],
    ] as const)
      board.portWrite(port, 1, value);
    for (const { parts } of apics) parts.writeRegister(0x350, 0x700);
    board.lines.source().set(1, true);
    expect(requested()).toEqual([true, false, false]);
    expect(board.memoryRead(R.LAPIC_BASE + R.APIC_ID, 4)).toBe(0);
  });
});
