/**
 * Power management of the PIIX4 (Intel 82371AB datasheet, 290562, chapter 11; ACPI 6.5, 4.8.3 for the register blocks): the
 * fixed events and their interrupt, the timer, soft-off, the port by which ACPI is switched on, a general-purpose event block
 * where QEMU's machine has it, and the SMBus. There is no system management mode, so switching ACPI on and off is done here;
 * sleep states other than soft-off are not offered. Device monitoring, throttling and general-purpose outputs are left out.
 */
import { array, deadline, nested, pod, u16, u8, whole } from '@tomei/kit';
import {
  defineDevice,
  typed,
  type PciFunction,
  type PortClaim,
  type Registers,
  type Width,
} from '../machine/device.ts';
import { powerTicksAt, timeOfPowerTick } from './power-timer.ts';
import { SMBUS_PORTS, smbusPorts, smbusState } from './smbus.ts';

export interface PowerManagementConfig {
  /**
   * Where the 64 ports lie after reset, as firmware would have placed them, a multiple of 64; the SMBus lies 100h above. 0 leaves
   * both off, as the chip does.
   */
  readonly base: number;
}

/** Configuration registers (11.2). */
const PMBA = 0x40;
const PMREGMISC = 0x80;
const PMIOSE = 1 << 0;
const SMBBA = 0x90;
const SMBHSTCFG = 0xd2;
const SMB_HST_EN = 1 << 0;
const SMBUS_ABOVE = 0x100;
/** DEVACTB, byte 3: bit 1 sends the APM port's writes to system management mode; set, it tells SeaBIOS that this is arranged. */
const DEVACTB3 = 0x5b;
const APMC_ENABLED = 1 << 1;

const PM_PORTS = 0x40;
/** I/O registers (11.3), by word. */
const PM1_STATUS = 0x00;
const PM1_ENABLE = 0x02;
const PM1_CONTROL = 0x04;
const PM_TIMER = 0x08;

/** Bits of status and enable (ACPI 6.5, 4.8.3.1). */
const TIMER_EVENT = 1 << 0;
const GLOBAL_EVENT = 1 << 5;
const POWER_BUTTON = 1 << 8;
const RTC_EVENT = 1 << 10;
const WAKE_STATUS = 1 << 15;
const STATUS_BITS = TIMER_EVENT | (1 << 4) | GLOBAL_EVENT | POWER_BUTTON | RTC_EVENT | WAKE_STATUS;
const ENABLE_BITS = TIMER_EVENT | GLOBAL_EVENT | POWER_BUTTON | RTC_EVENT;
/** PM1 control (4.8.3.2). */
const SCI_ENABLED = 1 << 0;
const SLEEP_TYPE_SHIFT = 10;
const SLEEP_ENABLE = 1 << 13;
/** SCI_EN, BM_RLD and SLP_TYP are kept; GBL_RLS and SLP_EN read as zero. */
const CONTROL_STORED = 0x1c03;
/** SUS_TYP 0: soft-off (11.3.3). */
const SLEEP_SOFT_OFF = 0;

/** The timer is 24 bits wide; its status bit follows changes of the highest. */
const TIMER_MASK = 0xff_ffff;
const HALF_TURN = 0x80_0000;

export const SCI_LINE = 9;
/** Advanced power management control and status ports; what to write is in the FADT. */
export const SMI_COMMAND_PORT = 0xb2;
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;
/** General-purpose event block: two bytes of status, two of enables. Nothing on this board raises any. */
export const GPE0_BASE = 0xafe0;
const GPE0_PORTS = 4;

const state = pod({
  status: u16(),
  enable: u16(),
  control: u16(),
  gpeEnable: u16(),
  apm: array(2, () => u8()),
  smbus: nested(smbusState),
  /** Half turns of the timer up to which its status bit has been raised. */
  seenHalf: whole(),
  /** When the timer turns over next, while that interrupts. */
  due: deadline(),
})
  .check((s) => (s.status & ~STATUS_BITS) === 0 || "field 'status' has reserved bits set")
  .check((s) => (s.enable & ~ENABLE_BITS) === 0 || "field 'enable' has reserved bits set")
  .check((s) => (s.control & ~CONTROL_STORED) === 0 || "field 'control' has reserved bits set");

/** Registers made of 16-bit words: narrower and wider accesses are put together here; `mask` says which bits are written. */
const ofWords = (
  read: (offset: number) => number,
  write: (offset: number, mask: number, value: number) => void,
): Registers => ({
  read(offset, width) {
    if (width === 4) return (read(offset) | (read(offset + 2) << 16)) >>> 0;
    return width === 2 ? read(offset) : (read(offset & ~1) >> (8 * (offset & 1))) & 0xff;
  },
  write(offset, width, value) {
    const shift = 8 * (offset & 1);
    if (width === 1) return write(offset & ~1, 0xff << shift, value << shift);
    write(offset, 0xffff, value & 0xffff);
    if (width === 4) write(offset + 2, 0xffff, value >>> 16);
  },
});

