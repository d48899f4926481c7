/** VMware's backdoor as the processor reaches it: its port, with registers beside it. */
import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../machine/battery.ts';
import { Board, backend } from '../machine/board.ts';
import { generalRegisters, vmwareBackdoor, type GeneralRegisters } from './vmware-backdoor.ts';

const PORT = 0x5658,
  MAGIC = 0x564d_5868;
const EPOCH = 1_700_000_000;
const config = { ramBytes: 96 << 20, epoch: EPOCH, timestampHz: 1e9, busHz: 2e8 };
const ENABLE = 0x4541_4552,
  DISABLE = 0xf5,
  ABSOLUTE = 0x5342_4152,
  RELATIVE = 0x4c45_5252;
const VERSION_ID = 0x3442_554a;
const DATA = 39,
  STATUS = 40,
  COMMAND = 41;
const NOTHING = 0xffff_ffff;
/** What EBX, ESI and EDI hold when nobody changes them. */
const LEFT_ALONE = 0x1111;

function rig() {
  const values = new Uint32Array(8);
  const registers: GeneralRegisters = { get: (n) => values[n]!, set: (n, value) => void (values[n] = value) };
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(16), clock });
  const { parts } = board.add(vmwareBackdoor, config, { backends: [backend(generalRegisters, registers)] });
  board.reset();
  /** EAX, EBX, ECX, EDX, ESI and EDI after a call. */
  const call = (command: number, argument = LEFT_ALONE, magic = MAGIC): number[] => {
    values.set([magic, command, PORT, argument, 0, 0, LEFT_ALONE, LEFT_ALONE]);
    values[0] = board.portRead(PORT, 4);
    return [0, 3, 1, 2, 6, 7].map((n) => values[n]!);
  };
  return { board, clock, parts, call, values };
}

describe('the backdoor', () => {
  it('says that it is there, and how fast and large the machine is', () => {
    const { call } = rig();

    expect(call(10).slice(0, 3)).toEqual([6, MAGIC, 2]);
    expect(call(20)[0]).toBe(96);
    expect(call(1)[0]).toBe(1000);
    expect(call(45).slice(0, 3)).toEqual([1e9, 0, 2e8]);
  });
  it('says what time it is', () => {
    const { call, clock } = rig();
    clock.advance(3_000_123_456);

    expect(call(23).slice(0, 4)).toEqual([EPOCH + 3, 123, 1_000_000, 0]);
    expect(call(46)).toEqual([MAGIC, 123, 1_000_000, EPOCH + 3, 0, LEFT_ALONE]);
    expect(call(55)).toEqual([MAGIC, 123, 1_000_000, EPOCH + 3, 0, 0]);
  });
  it('is no more than an empty port without the magic number, for other widths, and for commands that are not there', () => {
    const { board, call, values } = rig();

    expect(call(10, 5, MAGIC - 1)).toEqual([NOTHING, 5, 10, PORT, LEFT_ALONE, LEFT_ALONE]);
    expect(call(99, 5)).toEqual([NOTHING, 5, 99, PORT, LEFT_ALONE, LEFT_ALONE]);
    values[0] = MAGIC;
    expect([board.portRead(PORT, 1), board.portRead(PORT, 2), board.portRead(PORT + 1, 4)]).toEqual([
      0xff,
      0xffff,
      NOTHING,
    ]);
  });
});

