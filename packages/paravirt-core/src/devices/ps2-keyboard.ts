/** A PS/2 keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards"): commands and scan codes. No typematic repeat. */
import { bool, fifo, pod, u8, type StateOf } from '@tomei/kit';
import { sequenceOf } from './scan-codes.ts';

const ACK = 0xfa;
const RESEND = 0xfe;
const TEST_PASSED = 0xaa;
const ECHO = 0xee;
const IDENTITY = [0xab, 0x83];
/** Commands. */
const SET_LEDS = 0xed;
const SCAN_SET = 0xf0;
const IDENTIFY = 0xf2;
const TYPEMATIC = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const DEFAULTS = 0xf6;
const RESET = 0xff;

const KEY_BYTES = 64;
const REPLY_BYTES = 16;

export const keyboardState = pod({
  keys: fifo(KEY_BYTES),
  /** Answers go out before keys. */
  replies: fifo(REPLY_BYTES),
  enabled: bool(true),
  scanSet: u8(2),
  /** Bit 0 scroll lock, 1 num lock, 2 caps lock. */
  leds: u8(),
  typematic: u8(0x2b),
  /** The command whose parameter comes next; 0 for none. */
  expecting: u8(),
  lastSent: u8(),
}).check((s) => s.scanSet === 1 || s.scanSet === 2 || "field 'scanSet' is not 1 or 2");
export type Keyboard = StateOf<typeof keyboardState>;

function reply(k: Keyboard, ...bytes: readonly number[]): void {
  if (k.replies.length + bytes.length <= REPLY_BYTES) k.replies.push(...bytes);
}

function setDefaults(k: Keyboard): void {
  k.keys = [];
  k.scanSet = 2;
  k.typematic = 0x2b;
}

/** A key went down or up. Returns whether there was room for it; a keyboard that is switched off loses keys like a real one. */
export function pressKey(k: Keyboard, code: number, down: boolean): boolean {
  const sequence = sequenceOf(code, down, k.scanSet);
  if (sequence === undefined || !k.enabled) return true;
  if (k.keys.length + sequence.length > KEY_BYTES) return false;
  k.keys.push(...sequence);
  return true;
}

/** A byte from the controller to the keyboard. */
export function commandKeyboard(k: Keyboard, byte: number): void {
  const expected = k.expecting;
  k.expecting = 0;
  // A byte that cannot be a parameter is the next command.
  if (expected !== 0 && byte < 0x80) return parameter(k, expected, byte);
  switch (byte) {
    case SET_LEDS:
    case SCAN_SET:
    case TYPEMATIC:
      k.expecting = byte;
      return reply(k, ACK);
    case ECHO:
      return reply(k, ECHO);
    case IDENTIFY:
      return reply(k, ACK, ...IDENTITY);
    case ENABLE:
      k.enabled = true;
      k.keys = [];
      return reply(k, ACK);
    case DISABLE:
    case DEFAULTS:
      setDefaults(k);
      k.enabled = byte === DEFAULTS;
      return reply(k, ACK);
    case RESEND:
      return reply(k, k.lastSent);
    case RESET:
      setDefaults(k);
      k.replies = [];
      k.enabled = true;
      k.leds = 0;
      return reply(k, ACK, TEST_PASSED);
    default:
      return reply(k, byte >= 0xf7 && byte <= 0xfd ? ACK : RESEND);
  }
}

function parameter(k: Keyboard, command: number, byte: number): void {
  if (command === SET_LEDS) k.leds = byte & 7;
  else if (command === TYPEMATIC) k.typematic = byte;
  else if (byte === 0) return reply(k, ACK, k.scanSet);
  else if (byte === 1 || byte === 2) k.scanSet = byte;
  // Set 3 is not offered; a driver then keeps what it has.
  else return reply(k, RESEND);
  reply(k, ACK);
}

/** The next byte for the controller, or undefined. */
export function takeFromKeyboard(k: Keyboard): number | undefined {
  const byte = k.replies.shift() ?? k.keys.shift();
  if (byte !== undefined) k.lastSent = byte;
  return byte;
}
