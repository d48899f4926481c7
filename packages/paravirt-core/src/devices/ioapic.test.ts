import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { machine } from './apic-rig.ts';
import { IOAPIC_BASE, ioapic } from './ioapic.ts';
import * as R from './lapic-registers.ts';

describe('ioapic', () => {
  it('shows its version and keeps read-only bits', () => {
    const { board, redirect, entry } = machine();
    board.memoryWrite(IOAPIC_BASE, 4, 1);

    expect(board.memoryRead(IOAPIC_BASE + 0x10, 4)).toBe(0x0017_0011);
    redirect(4, 0xffff_ffff, 0xffff_ffff);
    expect(entry(4)).toBe(0x0001_afff);
    expect(entry(23)).toBe(0x0001_0000);
  });

  it('sends each edge once, and none while masked', () => {
    const { enable, redirect, wire, board, write } = machine();
    enable();
    redirect(4, 0x1_0044);
    wire(4, true);
    redirect(4, 0x0044);
    write(0x350, 0x1_0000);

    expect(board.interruptRequested).toBe(false);
    wire(4, false);
    wire(4, true);
    expect(board.acknowledge()).toBe(0x44);
    write(R.APIC_EOI, 0);
    expect(board.interruptRequested).toBe(false);
  });

  it('sends a level until it is gone, once for each end of interrupt', () => {
    const { enable, redirect, wire, board, write, entry, read } = machine();
    enable();
    write(0x350, 0x1_0000);
    redirect(11, 0x804b);

    wire(11, true);
    expect([board.acknowledge(), entry(11), board.interruptRequested]).toEqual([0x4b, 0xc04b, false]);
    expect(read(R.APIC_TMR + 0x20)).toBe(1 << 11);
    write(R.APIC_EOI, 0);
    expect([board.interruptRequested, board.acknowledge()]).toEqual([true, 0x4b]);
    wire(11, false);
    write(R.APIC_EOI, 0);
    expect([board.interruptRequested, entry(11)]).toEqual([false, 0x804b]);
  });

  it('drops remote IRR when an entry is switched to edge and back', () => {
    const { enable, redirect, wire, entry } = machine();
    enable();
    redirect(11, 0x804b);
    wire(11, true);

    redirect(11, 0x1_004b);
    redirect(11, 0x1_804b);
    expect(entry(11)).toBe(0x1_804b);
  });

  it('takes the timer at input 2', () => {
    const { enable, redirect, wire, board, write } = machine();
    enable();
    write(0x350, 0x1_0000);
    redirect(2, 0x0030);

    wire(0, true);
    expect(board.acknowledge()).toBe(0x30);
  });
});

deviceBattery(ioapic, {
  config: { base: IOAPIC_BASE },
  disturb({ parts }, rig) {
    const write = (register: number, value: number): void => {
      parts.memory[0]!.write(0, 4, register);
      parts.memory[0]!.write(0x10, 4, value);
    };
    write(0, 0x0500_0000);
    write(0x10 + 2 * 11 + 1, 0x0300_0000);
    write(0x10 + 2 * 11, 0x884b);
    rig.wire(11, true);
  },
});
