/** VMware's backdoor as the processor reaches it: its port, with registers beside it. */
import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../machine/battery.ts';
import { backend } from '../machine/board.ts';
import { CONFIG, EPOCH, LEFT_ALONE, MAGIC, PORT, TCLO, backdoorGuest as rig, bytesOf } from './backdoor-guest.ts';
import { generalRegisters, hostClipboard, vmwareBackdoor } from './vmware-backdoor.ts';

const ENABLE = 0x4541_4552,
  DISABLE = 0xf5,
  ABSOLUTE = 0x5342_4152,
  RELATIVE = 0x4c45_5252;
const VERSION_ID = 0x3442_554a;
const DATA = 39,
  STATUS = 40,
  COMMAND = 41;
const NOTHING = 0xffff_ffff;

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
  config: { ...CONFIG, info: { seed: 'a value' } },
  bench() {
    const copied: string[] = [];
    return {
      backends: [
        backend(generalRegisters, { get: (n: number) => registers[n]!, set: () => undefined }),
        backend(hostClipboard, { copied: (text: string) => void copied.push(text) }),
      ],
      output: () => copied,
    };
  },
  disturb({ parts }, { board }) {
    const call = (command: number, argument: number, channel = 0): void => {
      registers.set([MAGIC, command, (channel << 16) | PORT, argument]);
      board.portRead(PORT, 4);
    };
    call(COMMAND, ENABLE);
    call(COMMAND, ABSOLUTE);
    parts.pointer({ dx: 1, dy: 2, dz: 1, buttons: 3, at: { x: 4, y: 5 } });
    call(5, 0x12_0034);
    parts.offerText('from the host');
    call(7, 0);
    call(8, 9);
    call(9, 0x6c6c_6568);
    // A listener that has said its name, and is half through the next answer; and a program that has set something.
    const words = (text: string, channel: number): void => {
      const bytes = bytesOf(text);
      call((1 << 16) | 30, bytes.length, channel);
      for (let at = 0; at < bytes.length; at += 4)
        call((2 << 16) | 30, new DataView(Uint8Array.from([...bytes, 0, 0, 0]).buffer).getUint32(at, true), channel);
    };
    call(30, TCLO);
    call((3 << 16) | 30, 0);
    words('OK ATR toolbox', 0);
    call(30, 0x4943_5052);
    words('info-set guestinfo.a b', 1);
    words('tools.capability.statechange', 1);
    parts.halt();
    call((3 << 16) | 30, 0);
    call((1 << 16) | 30, 9, 0);
    call((2 << 16) | 30, 0x6162_6364, 0);
    registers.set([MAGIC, STATUS, PORT, 0, 0, 0, 0, 0]);
  },
  actions: [
    ({ parts }, random) =>
      parts.pointer({ dx: 1, dy: 1, dz: 0, buttons: random.next(8), at: { x: random.next(9), y: 1 } }),
    ({ parts }, random) => parts.offerText('x'.repeat(random.next(9))),
    ({ parts }) => parts.halt(),
  ],
});
