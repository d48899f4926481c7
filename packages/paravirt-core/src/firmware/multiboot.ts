/**
 * Boots kernels by the Multiboot Specification, version 0.6.96: header (3.1), machine state (3.2), information structure (3.3).
 * No video modes are set: bit 2 of the header's flags is ignored, and the kernel sees flags bits 11 and 12 clear.
 */
import { TomeiError } from '@tomei/kit';

import type { GuestMemory } from '../machine/device.ts';
import { alignUp, badImage, checkCommandLine, cString, fieldReader, hex, type BootFile } from './boot-file.ts';
import { BOOT_GDT_SIZE, bootState, writeBootGdt, type BootState } from './boot-state.ts';
import { boardMemoryMap, CONVENTIONAL_END, highMemoryEnd, HIGH_MEMORY, isUsable, type MemoryRange } from './e820.ts';
import { parseElf32, physicalEntry } from './elf.ts';

export interface MultibootBoot {
  readonly kernel: BootFile;
  /** Handed over as it stands. */
  readonly commandLine: string;
  /** Loaded in order; the module's string is the file's name. An initrd is one of these. */
  readonly modules?: readonly BootFile[];
  readonly memoryMap?: readonly MemoryRange[];
}

const BAD_MULTIBOOT = 'kernel.bad-multiboot';
const HEADER_MAGIC = 0x1bad_b002;
const LOADER_MAGIC = 0x2bad_b002;
const SEARCH_BYTES = 8192;

const FLAG_PAGE_ALIGN = 1 << 0;
const FLAG_MEMORY_INFO = 1 << 1;
const FLAG_VIDEO_MODE = 1 << 2;
const FLAG_ADDRESSES = 1 << 16;
/** A loader that does not know one of the flags 0..15 must refuse the image (3.1.2). */
const FLAGS_MANDATORY = 0xffff;

const INFO_MEMORY = 1 << 0;
const INFO_COMMAND_LINE = 1 << 2;
const INFO_MODULES = 1 << 3;
const INFO_MEMORY_MAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;
const INFO_SIZE = 120;
const MODULE_ENTRY_SIZE = 16;
const MAP_ENTRY_SIZE = 24;
/** The loader's structures keep off the interrupt vectors, the BIOS data area and what follows it. */
const LOW_START = 0x1000;

/** The header as found in the file. */
export interface MultibootHeader {
  readonly offset: number;
  readonly flags: number;
}

/** Finds a header with a right checksum in the first 8192 bytes, or answers undefined. */
export function findMultibootHeader(file: BootFile): MultibootHeader | undefined {
  const { bytes } = file;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset + 12 <= Math.min(bytes.length, SEARCH_BYTES); offset += 4) {
    if (data.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = data.getUint32(offset + 4, true);
    if ((HEADER_MAGIC + flags + data.getUint32(offset + 8, true)) % 2 ** 32 === 0) return { offset, flags };
  }
  return undefined;
}

/** Bytes of the file that go to a physical address, followed by zeros up to `size`. */
interface Piece {
  readonly address: number;
  readonly size: number;
  readonly data: Uint8Array;
}
interface Program {
  readonly entry: number;
  readonly pieces: readonly Piece[];
}

function elfProgram(kernel: BootFile): Program {
  const image = parseElf32(kernel);
  const pieces = image.segments.map((s) => ({
    address: s.physical,
    size: s.memorySize,
    data: kernel.bytes.subarray(s.fileOffset, s.fileOffset + s.fileSize),
  }));
  return { entry: physicalEntry(kernel, image), pieces };
}