export const piix4Pm = defineDevice({
  kind: 'acpi-pm',
  version: 1,
  summary: 'power management of the PIIX4, place it in function 3 of the ISA bridge',
  config: typed<PowerManagementConfig>({ base: 0 }),
  state,
  attach({ config, state, host }) {
    const alarm = host.alarm(() => {
      state.due = null;
      update();
    });
    const smbus = config.base === 0 ? 0 : config.base + SMBUS_ABOVE;
    const ticks = (): number => powerTicksAt(host.clock.now());
    const listening = (event: number): boolean => (state.control & SCI_ENABLED) !== 0 && (state.enable & event) !== 0;

    /** Raises the timer's status where it turned over, drives the interrupt, and arms for the next turn. */
    const update = (): void => {
      const half = Math.floor(ticks() / HALF_TURN);
      if (half > state.seenHalf) state.status |= TIMER_EVENT;
      state.seenHalf = half;
      const waits = listening(TIMER_EVENT) && (state.status & TIMER_EVENT) === 0;
      state.due = waits ? timeOfPowerTick((half + 1) * HALF_TURN) : null;
      settle();
    };
    const settle = (): void => {
      // With SCI_EN clear the events would go to system management mode, of which there is none.
      const asserted = listening(state.status);
      host.irq(SCI_LINE, asserted);
      if (state.due === null) alarm.cancel();
      else alarm.set(state.due);
    };

    const writeControl = (mask: number, value: number): void => {
      state.control = (state.control & ~mask) | (value & mask & CONTROL_STORED);
      if ((value & mask & SLEEP_ENABLE) === 0) return;
      if (((state.control >> SLEEP_TYPE_SHIFT) & 7) === SLEEP_SOFT_OFF) host.signal('power-off', 0);
    };
    const readWord = (offset: number): number => {
      switch (offset) {
        case PM1_STATUS:
          return state.status;
        case PM1_ENABLE:
          return state.enable;
        case PM1_CONTROL:
          return state.control;
        case PM_TIMER:
          return ticks() & 0xffff;
        case PM_TIMER + 2:
          return (Math.floor(ticks() / 0x1_0000) & (TIMER_MASK >> 16)) >>> 0;
        default:
          return 0;
      }
    };
    const pm1 = ofWords(
      (offset) => (update(), readWord(offset)),
      (offset, mask, value) => {
        update();
        if (offset === PM1_STATUS) state.status &= ~(value & mask);
        if (offset === PM1_ENABLE) state.enable = ((state.enable & ~mask) | (value & mask)) & ENABLE_BITS;
        if (offset === PM1_CONTROL) writeControl(mask, value);
        update();
      },
    );

    type Config = (offset: number, width: Width) => number;
    const placed = (register: number, bits: number, enabled: (config: Config) => boolean) => (config: Config) =>
      enabled(config) ? config(register, 2) & bits : undefined;

    return {
      lines: [SCI_LINE],
      pci: {
        vendorId: 0x8086,
        deviceId: 0x7113,
        subsystemVendorId: 0x1af4,
        subsystemId: 0x1100,
        classCode: 0x068000,
        revision: 3,
        // The pin is there for configuration software alone: the interrupt is wired to line 9.
        interruptPin: 1,
        bars: [],
        specific: {
          [PMBA]: (config.base & 0xc0) | 1,
          [PMBA + 1]: config.base >> 8,
          [PMBA + 2]: 0,
          [PMBA + 3]: 0,
          ...Object.fromEntries(Array.from({ length: 0x1c }, (_, i) => [0x44 + i, 0])),
          [DEVACTB3]: APMC_ENABLED,
          // Both serial ports and a parallel one are decoded, as on QEMU's machine.
          0x5f: 0x90,
          0x63: 0x60,
          0x67: 0x98,
          [PMREGMISC]: config.base === 0 ? 0 : PMIOSE,
          [SMBBA]: (smbus & 0xf0) | 1,
          [SMBBA + 1]: smbus >> 8,
          [SMBBA + 2]: 0,
          [SMBBA + 3]: 0,
          [SMBHSTCFG]: config.base === 0 ? 0 : SMB_HST_EN,
        },
        specificWritable: {
          [PMBA]: 0xc0,
          [PMBA + 2]: 0,
          [PMBA + 3]: 0,
          [PMREGMISC]: PMIOSE,
          [SMBBA]: 0xf0,
          [SMBBA + 2]: 0,
          [SMBBA + 3]: 0,
          [SMBHSTCFG]: 0x0f,
        },
        windows: [
          {
            ...pm1,
            space: 'io',
            size: PM_PORTS,
            base: placed(PMBA, 0xffc0, (config) => (config(PMREGMISC, 1) & PMIOSE) !== 0),
          },
          {
            ...smbusPorts(() => state.smbus),
            space: 'io',
            size: SMBUS_PORTS,
            base: placed(SMBBA, 0xfff0, (config) => (config(SMBHSTCFG, 1) & SMB_HST_EN) !== 0),
          },
        ],
      } satisfies PciFunction as PciFunction,
      ports: [
        {
          base: SMI_COMMAND_PORT,
          count: 2,
          unit: 1,
          read: (offset) => state.apm[offset]!,
          write(offset, _width, value) {
            state.apm[offset] = value;
            if (offset !== 0) return;
            if (value === ACPI_ENABLE) state.control |= SCI_ENABLED;
            if (value === ACPI_DISABLE) state.control &= ~SCI_ENABLED;
            update();
          },
        },
        {
          base: GPE0_BASE,
          count: GPE0_PORTS,
          ...ofWords(
            (offset) => (offset === 0 ? 0 : state.gpeEnable),
            (offset, mask, value) => {
              if (offset !== 0) state.gpeEnable = (state.gpeEnable & ~mask) | (value & mask);
            },
          ),
        },
      ] satisfies PortClaim[],
      /** Somebody pressed the power button. Returns whether the guest asked to be told; if not, it has no way to know. */
      powerButton(): boolean {
        state.status |= POWER_BUTTON;
        update();
        return listening(POWER_BUTTON);
      },
      settle,
    };
  },
});
