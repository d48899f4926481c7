/**
 * GRUB for the BIOS in the first sectors of a disk, as grub-bios-setup(8) puts it there: boot.img in the master boot record,
 * core.img in the gap between it and the first partition. That program wants the disk to be one of the running system; this needs
 * but the file. Offsets: GRUB 2.06, include/grub/i386/pc/boot.h.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { TomeiError } from '@tomei/kit';

const SECTOR_BYTES = 512;
/** Code ends where the disk's signature and the partition table begin. */
const CODE_BYTES = 440;
/** boot.img: the sector of core.img, 64 bits; as it comes, 1. */
const KERNEL_SECTOR = 0x5c;
/** boot.img: a jump that makes it look at the drive number that the BIOS passes, which some BIOSes pass wrongly. */
const DRIVE_CHECK = 0x66;
const TWO_NOPS = Uint8Array.of(0x90, 0x90);
/** core.img's first sector: where its second one is, 64 bits; as it comes, 2. */
const FIRST_BLOCK = SECTOR_BYTES - 12;

/** Makes a raw disk image with a partition table boot from GRUB. Throws `grub.unsuitable`. */
export function embedGrub(image: string, bootImage: string, coreImage: string, firstPartitionSector: number): void {
  const boot = readFileSync(bootImage),
    core = readFileSync(coreImage);
  if (boot.length !== SECTOR_BYTES || boot.readBigUInt64LE(KERNEL_SECTOR) !== 1n) {
    throw unsuitable(bootImage, 'is not a boot.img that starts sector 1');
  }
  if (core.length < SECTOR_BYTES || core.readBigUInt64LE(FIRST_BLOCK) !== 2n) {
    throw unsuitable(coreImage, 'is not a core.img for sector 1');
  }
  if (core.length > (firstPartitionSector - 1) * SECTOR_BYTES) {
    throw unsuitable(coreImage, `does not fit in front of sector ${firstPartitionSector}`);
  }
  boot.set(TWO_NOPS, DRIVE_CHECK);
  const file = openSync(image, 'r+');
  try {
    writeSync(file, boot, 0, CODE_BYTES, 0);
    writeSync(file, core, 0, core.length, SECTOR_BYTES);
  } finally {
    closeSync(file);
  }
}

const unsuitable = (file: string, what: string): TomeiError =>
  new TomeiError('grub.unsuitable', `${file} ${what}: this needs GRUB 2.06 for i386-pc`, { data: { file } });
