import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { backend, Board } from '../machine/board.ts';
import { BUTTON_LEFT, BUTTON_MIDDLE, BUTTON_SIDE } from './ps2-mouse.ts';
import { keyboardBackend, ps2 } from './ps2.ts';
import { KEY_PAUSE, KEY_PRINT_SCREEN, sequenceOf, translate } from './scan-codes.ts';

const [KEY_A, KEY_F7, KEY_UP] = [0x1e, 0x41, 0xe048];

function controller() {
  const signals: unknown[] = [];
  const lights: number[] = [];
  const edges: number[] = [];
  const board = new Board({
    ram: new Uint8Array(16),
    clock: new ManualClock(),
    signal: (signal, value) => signals.push([signal, value]),
  });
  const device = board.add(ps2, {}, { backends: [backend(keyboardBackend, { leds: (mask) => lights.push(mask) })] });
  board.reset();
  board.lines.listen((line, level) => level && edges.push(line));
  signals.length = lights.length = 0;
  const status = (): number => board.portRead(0x64, 1);
  const data = (value: number): void => board.portWrite(0x60, 1, value);
  const command = (value: number, ...parameters: number[]): void => {
    board.portWrite(0x64, 1, value);
    parameters.forEach(data);
  };
  return {
    board,
    signals,
    lights,
    edges,
    status,
    data,
    command,
    key: device.parts.key,
    mouse: device.parts.mouse,
    toMouse: (...values: number[]) => values.forEach((value) => command(0xd4, value)),
    /** Everything that the output buffer gives; bytes of the mouse with 0x100 added. */
    drain(): number[] {
      const bytes: number[] = [];
      while ((status() & 1) !== 0 && bytes.length < 500) {
        const from = (status() & 0x20) !== 0 ? 0x100 : 0;
        bytes.push(from + board.portRead(0x60, 1));
      }
      return bytes;
    },
  };
}

describe('scan codes', () => {
  it('go from set 1 to set 2 and back by the translation', () => {
    for (let code = 1; code < 0x80; code++) {
      const sequence = sequenceOf(code, true, 2);
      if (sequence !== undefined) expect(sequence.map(translate)).toEqual([code]);
    }
    const named = [1, 0x0f, KEY_A, 0x2a, 0x39, 0x3b, KEY_F7, 0x44, 0x53, 0x54, 0x57, 0x58];
    expect(named.map((code) => sequenceOf(code, true, 2)![0])).toEqual([
      0x76, 0x0d, 0x1c, 0x12, 0x29, 0x05, 0x83, 0x09, 0x71, 0x84, 0x78, 0x07,
    ]);
  });

  it('refuse what no keyboard has', () => {
    for (const code of [0, 0x80, 0xe080, 0x1234, -1, 1.5, Number.NaN])
      expect(sequenceOf(code, true, 2)).toBeUndefined();
  });
});

describe('ps2 controller', () => {
  it('passes the checks a driver makes first', () => {
    const { command, drain, status } = controller();

    command(0xaa);
    expect(drain()).toEqual([0x55]);
    command(0x20);
    expect(drain()).toEqual([0x65]);
    command(0x60, 0x77);
    command(0x20);
    expect(drain()).toEqual([0x77]);
    command(0xab);
    command(0xa9);
    command(0xd3, 0x5a);
    expect(drain()).toEqual([0, 0, 0x15a]);
    command(0xd2, 0xa5);
    expect(drain()).toEqual([0xa5]);
    command(0x72, 0x99);
    command(0x32);
    expect(drain()).toEqual([0x99]);
    expect(status() & 0x1d).toBe(0x1c);
  });

  it('opens and shuts A20 by output port, commands and port 0x92', () => {
    const { command, signals, board, drain } = controller();

    command(0xd1, 0xdd);
    command(0xd0);
    expect(drain()).toEqual([0xcd]);
    command(0xdf);
    board.portWrite(0x92, 1, 0);
    expect(board.portRead(0x92, 1)).toBe(0);
    board.portWrite(0x92, 1, 2);
    command(0xdd);
    command(0xd1, 0xdf);
    expect(signals).toEqual([0, 1, 0, 1, 0, 1].map((level) => ['a20', level]));
  });

  it('resets the machine by pulse, output port and port 0x92', () => {
    const { command, signals, board } = controller();

    command(0xfe);
    command(0xd1, 0xde);
    board.portWrite(0x92, 1, 3);
    board.portWrite(0x92, 1, 3);
    command(0xff);
    expect(signals).toEqual([
      ['reset', 0],
      ['reset', 0],
      ['reset', 0],
    ]);
  });
});

