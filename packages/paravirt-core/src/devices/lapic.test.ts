import { us } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import type { Board } from '../machine/board.ts';
import { machine } from './apic-rig.ts';
import * as R from './lapic-registers.ts';
import { lapic } from './lapic.ts';

describe('lapic', () => {
  it('has the registers and reset values of the manual', () => {
    const { read } = machine();

    expect([R.APIC_ID, R.APIC_VERSION, R.APIC_SVR, R.APIC_DFR, R.APIC_TPR].map(read)).toEqual([
      0, 0x0005_0014, 0xff, 0xffff_ffff, 0,
    ]);
    expect(read(R.APIC_LVT_TIMER)).toBe(0x1_0000);
  });

  it('delivers by priority class, nests, and ends the highest', () => {
    const { enable, self, board, write, read } = machine();
    enable();

    self(0x31);
    self(0x52);
    self(0x58);
    expect([board.acknowledge(), board.interruptRequested]).toEqual([0x58, false]);
    expect(read(R.APIC_PPR)).toBe(0x50);
    self(0x61);
    expect(board.acknowledge()).toBe(0x61);
    write(R.APIC_EOI, 0);
    expect(board.interruptRequested).toBe(false);
    write(R.APIC_EOI, 0);
    expect(board.acknowledge()).toBe(0x52);
    expect([read(R.APIC_ISR + 0x20), read(R.APIC_IRR + 0x10)]).toEqual([1 << 18, 1 << 17]);
  });

  it('holds back what the task priority forbids', () => {
    const { enable, self, board, write, local } = machine();
    enable();
    write(R.APIC_TPR, 0x40);

    self(0x4f);
    expect(board.interruptRequested).toBe(false);
    self(0x50);
    expect(board.interruptRequested).toBe(true);
    local.parts.setTaskPriority(5);
    expect([board.interruptRequested, local.parts.taskPriority()]).toEqual([false, 5]);
    write(R.APIC_TPR, 0);
    expect(board.interruptRequested).toBe(true);
  });

  it('answers the spurious vector when nothing is left to acknowledge', () => {
    const { enable, self, board, write } = machine();
    enable(0xef);

    self(0x40);
    write(R.APIC_TPR, 0xf0);
    expect([board.interruptRequested]).toEqual([false]);
    expect(machineAcknowledge(board)).toBe(0xef);
  });

  it('passes the 8259 interrupt on while disabled, and after that only through LINT0', () => {
    const { board, wire, startPic, enable, write, local } = machine();
    startPic();
    wire(5, true);

    expect([board.interruptRequested, board.acknowledge()]).toEqual([true, 0x25]);
    board.portWrite(0x20, 1, 0x20);
    wire(5, false);
    wire(5, true);
    enable();
    expect(board.interruptRequested).toBe(true);
    write(0x350, 0x1_0700);
    expect(board.interruptRequested).toBe(false);
    write(0x350, 0x0700);
    expect(board.acknowledge()).toBe(0x25);
    write(0x350, 0x1_0700);
    board.portWrite(0x20, 1, 0x20);
    wire(5, false);
    wire(5, true);
    expect(board.interruptRequested).toBe(false);
    local.parts.setBase(0xfee0_0100);
    expect([board.interruptRequested, board.memoryRead(R.LAPIC_BASE, 4)]).toEqual([true, 0xffff_ffff]);
    local.parts.setBase(0xfee0_0900);
    expect([board.interruptRequested, local.parts.base()]).toEqual([false, 0xfee0_0900]);
  });

  it('is where IA32_APIC_BASE puts it, before everything else', () => {
    const { board, local, read, signals } = machine();
    local.parts.setBase(0xfec0_0900); // over the I/O APIC
    expect([board.memoryRead(0xfec0_0030, 4), read(0x30)]).toEqual([R.VERSION, 0xffff_ffff]);
    expect([local.parts.page(), local.parts.base()]).toEqual([{ base: 0xfec0_0000, size: 4096 }, 0xfec0_0900]);
    const saved = board.save();

    local.parts.setBase(0xf_fee0_0900);
    expect([board.memoryRead(0xf_fee0_0030, 4), board.memoryRead(0xfec0_0030, 4)]).toEqual([R.VERSION, 0]);
    board.restore(saved);
    expect(board.memoryRead(0xfec0_0030, 4)).toBe(R.VERSION);
    board.reset();
    expect([read(0x30), local.parts.base()]).toEqual([R.VERSION, 0xfee0_0900]);
    expect(signals).toEqual(Array(4).fill(['apic-moved', 0]));
  });

  it('turns LINT pins into fixed interrupts and NMIs', () => {
    const { board, wire, startPic, enable, write, local, signals } = machine();
    startPic();
    enable();
    write(0x350, 0x0041);
    write(0x360, 0x0400);

    wire(3, true);
    expect([board.acknowledge(), signals]).toEqual([0x41, []]);
    local.parts.localPin(1, true);
    expect(signals).toEqual([['nmi', 0]]);
  });

  it('takes a level at a pin once until it is ended, and again while it lasts', () => {
    const { board, enable, write, read, local } = machine();
    const served = (): number => (board.interruptRequested ? board.acknowledge() : -1);
    enable();
    write(0x360, 0x8052);

    local.parts.localPin(1, true);
    expect([served(), served(), read(0x360)]).toEqual([0x52, -1, 0xc052]);
    write(R.APIC_EOI, 0);
    expect(served()).toBe(0x52);
    local.parts.localPin(1, false);
    write(R.APIC_EOI, 0);
    expect([served(), read(0x360)]).toEqual([-1, 0x8052]);
    write(0x360, 0x1_8052);
    local.parts.localPin(1, true);
    expect(served()).toBe(-1);
    write(0x360, 0x8052);
    expect(served()).toBe(0x52);
  });

  it('resets by INIT, but not by what is for others or ends an INIT', () => {
    const { write, signals } = machine();
    const send = (low: number, destination = 0): void => {
      write(R.APIC_ICR_HIGH, destination << 24);
      write(R.APIC_ICR_LOW, low);
    };

    send(0xc_4500);
    send(0x0_4500, 1);
    send(0x0_8500);
    send(0x0_4608);
    expect(signals).toEqual([]);
    send(0x0_4500);
    send(0x8_4400);
    expect(signals).toEqual([
      ['reset', 0],
      ['nmi', 0],
    ]);
  });

  it('counts down once, at the divided rate', () => {
    const { enable, write, read, clock, board } = machine();
    enable();
    write(R.APIC_LVT_TIMER, 0x60);
    write(R.APIC_TIMER_DIVIDE, 3);
    write(R.APIC_TIMER_INITIAL, 1_000);

    clock.advance(us(8));
    expect([read(R.APIC_TIMER_CURRENT), board.interruptRequested]).toEqual([500, false]);
    write(R.APIC_TIMER_DIVIDE, 0xb);
    clock.advance(499);
    expect([read(R.APIC_TIMER_CURRENT), board.interruptRequested]).toEqual([1, false]);
    clock.advance(1);
    expect([read(R.APIC_TIMER_CURRENT), board.acknowledge()]).toEqual([0, 0x60]);
    write(R.APIC_EOI, 0);
    clock.advance(us(100));
    expect(board.interruptRequested).toBe(false);
  });

  it('counts periodically without drift, merging what no guest could serve', () => {
    const { enable, write, read, clock, board } = machine();
    enable();
    write(R.APIC_LVT_TIMER, 0x2_0060);
    write(R.APIC_TIMER_DIVIDE, 0);
    write(R.APIC_TIMER_INITIAL, 33_333);
    const serve = (): number => {
      let served = 0;
      for (let i = 0; i < 100_000; i++) {
        clock.advance(1_000);
        if (!board.interruptRequested) continue;
        board.acknowledge();
        write(R.APIC_EOI, 0);
        served++;
      }
      return served;
    };

    expect(serve()).toBe(Math.floor(100_000_000 / 66_666));
    expect(read(R.APIC_TIMER_CURRENT)).toBe(33_333 - (Math.floor(100_000_000 / 2) % 33_333));
    write(R.APIC_TIMER_INITIAL, 1);
    expect(serve()).toBeLessThanOrEqual(5_000);
  });

  it('masks the whole table while disabled', () => {
    const { enable, write, read } = machine();

    write(R.APIC_LVT_TIMER, 0x60);
    expect(read(R.APIC_LVT_TIMER)).toBe(0x1_0060);
    enable();
    write(R.APIC_LVT_TIMER, 0xffff_ffff);
    expect(read(R.APIC_LVT_TIMER)).toBe(0x7_00ff);
    write(R.APIC_LVT_TIMER, 0x60);
    write(R.APIC_SVR, 0xff);
    expect([read(R.APIC_LVT_TIMER), read(0x350)]).toEqual([0x1_0060, 0x1_0700]);
  });

  it('reports errors by ESR and its own interrupt', () => {
    const { enable, write, read, self, board } = machine();
    enable();
    write(R.APIC_LVT_ERROR, 0xfe);

    self(0x05);
    expect([read(R.APIC_ESR), board.acknowledge()]).toEqual([0, 0xfe]);
    write(R.APIC_ESR, 0);
    expect(read(R.APIC_ESR)).toBe(0x20);
    read(0x3f0);
    write(R.APIC_ESR, 0);
    expect(read(R.APIC_ESR)).toBe(0x80);
    write(R.APIC_LVT_ERROR, 0x03);
    read(0x3f0);
    write(R.APIC_ESR, 0);
    expect(read(R.APIC_ESR)).toBe(0xc0);
  });

  it('sends to itself by physical, flat and cluster addresses', () => {
    const { enable, write, read } = machine();
    enable();
    const sends = (high: number, low: number): boolean => {
      write(R.APIC_ICR_HIGH, (high << 24) >>> 0);
      write(R.APIC_ICR_LOW, low);
      const arrived = read(R.APIC_IRR + 0x20) !== 0;
      write(R.APIC_TPR, 0);
      return arrived;
    };
    const outcome = (high: number, low: number, dfr: number, ldr: number): boolean => {
      const fresh = machine();
      fresh.enable();
      fresh.write(R.APIC_DFR, dfr);
      fresh.write(R.APIC_LDR, ldr);
      fresh.write(R.APIC_ICR_HIGH, (high << 24) >>> 0);
      fresh.write(R.APIC_ICR_LOW, low);
      return fresh.board.interruptRequested;
    };

    expect(sends(0, 0x41)).toBe(true);
    expect(outcome(1, 0x41, 0xffff_ffff, 0)).toBe(false);
    expect(outcome(0xff, 0x41, 0xffff_ffff, 0)).toBe(true);
    expect(outcome(0x06, 0x841, 0xffff_ffff, 0x0400_0000)).toBe(true);
    expect(outcome(0x06, 0x841, 0xffff_ffff, 0x0800_0000)).toBe(false);
    expect(outcome(0x23, 0x841, 0x0fff_ffff, 0x2200_0000)).toBe(true);
    expect(outcome(0x13, 0x841, 0x0fff_ffff, 0x2200_0000)).toBe(false);
    expect(outcome(0, 0x8_0041, 0xffff_ffff, 0)).toBe(true);
    expect(outcome(0, 0xc_0041, 0xffff_ffff, 0)).toBe(false);
  });
});

