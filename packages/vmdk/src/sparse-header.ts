/** The first sector of a hosted sparse extent (VMware Virtual Disk Format 5.0, "Hosted Sparse Extent Header"). */
import { TomeiError } from '@tomei/kit';
import { SECTOR_BYTES } from './block-device.ts';

/** 'KDMV' as it lies in the file. */
export const SPARSE_MAGIC = 0x564d444b;
export const FLAG_NEWLINE_TEST = 1 << 0;
export const FLAG_REDUNDANT_TABLE = 1 << 1;
/** A grain table entry of 1 means zeros. */
export const FLAG_ZEROED_GRAIN = 1 << 2;
export const FLAG_COMPRESSED = 1 << 16;
export const FLAG_MARKERS = 1 << 17;
/** Byte offset of `uncleanShutdown`. */
export const UNCLEAN_SHUTDOWN_AT = 72;
/** `gdOffset` of a stream whose directory is named by the footer. */
export const GD_AT_END = 0xffff_ffff_ffff_ffffn;

/** Grains beyond 4 MiB exist nowhere, and one is held in memory at a time. */
const GRAIN_MAX_SECTORS = 8192;
/** 16 MiB of directory: 128 TiB with the usual grains. */
const DIRECTORY_MAX_ENTRIES = 1 << 22;
const NEWLINES = [0x0a, 0x20, 0x0d, 0x0a];

/** Offsets and sizes are in sectors, as in the file. */
export interface SparseHeader {
  readonly version: number;
  readonly flags: number;
  readonly capacity: number;
  readonly grainSize: number;
  readonly descriptorOffset: number;
  readonly descriptorSize: number;
  readonly numGTEsPerGT: number;
  readonly rgdOffset: number;
  readonly gdOffset: number;
  /** The grain directory is named by the footer at the end of the stream. */
  readonly gdAtEnd: boolean;
  readonly overHead: number;
  readonly uncleanShutdown: boolean;
  readonly compressAlgorithm: number;
}

/** Entries of the grain directory. */
export const directoryEntries = (h: SparseHeader): number => Math.ceil(h.capacity / (h.grainSize * h.numGTEsPerGT));
/** Sectors that one grain table takes. */
export const tableSectors = (h: SparseHeader): number => Math.ceil((h.numGTEsPerGT * 4) / SECTOR_BYTES);
export const isCompressed = (h: SparseHeader): boolean =>
  (h.flags & FLAG_COMPRESSED) !== 0 || h.compressAlgorithm !== 0;
export const hasRedundant = (h: SparseHeader): boolean => (h.flags & FLAG_REDUNDANT_TABLE) !== 0 && h.rgdOffset !== 0;

/**
 * Reads a header of a file of `fileBytes` bytes. Throws `vmdk.bad-magic`, `vmdk.bad-version`, `vmdk.newlines` or `vmdk.bad-header`,
 * naming file and field.
 */
export function parseSparseHeader(bytes: Uint8Array, file: string, fileBytes: number): SparseHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (code: string, what: string): never => {
    throw new TomeiError(code, `${file}: ${what}`, { data: { file } });
  };
  if (view.getUint32(0, true) !== SPARSE_MAGIC)
    fail('vmdk.bad-magic', 'magicNumber is not KDMV: this is no sparse extent');
  const version = view.getUint32(4, true);
  if (![1, 2, 3].includes(version)) fail('vmdk.bad-version', `version ${version} is not known (1, 2 or 3)`);
  const flags = view.getUint32(8, true);
  if ((flags & FLAG_NEWLINE_TEST) !== 0 && NEWLINES.some((byte, i) => bytes[73 + i] !== byte)) {
    fail(
      'vmdk.newlines',
      'the newline test bytes are damaged: the file was transferred as text; transfer it as binary',
    );
  }
  const field = (at: number, name: string): number => {
    const value = view.getBigUint64(at, true);
    if (value < 2n ** 53n) return Number(value);
    return fail('vmdk.bad-header', `${name} is absurd (${value} sectors)`);
  };
  const gdAtEnd = view.getBigUint64(56, true) === GD_AT_END;
  const header: SparseHeader = {
    version,
    flags,
    capacity: field(12, 'capacity'),
    grainSize: field(20, 'grainSize'),
    descriptorOffset: field(28, 'descriptorOffset'),
    descriptorSize: field(36, 'descriptorSize'),
    numGTEsPerGT: view.getUint32(44, true),
    rgdOffset: field(48, 'rgdOffset'),
    gdOffset: gdAtEnd ? 0 : field(56, 'gdOffset'),
    gdAtEnd,
    overHead: field(64, 'overHead'),
    uncleanShutdown: bytes[UNCLEAN_SHUTDOWN_AT] !== 0,
    compressAlgorithm: view.getUint16(77, true),
  };
  const wrong = wrongField(header, fileBytes);
  if (wrong !== undefined) fail(wrong[0], wrong[1]);
  return header;
}

