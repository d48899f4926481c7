/**
 * A PS/2 keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards"): commands and scan codes of the three sets. It does
 * not repeat keys by itself: whoever holds one down on the host side sends it again and again already.
 */
import { bool, bytes, fifo, pod, u8, type StateOf } from '@tomei/kit';
import { modifierOf, sequenceOf, set3Code } from './scan-codes.ts';

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
/** What all keys of set 3 do, 0xF7..0xFA; what single keys do, 0xFB..0xFD, each followed by their codes. */
const ALL_TYPEMATIC = 0xf7;
const ALL_BOTH = 0xfa;
const KEY_TYPEMATIC_TYPE = 0xfb;
const KEY_MAKE_TYPE = 0xfd;
const RESET = 0xff;

/** What a key of set 3 sends: bit 0 set means that its release is told; the other bit is whether it repeats. */
const RELEASES = 1;
const REPEATS = 2;
/** By command, from 0xF7 and from 0xFB on: typematic, make and break, make only (and both). */
const TYPES = [REPEATS, RELEASES, 0, REPEATS | RELEASES] as const;
const SET3_CODES = 0x90;
/** Make and break at first: left Ctrl, left and right Shift, caps lock, left Alt. */
const RELEASED_AT_START: readonly number[] = [0x11, 0x12, 0x14, 0x19, 0x59];
const SET3_RELEASED = 0xf0;

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
  /** Modifier keys that are down. */
  modifiers: u8(),
  /** What each key of set 3 does, by its code, as changed from what it does at first. */
  changedTypes: bytes(SET3_CODES),
})
  .check((s) => (s.scanSet >= 1 && s.scanSet <= 3) || "field 'scanSet' is not 1 to 3")
  .check((s) => s.changedTypes.every((type) => type <= 3) || "field 'changedTypes' is over 3");
export type Keyboard = StateOf<typeof keyboardState>;

function reply(k: Keyboard, ...bytes: readonly number[]): void {
  if (k.replies.length + bytes.length <= REPLY_BYTES) k.replies.push(...bytes);
}

function setDefaults(k: Keyboard): void {
  k.keys = [];
  k.scanSet = 2;
  k.typematic = 0x2b;
  k.changedTypes = new Uint8Array(SET3_CODES);
}

const firstType = (code: number): number => (RELEASED_AT_START.includes(code) ? RELEASES : REPEATS);
const typeOf = (k: Keyboard, code: number): number => firstType(code) ^ k.changedTypes[code]!;
function setType(k: Keyboard, code: number, type: number): void {
  k.changedTypes[code] = firstType(code) ^ type;
}

/** The bytes for a key in the set in use. */
function keyBytes(k: Keyboard, code: number, down: boolean): readonly number[] | undefined {
  if (k.scanSet !== 3) return sequenceOf(code, down, k.scanSet, k.modifiers);
  const key = set3Code(code);
  if (key === undefined || down) return key === undefined ? undefined : [key];
  return (typeOf(k, key) & RELEASES) !== 0 ? [SET3_RELEASED, key] : [];
}

/** A key went down or up. Returns whether there was room for it; a keyboard that is switched off loses keys like a real one. */
export function pressKey(k: Keyboard, code: number, down: boolean): boolean {
  const modifier = modifierOf(code);
  const sequence = keyBytes(k, code, down);
  k.modifiers = down ? k.modifiers | modifier : k.modifiers & ~modifier;
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
  const limit = expected >= KEY_TYPEMATIC_TYPE ? SET3_CODES : 0x80;
  if (expected !== 0 && byte < limit) return parameter(k, expected, byte);
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
      if (byte >= ALL_TYPEMATIC && byte <= ALL_BOTH) {
        for (let code = 0; code < SET3_CODES; code++) setType(k, code, TYPES[byte - ALL_TYPEMATIC]!);
      } else if (byte >= KEY_TYPEMATIC_TYPE && byte <= KEY_MAKE_TYPE) k.expecting = byte;
      else return reply(k, RESEND);
      return reply(k, ACK);
  }
}

function parameter(k: Keyboard, command: number, byte: number): void {
  if (command === SET_LEDS) k.leds = byte & 7;
  else if (command === TYPEMATIC) k.typematic = byte;
  else if (command >= KEY_TYPEMATIC_TYPE) {
    setType(k, byte, TYPES[command - KEY_TYPEMATIC_TYPE]!);
    // More codes may follow, up to the next command.
    k.expecting = command;
  } else if (byte === 0) return reply(k, ACK, k.scanSet);
  else if (byte <= 3) k.scanSet = byte;
  else return reply(k, RESEND);
  reply(k, ACK);
}

/** The next byte for the controller, or undefined. */
export function takeFromKeyboard(k: Keyboard): number | undefined {
  const byte = k.replies.shift() ?? k.keys.shift();
  if (byte !== undefined) k.lastSent = byte;
  return byte;
}