describe('ps2 keyboard', () => {
  it('sends translated codes, one interrupt a byte', () => {
    const { key, drain, edges } = controller();

    key(KEY_A, true);
    key(KEY_A, false);
    key(KEY_UP, true);
    key(KEY_UP, false);
    key(KEY_F7, true);
    key(KEY_F7, false);
    expect(drain()).toEqual([0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8, 0x41, 0xc1]);
    expect(edges).toEqual(Array(8).fill(1));
  });

  it('sends Pause and PrintScreen', () => {
    const { key, drain } = controller();

    key(KEY_PAUSE, true);
    key(KEY_PAUSE, false);
    key(KEY_PRINT_SCREEN, true);
    expect(drain()).toEqual([0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0xe0, 0x2a, 0xe0, 0x37]);
    key(KEY_PRINT_SCREEN, false);
    expect(drain()).toEqual([0xe0, 0xb7, 0xe0, 0xaa]);
  });

  it('sends Break with Ctrl, SysRq with Alt, and no invented shift with a real one', () => {
    const { key, drain } = controller();
    const withKey = (modifier: number, code: number): number[] => {
      key(modifier, true);
      drain();
      key(code, true);
      const bytes = drain();
      key(code, false);
      key(modifier, false);
      drain();
      return bytes;
    };

    expect(withKey(0x1d, KEY_PAUSE)).toEqual([0xe0, 0x46, 0xe0, 0xc6]);
    expect(withKey(0x38, KEY_PRINT_SCREEN)).toEqual([0x54]);
    expect(withKey(0x2a, KEY_PRINT_SCREEN)).toEqual([0xe0, 0x37]);
    expect(withKey(0x1e, KEY_PAUSE).length).toBe(6);
  });

  it('sends set 3, with releases of the keys that were told to', () => {
    const { key, drain, command, data } = controller();
    command(0x60, 0x05);
    [0xf0, 3, 0xf0, 0].forEach(data);
    expect(drain()).toEqual([0xfa, 0xfa, 0xfa, 0xfa, 3]);
    const tap = (code: number): number[] => {
      key(code, true);
      key(code, false);
      return drain();
    };

    expect([tap(KEY_A), tap(KEY_UP), tap(0x2a), tap(KEY_PAUSE)]).toEqual([[0x1c], [0x63], [0x12, 0xf0, 0x12], [0x62]]);
    data(0xf8);
    expect([drain(), tap(KEY_A)]).toEqual([[0xfa], [0x1c, 0xf0, 0x1c]]);
    [0xfd, 0x1c, 0x12, 0xf4].forEach(data);
    expect(drain()).toEqual([0xfa, 0xfa, 0xfa, 0xfa]);
    expect([tap(KEY_A), tap(0x2a), tap(KEY_UP)]).toEqual([[0x1c], [0x12], [0x63, 0xf0, 0x63]]);
    data(0xf6);
    expect([drain(), tap(KEY_A)]).toEqual([[0xfa], [0x1c, 0xf0, 0x1c]]);
  });

  it('sends set 2 untranslated, or set 1 by itself', () => {
    const { key, drain, command, data } = controller();
    command(0x60, 0x05);

    key(KEY_A, true);
    key(KEY_A, false);
    key(KEY_UP, false);
    expect(drain()).toEqual([0x1c, 0xf0, 0x1c, 0xe0, 0xf0, 0x75]);
    [0xf0, 1, 0xf0, 0].forEach(data);
    expect(drain()).toEqual([0xfa, 0xfa, 0xfa, 0xfa, 1]);
    key(KEY_A, false);
    expect(drain()).toEqual([0x9e]);
    data(0xf0);
    data(4);
    expect(drain()).toEqual([0xfa, 0xfe]);
  });

  it('answers commands ahead of keys', () => {
    const { key, drain, data, lights } = controller();
    key(KEY_A, true);
    key(KEY_A, false);
    drain();

    [0xff, 0xf2, 0xee, 0xf3, 0x20, 0xed, 0x06, 0xfe, 0x77].forEach(data);
    key(KEY_A, true);
    expect(drain()).toEqual([0xfa, 0xaa, 0xfa, 0xab, 0x41, 0xee, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfe, 0x1e]);
    expect(lights).toEqual([6]);
  });

  it('is silent while disabled, by command or by its interface', () => {
    const { key, drain, data, command } = controller();

    command(0xad);
    key(KEY_A, true);
    expect(drain()).toEqual([]);
    command(0xae);
    expect(drain()).toEqual([0x1e]);
    data(0xf5);
    drain();
    expect([key(KEY_A, true), drain()]).toEqual([true, []]);
    data(0xf4);
    key(KEY_A, false);
    expect(drain()).toEqual([0xfa, 0x9e]);
  });

  it('refuses keys when its queue is full and loses none it took', () => {
    const { key, drain } = controller();
    let taken = 0;

    while (key(KEY_A, taken % 2 === 0)) taken++;
    expect(taken).toBeGreaterThan(30);
    expect(drain()).toEqual(Array.from({ length: taken }, (_, i) => (i % 2 === 0 ? 0x1e : 0x9e)));
    expect(key(KEY_A, true)).toBe(true);
  });
});

