/** Floppy disks by their size, and the drives that read them (ECMA-59..147 for the formats; IBM PC AT Technical Reference for drives). */
import { backendKind } from '../../machine/device.ts';
import type { FloppyKind } from '../rtc-setup.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';

export interface FloppyDrives {
  /** A: and B:. An empty drive is `null`, no drive at all undefined. Images have 512-byte sectors; their size gives the format. */
  readonly drives: readonly (BlockBackend | null | undefined)[];
}
export const floppyDrives = backendKind<FloppyDrives>('floppy-drives');

export interface FloppyFormat {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
  /** Data rates at which it can be read, as the two bits of DSR and CCR: 0 is 500 kbit/s, 1 300, 2 250, 3 1000. */
  readonly rates: readonly number[];
  readonly drive: FloppyKind;
}

const format = (
  cylinders: number,
  heads: number,
  sectorsPerTrack: number,
  rates: readonly number[],
  drive: FloppyKind,
): FloppyFormat => ({ cylinders, heads, sectorsPerTrack, rates, drive });

/** By rising size. A disk of forty tracks is read in a drive of eighty, which steps twice for each: we have it step once. */
const FORMATS: readonly FloppyFormat[] = [
  format(40, 1, 8, [1, 2], '1.2M'),
  format(40, 1, 9, [1, 2], '1.2M'),
  format(40, 2, 8, [1, 2], '1.2M'),
  format(40, 2, 9, [1, 2], '1.2M'),
  format(80, 2, 9, [2], '1.44M'),
  format(80, 2, 10, [2], '1.44M'),
  format(80, 2, 15, [0], '1.2M'),
  format(80, 2, 18, [0], '1.44M'),
  format(80, 2, 21, [0], '1.44M'),
  format(82, 2, 21, [0], '1.44M'),
  format(80, 2, 36, [3], '2.88M'),
];
const USUAL = FORMATS[7]!;
/** Sectors of the longest track. */
export const MOST_SECTORS = 36;

const sectorsOf = (f: FloppyFormat): number => f.cylinders * f.heads * f.sectorsPerTrack;

/** Sizes in bytes that a floppy image has. */
export const FLOPPY_SIZES: readonly number[] = FORMATS.map((f) => sectorsOf(f) * 512);

/** The format of an image: the one of its size, or for odd sizes the next larger usual one. */
export function formatOf(sectors: number): FloppyFormat {
  const exact = FORMATS.find((f) => sectorsOf(f) === sectors);
  if (exact !== undefined) return exact;
  return sectors <= sectorsOf(USUAL) ? USUAL : (FORMATS.find((f) => sectorsOf(f) >= sectors) ?? FORMATS.at(-1)!);
}

/** The drive that reads an image; an empty one is for 1.44 MB. */
export const floppyKindOf = (sectors: number | null): FloppyKind =>
  sectors === null ? '1.44M' : formatOf(sectors).drive;