describe('the absolute pointer', () => {
  const listening = () => {
    const guest = rig();
    guest.call(COMMAND, ENABLE);
    expect([guest.call(STATUS)[0], guest.call(DATA, 1)[0]]).toEqual([1, VERSION_ID]);
    guest.call(COMMAND, ABSOLUTE);
    return guest;
  };
  const still = { dx: 0, dy: 0, dz: 0, buttons: 0 };

  it('is off until a driver comes', () => {
    const { call, parts } = rig();
    expect([call(STATUS)[0], parts.pointer({ ...still, at: { x: 1, y: 1 } })]).toEqual([0xffff_0000, false]);
  });
  it('says where it is, with buttons and wheel', () => {
    const { call, parts } = listening();
    expect(parts.pointer({ dx: 5, dy: 5, dz: -1, buttons: 0b101, at: { x: 65_535, y: 258 } })).toBe(true);
    expect(parts.pointer({ dx: 0, dy: 0, dz: 0, buttons: 0b010, at: { x: 0, y: 0 } })).toBe(true);

    expect(call(STATUS)[0]).toBe(8);
    expect(call(DATA, 4).slice(0, 4)).toEqual([0x28, 65_535, 258, NOTHING]);
    expect(call(DATA, 4).slice(0, 4)).toEqual([0x10, 0, 0, 0]);
    expect(call(STATUS)[0]).toBe(0);
  });
  it('tells the newest place alone while nobody reads, and each button and step', () => {
    const { call, parts } = listening();
    for (let x = 0; x < 5000; x++) parts.pointer({ ...still, at: { x, y: 7 } });
    parts.pointer({ ...still, buttons: 1, at: { x: 3, y: 4 } });

    expect(call(STATUS)[0]).toBe(8);
    expect(call(DATA, 4).slice(0, 4)).toEqual([0, 4999, 7, 0]);
    expect(call(DATA, 4).slice(0, 4)).toEqual([0x20, 3, 4, 0]);
  });
  it('moves by steps where its place is not known, or the driver wants it so', () => {
    const { call, parts } = listening();
    parts.pointer({ dx: 3, dy: 4, dz: 0, buttons: 1 });
    call(COMMAND, RELATIVE);
    parts.pointer({ dx: -3, dy: -4, dz: 0, buttons: 0, at: { x: 9, y: 9 } });

    expect(call(DATA, 4).slice(0, 4)).toEqual([0x1_0020, 3, 0xffff_fffc, 0]);
    expect(call(DATA, 4).slice(0, 4)).toEqual([0x1_0000, 0xffff_fffd, 4, 0]);
  });
  it('loses what finds no room, and is whole packets still', () => {
    const { call, parts } = listening();
    for (let i = 0; i < 2000; i++) parts.pointer({ ...still, buttons: i & 1, at: { x: i, y: i } });
    expect(call(STATUS)[0]).toBe(1024);
  });
  it.each([0, 5, 7, NOTHING])('is off after a driver has read %d words where there are four', (words) => {
    const { call, parts } = listening();
    parts.pointer({ ...still, at: { x: 1, y: 2 } });

    expect([call(DATA, words)[0], call(STATUS)[0]]).toEqual([NOTHING, 0xffff_0000]);
  });
  it('goes off when it is told to', () => {
    const { call, parts } = listening();
    call(COMMAND, DISABLE);
    expect([call(STATUS)[0], parts.pointer(still)]).toEqual([0xffff_0000, false]);
    call(COMMAND, ABSOLUTE);
    expect(call(STATUS)[0]).toBe(0xffff_0000);
  });

  it('never holds more than its queue nor answers more than 32 bits, whoever does what (seeds 1 to 30)', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const { next } = seededRandom(seed),
        { call, parts, board } = rig();
      const odd = (): number => [0, -1, 1e9, -1e9, NaN, Infinity, 0.5, next(70_000)][next(8)]!;
      for (let step = 0; step < 3000; step++) {
        if (next(2) === 0)
          parts.pointer({
            ...{ dx: odd(), dy: odd(), dz: odd(), buttons: next(256) },
            ...(next(3) === 0 ? {} : { at: { x: odd(), y: odd() } }),
          });
        const words = [ENABLE, DISABLE, ABSOLUTE, RELATIVE, next(8), next(2 ** 32)];
        const answers = call([DATA, STATUS, COMMAND, next(100), next(2 ** 32)][next(5)]!, words[next(6)]);
        expect(answers.every((n) => Number.isInteger(n) && n >= 0 && n <= NOTHING)).toBe(true);
        expect(call(STATUS)[0]! & 0xffff).toBeLessThanOrEqual(1024);
      }
      const saved = board.save();
      board.restore(structuredClone(saved));
      expect(board.save()).toEqual(saved);
    }
  });
});

const registers = Uint32Array.of(MAGIC, STATUS, PORT, 0, 0, 0, 0, 0);
deviceBattery(vmwareBackdoor, {
  config,
  bench: () => ({ backends: [backend(generalRegisters, { get: (n: number) => registers[n]!, set: () => undefined })] }),
  disturb({ parts }, { board }) {
    for (const [command, argument] of [
      [COMMAND, ENABLE],
      [COMMAND, ABSOLUTE],
    ] as const) {
      registers.set([MAGIC, command, PORT, argument]);
      board.portRead(PORT, 4);
    }
    registers.set([MAGIC, STATUS, PORT, 0]);
    parts.pointer({ dx: 1, dy: 2, dz: 1, buttons: 3, at: { x: 4, y: 5 } });
  },
  actions: [
    ({ parts }, random) =>
      parts.pointer({ dx: 1, dy: 1, dz: 0, buttons: random.next(8), at: { x: random.next(9), y: 1 } }),
  ],
});