describe('ps2 mouse', () => {
  const fromMouse = (...bytes: number[]): number[] => bytes.map((byte) => 0x100 + byte);

  it('identifies itself and becomes a wheel mouse when asked', () => {
    const { toMouse, drain } = controller();

    toMouse(0xff);
    expect(drain()).toEqual(fromMouse(0xfa, 0xaa, 0));
    toMouse(0xf2);
    expect(drain()).toEqual(fromMouse(0xfa, 0));
    toMouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2);
    expect(drain().slice(-2)).toEqual(fromMouse(0xfa, 3));
    toMouse(0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2);
    expect(drain().slice(-2)).toEqual(fromMouse(0xfa, 4));
  });

  it('reports movement, buttons and wheel, with interrupts on line 12', () => {
    const { toMouse, drain, mouse, edges, command } = controller();
    command(0x60, 0x47);
    toMouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4);
    drain();
    edges.length = 0;

    mouse(5, 3, 0, BUTTON_LEFT);
    mouse(0, 0, -1, BUTTON_LEFT | BUTTON_MIDDLE);
    expect(drain()).toEqual(fromMouse(0x29, 5, 0xfd, 0, 0x0d, 0, 0, 0xff));
    expect(edges).toEqual(Array(8).fill(12));
    mouse(300, 0, 0, 0);
    expect(drain()).toEqual(fromMouse(0x08, 127, 0, 0, 0x08, 127, 0, 0, 0x08, 46, 0, 0));
  });

  it('doubles fast movement at 2:1 scaling, but not what is asked for', () => {
    const { toMouse, drain, mouse } = controller();
    toMouse(0xf4, 0xe7);
    drain();

    for (const dx of [1, 2, 3, 4, 5, 6, 100, -5]) mouse(dx, 0, 0, 0);
    expect(drain().filter((_, i) => i % 3 === 1)).toEqual(fromMouse(1, 1, 3, 6, 9, 12, 200, 0xf7));
    toMouse(0xf0);
    mouse(4, 0, 0, 0);
    drain();
    toMouse(0xeb);
    expect(drain()).toEqual(fromMouse(0xfa, 0x08, 4, 0));
  });

  it('reports five buttons', () => {
    const { toMouse, drain, mouse } = controller();
    toMouse(0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf4);
    drain();

    mouse(0, 0, 9, BUTTON_SIDE);
    expect(drain()).toEqual(fromMouse(0x08, 0, 0, 0x17, 0x08, 0, 0, 0x12));
  });

  it('is silent before it is enabled and forgets what it saw', () => {
    const { toMouse, drain, mouse } = controller();

    mouse(10, 10, 0, 0);
    toMouse(0xf4);
    expect(drain()).toEqual(fromMouse(0xfa));
  });

  it('answers status, read, wrap and unknown commands', () => {
    const { toMouse, drain, mouse } = controller();
    toMouse(0xe8, 1, 0xe7, 0xf0);
    drain();
    mouse(1, 0, 0, BUTTON_LEFT);

    toMouse(0xe9, 0xeb);
    expect(drain()).toEqual(fromMouse(0xfa, 0x54, 1, 100, 0xfa, 0x09, 1, 0));
    toMouse(0xee, 0x33, 0xec, 0x01);
    expect(drain()).toEqual(fromMouse(0xfa, 0x33, 0xfa, 0xfe));
  });

  it('adds up what the guest does not read, within bounds', () => {
    const { toMouse, drain, mouse } = controller();
    toMouse(0xf4);
    drain();

    for (let i = 0; i < 10_000; i++) mouse(100, 0, 0, 0);
    const moved = drain()
      .filter((_, index) => index % 3 === 1)
      .reduce((sum, byte) => sum + (byte & 0xff), 0);
    expect(moved).toBeGreaterThan(4_096);
    expect(moved).toBeLessThan(4_096 + 64 * 127);
  });
});