/** The first field that cannot be right, as code and words. */
function wrongField(h: SparseHeader, fileBytes: number): [string, string] | undefined {
  const bad = (what: string): [string, string] => ['vmdk.bad-header', what];
  const { capacity, grainSize, numGTEsPerGT } = h;
  if (capacity === 0) return bad('capacity is 0');
  if (grainSize === 0 || grainSize > GRAIN_MAX_SECTORS || (grainSize & (grainSize - 1)) !== 0) {
    return bad(`grainSize is ${grainSize} sectors; it must be a power of two up to ${GRAIN_MAX_SECTORS}`);
  }
  if (numGTEsPerGT < 1 || numGTEsPerGT > 512) return bad(`numGTEsPerGT is ${numGTEsPerGT}; it must be 1..512`);
  if (directoryEntries(h) > DIRECTORY_MAX_ENTRIES) return bad(`capacity is absurd (${capacity} sectors)`);
  if (h.compressAlgorithm > 1) return bad(`compressAlgorithm is ${h.compressAlgorithm}; only 0 and 1 exist`);
  if (!h.gdAtEnd && h.gdOffset === 0) return bad('gdOffset is 0: there is no grain directory');
  const sectors = Math.floor(fileBytes / SECTOR_BYTES);
  const beyond = (name: string, end: number): [string, string] => [
    'vmdk.truncated',
    `${name} ends at sector ${end}, but the file has ${sectors}: it was cut off`,
  ];
  const directory = Math.ceil((directoryEntries(h) * 4) / SECTOR_BYTES);
  if (!h.gdAtEnd && h.gdOffset + directory > sectors)
    return beyond('gdOffset: the grain directory', h.gdOffset + directory);
  if (hasRedundant(h) && h.rgdOffset + directory > sectors) {
    return beyond('rgdOffset: the redundant grain directory', h.rgdOffset + directory);
  }
  if (h.descriptorOffset !== 0 && h.descriptorOffset + h.descriptorSize > sectors) {
    return beyond('descriptorOffset: the descriptor', h.descriptorOffset + h.descriptorSize);
  }
  if (h.overHead > sectors) return beyond('overHead: the metadata', h.overHead);
  return undefined;
}

/** The sector of a header. `uncleanShutdown` and everything else as given. */
export function formatSparseHeader(h: SparseHeader): Uint8Array {
  const bytes = new Uint8Array(SECTOR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SPARSE_MAGIC, true);
  view.setUint32(4, h.version, true);
  view.setUint32(8, h.flags, true);
  const quads = [h.capacity, h.grainSize, h.descriptorOffset, h.descriptorSize];
  quads.forEach((value, i) => view.setBigUint64(12 + 8 * i, BigInt(value), true));
  view.setUint32(44, h.numGTEsPerGT, true);
  view.setBigUint64(48, BigInt(h.rgdOffset), true);
  view.setBigUint64(56, h.gdAtEnd ? GD_AT_END : BigInt(h.gdOffset), true);
  view.setBigUint64(64, BigInt(h.overHead), true);
  bytes[UNCLEAN_SHUTDOWN_AT] = h.uncleanShutdown ? 1 : 0;
  bytes.set(NEWLINES, 73);
  view.setUint16(77, h.compressAlgorithm, true);
  return bytes;
}
