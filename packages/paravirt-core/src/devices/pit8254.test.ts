import { ManualClock, ms, seconds, us } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { backend, Board } from '../machine/board.ts';
import { PIT_HZ, ticksAt, timeOfTick } from './pit-clock.ts';
import { pit8254, speakerBackend } from './pit8254.ts';

function timer() {
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(16), clock, alarms: clock.alarms });
  board.add(pit8254, {});
  const rises: number[] = [];
  board.lines.listen((line, level) => {
    if (line === 0 && level) rises.push(clock.now());
  });
  board.reset();
  const read = (port: number): number => board.portRead(port, 1);
  return {
    board,
    clock,
    rises,
    read,
    /** Control word, then count bytes, to `port`. */
    set(port: number, control: number, ...count: number[]) {
      board.portWrite(0x43, 1, control);
      for (const byte of count) board.portWrite(port, 1, byte);
    },
    tick: (ticks: number) => clock.advance(timeOfTick(ticksAt(clock.now()) + ticks) - clock.now()),
    count: (port: number) => read(port) | (read(port) << 8),
    /** OUT of a counter by the read-back command. */
    status(index: number): number {
      board.portWrite(0x43, 1, 0xe0 | (2 << index));
      return read(0x40 + index);
    },
  };
}
const OUT = 0x80;
const NULL_COUNT = 0x40;

describe('the tick clock', () => {
  it('counts exactly, in both directions, for years', () => {
    expect(ticksAt(seconds(1))).toBe(PIT_HZ);
    expect(ticksAt(seconds(8_000_000))).toBe(8_000_000 * PIT_HZ);
    for (const tick of [0, 1, 2, 596_590, 596_591, 596_592, 12_345_678, 9_000_000_000_001]) {
      expect(ticksAt(timeOfTick(tick))).toBe(tick);
      if (tick > 0) expect(ticksAt(timeOfTick(tick) - 1)).toBe(tick - 1);
    }
  });
});