deviceBattery(ps2, {
  config: {},
  disturb({ parts }) {
    const [data, command] = parts.ports;
    command!.write(0, 1, 0x60);
    data!.write(0, 1, 0x47);
    for (const byte of [0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4, 0xe8]) {
      command!.write(0, 1, 0xd4);
      data!.write(0, 1, byte);
    }
    data!.write(0, 1, 0xed);
    data!.write(0, 1, 5);
    parts.key(KEY_UP, true);
    parts.key(KEY_UP, false);
    parts.mouse(1_000, -30, 2, BUTTON_LEFT);
    command!.write(0, 1, 0xd3);
    data!.write(0, 1, 0x12);
    command!.write(0, 1, 0xdd);
    for (let i = 0; i < 3; i++) data!.read(0, 1);
    command!.write(0, 1, 0xd4);
  },
  actions: [
    ({ parts }, random) =>
      parts.key(random.next(2) === 0 ? random.next(256) : 0xe000 + random.next(128), random.next(2) === 0),
    ({ parts }, random) =>
      parts.mouse(random.next(600) - 300, random.next(600) - 300, random.next(9) - 4, random.next(64)),
    ({ parts }) => parts.leds(),
  ],
  bench() {
    const output: number[] = [];
    return { backends: [backend(keyboardBackend, { leds: (mask) => output.push(mask) })], output: () => output };
  },
});

it('ps2: takes what version 1 saved', () => {
  const { board } = controller();
  const device = board.device('ps2')!;
  const { state } = device.save() as { state: { keyboard: Record<string, unknown> } };
  const { modifiers: _modifiers, changedTypes: _types, ...keyboard } = state.keyboard;
  device.restore({ kind: 'ps2', version: 1, state: { ...state, keyboard: { ...keyboard, leds: 5 } } });
  expect(device.save()).toMatchObject({ version: 2, state: { keyboard: { leds: 5, modifiers: 0 } } });
  expect(() => device.restore({ kind: 'ps2', version: 1, state: null })).toThrow("field 'mode'");
});
