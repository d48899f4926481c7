import { ManualClock, ms, seconds, us } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { rtcCmos } from './rtc-cmos.ts';
import { calendarAt, decodeHour, encodeHour, secondsOf } from './rtc-time.ts';

/** 2026-03-04 05:06:07 UTC, a Wednesday. */
const EPOCH = Date.UTC(2026, 2, 4, 5, 6, 7) / 1000;
const [A, B, C, D] = [10, 11, 12, 13];
const TIME = [0, 2, 4, 6, 7, 8, 9, 0x32];

function rtc(config: Partial<{ epoch: number; memoryBytes: number; cmos: Record<number, number> }> = {}) {
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(16), clock, alarms: clock.alarms });
  const device = board.add(rtcCmos, { epoch: EPOCH, memoryBytes: 256 << 20, ...config });
  board.reset();
  const rises: number[] = [];
  board.lines.listen((line, level) => {
    if (line === 8 && level) rises.push(clock.now());
  });
  const read = (index: number): number => {
    board.portWrite(0x70, 1, index);
    return board.portRead(0x71, 1);
  };
  const write = (index: number, value: number): void => {
    board.portWrite(0x70, 1, index);
    board.portWrite(0x71, 1, value);
  };
  return {
    clock,
    board,
    device,
    rises,
    read,
    write,
    time: () => TIME.map((i) => read(i).toString(16).padStart(2, '0')).join(' '),
  };
}

describe('the calendar', () => {
  it('goes to registers and back for any second of 10,000 years', () => {
    const random = seededRandom(3);

    for (let i = 0; i < 2_000; i++) {
      const second = 1 + random.next(315_569_519_998);
      expect(secondsOf(calendarAt(second))).toBe(second);
    }
  });

  it('writes twelve-hour time with noon and midnight as 12', () => {
    const mode = { binary: false, hours24: false };

    expect([0, 1, 11, 12, 13, 23].map((hour) => encodeHour(mode, hour))).toEqual([0x12, 1, 0x11, 0x92, 0x81, 0x91]);
    for (let hour = 0; hour < 24; hour++) expect(decodeHour(mode, encodeHour(mode, hour))).toBe(hour);
  });
});