/** The address fields of the header (3.1.3), which take precedence over whatever format the file has. */
function addressedProgram(kernel: BootFile, header: MultibootHeader): Program {
  const read = fieldReader(kernel, BAD_MULTIBOOT);
  const bad = (field: string, what: string): TomeiError => badImage(BAD_MULTIBOOT, kernel, field, what);
  const word = (offset: number, field: string): number => read.u32(header.offset + offset, field);
  const headerAddress = word(12, 'header_addr');
  const load = word(16, 'load_addr');
  const loadEnd = word(20, 'load_end_addr');
  const bssEnd = word(24, 'bss_end_addr');
  const entry = word(28, 'entry_addr');
  const fileStart = header.offset - (headerAddress - load);
  if (headerAddress < load || fileStart < 0) {
    throw bad('load_addr', `is ${hex(load)}; it does not fit header_addr (${hex(headerAddress)})`);
  }
  const length = loadEnd === 0 ? kernel.bytes.length - fileStart : loadEnd - load;
  if (length <= 0 || fileStart + length > kernel.bytes.length) {
    const what = `is ${hex(loadEnd)}; that is ${length} bytes from byte ${fileStart} of ${kernel.bytes.length}`;
    throw bad('load_end_addr', what);
  }
  const size = bssEnd === 0 ? length : bssEnd - load;
  if (size < length) throw bad('bss_end_addr', `is ${hex(bssEnd)}, below the end of the loaded data`);
  if (entry < load || entry >= load + size) throw bad('entry_addr', `is ${hex(entry)}, outside the loaded image`);
  return { entry, pieces: [{ address: load, size, data: kernel.bytes.subarray(fileStart, fileStart + length) }] };
}

function readProgram(kernel: BootFile): Program {
  const header = findMultibootHeader(kernel);
  if (header === undefined) {
    const what = `is not in the first ${SEARCH_BYTES} bytes: neither a multiboot kernel nor a bzImage`;
    throw badImage('kernel.no-multiboot-header', kernel, 'multiboot header', what);
  }
  const unknown = header.flags & FLAGS_MANDATORY & ~(FLAG_PAGE_ALIGN | FLAG_MEMORY_INFO | FLAG_VIDEO_MODE);
  if (unknown !== 0) {
    throw badImage(BAD_MULTIBOOT, kernel, 'flags', `ask for features ${hex(unknown)}, which this loader does not have`);
  }
  return (header.flags & FLAG_ADDRESSES) !== 0 ? addressedProgram(kernel, header) : elfProgram(kernel);
}

function checkRoom(kernel: BootFile, program: Program, map: readonly MemoryRange[]): void {
  for (const piece of program.pieces) {
    if (isUsable(map, piece.address, piece.size)) continue;
    const what = `covers ${hex(piece.address)}..${hex(piece.address + piece.size)}, which is not all memory of the guest`;
    throw badImage('kernel.too-large', kernel, 'load address', `${what}: raise memsize, or link the kernel elsewhere`);
  }
}

/** The lowest page-aligned place for `size` bytes in conventional memory that the kernel leaves free, or else above it. */
function findPlace(size: number, pieces: readonly Piece[], from: number): number {
  const clash = (at: number): Piece | undefined => pieces.find((p) => at < p.address + p.size && p.address < at + size);
  let at = LOW_START;
  for (let hit = clash(at); hit !== undefined; hit = clash(at)) at = alignUp(hit.address + hit.size, 4096);
  return at + size <= CONVENTIONAL_END ? at : from;
}

interface Module {
  readonly file: BootFile;
  readonly address: number;
}

/** Modules follow the kernel, each at the start of a page. */
function placeModules(files: readonly BootFile[], from: number, map: readonly MemoryRange[]): Module[] {
  let at = from;
  return files.map((file) => {
    const address = at;
    if (!isUsable(map, address, file.bytes.length)) {
      const room = Math.max(0, highMemoryEnd(map) - address);
      throw badImage(
        'initrd.too-large',
        file,
        'size',
        `is ${file.bytes.length} bytes; ${room} are free: raise memsize`,
      );
    }
    at = alignUp(address + file.bytes.length, 4096);
    return { file, address };
  });
}

