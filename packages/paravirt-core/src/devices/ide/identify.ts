/** The answer to IDENTIFY DEVICE (ATA/ATAPI-6, 8.15): 256 words that say what a disk can do. */
import { reachOf, type Geometry } from './geometry.ts';

export const IDENTIFY_BYTES = 512;
/** Most sectors of a READ MULTIPLE block. */
export const MOST_MULTIPLE = 16;
const LBA28_SECTORS = 0x0fff_ffff;
const MODEL = 'TOMEI IDE HARD DISK';
export const FIRMWARE_REVISION = '1.0';
/** Set in words whose bit 15 is clear, to say that they are valid. */
const VALID = 0x4000;
/** Multiword DMA 2 and Ultra DMA 5 are the fastest. */
const MULTIWORD_MODES = 0x07,
  ULTRA_MODES = 0x3f;
/** ATA/ATAPI-4 to 6. */
const MAJOR_VERSIONS = 0x70;
/** A cable of eighty wires: word 93. */
const CABLE = 0x6001;

/** A word table with text fields as ATA has them: two characters a word, the first one high. */
export class IdentifyWords {
  readonly bytes = new Uint8Array(IDENTIFY_BYTES);
  private readonly data = new DataView(this.bytes.buffer);

  word(index: number, value: number): void {
    this.data.setUint16(index * 2, value, true);
  }
  long(index: number, value: number): void {
    this.data.setUint32(index * 2, value >>> 0, true);
  }
  text(index: number, words: number, text: string): void {
    const padded = text
      .replace(/[^ -~]/g, ' ')
      .padEnd(words * 2)
      .slice(0, words * 2);
    for (let i = 0; i < words; i++)
      this.word(index + i, (padded.charCodeAt(2 * i) << 8) | padded.charCodeAt(2 * i + 1));
  }
  /** Signature and check sum in the last word. */
  seal(): Uint8Array {
    this.bytes[510] = 0xa5;
    this.bytes[511] = -this.bytes.subarray(0, 511).reduce((sum, byte) => sum + byte, 0) & 0xff;
    return this.bytes;
  }
  /** Words 62, 63 and 88: the modes there are, and the one that SET FEATURES chose. */
  modes(dmaMode: number): void {
    const chosen = 1 << (dmaMode & 7);
    this.word(63, MULTIWORD_MODES | ((dmaMode & 0xf8) === 0x20 ? chosen << 8 : 0));
    this.word(88, ULTRA_MODES | ((dmaMode & 0xf8) === 0x40 ? chosen << 8 : 0));
  }
}

export interface DiskIdentity {
  readonly serial: string;
  readonly sectors: number;
  readonly geometry: Geometry;
  readonly current: Geometry;
  readonly multiple: number;
  readonly dmaMode: number;
  readonly writeCache: boolean;
  readonly readAhead: boolean;
}

export function identifyDisk(disk: DiskIdentity): Uint8Array {
  const { geometry, current, sectors } = disk;
  const w = new IdentifyWords();
  // Not removable, fixed.
  w.word(0, 0x0040);
  w.word(1, geometry.cylinders);
  w.word(3, geometry.heads);
  w.word(6, geometry.sectorsPerTrack);
  w.text(10, 10, disk.serial);
  w.text(23, 4, FIRMWARE_REVISION);
  w.text(27, 20, MODEL);
  w.word(47, 0x8000 | MOST_MULTIPLE);
  // The data register takes 32 bits (obsolete since ATA-3; drivers of its time ask).
  w.word(48, 1);
  // IORDY, LBA, DMA.
  w.word(49, 0x0b00);
  w.word(50, VALID);
  w.word(51, 0x0200);
  w.word(52, 0x0200);
  // Words 54..58, 64..70 and 88 are valid.
  w.word(53, 7);
  w.word(54, current.cylinders);
  w.word(55, current.heads);
  w.word(56, current.sectorsPerTrack);
  w.long(57, reachOf(current));
  w.word(59, disk.multiple === 0 ? 0 : 0x0100 | disk.multiple);
  w.long(60, Math.min(sectors, LBA28_SECTORS));
  w.modes(disk.dmaMode);
  // PIO modes 3 and 4, and cycle times in nanoseconds.
  w.word(64, 3);
  for (let i = 65; i <= 68; i++) w.word(i, 120);
  w.word(80, MAJOR_VERSIONS);
  // Write cache, look-ahead, NOP; 48-bit addresses, FLUSH CACHE (EXT).
  w.word(82, 0x4060);
  w.word(83, VALID | 0x3400);
  w.word(84, VALID);
  w.word(85, 0x4000 | (disk.writeCache ? 0x20 : 0) | (disk.readAhead ? 0x40 : 0));
  w.word(86, 0x3400);
  w.word(87, VALID);
  w.word(93, CABLE);
  w.long(100, sectors);
  w.word(102, Math.floor(sectors / 2 ** 32));
  return w.seal();
}
