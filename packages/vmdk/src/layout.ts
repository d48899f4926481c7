/** From a path to open extents: finds the descriptor, checks what it says and opens each file that it names. */
import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { TomeiError } from '@tomei/kit';
import { SECTOR_BYTES, type BlockDevice } from './block-device.ts';
import { DESCRIPTOR_MAX_BYTES, NO_PARENT, parseDescriptor, type Descriptor, type ExtentLine } from './descriptor.ts';
import { FlatExtent, ZeroExtent } from './flat-extent.ts';
import { hostError, HostFile } from './host-file.ts';
import { SparseExtent } from './sparse-extent.ts';
import { isCompressed, parseSparseHeader, SPARSE_MAGIC } from './sparse-header.ts';
import { readStreamHeader, StreamExtent } from './stream-extent.ts';

/** Where the descriptor's bytes lie, for the one change that is made to it. */
export interface DescriptorPlace {
  readonly file: HostFile;
  readonly position: number;
  readonly bytes: Uint8Array;
}
export interface OpenExtent {
  readonly startBytes: number;
  readonly device: BlockDevice;
  /** FLAT, SPARSE, ZERO, ... */
  readonly type: string;
  readonly path?: string;
}
export interface Layout {
  /** Absent for a bare sparse extent, one piece of a disk. */
  readonly descriptor: Descriptor | undefined;
  readonly place: DescriptorPlace | undefined;
  /** In order, without gaps; at least one. */
  readonly extents: readonly OpenExtent[];
  readonly warnings: readonly string[];
}
export interface LayoutOptions {
  readonly writable: boolean;
  /** Extents may lie outside of the descriptor's directory. */
  readonly outside: boolean;
}

/** `path` is a real path. On failure every file is closed again. */
export async function layOut(path: string, options: LayoutOptions): Promise<Layout> {
  const file = await HostFile.open(path, options.writable);
  const opened: OpenExtent[] = [];
  try {
    const first = new Uint8Array(Math.min(SECTOR_BYTES, file.sizeBytes));
    await file.read(0, first);
    if (first.length >= 4 && new DataView(first.buffer).getUint32(0, true) === SPARSE_MAGIC) {
      return await layOutSparse(file, options);
    }
    const descriptor = await readDescriptorFile(file, first);
    refuseParent(path, descriptor);
    for (const line of descriptor.extents) {
      const last = opened.at(-1);
      const startBytes = last === undefined ? 0 : last.startBytes + last.device.sizeBytes;
      const extent = await openExtent(path, line, startBytes, options);
      opened.push(extent);
      refuseTwice(path, line, opened);
    }
    const bytes = new Uint8Array(Math.min(file.sizeBytes, DESCRIPTOR_MAX_BYTES));
    await file.read(0, bytes);
    return { descriptor, place: { file, position: 0, bytes }, extents: opened, warnings: warningsOf(opened) };
  } catch (error) {
    await Promise.allSettled([file.close(), ...opened.map((extent) => extent.device.close())]);
    throw error;
  }
}

const warningsOf = (extents: readonly OpenExtent[]): string[] =>
  extents.flatMap(({ device }) => (device instanceof SparseExtent ? device.warnings : []));

/** A file that is a sparse extent itself: monolithicSparse, streamOptimized, or a bare piece. */
async function layOutSparse(file: HostFile, options: LayoutOptions): Promise<Layout> {
  const { device, header } = await openSparse(file, options);
  const extents = [{ startBytes: 0, device, type: 'SPARSE', path: file.path }];
  if (header.descriptorOffset === 0 || header.descriptorSize === 0) {
    return { descriptor: undefined, place: undefined, extents, warnings: warningsOf(extents) };
  }
  const size = Math.min(header.descriptorSize * SECTOR_BYTES, DESCRIPTOR_MAX_BYTES);
  const position = header.descriptorOffset * SECTOR_BYTES;
  const bytes = new Uint8Array(size);
  await file.read(position, bytes);
  // A piece of a split disk has room for a descriptor and none in it.
  if (bytes[0] === 0) return { descriptor: undefined, place: undefined, extents, warnings: warningsOf(extents) };
  const descriptor = parseDescriptor(bytes, `${file.path} (descriptor)`);
  refuseParent(file.path, descriptor);
  return { descriptor, place: { file, position, bytes }, extents, warnings: warningsOf(extents) };
}

