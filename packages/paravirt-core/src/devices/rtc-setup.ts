/**
 * What a PC's set-up leaves in the battery-backed memory for its BIOS (IBM PC AT Technical Reference, "CMOS RAM"; the bytes
 * that QEMU, hw/i386/pc.c, fills and SeaBIOS, src/hw/rtc.h, reads).
 */
export type FloppyKind = '360K' | '1.2M' | '720K' | '1.44M' | '2.88M';
export type BootDevice = 'floppy' | 'disk' | 'cdrom' | 'network';

/** A disk as the ATA drive itself tells its shape: at most 16 heads and 63 sectors. */
export interface DiskShape {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

export interface CmosSetup {
  /** Drives A and B; undefined for none. */
  readonly floppies?: readonly (FloppyKind | undefined)[];
  /** Hard disks by ATA place: primary master, primary slave, secondary master, secondary slave. */
  readonly disks?: readonly (DiskShape | undefined)[];
  /** Up to three, first to last; floppy, disk, CD when absent. */
  readonly boot?: readonly BootDevice[];
  /** 1 when absent. */
  readonly processors?: number;
}

const FLOPPY_TYPES = 0x10;
const DISK_TYPES = 0x12;
const EQUIPMENT = 0x14;
const BASE_MEMORY = 0x15;
const EXTENDED_MEMORY = 0x17;
/** Types over 14 stand here, drive C and drive D. */
const DISK_TYPES_EXTENDED = 0x19;
const DISK_SHAPES = [0x1b, 0x24] as const;
const CHECKSUM = 0x2e;
const CHECKED = { from: 0x10, to: 0x2d } as const;
const EXTENDED_MEMORY_2 = 0x30;
const MEMORY_ABOVE_16M = 0x34;
const BOOT_FLAGS_1 = 0x38;
const DISK_TRANSLATION = 0x39;
const BOOT_FLAGS_2 = 0x3d;
const MEMORY_ABOVE_4G = 0x5b;
const PROCESSORS = 0x5f;

const FLOPPY_TYPE: Readonly<Record<FloppyKind, number>> = { '360K': 1, '1.2M': 2, '720K': 3, '1.44M': 4, '2.88M': 5 };
const BOOT_CODE: Readonly<Record<BootDevice, number>> = { floppy: 1, disk: 2, cdrom: 3, network: 4 };
const DEFAULT_BOOT: readonly BootDevice[] = ['floppy', 'disk', 'cdrom'];
/** Equipment byte: coprocessor and pointing device; drives in bits 0, 7 and 6. */
const EQUIPMENT_FIXED = 0x06;
const EQUIPMENT_DRIVES = [0x00, 0x01, 0x41] as const;
/** "See the extended byte", and the type whose shape is stored. */
const TYPE_EXTENDED = 0x0f;
const TYPE_USER = 47;
/** How INT 13h shows a disk: as it is, or by logical blocks where it has too many cylinders for its 10 bits. */
const TRANSLATION_NONE = 0;
const TRANSLATION_LBA = 1;
const MOST_CYLINDERS = 1024;

/** The bytes by index, for `memoryBytes` of RAM below 4 GiB. */
export function cmosBytes(memoryBytes: number, setup: CmosSetup = {}): ReadonlyMap<number, number> {
  const bytes = new Map<number, number>();
  const put = (index: number, width: number, value: number): void => {
    for (let i = 0; i < width; i++) bytes.set(index + i, Math.floor(value / 256 ** i) % 256);
  };
  const above = (limit: number, unit: number, most: number): number =>
    Math.min(most, Math.max(0, Math.floor((memoryBytes - limit) / unit)));
  put(BASE_MEMORY, 2, 640);
  put(EXTENDED_MEMORY, 2, above(1 << 20, 1024, 0xffff));
  put(EXTENDED_MEMORY_2, 2, above(1 << 20, 1024, 0xffff));
  put(MEMORY_ABOVE_16M, 2, above(1 << 24, 65_536, 0xffff));
  put(MEMORY_ABOVE_4G, 3, above(2 ** 32, 65_536, 0xff_ffff));
  put(PROCESSORS, 1, Math.max(0, (setup.processors ?? 1) - 1));

  const floppies = [setup.floppies?.[0], setup.floppies?.[1]].map((kind) =>
    kind === undefined ? 0 : FLOPPY_TYPE[kind],
  );
  put(FLOPPY_TYPES, 1, (floppies[0]! << 4) | floppies[1]!);
  put(EQUIPMENT, 1, EQUIPMENT_FIXED | EQUIPMENT_DRIVES[floppies.filter((type) => type !== 0).length]!);

  const boot = (setup.boot ?? DEFAULT_BOOT).map((device) => BOOT_CODE[device]);
  put(BOOT_FLAGS_2, 1, (boot[0] ?? 0) | ((boot[1] ?? 0) << 4));
  put(BOOT_FLAGS_1, 1, (boot[2] ?? 0) << 4);

  putDisks(put, setup.disks ?? []);
  let sum = 0;
  for (let index: number = CHECKED.from; index <= CHECKED.to; index++) sum += bytes.get(index) ?? 0;
  bytes.set(CHECKSUM, sum >> 8).set(CHECKSUM + 1, sum & 0xff);
  return bytes;
}

function putDisks(
  put: (index: number, width: number, value: number) => void,
  disks: readonly (DiskShape | undefined)[],
): void {
  let types = 0;
  for (const [drive, at] of DISK_SHAPES.entries()) {
    const disk = disks[drive];
    if (disk === undefined) continue;
    const { cylinders, heads, sectors } = disk;
    types |= TYPE_EXTENDED << (drive === 0 ? 4 : 0);
    put(DISK_TYPES_EXTENDED + drive, 1, TYPE_USER);
    put(at, 2, cylinders);
    put(at + 2, 1, heads);
    // No write precompensation; the control byte says more than eight heads.
    put(at + 3, 2, 0xffff);
    put(at + 5, 1, 0xc0 | (heads > 8 ? 0x08 : 0));
    put(at + 6, 2, cylinders);
    put(at + 8, 1, sectors);
  }
  put(DISK_TYPES, 1, types);
  let translation = 0;
  for (const [place, disk] of disks.slice(0, 4).entries()) {
    const how = (disk?.cylinders ?? 0) > MOST_CYLINDERS ? TRANSLATION_LBA : TRANSLATION_NONE;
    translation |= how << (2 * place);
  }
  put(DISK_TRANSLATION, 1, translation);
}