describe('rtc-cmos', () => {
  it('shows the configured time in BCD and goes on with the machine clock', () => {
    const { time, clock, read } = rtc();

    expect(time()).toBe('07 06 05 04 04 03 26 20');
    clock.advance(seconds(86_400 + 55));
    expect(time()).toBe('02 07 05 05 05 03 26 20');
    expect([read(A), read(B), read(D)]).toEqual([0x26, 0x02, 0x80]);
  });

  it('shows binary and twelve-hour time', () => {
    const { time, clock, write } = rtc();
    clock.advance(seconds(12 * 3600));

    write(B, 0x04);
    expect(time()).toBe('07 06 85 04 04 03 1a 14');
  });

  it('warns 244 us before an update', () => {
    const { clock, read } = rtc();

    clock.advance(ms(1000) - us(245));
    expect(read(A) & 0x80).toBe(0);
    clock.advance(us(1));
    expect(read(A) & 0x80).toBe(0x80);
    clock.advance(us(244));
    expect([read(A) & 0x80, read(0)]).toEqual([0, 0x08]);
  });

  it('takes a new time while SET holds it, and starts half a second after the divider is let go', () => {
    const { clock, read, write, time } = rtc();
    write(B, 0x82);
    write(A, 0x76);
    [0x59, 0x59, 0x23, 1, 0x31, 0x12, 0x99, 0x19].forEach((value, i) => write(TIME[i]!, value));
    clock.advance(seconds(10));
    expect(read(0)).toBe(0x59);

    write(B, 0x02);
    write(A, 0x26);
    clock.advance(ms(499));
    expect(time()).toBe('59 59 23 06 31 12 99 19');
    clock.advance(ms(1));
    expect(time()).toBe('00 00 00 07 01 01 00 20');
    clock.advance(ms(999));
    expect(read(0)).toBe(0);
  });

  it('takes a single field on the run and keeps the rest and the phase', () => {
    const { clock, write, time } = rtc();
    clock.advance(ms(700));

    write(2, 0x30);
    expect(time()).toBe('07 30 05 04 04 03 26 20');
    clock.advance(ms(300));
    expect(time()).toBe('08 30 05 04 04 03 26 20');
  });

  it('interrupts every second for updates until register C is read', () => {
    const { clock, read, write, rises, board } = rtc();
    write(B, 0x12);

    clock.advance(ms(2_500));
    expect(rises).toEqual([seconds(1)]);
    expect([read(C), board.lines.level(8), read(C)]).toEqual([0xd0, false, 0]);
    clock.advance(seconds(1));
    expect(rises).toEqual([seconds(1), seconds(3)]);
  });

  it('interrupts at the alarm, with fields that do not matter', () => {
    const { clock, read, write, rises } = rtc();
    write(1, 0x05);
    write(3, 0xff);
    write(5, 0xc0);
    write(B, 0x22);

    clock.advance(seconds(120));
    expect(rises).toEqual([seconds(58)]);
    expect(read(C) & 0xb0).toBe(0xb0);
    clock.advance(seconds(60));
    expect(rises).toEqual([seconds(58), seconds(178)]);
  });

  it('interrupts at an exact alarm, twelve-hour and binary', () => {
    const { clock, write, rises } = rtc();
    write(B, 0x04);
    write(1, 0);
    write(3, 7);
    write(5, 0x81);
    write(B, 0x24);

    clock.advance(seconds(86_400));
    expect(rises).toEqual([seconds((13 - 5) * 3600 + 60 - 7)]);
  });

  it('interrupts periodically without drift', () => {
    const { clock, read, write, rises } = rtc();
    write(A, 0x26);
    write(B, 0x42);
    let served = 0;

    for (let i = 0; i < 10_240; i++) {
      clock.advance(i % 2 === 0 ? 976_563 : 976_562);
      if ((read(C) & 0x40) !== 0) served++;
    }
    expect(served).toBe(10_240);
    expect(rises.at(-1)).toBe(seconds(10));
  });

  it('raises flags for those who poll', () => {
    const { clock, read } = rtc();

    clock.advance(seconds(1));
    expect(read(C) & 0x50).toBe(0x50);
    expect(read(C)).toBe(0);
  });

  it('tells the memory size and what else was configured', () => {
    const { read } = rtc({ memoryBytes: 512 << 20, cmos: { 0x3d: 2 } });
    const word = (index: number): number => read(index) + 256 * read(index + 1);

    expect([word(0x15), word(0x17), word(0x30), word(0x34), read(0x3d)]).toEqual([640, 0xffff, 0xffff, 496 * 16, 2]);
    expect(rtc({ memoryBytes: 8 << 20 }).read(0x18)).toBe(0x1c);
  });

  it('keeps time and memory over a reset, but not interrupts', () => {
    const { board, clock, read, write, time } = rtc();
    write(0x40, 0x5a);
    write(2, 0x30);
    write(B, 0x72);
    clock.advance(seconds(3));

    board.reset();
    expect([read(0x40), read(B), board.lines.level(8), time()]).toEqual([0x5a, 0x02, false, '10 30 05 04 04 03 26 20']);
  });

  it('notes the NMI mask beside the index', () => {
    const { device, board } = rtc();

    board.portWrite(0x70, 1, 0x80 | D);
    expect([device.parts.nmiMasked(), board.portRead(0x71, 1)]).toEqual([true, 0x80]);
  });
});

deviceBattery(rtcCmos, {
  config: { epoch: EPOCH, memoryBytes: 64 << 20 },
  disturb({ parts }, { clock }) {
    const claim = parts.ports[0]!;
    const write = (index: number, value: number): void => {
      claim.write(0, 1, index);
      claim.write(1, 1, value);
    };
    clock.advance(ms(1_300));
    write(2, 0x44);
    write(1, 0xff);
    write(A, 0x2a);
    write(B, 0x72);
    clock.advance(ms(900));
    write(0x33, 7);
  },
});
