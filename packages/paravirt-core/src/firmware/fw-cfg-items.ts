/** What SeaBIOS asks its configuration device for (QEMU, docs/specs/fw_cfg; SeaBIOS, docs/Runtime_config). */
import type { FirmwareFile, FirmwareItems } from '../machine/firmware-items.ts';
import type { AcpiBoard } from './acpi/dsdt.ts';
import { acpiFiles } from './acpi/tables.ts';
import { smbiosFiles } from './smbios.ts';
import { E820_USABLE } from './e820.ts';

/** Keys of items that are no files. */
const KEY_RAM_SIZE = 0x03;
const KEY_PROCESSORS = 0x05;
const KEY_BOOT_MENU = 0x0e;
const KEY_MAX_PROCESSORS = 0x0f;

const E820_ENTRY_BYTES = 20;

function little(bytes: number, value: number): Uint8Array {
  const data = new DataView(new ArrayBuffer(8));
  data.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(data.buffer, 0, bytes);
}

/** RAM as SeaBIOS wants to hear of it; it adds what else is in the first megabyte itself. */
function memoryMap(ramBytes: number): Uint8Array {
  const data = new DataView(new ArrayBuffer(E820_ENTRY_BYTES));
  data.setBigUint64(8, BigInt(ramBytes), true);
  data.setUint32(16, E820_USABLE, true);
  return new Uint8Array(data.buffer);
}

/** The items that describe a board. `roms` are option ROMs of no card: SeaBIOS loads what is named `genroms/`. */
export function firmwareConfiguration(board: AcpiBoard, roms: readonly FirmwareFile[] = []): FirmwareItems {
  const { ramBytes, processors } = board;
  const acpi = acpiFiles(board);
  const files: FirmwareFile[] = [
    { name: 'etc/e820', bytes: memoryMap(ramBytes) },
    ...acpi.files,
    acpi.script.encode(),
    ...smbiosFiles(board),
    ...roms,
  ];
  return {
    items: {
      [KEY_RAM_SIZE]: little(8, ramBytes),
      [KEY_PROCESSORS]: little(2, processors),
      [KEY_MAX_PROCESSORS]: little(2, processors),
      [KEY_BOOT_MENU]: little(2, 0),
    },
    files,
  };
}
