/**
 * The board's memory map as INT 15h, AX=E820h reports it (ACPI 6.4, 15.1) and as both direct boot protocols hand it over.
 * The hole between RAM and the last megabyte-blocks below 4 GiB belongs to PCI and is not listed, as on real boards.
 */
import { assert } from '@tomei/kit';

/** Address range types (ACPI 6.4, table 15.4). */
export const E820_USABLE = 1;
export const E820_RESERVED = 2;
export const E820_ACPI = 3;
export const E820_NVS = 4;

/** `address .. address + length - 1`, guest-physical, in bytes. */
export interface MemoryRange {
  readonly address: number;
  readonly length: number;
  readonly type: number;
}

/** End of conventional memory: the extended BIOS data area takes the last KiB below the video window. */
export const CONVENTIONAL_END = 0x9_fc00;
export const HIGH_MEMORY = 0x10_0000;
/** RAM that a 32-bit board can have: PCI memory begins here. */
export const RAM_LIMIT = 0xe000_0000;

const FIRST_4G = 0x1_0000_0000;
const IOAPIC = { address: 0xfec0_0000, length: 0x1000 } as const;
const LOCAL_APIC = { address: 0xfee0_0000, length: 0x1000 } as const;
const BIOS_ROM = { address: 0xfffc_0000, length: FIRST_4G - 0xfffc_0000 } as const;

/**
 * The map for `ramSize` bytes of RAM from guest-physical 0, in ascending order, without overlaps.
 * The size was checked where the configuration was read: whole pages, at least 1 MiB and one page, at most `RAM_LIMIT`.
 */
export function boardMemoryMap(ramSize: number): readonly MemoryRange[] {
  assert(
    ramSize % 4096 === 0 && ramSize > HIGH_MEMORY && ramSize <= RAM_LIMIT,
    `${ramSize} bytes of RAM fit the board`,
  );
  return [
    { address: 0, length: CONVENTIONAL_END, type: E820_USABLE },
    { address: CONVENTIONAL_END, length: HIGH_MEMORY - CONVENTIONAL_END, type: E820_RESERVED },
    { address: HIGH_MEMORY, length: ramSize - HIGH_MEMORY, type: E820_USABLE },
    { ...IOAPIC, type: E820_RESERVED },
    { ...LOCAL_APIC, type: E820_RESERVED },
    { ...BIOS_ROM, type: E820_RESERVED },
  ];
}

/** Whether the whole of `address .. address + length - 1` lies in one usable range. Empty ranges count by their address. */
export function isUsable(map: readonly MemoryRange[], address: number, length: number): boolean {
  return map.some((r) => r.type === E820_USABLE && address >= r.address && address + length <= r.address + r.length);
}

/** End (exclusive) of the usable range that holds 1 MiB: the top of high memory. */
export function highMemoryEnd(map: readonly MemoryRange[]): number {
  const high = map.find(
    (r) => r.type === E820_USABLE && r.address <= HIGH_MEMORY && r.address + r.length > HIGH_MEMORY,
  );
  return high === undefined ? HIGH_MEMORY : high.address + high.length;
}
