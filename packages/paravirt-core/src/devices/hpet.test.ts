import { ManualClock, ms, seconds } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { HPET_BASE, hpet } from './hpet.ts';
import { pit8254 } from './pit8254.ts';

const [CAP, CONFIG, STATUS, COUNTER] = [0x000, 0x010, 0x020, 0x0f0];
const timer = (index: number): { config: number; comparator: number } => ({
  config: 0x100 + 0x20 * index,
  comparator: 0x108 + 0x20 * index,
});
const [LEVEL, ENABLE, PERIODIC, SET_VALUE, BITS_32] = [1 << 1, 1 << 2, 1 << 3, 1 << 6, 1 << 8];
const route = (line: number): number => line << 9;

function machine() {
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(16), clock, alarms: clock.alarms });
  board.add(hpet, { base: HPET_BASE });
  board.add(pit8254, {});
  board.reset();
  const rises: [number, number][] = [];
  board.lines.listen((line, level) => level && rises.push([line, clock.now()]));
  return {
    board,
    clock,
    rises,
    read: (offset: number) => board.memoryRead(HPET_BASE + offset, 4),
    write: (offset: number, value: number) => board.memoryWrite(HPET_BASE + offset, 4, value),
  };
}

describe('hpet counter', () => {
  it('says what it is and counts 100 MHz while enabled', () => {
    const { clock, read, write } = machine();

    expect(read(CAP).toString(16)).toBe('8086a201');
    expect(read(CAP + 4)).toBe(10_000_000);
    clock.advance(1_005);
    expect(read(COUNTER)).toBe(0);
    write(CONFIG, 1);
    clock.advance(1_009);
    expect(read(COUNTER)).toBe(100);
    write(CONFIG, 0);
    clock.advance(500);
    expect(read(COUNTER)).toBe(100);
    write(COUNTER, 0xffff_fff0);
    write(COUNTER + 4, 7);
    write(CONFIG, 1);
    clock.advance(200);
    expect([read(COUNTER), read(COUNTER + 4)]).toEqual([4, 8]);
  });
});

describe('hpet timers', () => {
  it('fire once, at the comparator', () => {
    const { clock, rises, read, write } = machine();
    write(timer(2).config, ENABLE | route(20));
    write(timer(2).comparator, 1_000);
    write(timer(2).comparator + 4, 0);
    write(CONFIG, 1);

    // 64 bits take very long to come round.
    clock.advance(seconds(100));
    expect(rises.filter(([line]) => line === 20)).toEqual([[20, 10_000]]);
    expect(read(timer(2).config)).toBe(ENABLE | route(20) | 0x30);
  });

  it('come round after 32 bits in 32-bit mode', () => {
    const { clock, rises, write } = machine();
    write(timer(0).config, ENABLE | BITS_32 | route(21));
    write(timer(0).comparator, 500);
    write(CONFIG, 1);

    clock.advance(seconds(50));
    expect(rises.filter(([line]) => line === 21)).toEqual([
      [21, 5_000],
      [21, 5_000 + 2 ** 32 * 10],
    ]);
  });

  it('repeat in periodic mode, the first match set apart from the period', () => {
    const { clock, rises, read, write } = machine();
    write(timer(0).config, ENABLE | PERIODIC | SET_VALUE | BITS_32 | route(22));
    write(timer(0).comparator, 50_000);
    write(timer(0).comparator, 10_000);
    write(CONFIG, 1);

    clock.advance(800_000);
    expect(rises.filter(([line]) => line === 22).map(([, at]) => at)).toEqual([500_000, 600_000, 700_000, 800_000]);
    expect(read(timer(0).comparator)).toBe(90_000);
    expect(read(timer(0).config) & SET_VALUE).toBe(0);
  });

  it('hold a level until it is served', () => {
    const { board, clock, read, write } = machine();
    write(timer(1).config, ENABLE | LEVEL | route(23));
    write(timer(1).comparator, 100);
    write(timer(1).comparator + 4, 0);
    write(CONFIG, 1);

    clock.advance(2_000);
    expect([board.lines.level(23), read(STATUS)]).toEqual([true, 2]);
    write(STATUS, 2);
    expect([board.lines.level(23), read(STATUS)]).toEqual([false, 0]);
  });

  it('cannot be routed where no wire is', () => {
    const { read, write } = machine();

    expect(read(timer(0).config + 4)).toBe(0x00f0_0000);
    write(timer(0).config, route(20));
    write(timer(0).config, route(9));
    expect(read(timer(0).config) >> 9).toBe(20);
    write(timer(0).config, 0xffff_ffff);
    // No messages on the front side bus.
    expect(read(timer(0).config) & 0xc000).toBe(0);
  });

  it('merge interrupts that nobody could serve', () => {
    const { clock, rises, write } = machine();
    write(timer(0).config, ENABLE | PERIODIC | SET_VALUE | BITS_32 | route(20));
    write(timer(0).comparator, 1);
    write(timer(0).comparator, 1);
    write(CONFIG, 1);

    clock.advance(ms(10));
    expect(rises.filter(([line]) => line === 20).length).toBeLessThan(510);
  });
});

describe('hpet legacy replacement', () => {
  it('takes the lines of interval timer and clock, and gives them back', () => {
    const { board, clock, rises, write } = machine();
    board.portWrite(0x43, 1, 0x34);
    board.portWrite(0x40, 1, 0xa9);
    board.portWrite(0x40, 1, 0x04);
    const ofLine0 = (): number[] => rises.splice(0).flatMap(([line, at]) => (line === 0 ? [at] : []));
    ofLine0();

    clock.advance(ms(5));
    expect(ofLine0().length).toBeGreaterThanOrEqual(4);
    write(timer(0).config, ENABLE | PERIODIC | SET_VALUE | BITS_32);
    write(timer(0).comparator, 200_000);
    write(timer(0).comparator, 100_000);
    write(CONFIG, 3);
    clock.advance(ms(5));
    expect(ofLine0()).toEqual([7, 8, 9, 10].map(ms));
    write(CONFIG, 1);
    ofLine0();
    clock.advance(ms(5));
    expect(ofLine0().length).toBeGreaterThanOrEqual(4);
  });
});

deviceBattery(hpet, {
  config: { base: HPET_BASE },
  disturb({ parts }, { clock }) {
    const write = (offset: number, value: number): void => parts.memory[0]!.write(offset, 4, value);
    clock.advance(123_457);
    write(COUNTER, 0x1234);
    write(timer(0).config, ENABLE | PERIODIC | SET_VALUE | BITS_32);
    write(timer(0).comparator, 5_000);
    write(timer(0).comparator, 7_000);
    write(timer(1).config, ENABLE | LEVEL | route(21));
    write(timer(1).comparator, 4_700);
    write(timer(1).comparator + 4, 0);
    write(timer(2).config, ENABLE | PERIODIC | route(20));
    write(timer(2).comparator, 9_000);
    write(timer(2).comparator + 4, 0);
    write(CONFIG, 3);
    clock.advance(3_333);
  },
});
