/** Making disks: empty ones, and copies of raw images. */
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TomeiError } from '@tomei/kit';
import { SECTOR_BYTES } from './block-device.ts';
import { EXTENTS_MAX, formatDescriptor, type ExtentLine } from './descriptor.ts';
import { contentId, openVmdk } from './disk.ts';
import { littleEndian } from './grain-tables.ts';
import { HostFile } from './host-file.ts';
import {
  directoryEntries,
  FLAG_NEWLINE_TEST,
  FLAG_REDUNDANT_TABLE,
  formatSparseHeader,
  tableSectors,
  type SparseHeader,
} from './sparse-header.ts';

export const VMDK_TYPES = ['monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat'] as const;
export type VmdkType = (typeof VMDK_TYPES)[number];

export interface CreateOptions {
  /** A multiple of 512, at least one sector. */
  readonly sizeBytes: number;
  /** Default monolithicSparse. */
  readonly type?: VmdkType;
}
export interface ImportOptions {
  readonly type?: VmdkType;
  /** Called now and then, and at the end with `done` equal to `total`; both in bytes of the raw image. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
  readonly signal?: AbortSignal;
}

const GRAIN_SECTORS = 128;
const DESCRIPTOR_AT = 1;
const DESCRIPTOR_SECTORS = 20;
const ENTRIES_PER_TABLE = 512;
/** Pieces of a split disk: 2 GiB, as VMware and qemu-img cut. */
const PIECE_SECTORS = 2 ** 22;
/** A sparse file addresses 2^32 sectors, its metadata included. */
const SPARSE_MAX_SECTORS = 2 ** 32 - 2 ** 24;
const FLAT_MAX_SECTORS = 2 ** 37;
const COPY_BYTES = 4 << 20;
const COPY_BLOCK = 64 << 10;

/**
 * Makes an empty disk: `path`, and the extents beside it for the types that have some.
 * Throws `disk.exists`, `disk.size`, `disk.full` and what the host says; nothing is left behind then.
 */
export async function createVmdk(path: string, options: CreateOptions): Promise<void> {
  const type = options.type ?? 'monolithicSparse';
  const sectors = checkSize(path, options.sizeBytes, type);
  const files: HostFile[] = [];
  const create = async (name: string): Promise<HostFile> => {
    const file = await HostFile.create(name);
    files.push(file);
    return file;
  };
  try {
    if (type === 'monolithicSparse') {
      const extent = { access: 'RW', sectors, type: 'SPARSE', fileName: basename(path), offsetSectors: 0 } as const;
      const descriptor = formatDescriptor({ createType: type, cid: contentId(), extents: [extent] });
      await writeSparse(await create(path), sectors, descriptor);
    } else {
      const extents = pieces(path, sectors, type);
      const file = await create(path);
      for (const extent of extents) {
        const piece = await create(join(dirname(path), extent.fileName!));
        if (extent.type === 'FLAT') await piece.truncate(extent.sectors * SECTOR_BYTES);
        else await writeSparse(piece, extent.sectors, undefined);
      }
      await file.write(0, formatDescriptor({ createType: type, cid: contentId(), extents }));
    }
    for (const file of files) await file.sync();
  } catch (error) {
    await Promise.allSettled(files.map((file) => rm(file.path)));
    throw error;
  } finally {
    await Promise.allSettled(files.map((file) => file.close()));
  }
}

/**
 * Makes a disk from a raw image; blocks of zeros take no room. A size that is not whole sectors is filled up with zeros.
 * Throws as `createVmdk` does; an import that fails or is aborted leaves nothing behind.
 */
export async function importRaw(rawPath: string, path: string, options: ImportOptions = {}): Promise<void> {
  const raw = await HostFile.open(rawPath, false);
  try {
    const sizeBytes = Math.ceil(raw.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
    await createVmdk(path, { sizeBytes, ...(options.type === undefined ? {} : { type: options.type }) });
    try {
      await copyInto(raw, path, options);
    } catch (error) {
      await removeVmdk(path, sizeBytes / SECTOR_BYTES, options.type ?? 'monolithicSparse');
      throw error;
    }
  } finally {
    await raw.close();
  }
}

async function copyInto(raw: HostFile, path: string, options: ImportOptions): Promise<void> {
  const disk = await openVmdk(path, { saveAfterMs: 0 });
  try {
    const buffer = new Uint8Array(COPY_BYTES);
    const total = raw.sizeBytes;
    for (let at = 0; at < total; at += COPY_BYTES) {
      options.signal?.throwIfAborted();
      const length = Math.min(COPY_BYTES, total - at);
      const padded = Math.ceil(length / SECTOR_BYTES) * SECTOR_BYTES;
      buffer.fill(0, length, padded);
      await raw.read(at, buffer.subarray(0, length));
      for (const { from, to } of dataRuns(buffer.subarray(0, padded))) {
        await disk.write(at + from, buffer.subarray(from, to));
      }
      options.onProgress?.({ done: at + length, total });
    }
  } finally {
    await disk.close();
  }
}

/** The stretches that hold anything but zeros, in whole blocks. */
function* dataRuns(bytes: Uint8Array): Generator<{ from: number; to: number }> {
  const zeros = new Uint8Array(COPY_BLOCK);
  let from = -1;
  for (let at = 0; at < bytes.length; at += COPY_BLOCK) {
    const block = bytes.subarray(at, at + COPY_BLOCK);
    const empty = Buffer.compare(block, zeros.subarray(0, block.length)) === 0;
    if (!empty && from < 0) from = at;
    if (empty && from >= 0) {
      yield { from, to: at };
      from = -1;
    }
  }
  if (from >= 0) yield { from, to: bytes.length };
}

async function removeVmdk(path: string, sectors: number, type: VmdkType): Promise<void> {
  const extents = type === 'monolithicSparse' ? [] : pieces(path, sectors, type);
  const names = [path, ...extents.map((extent) => join(dirname(path), extent.fileName!))];
  await Promise.allSettled(names.map((name) => rm(name, { force: true })));
}

function checkSize(path: string, sizeBytes: number, type: VmdkType): number {
  const sectors = sizeBytes / SECTOR_BYTES;
  const most = { monolithicFlat: FLAT_MAX_SECTORS, monolithicSparse: SPARSE_MAX_SECTORS }[type as string];
  const limit = most ?? PIECE_SECTORS * EXTENTS_MAX;
  if (Number.isInteger(sectors) && sectors >= 1 && sectors <= limit) return sectors;
  const what = `${path}: ${sizeBytes} bytes; a ${type} disk has whole sectors of 512 bytes, 1 to ${limit} of them`;
  throw new TomeiError('disk.size', what, { data: { file: path, sizeBytes } });
}

/** The extent files of a disk whose descriptor is a file of its own, named as VMware names them. */
function pieces(path: string, sectors: number, type: VmdkType): Omit<ExtentLine, 'line'>[] {
  const stem = basename(path).replace(/\.vmdk$/i, '');
  const piece = (fileName: string, size: number, kind: string): Omit<ExtentLine, 'line'> => {
    return { access: 'RW', sectors: size, type: kind, fileName, offsetSectors: 0 };
  };
  if (/["\r\n]/.test(stem)) {
    throw new TomeiError('disk.name', `${path}: a disk's name cannot have quotes or line ends`, {
      data: { file: path },
    });
  }
  if (type === 'monolithicFlat') return [piece(`${stem}-flat.vmdk`, sectors, 'FLAT')];
  const [letter, kind] = type === 'twoGbMaxExtentFlat' ? ['f', 'FLAT'] : ['s', 'SPARSE'];
  return Array.from({ length: Math.ceil(sectors / PIECE_SECTORS) }, (_, i) => {
    const name = `${stem}-${letter}${String(i + 1).padStart(3, '0')}.vmdk`;
    return piece(name, Math.min(PIECE_SECTORS, sectors - i * PIECE_SECTORS), kind!);
  });
}

/** Header, descriptor, redundant directory and tables, directory and tables: everything that will ever be written but grains. */
async function writeSparse(file: HostFile, sectors: number, descriptor: Uint8Array | undefined): Promise<void> {
  const draft: SparseHeader = {
    version: 1,
    flags: FLAG_NEWLINE_TEST | FLAG_REDUNDANT_TABLE,
    capacity: sectors,
    grainSize: GRAIN_SECTORS,
    descriptorOffset: descriptor === undefined ? 0 : DESCRIPTOR_AT,
    descriptorSize: descriptor === undefined ? 0 : DESCRIPTOR_SECTORS,
    numGTEsPerGT: ENTRIES_PER_TABLE,
    rgdOffset: DESCRIPTOR_AT + DESCRIPTOR_SECTORS,
    gdOffset: 0,
    gdAtEnd: false,
    overHead: 0,
    uncleanShutdown: false,
    compressAlgorithm: 0,
  };
  const entries = directoryEntries(draft);
  const directory = Math.ceil((entries * 4) / SECTOR_BYTES);
  const tables = entries * tableSectors(draft);
  const gdOffset = draft.rgdOffset + directory + tables;
  const overHead = Math.ceil((gdOffset + directory + tables) / GRAIN_SECTORS) * GRAIN_SECTORS;
  if (descriptor !== undefined && descriptor.length > DESCRIPTOR_SECTORS * SECTOR_BYTES) {
    throw new TomeiError('disk.name', `${file.path}: the name is too long for a disk's descriptor`);
  }
  await writeZeros(file, overHead * SECTOR_BYTES);
  for (const at of [draft.rgdOffset, gdOffset]) {
    const words = Uint32Array.from({ length: entries }, (_, i) => at + directory + i * tableSectors(draft));
    await file.write(at * SECTOR_BYTES, littleEndian(words));
  }
  if (descriptor !== undefined) await file.write(DESCRIPTOR_AT * SECTOR_BYTES, descriptor);
  await file.write(0, formatSparseHeader({ ...draft, gdOffset, overHead }));
}

/** Real zeros, not a hole: saving a pointer later must not run out of room. */
async function writeZeros(file: HostFile, length: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(length, 1 << 20));
  for (let at = 0; at < length; at += zeros.length) {
    await file.write(at, zeros.subarray(0, Math.min(zeros.length, length - at)));
  }
}