async function openSparse(
  file: HostFile,
  options: { writable: boolean; sectors?: number },
): Promise<{ device: SparseExtent | StreamExtent; header: ReturnType<typeof parseSparseHeader> }> {
  if (file.sizeBytes < SECTOR_BYTES) {
    const what = `${file.path} has ${file.sizeBytes} bytes, less than a header: it was cut off`;
    throw new TomeiError('vmdk.truncated', what, { data: { file: file.path } });
  }
  const bytes = new Uint8Array(SECTOR_BYTES);
  await file.read(0, bytes);
  const header = parseSparseHeader(bytes, file.path, file.sizeBytes);
  const sectors = options.sectors ?? header.capacity;
  if (header.capacity < sectors) {
    const what = `${file.path}: capacity is ${header.capacity} sectors, but the descriptor says ${sectors}`;
    throw new TomeiError('vmdk.bad-header', what, { data: { file: file.path, field: 'capacity' } });
  }
  const sizeBytes = sectors * SECTOR_BYTES;
  if (!isCompressed(header)) {
    if (header.gdAtEnd) {
      const what = `${file.path}: gdOffset is at the end, which only compressed streams may have`;
      throw new TomeiError('vmdk.bad-header', what, { data: { file: file.path, field: 'gdOffset' } });
    }
    return { device: await SparseExtent.open(file, header, sizeBytes), header };
  }
  if (options.writable) {
    const what = `${file.path}: compressed (streamOptimized) disks can only be read; convert it to monolithicSparse first`;
    throw new TomeiError('vmdk.unsupported', what, { data: { file: file.path, field: 'compressAlgorithm' } });
  }
  const stream = await readStreamHeader(file, header);
  return { device: await StreamExtent.open(file, stream, sizeBytes), header };
}

/** One sparse file behind two extents would have two allocators. */
function refuseTwice(path: string, line: ExtentLine, opened: readonly OpenExtent[]): void {
  const newest = opened.at(-1)!;
  const same = opened.filter((extent) => extent.path !== undefined && extent.path === newest.path);
  if (same.length < 2 || same.every((extent) => extent.type !== 'SPARSE')) return;
  const what = `${path}:${line.line}: the sparse extent ${line.fileName} is named twice`;
  throw new TomeiError('vmdk.descriptor', what, { data: { file: path, line: line.line } });
}

async function readDescriptorFile(file: HostFile, first: Uint8Array): Promise<Descriptor> {
  const { path, sizeBytes } = file;
  const start = Buffer.from(first).toString('latin1');
  if (!/^\s*(#|version\s*=)/i.test(start.replace(/^\u00ef\u00bb\u00bf/, ''))) {
    const what = `${path} is no .vmdk: it starts neither with KDMV nor with a disk descriptor`;
    throw new TomeiError('vmdk.bad-magic', what, { data: { file: path } });
  }
  if (sizeBytes > DESCRIPTOR_MAX_BYTES) {
    const what = `${path}: a descriptor of ${sizeBytes} bytes; the limit is ${DESCRIPTOR_MAX_BYTES}`;
    throw new TomeiError('vmdk.descriptor', what, { data: { file: path } });
  }
  const bytes = new Uint8Array(sizeBytes);
  await file.read(0, bytes);
  const descriptor = parseDescriptor(bytes, path);
  if (descriptor.extents.length === 0) {
    throw new TomeiError('vmdk.descriptor', `${path}: the descriptor names no extents`, { data: { file: path } });
  }
  return descriptor;
}

function refuseParent(path: string, descriptor: Descriptor): void {
  if (descriptor.parentCid.toLowerCase() === NO_PARENT) return;
  const what = `${path}: parentCID=${descriptor.parentCid}: this is a snapshot of another disk, which is not supported yet`;
  throw new TomeiError('vmdk.unsupported', what, { data: { file: path, field: 'parentCID' } });
}

async function openExtent(
  descriptorPath: string,
  line: ExtentLine,
  startBytes: number,
  options: LayoutOptions,
): Promise<OpenExtent> {
  const { type, access } = line;
  const where = `${descriptorPath}:${line.line}`;
  const sizeBytes = line.sectors * SECTOR_BYTES;
  if (access === 'NOACCESS' || !['FLAT', 'VMFS', 'SPARSE', 'ZERO'].includes(type)) {
    const what = `${where}: extents of the kind ${access} ${type} are not supported`;
    throw new TomeiError('vmdk.unsupported', what, { data: { file: descriptorPath, line: line.line } });
  }
  if (type === 'ZERO') return { startBytes, device: new ZeroExtent(where, sizeBytes), type };
  const path = await findExtent(descriptorPath, line, options.outside);
  const writable = options.writable && access === 'RW';
  const file = await HostFile.open(path, writable);
  try {
    const device =
      type === 'SPARSE'
        ? (await openSparse(file, { writable, sectors: line.sectors })).device
        : new FlatExtent(file, line.offsetSectors * SECTOR_BYTES, sizeBytes);
    return { startBytes, device, type, path };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The real path of an extent; it must lie in the descriptor's directory or below, links followed. */
async function findExtent(descriptorPath: string, line: ExtentLine, outside: boolean): Promise<string> {
  const home = dirname(descriptorPath);
  const named = resolve(home, line.fileName!);
  const path = await realpath(named).catch((error: unknown) => {
    const trouble = hostError(error, named, 'read');
    const what = `${descriptorPath}:${line.line}: extent ${trouble.message}`;
    throw new TomeiError(trouble.code, what, { cause: error, data: trouble.data });
  });
  const way = relative(home, path);
  if (!outside && (way.startsWith('..') || isAbsolute(way))) {
    const what = `${descriptorPath}:${line.line}: the extent ${path} lies outside of the disk's own directory`;
    throw new TomeiError('vmdk.extent-outside', what, {
      data: { file: descriptorPath, line: line.line, extent: path },
    });
  }
  return path;
}
