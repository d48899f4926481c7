import { ManualClock, us } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { backend, Board } from '../machine/board.ts';
import { serialBackend, uart16550 } from './uart16550.ts';

const [RBR, THR, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR] = [0, 0, 1, 2, 2, 3, 4, 5, 6, 7];

function port() {
  const clock = new ManualClock();
  const sent: number[] = [];
  let readies = 0;
  const board = new Board({ ram: new Uint8Array(16), clock, alarms: clock.alarms });
  const device = board.add(
    uart16550,
    { base: 0x3f8, irq: 4 },
    { backends: [backend(serialBackend, { write: (byte) => sent.push(byte), ready: () => readies++ })] },
  );
  board.reset();
  return {
    clock,
    sent,
    readies: () => readies,
    read: (register: number) => board.portRead(0x3f8 + register, 1),
    write: (register: number, value: number) => board.portWrite(0x3f8 + register, 1, value),
    irq: () => board.lines.level(4),
    input: (...bytes: number[]) => device.parts.input(Uint8Array.from(bytes)),
  };
}

describe('uart16550', () => {
  it('sends bytes at once and says that it can take more', () => {
    const { write, read, sent } = port();

    for (const character of 'ok') write(THR, character.charCodeAt(0));
    expect(sent).toEqual([0x6f, 0x6b]);
    expect(read(LSR)).toBe(0x60);
  });

  it('holds divisor, line control and scratch registers', () => {
    const { write, read } = port();

    write(LCR, 0x83);
    write(0, 1);
    write(1, 2);
    expect([read(0), read(1)]).toEqual([1, 2]);
    write(LCR, 0x03);
    write(SCR, 0x5a);
    write(MCR, 0xff);
    expect([read(IER), read(LCR), read(SCR), read(MCR)]).toEqual([0, 3, 0x5a, 0x1f]);
  });

  it('passes the autodetection of a 16550A', () => {
    const { write, read } = port();

    write(FCR, 0x01);
    expect(read(IIR) & 0xc0).toBe(0xc0);
    write(FCR, 0x00);
    expect(read(IIR) & 0xc0).toBe(0);
    write(IER, 0x0f);
    expect(read(IER)).toBe(0x0f);
    write(MCR, 0x1a);
    expect(read(MSR) & 0xf0).toBe(0x90);
  });

  it('takes as much input as it has room for and asks for more when read', () => {
    const { write, read, input, readies } = port();

    expect(input(1, 2, 3)).toBe(1);
    expect(read(RBR)).toBe(1);
    write(FCR, 0x01);
    const before = readies();
    expect(input(...Array.from({ length: 20 }, (_, i) => i))).toBe(16);
    expect(input(99)).toBe(0);
    expect([read(RBR), read(RBR), readies() - before]).toEqual([0, 1, 2]);
    expect(input(99, 98, 97)).toBe(2);
  });

  it('interrupts at the trigger level, and after four silent characters below it', () => {
    const { write, read, input, irq, clock } = port();
    write(LCR, 0x83);
    write(0, 1);
    write(1, 0);
    write(LCR, 0x03);
    write(FCR, 0x81);
    write(MCR, 0x08);
    write(IER, 0x01);

    input(1, 2, 3, 4, 5, 6, 7);
    expect([irq(), read(IIR)]).toEqual([false, 0xc1]);
    input(8);
    expect([irq(), read(IIR)]).toEqual([true, 0xc4]);
    read(RBR);
    expect(irq()).toBe(false);
    clock.advance(us(347));
    expect(irq()).toBe(false);
    clock.advance(us(1));
    expect([irq(), read(IIR)]).toEqual([true, 0xcc]);
    read(RBR);
    expect([irq(), read(IIR)]).toEqual([false, 0xc1]);
  });

  it('raises the transmitter interrupt when enabled and after each byte, and drops it when identified', () => {
    const { write, read, irq } = port();
    write(MCR, 0x08);

    write(IER, 0x02);
    expect([irq(), read(IIR), irq(), read(IIR)]).toEqual([true, 0x02, false, 0x01]);
    write(THR, 0x41);
    expect([irq(), read(IIR)]).toEqual([true, 0x02]);
    write(IER, 0x00);
    write(IER, 0x02);
    expect(read(IIR)).toBe(0x02);
  });

  it('orders interrupts by priority', () => {
    const { write, read, input } = port();
    write(MCR, 0x10);
    write(IER, 0x0f);
    write(THR, 1);
    write(THR, 2);
    write(MCR, 0x0b);

    expect(read(IIR)).toBe(0x06);
    expect(read(LSR)).toBe(0x63);
    expect(read(IIR)).toBe(0x04);
    expect(read(RBR)).toBe(2);
    expect(read(IIR)).toBe(0x02);
    expect(read(IIR)).toBe(0x00);
    expect(read(MSR) & 0x0f).not.toBe(0);
    expect(read(IIR)).toBe(0x01);
    expect(input(1)).toBe(1);
  });

  it('keeps its interrupt to itself without OUT2', () => {
    const { write, irq } = port();

    write(IER, 0x02);
    expect(irq()).toBe(false);
    write(MCR, 0x08);
    expect(irq()).toBe(true);
  });

  it('loops back bytes, breaks and modem lines', () => {
    const { write, read, sent } = port();
    write(FCR, 0x01);
    read(MSR);
    write(MCR, 0x10);
    expect(read(MSR)).toBe(0x0b);

    write(MCR, 0x1f);
    expect(read(MSR)).toBe(0xfb);
    write(MCR, 0x1b);
    expect(read(MSR)).toBe(0xb4);
    write(THR, 0x77);
    expect([read(LSR), read(RBR)]).toEqual([0x61, 0x77]);
    write(LCR, 0x40);
    expect([read(LSR), read(RBR)]).toEqual([0x71, 0]);
    expect(sent).toEqual([]);
  });

  it('empties the receiver on request and when the FIFOs are switched', () => {
    const { write, read, input } = port();
    write(FCR, 0x01);

    input(1, 2);
    write(FCR, 0x03);
    expect(read(LSR) & 1).toBe(0);
    input(1, 2);
    write(FCR, 0x00);
    expect(read(LSR) & 1).toBe(0);
  });
});

deviceBattery(uart16550, {
  config: { base: 0x3f8, irq: 4 },
  disturb({ parts }) {
    const claim = parts.ports[0]!;
    claim.write(FCR, 1, 0x81);
    claim.write(MCR, 1, 0x1b);
    claim.write(THR, 1, 0x41);
    claim.write(MCR, 1, 0x0b);
    claim.write(IER, 1, 0x0f);
    claim.write(SCR, 1, 0x99);
    parts.input(Uint8Array.of(1, 2, 3));
  },
  bench() {
    const output: unknown[] = [];
    const far = { write: (byte: number) => output.push(byte), ready: () => output.push('ready') };
    return { backends: [backend(serialBackend, far)], output: () => output };
  },
});
