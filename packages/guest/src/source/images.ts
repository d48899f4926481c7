/** Images of CDs and floppies as disks of a guest. */
import { TomeiError } from '@tomei/kit';
import { FLOPPY_SIZES } from '@tomei/paravirt-core';
import { SECTOR_BYTES, type BlockDevice } from '@tomei/vmdk';
import type { FileReference } from '@tomei/vmx';
import type { GuestDisk } from './guest-source.ts';

const CD_BLOCK = 2048;
/** Volume descriptors start in block 16: ISO 9660 (ECMA-119, 8.1) and UDF (ECMA-167, 2/9.1) have their names at byte 1. */
const DESCRIPTOR_BLOCK = 16;
const DESCRIPTOR_NAMES = ['CD001', 'BEA01', 'NSR02', 'NSR03'];
const LARGEST_FLOPPY = Math.max(...FLOPPY_SIZES);

/** The bytes of an image file: a device of its whole sectors, and what is left behind them. */
export interface ImageFile extends BlockDevice {
  /** Bytes of the file that make no whole sector; fewer than 512. */
  readonly tail: Uint8Array;
}

/** A CD in a drive: read-only, whole blocks of 2048 bytes, zeros behind the end of the file. `vmx` is for messages. */
export async function cdImage(image: ImageFile, file: FileReference, vmx: string): Promise<GuestDisk> {
  const length = image.sizeBytes + image.tail.length;
  const place = placeOf(file, vmx);
  if (length === 0)
    throw new TomeiError('disk.empty', `${place} is empty; name an image of a CD`, { data: { file: file.path } });
  const sizeBytes = Math.ceil(length / CD_BLOCK) * CD_BLOCK;
  const disc = extended(image, sizeBytes, true);
  const warnings: string[] = [];
  if (length % CD_BLOCK !== 0)
    warnings.push(`${place} has ${length} bytes, no multiple of ${CD_BLOCK}: it may be cut short`);
  if (!(await isVolume(disc)))
    warnings.push(`${place} is no ISO 9660 or UDF image: the guest may not be able to read it`);
  return { ...disc, warnings, pinContentId: () => Promise.resolve(undefined) };
}

/** A file as messages name it: with the line of the `.vmx` that names it, where one does. */
const placeOf = ({ line, key, fileName }: FileReference, vmx: string): string =>
  line === 0 ? `${key}: ${fileName}` : `${vmx}:${line}: ${key}: ${fileName}`;

async function isVolume(disc: BlockDevice): Promise<boolean> {
  const at = DESCRIPTOR_BLOCK * CD_BLOCK;
  if (disc.sizeBytes < at + CD_BLOCK) return false;
  const block = new Uint8Array(CD_BLOCK);
  await disc.read(at, block);
  return DESCRIPTOR_NAMES.includes(new TextDecoder('latin1').decode(block.subarray(1, 6)));
}

/** A floppy disk in a drive. An image that is shorter than the format it stands for can be read to the format's end, as zeros. */
export function floppyImage(image: ImageFile, file: FileReference, vmx: string): GuestDisk {
  const length = image.sizeBytes + image.tail.length;
  const place = placeOf(file, vmx);
  if (length === 0 || length > LARGEST_FLOPPY) {
    const what = `${place} has ${length} bytes; images of floppy disks have 163840 to ${LARGEST_FLOPPY}`;
    throw new TomeiError('disk.no-floppy', what, { data: { file: file.path } });
  }
  const warnings: string[] = [];
  if (!FLOPPY_SIZES.includes(length)) warnings.push(`${place} has ${length} bytes, which is no format of floppy disks`);
  const sizeBytes = Math.ceil(length / SECTOR_BYTES) * SECTOR_BYTES;
  return { ...extended(image, sizeBytes, image.readOnly), warnings, pinContentId: () => Promise.resolve(undefined) };
}

/** Sectors behind the whole ones of a file: its tail, then zeros. Those cannot be written. */
function extended(image: ImageFile, sizeBytes: number, readOnly: boolean): BlockDevice {
  const { sizeBytes: whole, tail } = image;
  return {
    sizeBytes,
    readOnly,
    async read(offset, into) {
      const inside = Math.max(0, Math.min(into.length, whole - offset));
      if (inside > 0) await image.read(offset, into.subarray(0, inside));
      into.fill(0, inside);
      const from = whole - offset;
      if (from < into.length && from >= 0) into.set(tail.subarray(0, into.length - from), from);
    },
    async write(offset, from) {
      if (readOnly || offset + from.length > whole)
        throw new TomeiError('disk.read-only', `there is no writing at ${offset} of this image`, { data: { offset } });
      await image.write(offset, from);
    },
    flush: () => (readOnly ? Promise.resolve() : image.flush()),
    close: () => image.close(),
  };
}

/** An image that was fetched as a whole: what is written stays in memory. */
export function imageInMemory(bytes: Uint8Array, readOnly: boolean): ImageFile {
  const sizeBytes = bytes.length - (bytes.length % SECTOR_BYTES);
  return {
    sizeBytes,
    readOnly,
    tail: bytes.subarray(sizeBytes),
    read(offset, into) {
      into.set(bytes.subarray(offset, offset + into.length));
      return Promise.resolve();
    },
    write(offset, from) {
      bytes.set(from, offset);
      return Promise.resolve();
    },
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
