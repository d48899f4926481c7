/**
 * The two bridges of a PC of 1996: the host bridge (Intel 82441FX datasheet, 290549) at 00:00.0 and the ISA bridge
 * (Intel 82371SB "PIIX3" datasheet, 290550) at 00:01.0. The machine follows the shadow registers (signal 'shadow'); those of
 * system management are only stored. The interrupt router's registers are followed by the PCI bus.
 */
import { pod, u8 } from '@tomei/kit';
import { defineDevice, typed, type PciFunction, type PciSlot, type PortClaim } from '../machine/device.ts';

const INTEL = 0x8086;
/** Subsystem of QEMU's machines, which guests know. */
const SUBSYSTEM_VENDOR = 0x1af4;
const SUBSYSTEM = 0x1100;

/** Programmable attribute map, 3.2.17, and system management RAM control, 3.2.20. */
const PAM0 = 0x59;
const PAM_REGISTERS = 7;
const SMRAM = 0x72;
const SMRAM_AT_START = 0x02;

/** What a shadow area of the BIOS region does: bit 0 reads come from RAM, bit 1 writes go to RAM. */
export interface ShadowArea {
  readonly base: number;
  readonly size: number;
  readonly readsRam: boolean;
  readonly writesRam: boolean;
}

export const i440fxHost = defineDevice({
  kind: 'i440fx-host',
  version: 1,
  summary: 'PCI host bridge, place it in slot 0',
  config: typed<Record<string, never>>({}),
  state: pod({}),
  attach({ host }) {
    let slot: PciSlot | undefined;
    const attribute = (register: number, high: boolean): number => {
      const value = slot?.config(PAM0 + register, 1) ?? 0;
      return high ? value >> 4 : value & 0x0f;
    };
    const area = (base: number, size: number, bits: number): ShadowArea => ({
      base,
      size,
      readsRam: (bits & 1) !== 0,
      writesRam: (bits & 2) !== 0,
    });
    return {
      plugged: (given: PciSlot) => void (slot = given),
      pci: {
        vendorId: INTEL,
        deviceId: 0x1237,
        subsystemVendorId: SUBSYSTEM_VENDOR,
        subsystemId: SUBSYSTEM,
        classCode: 0x060000,
        revision: 2,
        bars: [],
        specific: {
          ...Object.fromEntries(Array.from({ length: PAM_REGISTERS }, (_, i) => [PAM0 + i, 0])),
          [SMRAM]: SMRAM_AT_START,
        },
        configured: (offset, width) => {
          if (offset < PAM0 + PAM_REGISTERS && offset + width > PAM0) host.signal('shadow', 0);
        },
      } satisfies PciFunction as PciFunction,
      settle: () => host.signal('shadow', 0),
      /** How 0xC0000..0xFFFFF is shadowed: twelve areas of 16 KiB and one of 64 KiB. */
      shadow: (): ShadowArea[] => [
        ...Array.from({ length: 12 }, (_, i) =>
          area(0xc_0000 + i * 0x4000, 0x4000, attribute(1 + (i >> 1), i % 2 === 1)),
        ),
        area(0xf_0000, 0x1_0000, attribute(0, true)),
      ],
    };
  },
});

/** Reset control, 2.5.5.2 of the PIIX3 datasheet: bit 2 going up resets, bit 1 chooses a hard reset. */
const RESET_CONTROL = 0xcf9;
const RESET_CPU = 1 << 2;
const RESET_WRITABLE = 0x06;

export const piix3 = defineDevice({
  kind: 'piix3',
  version: 1,
  summary: 'PCI to ISA bridge with interrupt router and reset control, place it in slot 1',
  config: typed<Record<string, never>>({}),
  state: pod({ resetControl: u8() }).check(
    (s) => (s.resetControl & ~RESET_WRITABLE) === 0 || "field 'resetControl' has reserved bits set",
  ),
  attach: ({ state, host }) => ({
    pci: {
      vendorId: INTEL,
      deviceId: 0x7000,
      subsystemVendorId: SUBSYSTEM_VENDOR,
      subsystemId: SUBSYSTEM,
      classCode: 0x060100,
      revision: 0,
      // The IDE function that a guest expects beside it makes the device multifunctional.
      headerType: 0x80,
      bars: [],
      specific: {
        // ISA refresh and clock, X-bus chip select: as after reset, only stored.
        0x4c: 0x4d,
        0x4e: 0x03,
        0x4f: 0x00,
        // PIRQRC[A:D]: disabled.
        0x60: 0x80,
        0x61: 0x80,
        0x62: 0x80,
        0x63: 0x80,
        0x69: 0x02,
        0x70: 0x80,
        0x76: 0x0c,
        0x77: 0x0c,
        0x78: 0x02,
      },
    } satisfies PciFunction as PciFunction,
    ports: [
      {
        base: RESET_CONTROL,
        count: 1,
        unit: 1,
        read: () => state.resetControl,
        write(_offset, _width, value) {
          const rises = (value & ~state.resetControl & RESET_CPU) !== 0;
          state.resetControl = value & RESET_WRITABLE;
          if (rises) host.signal('reset', 0);
        },
      },
    ] satisfies PortClaim[],
  }),
});