/** An acknowledge cycle although nothing is requested, with no 8259 pair to answer it. */
function machineAcknowledge(board: Board): number {
  return board.device('lapic')!.parts.acknowledge!();
}

deviceBattery(lapic, {
  config: { id: 0 },
  disturb({ parts }, { clock }) {
    const write = (register: number, value: number): void => parts.memory[0]!.write(register, 4, value);
    write(R.APIC_SVR, 0x1ef);
    write(R.APIC_LDR, 0x0100_0000);
    write(R.APIC_LVT_TIMER, 0x2_0060);
    write(R.APIC_TIMER_DIVIDE, 1);
    clock.advance(500);
    write(R.APIC_TIMER_INITIAL, 90_000);
    write(R.APIC_ICR_LOW, 0x4_0071);
    parts.acknowledge();
    write(R.APIC_ICR_LOW, 0x4_0031);
    write(R.APIC_ICR_LOW, 0x4_0002);
    clock.advance(700_000);
    parts.localPin(1, true);
  },
  actions: [
    ({ parts }, random) => parts.localPin(random.next(2) === 0 ? 0 : 1, random.next(2) === 0),
    ({ parts }, random) => parts.setBase((random.next(2) === 0 ? 0xfee0_0000 : 0xd000_0000) + random.next(2) * 0x800),
    ({ parts }) => [parts.base(), parts.taskPriority(), parts.passesExternal()],
    ({ parts }, random) =>
      parts.apicMessage({
        destination: random.next(4),
        logical: random.next(2) === 0,
        mode: 'fixed',
        vector: random.next(256),
        level: random.next(2) === 0,
      }),
  ],
});