describe('pit8254', () => {
  it('interrupts at its rate without drift', () => {
    const { set, clock, rises } = timer();
    set(0x40, 0x34, 0x9b, 0x2e);
    rises.length = 0;

    clock.advance(seconds(60));
    expect(rises).toHaveLength(Math.floor((60 * PIT_HZ - 1) / 11_931));
    expect(rises.at(-1)).toBe(timeOfTick(1 + rises.length * 11_931));
  });

  it('runs at 18.2 Hz from reset', () => {
    const { clock, rises } = timer();

    clock.advance(seconds(1));
    expect(rises).toEqual(Array.from({ length: 18 }, (_, i) => timeOfTick((i + 1) * 65_536)));
  });

  it('mode 0: goes low, then high once after N + 1 ticks', () => {
    const { set, tick, rises, status, count } = timer();
    set(0x40, 0x30, 100, 0);
    rises.length = 0;

    expect(status(0)).toBe(0x30 | NULL_COUNT);
    tick(1);
    expect([status(0), count(0x40)]).toEqual([0x30, 100]);
    tick(99);
    expect([status(0), count(0x40), rises.length]).toEqual([0x30, 1, 0]);
    tick(1);
    expect([status(0), count(0x40), rises.length]).toEqual([0x30 | OUT, 0, 1]);
    tick(1);
    expect(count(0x40)).toBe(0xffff);
  });

  it('mode 0: stops at the first byte of a new count', () => {
    const { set, tick, rises, board } = timer();
    set(0x40, 0x30, 100, 0);
    rises.length = 0;

    tick(50);
    board.portWrite(0x40, 1, 10);
    tick(200);
    expect(rises).toHaveLength(0);
    board.portWrite(0x40, 1, 0);
    tick(11);
    expect(rises).toHaveLength(1);
  });

  it('mode 1: is triggered and retriggered by the gate', () => {
    const { set, tick, board, status } = timer();
    set(0x42, 0xb2, 50, 0);

    expect(status(2) & OUT).toBe(OUT);
    board.portWrite(0x61, 1, 1);
    tick(1);
    expect(status(2) & OUT).toBe(0);
    tick(30);
    board.portWrite(0x61, 1, 0);
    board.portWrite(0x61, 1, 1);
    tick(30);
    expect(status(2) & OUT).toBe(0);
    tick(21);
    expect(status(2) & OUT).toBe(OUT);
  });

  it('mode 2: is low for the last tick of each period, and takes a new count at its end', () => {
    const { set, tick, board, status, count, rises } = timer();
    set(0x40, 0x34, 100, 0);
    rises.length = 0;

    tick(99);
    expect([status(0) & OUT, count(0x40)]).toEqual([OUT, 2]);
    tick(1);
    expect([status(0) & OUT, count(0x40)]).toEqual([0, 1]);
    tick(50);
    board.portWrite(0x40, 1, 200);
    board.portWrite(0x40, 1, 0);
    expect(status(0) & NULL_COUNT).toBe(NULL_COUNT);
    tick(51);
    expect([count(0x40), status(0) & NULL_COUNT]).toEqual([200, 0]);
    tick(199);
    expect(rises).toHaveLength(2);
    tick(1);
    expect(rises).toHaveLength(3);
  });

  it('mode 3: halves an odd period (N + 1) / 2 high and (N - 1) / 2 low, counting by two', () => {
    const { set, tick, status, board, count } = timer();
    board.portWrite(0x61, 1, 1);
    set(0x42, 0xb6, 5, 0);
    tick(1);

    const seen: number[][] = [];
    for (let i = 0; i < 6; i++) {
      seen.push([(status(2) & OUT) >> 7, count(0x42)]);
      tick(1);
    }
    expect(seen).toEqual([
      [1, 4],
      [1, 2],
      [1, 0],
      [0, 4],
      [0, 2],
      [1, 4],
    ]);
  });

  it('mode 4: strobes once, one tick low', () => {
    const { set, tick, status, rises } = timer();
    set(0x40, 0x38, 50, 0);
    rises.length = 0;

    tick(50);
    expect(status(0) & OUT).toBe(OUT);
    tick(1);
    expect(status(0) & OUT).toBe(0);
    tick(1);
    expect([status(0) & OUT, rises.length]).toEqual([OUT, 1]);
    tick(100_000);
    expect(rises).toHaveLength(1);
  });

  it('mode 5: strobes after a trigger', () => {
    const { set, tick, status, board } = timer();
    set(0x42, 0xba, 20, 0);

    tick(100);
    expect(status(2) & OUT).toBe(OUT);
    board.portWrite(0x61, 1, 1);
    tick(21);
    expect(status(2) & OUT).toBe(0);
    tick(1);
    expect(status(2) & OUT).toBe(OUT);
  });

  it('counts in BCD, and by one byte only where told so', () => {
    const { set, tick, board, count, read } = timer();
    board.portWrite(0x61, 1, 1);
    set(0x42, 0xb1, 0x00, 0x10);
    tick(2);
    expect(count(0x42)).toBe(0x0999);

    set(0x42, 0xa0, 0x02);
    tick(1);
    expect([read(0x42), read(0x42)]).toEqual([2, 2]);
    tick(1);
    expect(read(0x42)).toBe(1);
    set(0x42, 0x90, 7);
    tick(3);
    expect(read(0x42)).toBe(5);
  });

  it('latches counts and status until they are read', () => {
    const { set, tick, board, read } = timer();
    board.portWrite(0x61, 1, 1);
    set(0x42, 0xb0, 0x34, 0x12);
    tick(1);

    board.portWrite(0x43, 1, 0x80);
    tick(0x100);
    board.portWrite(0x43, 1, 0xc8);
    tick(0x100);
    expect([read(0x42), read(0x42), read(0x42)]).toEqual([0x30, 0x34, 0x12]);
    expect(read(0x42)).toBe(0x34);
    expect(read(0x42)).toBe(0x10);
  });

  it('the gate of counter 2 holds a mode 0 count, as calibration by port 0x61 needs it', () => {
    const { set, tick, board, read } = timer();
    board.portWrite(0x61, 1, 0);
    set(0x42, 0xb0, 0, 1);

    tick(1_000);
    expect(read(0x61) & 0x20).toBe(0);
    board.portWrite(0x61, 1, 1);
    tick(255);
    expect(read(0x61) & 0x20).toBe(0);
    tick(1);
    expect(read(0x61) & 0x23).toBe(0x21);
  });

  it('toggles the refresh bit every 15 us', () => {
    const { clock, read } = timer();
    let toggles = 0;
    let last = read(0x61) & 0x10;

    for (let i = 0; i < 1_000; i++) {
      clock.advance(us(1));
      const bit = read(0x61) & 0x10;
      if (bit !== last) toggles++;
      last = bit;
    }
    expect(toggles).toBe(Math.floor(ticksAt(ms(1)) / 18));
  });

  it('merges interrupts that come faster than a guest can serve', () => {
    const { set, clock, rises } = timer();
    set(0x40, 0x14, 1);
    rises.length = 0;

    clock.advance(ms(10));
    expect(rises.length).toBeGreaterThan(100);
    expect(rises.length).toBeLessThanOrEqual(500);
  });

  it('delivers one interrupt, not hundreds, when the clock leaps', () => {
    const { set, clock, rises, board } = timer();
    set(0x40, 0x34, 0x9b, 0x2e);
    rises.length = 0;
    const leap = new ManualClock(seconds(3));
    clock.now = () => leap.now();

    board.alarms.fireDue(leap.now());
    expect(rises).toHaveLength(1);
    expect(board.alarms.next()).toBeGreaterThan(seconds(3));
  });
});

describe('the speaker', () => {
  it('gives the tone of counter 2 while gate and data are on', () => {
    const tones: number[] = [];
    const board = new Board({ ram: new Uint8Array(16), clock: new ManualClock() });
    board.add(pit8254, {}, { backends: [backend(speakerBackend, { tone: (hertz) => tones.push(Math.round(hertz)) })] });
    board.reset();
    const out = (port: number, ...values: number[]): void => values.forEach((v) => board.portWrite(port, 1, v));
    tones.length = 0;

    out(0x43, 0xb6);
    out(0x42, 0xa9, 0x04);
    expect(tones).toEqual([]);
    out(0x61, 3);
    expect(tones).toEqual([1000]);
    out(0x42, 0x54, 0x02);
    expect(tones).toEqual([1000, 2002]);
    out(0x61, 1);
    out(0x61, 0);
    expect(tones).toEqual([1000, 2002, 0]);
    // Sampled sound by pulses of mode 0 is no tone.
    out(0x43, 0xb0);
    out(0x42, 0x54, 0x02);
    out(0x61, 3);
    expect(tones.length).toBe(3);
  });
});

deviceBattery(pit8254, {
  config: {},
  disturb({ parts }, { clock }) {
    const [counters, port61] = parts.ports;
    clock.advance(ms(3));
    counters!.write(3, 1, 0x34);
    counters!.write(0, 1, 0x9b);
    counters!.write(0, 1, 0x2e);
    port61!.write(0, 1, 3);
    counters!.write(3, 1, 0xb7);
    counters!.write(2, 1, 0x00);
    counters!.write(2, 1, 0x12);
    counters!.write(3, 1, 0xd4);
    counters!.write(1, 1, 0x12);
    clock.advance(us(700));
    counters!.write(2, 1, 0x44);
    counters!.write(2, 1, 0x01);
    port61!.write(0, 1, 2);
  },
});
