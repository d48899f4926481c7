/**
 * The serial EEPROM beside the controller, 64 words over Microwire (82540EM software developer's manual, chapter 5 and 13.4.3;
 * the protocol is that of the 93C46). It is write-protected: write commands are taken without effect.
 */
import { bool, pod, u16, u8, type StateOf } from '@tomei/kit';

const WORDS = 64;
/** Words by place (5.6, table 5-2). */
const COMPATIBILITY = 0x03;
const VERSION = 0x05;
const INIT_CONTROL_1 = 0x0a;
const SUBSYSTEM_ID = 0x0b;
const SUBSYSTEM_VENDOR = 0x0c;
const DEVICE_ID = 0x0d;
const VENDOR_ID = 0x0e;
const INIT_CONTROL_2 = 0x0f;
const CHECKSUM = 0x3f;
/** All words add up to this. */
const SUM = 0xbaba;
/** The signature 01 in bits 15:14 says that the EEPROM is programmed; subsystem and vendor are to be loaded. */
const INIT_CONTROL_1_VALUE = 0x4403;
const INIT_CONTROL_2_VALUE = 0x3040;

export interface EepromIdentity {
  /** Six bytes. */
  readonly mac: Uint8Array;
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
}

/** The 64 words. */
export function eepromWords(identity: EepromIdentity): Uint16Array {
  const words = new Uint16Array(WORDS);
  for (let i = 0; i < 3; i++) words[i] = (identity.mac[2 * i] ?? 0) | ((identity.mac[2 * i + 1] ?? 0) << 8);
  words[COMPATIBILITY] = 0;
  words[VERSION] = 0x0100;
  words[INIT_CONTROL_1] = INIT_CONTROL_1_VALUE;
  words[SUBSYSTEM_ID] = identity.subsystemId;
  words[SUBSYSTEM_VENDOR] = identity.subsystemVendorId;
  words[DEVICE_ID] = identity.deviceId;
  words[VENDOR_ID] = identity.vendorId;
  words[INIT_CONTROL_2] = INIT_CONTROL_2_VALUE;
  words[CHECKSUM] = SUM - words.reduce((sum, word) => sum + word, 0);
  return words;
}

/** EECD (13.4.3). */
const CLOCK = 1 << 0;
const SELECT = 1 << 1;
const DATA_IN = 1 << 2;
const DATA_OUT = 1 << 3;
const FLASH_WRITE = 3 << 4;
const REQUEST = 1 << 6;
const GRANT = 1 << 7;
const PRESENT = 1 << 8;
const STORED = CLOCK | SELECT | DATA_IN | FLASH_WRITE | REQUEST;
const FLASH_WRITES_OFF = 1 << 4;
/** After the start bit come two bits of command and six of address. */
const COMMAND_BITS = 8;
const COMMAND_READ = 2;

export const eepromState = pod({
  /** EECD as the guest wrote it. */
  pins: u8(FLASH_WRITES_OFF),
  /** A start bit was seen. */
  started: bool(),
  /** Command and address so far. */
  command: u8(),
  bits: u8(),
  /** What is being shifted out, next bit highest. */
  shift: u16(),
  left: u8(),
  /** The word that comes after; reading goes on while the chip stays selected. */
  next: u8(),
  out: bool(true),
})
  .check((s) => (s.pins & ~STORED) === 0 || "field 'pins' has bits that cannot be written")
  .check(
    (s) => (s.bits <= COMMAND_BITS && s.left <= 16 && s.next < WORDS) || "field 'bits', 'left' or 'next' is too large",
  );
export type Eeprom = StateOf<typeof eepromState>;

export const readPins = (e: Eeprom): number =>
  e.pins | PRESENT | ((e.pins & REQUEST) !== 0 ? GRANT : 0) | (e.out ? DATA_OUT : 0);

/** The guest drives the pins. Bits move at the rising edge of the clock while the chip is selected. */
export function writePins(e: Eeprom, value: number, words: Uint16Array): void {
  const rises = (value & ~e.pins & CLOCK) !== 0;
  e.pins = value & STORED;
  if ((e.pins & SELECT) === 0) {
    Object.assign(e, { ...eepromState.initial(), pins: e.pins });
    return;
  }
  if (!rises) return;
  const bit = (e.pins & DATA_IN) !== 0 ? 1 : 0;
  if (!e.started) e.started = bit === 1;
  else if (e.bits < COMMAND_BITS) {
    e.command = ((e.command << 1) | bit) & 0xff;
    if (++e.bits === COMMAND_BITS && e.command >> 6 === COMMAND_READ) {
      e.next = e.command & (WORDS - 1);
      // A zero stands before the first word.
      e.out = false;
    }
  } else if (e.command >> 6 === COMMAND_READ) shiftOut(e, words);
}

function shiftOut(e: Eeprom, words: Uint16Array): void {
  if (e.left === 0) {
    e.shift = words[e.next]!;
    e.next = (e.next + 1) % WORDS;
    e.left = 16;
  }
  e.out = (e.shift & 0x8000) !== 0;
  e.shift = (e.shift << 1) & 0xffff;
  e.left--;
}
