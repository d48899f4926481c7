/**
 * The 8042 keyboard controller of a PC with keyboard and mouse (IBM PS/2 Hardware Interface Technical Reference,
 * "Keyboard/Auxiliary Device Controller"), and system control port A (0x92), as both drive the A20 gate and the reset line.
 * It starts as firmware leaves it: keyboard on, scan codes translated to set 1, mouse off, A20 open.
 */
import { bool, bytes, fifo, nested, pod, u8 } from '@tomei/kit';
import { backendKind, defineDevice, typed, type PortClaim } from '../machine/device.ts';
import { commandKeyboard, keyboardState, pressKey, takeFromKeyboard } from './ps2-keyboard.ts';
import { commandMouse, mouseState, moveMouse, takeFromMouse, wakeDriver } from './ps2-mouse.ts';
import { translate } from './scan-codes.ts';

/** The lights of the keyboard: bit 0 scroll lock, 1 num lock, 2 caps lock. */
export interface KeyboardBackend {
  leds(mask: number): void;
}
export const keyboardBackend = backendKind<KeyboardBackend>('keyboard');

/** Status register, port 0x64. */
const STATUS_OUTPUT_FULL = 1 << 0;
const STATUS_SYSTEM = 1 << 2;
const STATUS_COMMAND = 1 << 3;
const STATUS_UNLOCKED = 1 << 4;
const STATUS_FROM_MOUSE = 1 << 5;
/** Controller command byte. */
const MODE_KEYBOARD_INTERRUPT = 1 << 0;
const MODE_MOUSE_INTERRUPT = 1 << 1;
const MODE_SYSTEM = 1 << 2;
const MODE_KEYBOARD_OFF = 1 << 4;
const MODE_MOUSE_OFF = 1 << 5;
const MODE_TRANSLATE = 1 << 6;
const MODE_AT_START = MODE_KEYBOARD_INTERRUPT | MODE_SYSTEM | MODE_MOUSE_OFF | MODE_TRANSLATE;
/** Output port: reset is active low. */
const PORT_NO_RESET = 1 << 0;
const PORT_A20 = 1 << 1;
const PORT_KEYBOARD_FULL = 1 << 4;
const PORT_MOUSE_FULL = 1 << 5;
const PORT_REST = 0xcc;
/** Commands, port 0x64. 0x20..0x3F and 0x60..0x7F read and write the controller's memory, whose first byte is the mode. */
const READ_MEMORY = 0x20;
const WRITE_MEMORY = 0x60;
const MOUSE_OFF = 0xa7;
const MOUSE_ON = 0xa8;
const TEST_MOUSE_PORT = 0xa9;
const SELF_TEST = 0xaa;
const TEST_KEYBOARD_PORT = 0xab;
const KEYBOARD_OFF = 0xad;
const KEYBOARD_ON = 0xae;
const READ_INPUT_PORT = 0xc0;
const READ_TEST_INPUTS = 0xe0;
const READ_OUTPUT_PORT = 0xd0;
const WRITE_OUTPUT_PORT = 0xd1;
const ECHO_AS_KEYBOARD = 0xd2;
const ECHO_AS_MOUSE = 0xd3;
const WRITE_MOUSE = 0xd4;
const A20_OFF = 0xdd;
const A20_ON = 0xdf;
const PULSE_OUTPUT = 0xf0;
const SELF_TEST_PASSED = 0x55;
const PORT_TEST_PASSED = 0x00;
/** Input port: keyboard not locked, colour display off, all jumpers as on an AT. */
const INPUT_PORT = 0xb0;

const RELEASED = 0xf0;
const KEYBOARD_LINE = 1;
const MOUSE_LINE = 12;
/** System control port A. */
const PORT92_RESET = 1 << 0;
const PORT92_A20 = 1 << 1;

