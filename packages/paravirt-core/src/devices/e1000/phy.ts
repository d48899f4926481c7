/**
 * The copper transceiver within the 82540EM (IEEE 802.3, 22.2.4 and 40.5.1 for registers 0..15; Marvell 88E1011 for the others, as
 * 82540EM software developer's manual, 13.4.6 lists them). Auto-negotiation ends after a moment, always with 1000 Mb/s full duplex.
 */
import { array, bool, pod, u16, type StateOf } from '@tomei/kit';

const CONTROL = 0;
const BASIC_STATUS = 1;
const ID_HIGH = 2;
const ID_LOW = 3;
const ADVERTISED = 4;
const PARTNER = 5;
const EXPANSION = 6;
const CONTROL_1000 = 9;
const STATUS_1000 = 10;
const EXTENDED_STATUS = 15;
const SPECIFIC_CONTROL = 16;
const SPECIFIC_STATUS = 17;
const REGISTERS = 32;

const CONTROL_RESET = 1 << 15;
const CONTROL_LOOPBACK = 1 << 14;
const CONTROL_POWER_DOWN = 1 << 11;
const CONTROL_RESTART = 1 << 9;
/** Auto-negotiation on, full duplex, 1000 Mb/s. */
const CONTROL_AT_START = 0x1140;
/** All speeds up to 100 Mb/s, extended status and registers, auto-negotiation able. */
const BASIC_ABILITIES = 0x7949;
const BASIC_LINK = 1 << 2;
const BASIC_NEGOTIATED = 1 << 5;
/** The partner can do everything, and acknowledged; it is able to negotiate. */
const PARTNER_ABILITIES = 0x45e1;
const EXPANSION_ABLE = 0x0001;
const EXPANSION_PAGE_RECEIVED = 0x0002;
/** Partner's abilities at 1000 Mb/s; both receivers are fine. */
const STATUS_1000_UP = 0x3c00;
const EXTENDED_ABILITIES = 0x3000;
/** 1000 Mb/s, full duplex, resolved, link. */
const SPECIFIC_UP = 0xac00;
const SPECIFIC_DOWN = 0x8000;

/** Marvell's number. */
const ID = [0x0141, 0x0c20] as const;
/** Registers that keep what is written, with their values after reset. */
const STORED: ReadonlyMap<number, number> = new Map([
  [CONTROL, CONTROL_AT_START],
  [ADVERTISED, 0x0de1],
  [7, 0x2001],
  [CONTROL_1000, 0x0e00],
  [SPECIFIC_CONTROL, 0x0360],
  [18, 0],
  [20, 0x0d60],
  [24, 0x4100],
  [29, 0],
  [30, 0],
]);

/** The address at which the transceiver answers. */
export const PHY_ADDRESS = 1;
/** Sooner than a real one, so that a driver that looks a tick later finds the link and does not wait for its next look. */
export const NEGOTIATION_NS = 1_000_000;

export const phyState = pod({
  registers: array(REGISTERS, (index) => u16(STORED.get(index) ?? 0)),
  /** The link was down since the status register was read. */
  wasDown: bool(),
});
export type Phy = StateOf<typeof phyState>;

export const isLoopedBack = (phy: Phy): boolean => (phy.registers[CONTROL]! & CONTROL_LOOPBACK) !== 0;

export const isPoweredDown = (phy: Phy): boolean => (phy.registers[CONTROL]! & CONTROL_POWER_DOWN) !== 0;

/** Reads a register; `up` is whether the link is. */
export function readPhy(phy: Phy, register: number, up: boolean): number {
  switch (register) {
    case BASIC_STATUS: {
      // The link bit keeps a failure until it is read (22.2.4.2.13).
      const shown = up && !phy.wasDown;
      phy.wasDown = !up;
      return BASIC_ABILITIES | (shown ? BASIC_LINK : 0) | (up ? BASIC_NEGOTIATED : 0);
    }
    case ID_HIGH:
      return ID[0];
    case ID_LOW:
      return ID[1];
    case PARTNER:
      return up ? PARTNER_ABILITIES : 0;
    case EXPANSION:
      return up ? EXPANSION_ABLE | EXPANSION_PAGE_RECEIVED : 0;
    case STATUS_1000:
      return up ? STATUS_1000_UP : 0;
    case EXTENDED_STATUS:
      return EXTENDED_ABILITIES;
    case SPECIFIC_STATUS:
      return up ? SPECIFIC_UP : SPECIFIC_DOWN;
    default:
      return phy.registers[register]!;
  }
}

/** Writes a register. Returns whether the link goes down for a new negotiation. */
export function writePhy(phy: Phy, register: number, value: number): boolean {
  if (!STORED.has(register)) return false;
  if (register !== CONTROL) {
    phy.registers[register] = value;
    return false;
  }
  const wakes = isPoweredDown(phy) && (value & CONTROL_POWER_DOWN) === 0;
  if ((value & CONTROL_RESET) !== 0) phy.registers = phyState.initial().registers;
  else phy.registers[CONTROL] = value & ~CONTROL_RESTART;
  return wakes || (value & (CONTROL_RESET | CONTROL_RESTART)) !== 0;
}
