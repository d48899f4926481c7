/** A board with local APIC, I/O APIC and 8259 pair, for the tests of both. */
import { ManualClock } from '@tomei/kit';
import { Board } from '../machine/board.ts';
import { IOAPIC_BASE, ioapic } from './ioapic.ts';
import * as R from './lapic-registers.ts';
import { lapic } from './lapic.ts';
import { pic8259 } from './pic8259.ts';

export function machine() {
  const clock = new ManualClock();
  const signals: unknown[] = [];
  const board = new Board({
    ram: new Uint8Array(16),
    clock,
    alarms: clock.alarms,
    signal: (signal, value) => signals.push([signal, value]),
  });
  const local = board.add(lapic, { id: 0 });
  board.add(pic8259, {});
  board.add(ioapic, { base: IOAPIC_BASE });
  board.reset();
  const wires = board.lines.source();
  const read = (register: number): number => board.memoryRead(R.LAPIC_BASE + register, 4);
  const write = (register: number, value: number): void => board.memoryWrite(R.LAPIC_BASE + register, 4, value);
  return {
    board,
    clock,
    signals,
    local,
    read,
    write,
    enable: (spurious = 0xff) => write(R.APIC_SVR, 0x100 | spurious),
    /** Sends a fixed interrupt to itself. */
    self: (vector: number) => write(R.APIC_ICR_LOW, 0x4_0000 | vector),
    wire: (line: number, level: boolean) => wires.set(line, level),
    redirect(pin: number, low: number, high = 0) {
      for (const [index, value] of [
        [0x11 + 2 * pin, high],
        [0x10 + 2 * pin, low],
      ] as const) {
        board.memoryWrite(IOAPIC_BASE, 4, index);
        board.memoryWrite(IOAPIC_BASE + 0x10, 4, value);
      }
    },
    entry(pin: number): number {
      board.memoryWrite(IOAPIC_BASE, 4, 0x10 + 2 * pin);
      return board.memoryRead(IOAPIC_BASE + 0x10, 4);
    },
    startPic() {
      for (const [port, value] of [
        [0x20, 0x11],
        [0x21, 0x20],
        [0x21, 4],
        [0x21, 1],
      ] as const) {
        board.portWrite(port, 1, value);
      }
    },
  };
}