export const ps2 = defineDevice({
  kind: 'ps2',
  version: 2,
  summary: 'keyboard controller, keyboard and wheel mouse, A20 gate',
  config: typed<Record<string, never>>({}),
  state: pod({
    mode: u8(MODE_AT_START),
    memory: bytes(32),
    a20: bool(true),
    /** Bit 0 of port 0x92 as written. */
    fastReset: bool(),
    lastWasCommand: bool(),
    /** The command whose data byte comes next on port 0x60; 0 for none. */
    expecting: u8(),
    output: u8(),
    outputFull: bool(),
    outputFromMouse: bool(),
    /** The controller's own answers, and what it echoes as the mouse. */
    replies: fifo(8),
    echoes: fifo(8),
    /** The keyboard sent a release prefix that translation swallowed. */
    released: bool(),
    keyboard: nested(keyboardState),
    mouse: nested(mouseState),
  }),
  /** Version 1 knew neither set 3 nor the modifier keys. */
  migrate: (_version, saved) => {
    const before = saved as { readonly keyboard?: object } | null;
    const { modifiers, changedTypes } = keyboardState.initial();
    return { ...before, keyboard: { modifiers, changedTypes, ...before?.keyboard } };
  },
  attach({ state, host }) {
    const lights = host.backend(keyboardBackend);
    const mode = (bit: number): boolean => (state.mode & bit) !== 0;

    const driveLines = (): void => {
      host.irq(KEYBOARD_LINE, state.outputFull && !state.outputFromMouse && mode(MODE_KEYBOARD_INTERRUPT));
      host.irq(MOUSE_LINE, state.outputFull && state.outputFromMouse && mode(MODE_MOUSE_INTERRUPT));
    };
    const load = (byte: number, fromMouse: boolean): void => {
      state.output = byte;
      state.outputFull = true;
      state.outputFromMouse = fromMouse;
    };
    const fromKeyboard = (): number | undefined => {
      if (mode(MODE_KEYBOARD_OFF)) return undefined;
      for (;;) {
        const byte = takeFromKeyboard(state.keyboard);
        if (byte === undefined || !mode(MODE_TRANSLATE)) return byte;
        if (byte === RELEASED) {
          state.released = true;
          continue;
        }
        const bit = state.released && byte < 0xe0 ? 0x80 : 0;
        state.released &&= byte >= 0xe0;
        return translate(byte) | bit;
      }
    };
    /** Fills the output buffer when it is free: own answers first, then keyboard, then mouse. */
    const pump = (): void => {
      if (!state.outputFull) {
        const own = state.replies.shift();
        const echo = own === undefined ? state.echoes.shift() : undefined;
        const key = own === undefined && echo === undefined ? fromKeyboard() : undefined;
        if (own !== undefined) load(own, false);
        else if (echo !== undefined) load(echo, true);
        else if (key !== undefined) load(key, false);
        else if (!mode(MODE_MOUSE_OFF)) {
          const byte = takeFromMouse(state.mouse);
          if (byte !== undefined) load(byte, true);
        }
      }
      driveLines();
    };
    const answer = (byte: number): void => {
      if (state.replies.length < 8) state.replies.push(byte);
    };

    const setA20 = (open: boolean): void => {
      if (state.a20 === open) return;
      state.a20 = open;
      host.signal('a20', open ? 1 : 0);
    };
    const writeOutputPort = (value: number): void => {
      setA20((value & PORT_A20) !== 0);
      if ((value & PORT_NO_RESET) === 0) host.signal('reset', 0);
    };
    const outputPort = (): number =>
      PORT_REST |
      PORT_NO_RESET |
      (state.a20 ? PORT_A20 : 0) |
      (state.outputFull ? (state.outputFromMouse ? PORT_MOUSE_FULL : PORT_KEYBOARD_FULL) : 0);

    const command = (value: number): void => {
      if (value >= READ_MEMORY && value < READ_MEMORY + 32) {
        return answer(value === READ_MEMORY ? state.mode : state.memory[value & 31]!);
      }
      if (value >= PULSE_OUTPUT) return (value & PORT_NO_RESET) === 0 ? host.signal('reset', 0) : undefined;
      switch (value) {
        case MOUSE_OFF:
          state.mode |= MODE_MOUSE_OFF;
          return;
        case MOUSE_ON:
          state.mode &= ~MODE_MOUSE_OFF;
          return;
        case KEYBOARD_OFF:
          state.mode |= MODE_KEYBOARD_OFF;
          return;
        case KEYBOARD_ON:
          state.mode &= ~MODE_KEYBOARD_OFF;
          return;
        case TEST_MOUSE_PORT:
        case TEST_KEYBOARD_PORT:
          return answer(PORT_TEST_PASSED);
        case SELF_TEST:
          state.mode |= MODE_SYSTEM;
          return answer(SELF_TEST_PASSED);
        case READ_INPUT_PORT:
          return answer(INPUT_PORT);
        case READ_TEST_INPUTS:
          // Both clocks rest: high where the interface is on.
          return answer((mode(MODE_KEYBOARD_OFF) ? 0 : 1) | (mode(MODE_MOUSE_OFF) ? 0 : 2));
        case READ_OUTPUT_PORT:
          return answer(outputPort());
        case A20_OFF:
        case A20_ON:
          return setA20(value === A20_ON);
        case WRITE_OUTPUT_PORT:
        case ECHO_AS_KEYBOARD:
        case ECHO_AS_MOUSE:
        case WRITE_MOUSE:
          state.expecting = value;
          return;
        default:
          if (value >= WRITE_MEMORY && value < WRITE_MEMORY + 32) state.expecting = value;
      }
    };

    const data = (value: number): void => {
      const expected = state.expecting;
      state.expecting = 0;
      switch (expected) {
        case 0: {
          // Sending to a device switches its interface on.
          state.mode &= ~MODE_KEYBOARD_OFF;
          const before = state.keyboard.leds;
          commandKeyboard(state.keyboard, value);
          if (state.keyboard.leds !== before) lights?.leds(state.keyboard.leds);
          return;
        }
        case WRITE_MOUSE:
          state.mode &= ~MODE_MOUSE_OFF;
          return commandMouse(state.mouse, value);
        case WRITE_OUTPUT_PORT:
          return writeOutputPort(value);
        case ECHO_AS_KEYBOARD:
          return answer(value);
        case ECHO_AS_MOUSE:
          if (state.echoes.length < 8) state.echoes.push(value);
          return;
        case WRITE_MEMORY:
          state.mode = value;
          return;
        default:
          state.memory[expected & 31] = value;
      }
    };

    const ports: PortClaim[] = [
      {
        base: 0x60,
        count: 1,
        unit: 1,
        read() {
          const byte = state.output;
          if (state.outputFull) {
            state.outputFull = false;
            // The lines fall for a moment between two bytes: each is an edge of its own.
            driveLines();
            pump();
          }
          return byte;
        },
        write(_offset, _width, value) {
          state.lastWasCommand = false;
          data(value);
          pump();
        },
      },
      {
        base: 0x64,
        count: 1,
        unit: 1,
        read: () =>
          STATUS_UNLOCKED |
          (state.outputFull ? STATUS_OUTPUT_FULL : 0) |
          (state.outputFull && state.outputFromMouse ? STATUS_FROM_MOUSE : 0) |
          (mode(MODE_SYSTEM) ? STATUS_SYSTEM : 0) |
          (state.lastWasCommand ? STATUS_COMMAND : 0),
        write(_offset, _width, value) {
          state.lastWasCommand = true;
          state.expecting = 0;
          command(value);
          pump();
        },
      },
      {
        base: 0x92,
        count: 1,
        unit: 1,
        read: () => (state.a20 ? PORT92_A20 : 0) | (state.fastReset ? PORT92_RESET : 0),
        write(_offset, _width, value) {
          const rises = (value & PORT92_RESET) !== 0 && !state.fastReset;
          state.fastReset = (value & PORT92_RESET) !== 0;
          setA20((value & PORT92_A20) !== 0);
          if (rises) host.signal('reset', 0);
        },
      },
    ];
    return {
      lines: [KEYBOARD_LINE, MOUSE_LINE],
      ports,
      /**
       * A key went down or up: `code` is its set 1 make code, 0x01..0x7F, plus 0xE000 for extended keys; `KEY_PAUSE` is Pause.
       * Returns false when the keyboard's queue is full and the key was not taken.
       */
      key(code: number, down: boolean): boolean {
        const taken = pressKey(state.keyboard, code, down);
        pump();
        return taken;
      },
      /** See `moveMouse`: right, down and wheel towards the user are positive; `buttons` are those down now (`BUTTON_*`). */
      mouse(dx: number, dy: number, dz: number, buttons: number): void {
        moveMouse(state.mouse, dx, dy, dz, buttons);
        pump();
      },
      /** The driver of the mouse is to look elsewhere, where it is told of movement. */
      wakeMouseDriver(): void {
        wakeDriver(state.mouse);
        pump();
      },
      /** The lights that the guest has switched on. */
      leds: () => state.keyboard.leds,
      settle() {
        host.signal('a20', state.a20 ? 1 : 0);
        lights?.leds(state.keyboard.leds);
        driveLines();
      },
    };
  },
});
