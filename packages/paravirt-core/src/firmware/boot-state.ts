/**
 * The processor at the first instruction of a directly booted kernel: flat 32-bit protected mode, paging and interrupts off.
 * Selectors are those of the Linux boot protocol (Documentation/x86/boot.rst, "32-bit boot protocol"); multiboot asks for less.
 */
import type { GuestMemory } from '../machine/device.ts';

/** Selectors of the boot descriptor table. */
export const BOOT_CS = 0x10;
export const BOOT_DS = 0x18;

/** Register values at entry. Everything not named here is as after reset. Plain data: it can be posted to another thread. */
export interface BootState {
  readonly eip: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
  readonly esi: number;
  readonly edi: number;
  readonly ebp: number;
  readonly esp: number;
  /** Bit 1 is always set; IF is clear. */
  readonly eflags: number;
  readonly cr0: number;
  /** Selector of CS: a flat (base 0, limit 4 GiB) execute/read code segment, DPL 0, accessed. */
  readonly cs: number;
  /** Selector of DS, ES, FS, GS and SS: a flat read/write data segment, DPL 0, accessed. */
  readonly ds: number;
  /** The descriptor table that `cs` and `ds` come from; written into guest memory. The limit is size - 1. */
  readonly gdt: { readonly address: number; readonly limit: number };
}

/** PE, and ET, which is set after reset on every processor since the P6 (SDM vol. 3, table 10-1). */
const CR0_PE_ET = 0x11;
const EFLAGS_RESERVED_1 = 0x2;
/** Flat 4 GiB code, execute/read, accessed, and data, read/write, accessed (SDM vol. 3, 3.4.5). */
const FLAT_CODE = [0x0000_ffff, 0x00cf_9b00] as const;
const FLAT_DATA = [0x0000_ffff, 0x00cf_9300] as const;

/** Bytes of the table that `writeBootGdt` writes. */
export const BOOT_GDT_SIZE = 0x20;

/** Writes the boot descriptor table (two unused entries, code, data) at `address`; the caller knows that it is RAM. */
export function writeBootGdt(memory: GuestMemory, address: number): BootState['gdt'] {
  [0, 0, 0, 0, ...FLAT_CODE, ...FLAT_DATA].forEach((word, i) => memory.write32(address + 4 * i, word));
  return { address, limit: BOOT_GDT_SIZE - 1 };
}

/** A boot state with everything zero but what is given. */
export function bootState(
  entry: Pick<BootState, 'eip' | 'gdt'> & Partial<Pick<BootState, 'eax' | 'ebx' | 'esi' | 'esp'>>,
): BootState {
  return {
    ...{ eax: 0, ebx: 0, ecx: 0, edx: 0, esi: 0, edi: 0, ebp: 0, esp: 0 },
    ...{ eflags: EFLAGS_RESERVED_1, cr0: CR0_PE_ET, cs: BOOT_CS, ds: BOOT_DS },
    ...entry,
  };
}