/** Builds the information structure and all that it points to, as one block for physical address `base`. */
function information(
  base: number,
  boot: MultibootBoot,
  modules: readonly Module[],
  map: readonly MemoryRange[],
): Uint8Array {
  const strings = [cString(boot.commandLine), cString('Tomei'), ...modules.map((m) => cString(m.file.name))];
  const mapAt = INFO_SIZE;
  const modulesAt = mapAt + MAP_ENTRY_SIZE * map.length;
  const stringsAt = modulesAt + MODULE_ENTRY_SIZE * modules.length;
  const block = new Uint8Array(stringsAt + strings.reduce((sum, s) => sum + s.length, 0));
  const data = new DataView(block.buffer);
  const put = (offset: number, ...words: number[]): void =>
    words.forEach((word, i) => data.setUint32(offset + 4 * i, word, true));
  let next = stringsAt;
  const [commandLine = 0, loaderName = 0, ...names] = strings.map((s) => {
    block.set(s, next);
    next += s.length;
    return base + next - s.length;
  });
  put(0, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME);
  put(4, Math.floor(CONVENTIONAL_END / 1024), Math.floor((highMemoryEnd(map) - HIGH_MEMORY) / 1024));
  put(16, commandLine, modules.length, base + modulesAt);
  put(44, MAP_ENTRY_SIZE * map.length, base + mapAt);
  put(64, loaderName);
  modules.forEach((m, i) => {
    put(modulesAt + MODULE_ENTRY_SIZE * i, m.address, m.address + m.file.bytes.length, names[i] ?? 0, 0);
  });
  map.forEach((range, i) => {
    const at = mapAt + MAP_ENTRY_SIZE * i;
    put(at, MAP_ENTRY_SIZE - 4);
    data.setBigUint64(at + 4, BigInt(range.address), true);
    data.setBigUint64(at + 12, BigInt(range.length), true);
    put(at + 20, range.type);
  });
  return block;
}

/**
 * Writes kernel, modules and information structure into RAM and returns the state to start in.
 * Nothing is written when it throws: `kernel.no-multiboot-header`, `kernel.bad-multiboot`, `kernel.bad-elf`,
 * `kernel.too-large`, `kernel.bad-command-line` or `initrd.too-large`.
 */
export function loadMultiboot(memory: GuestMemory, boot: MultibootBoot): BootState {
  const { kernel } = boot;
  const map = boot.memoryMap ?? boardMemoryMap(memory.size);
  const program = readProgram(kernel);
  checkRoom(kernel, program, map);
  checkCommandLine(kernel, boot.commandLine);
  const kernelEnd = Math.max(HIGH_MEMORY, ...program.pieces.map((p) => p.address + p.size));
  const modules = placeModules(boot.modules ?? [], alignUp(kernelEnd, 4096), map);
  const modulesEnd = Math.max(kernelEnd, ...modules.map((m) => m.address + m.file.bytes.length));
  const infoSize = information(0, boot, modules, map).length;
  const gdtOffset = alignUp(infoSize, 16);
  const base = findPlace(gdtOffset + BOOT_GDT_SIZE, program.pieces, alignUp(modulesEnd, 4096));
  if (!isUsable(map, base, gdtOffset + BOOT_GDT_SIZE)) {
    const what = `leaves no room for ${gdtOffset + BOOT_GDT_SIZE} bytes of boot information: raise memsize`;
    throw badImage('kernel.too-large', kernel, 'load address', what);
  }

  for (const piece of program.pieces) {
    memory.write(piece.address, piece.data);
    zero(memory, piece.address + piece.data.length, piece.size - piece.data.length);
  }
  for (const { address, file } of modules) memory.write(address, file.bytes);
  memory.write(base, information(base, boot, modules, map));
  const gdt = writeBootGdt(memory, base + gdtOffset);
  return bootState({ eip: program.entry, eax: LOADER_MAGIC, ebx: base, gdt });
}

function zero(memory: GuestMemory, address: number, length: number): void {
  if (length === 0) return;
  memory.view(address, length).fill(0);
  memory.written(address, length);
}
