/**
 * Boots a bzImage by the 32-bit boot protocol (Linux, Documentation/x86/boot.rst and zero-page.rst): the real-mode part of
 * the image stays unused, its setup header goes into boot_params, and the protected-mode part is entered directly.
 */
import { TomeiError } from '@tomei/kit';

import type { GuestMemory } from '../machine/device.ts';
import { alignUp, badImage, checkCommandLine, cString, fieldReader, hex, type BootFile } from './boot-file.ts';
import { bootState, writeBootGdt, type BootState } from './boot-state.ts';
import { boardMemoryMap, highMemoryEnd, HIGH_MEMORY, isUsable, type MemoryRange } from './e820.ts';
import { screenInfo, type BootScreen } from './screen-info.ts';

/** What to boot. The memory map defaults to the board's. */
export interface LinuxBoot {
  readonly kernel: BootFile;
  readonly initrd?: BootFile;
  readonly commandLine: string;
  readonly screen: BootScreen;
  readonly memoryMap?: readonly MemoryRange[];
  /** Guest-physical address of the ACPI root pointer, where the board has tables (protocol 2.14: acpi_rsdp_addr). */
  readonly rsdp?: number;
}

/** Where the loader's own structures lie: conventional memory above the BIOS data area, below the boot stack's 64 KiB. */
const GDT_ADDRESS = 0x6000;
const BOOT_PARAMS_ADDRESS = 0x7000;
const STACK_TOP = 0x1_0000;
const COMMAND_LINE_ADDRESS = 0x2_0000;
/** The command line may not reach the EBDA, whatever cmdline_size promises. */
const COMMAND_LINE_ROOM = 0x6_0000;

const BOOT_PARAMS_SIZE = 0x1000;
/** Offsets in boot_params (zero-page.rst). */
const ZP_ACPI_RSDP = 0x070;
const ZP_E820_ENTRIES = 0x1e8;
const ZP_SETUP_HEADER = 0x1f1;
const ZP_TYPE_OF_LOADER = 0x210;
const ZP_CODE32_START = 0x214;
const ZP_RAMDISK_IMAGE = 0x218;
const ZP_RAMDISK_SIZE = 0x21c;
const ZP_CMD_LINE_PTR = 0x228;
const ZP_E820_TABLE = 0x2d0;
const E820_MAX_ENTRIES = 128;
/** The setup header's room ends where edd_mbr_sig_buffer begins. */
const ZP_HEADER_LIMIT = 0x290;

const BOOT_FLAG = 0xaa55;
/** "HdrS" */
const HEADER_MAGIC = 0x5372_6448;
const LOADFLAGS_LOADED_HIGH = 0x01;
const LOADER_UNDEFINED = 0xff;
const DEFAULT_INITRD_MAX = 0x37ff_ffff;
const DEFAULT_COMMAND_LINE_MAX = 255;

/** The fields of the setup header that the loader acts on, under their names in boot.rst. */
export interface SetupHeader {
  /** 0x020f is protocol 2.15. */
  readonly version: number;
  /** File offset and size of the protected-mode part. */
  readonly payloadOffset: number;
  readonly payloadSize: number;
  /** End (exclusive) of the setup header in the image. */
  readonly headerEnd: number;
  /** Highest address that the last byte of the initrd may have. */
  readonly initrdAddrMax: number;
  /** Characters that the command line may have, without its NUL. */
  readonly cmdlineSize: number;
  readonly relocatable: boolean;
  readonly kernelAlignment: number;
  /** 0 where the protocol is older than 2.10. */
  readonly prefAddress: number;
  readonly initSize: number;
}

const NOT_BZIMAGE = 'kernel.not-bzimage';

/** Whether the file claims to be a Linux kernel image: the boot flag and the header's magic are there. */
export function looksLikeBzImage(file: BootFile): boolean {
  const { bytes } = file;
  if (bytes.length < 0x206) return false;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return data.getUint16(0x1fe, true) === BOOT_FLAG && data.getUint32(0x202, true) === HEADER_MAGIC;
}

/** Reads and checks the setup header. Throws `kernel.not-bzimage` or `kernel.truncated`, naming file and field. */
export function parseSetupHeader(kernel: BootFile): SetupHeader {
  const read = fieldReader(kernel, NOT_BZIMAGE);
  const bad = (field: string, what: string): TomeiError => badImage(NOT_BZIMAGE, kernel, field, what);
  const flag = read.u16(0x1fe, 'boot_flag');
  if (flag !== BOOT_FLAG) throw bad('boot_flag', `is ${hex(flag)} instead of 0xaa55: not a Linux bzImage`);
  if (read.u32(0x202, 'header') !== HEADER_MAGIC) throw bad('header', `is not 'HdrS': not a Linux bzImage`);
  const version = read.u16(0x206, 'version');
  const named = `${version >> 8}.${String(version & 0xff).padStart(2, '0')}`;
  if (version < 0x202) throw bad('version', `is ${named}; boot protocol 2.02 or newer (Linux 2.4) is needed`);
  if ((read.u8(0x211, 'loadflags') & LOADFLAGS_LOADED_HIGH) === 0) {
    throw bad('loadflags', 'lacks LOADED_HIGH: a zImage; build the kernel as bzImage');
  }
  const since = <T>(protocol: number, value: () => T, otherwise: T): T => (version >= protocol ? value() : otherwise);
  const kernelAlignment = since(0x205, () => read.u32(0x230, 'kernel_alignment'), 0);
  const relocatable = since(0x205, () => read.u8(0x234, 'relocatable_kernel') !== 0, false);
  if (relocatable && (kernelAlignment === 0 || (kernelAlignment & (kernelAlignment - 1)) !== 0)) {
    throw bad('kernel_alignment', `is ${hex(kernelAlignment)}, which is no power of two`);
  }
  const setupSectors = read.u8(0x1f1, 'setup_sects') || 4;
  return {
    version,
    ...payloadOf(
      kernel,
      (setupSectors + 1) * 512,
      since(0x204, () => read.u32(0x1f4, 'syssize') * 16, 0),
    ),
    headerEnd: Math.min(0x202 + read.u8(0x201, 'jump'), ZP_HEADER_LIMIT),
    initrdAddrMax: since(0x203, () => read.u32(0x22c, 'initrd_addr_max'), DEFAULT_INITRD_MAX),
    cmdlineSize: since(0x206, () => read.u32(0x238, 'cmdline_size'), DEFAULT_COMMAND_LINE_MAX),
    relocatable,
    kernelAlignment,
    prefAddress: since(0x20a, () => read.u64Saturated(0x258, 'pref_address'), 0),
    initSize: since(0x20a, () => read.u32(0x260, 'init_size'), 0),
  };
}

/** `declared` is syssize in bytes, 0 where the protocol does not give it in full. Bytes after it (signatures) are not loaded. */
function payloadOf(kernel: BootFile, offset: number, declared: number): { payloadOffset: number; payloadSize: number } {
  const present = kernel.bytes.length - offset;
  if (present <= 0) {
    const what = `puts the kernel at byte ${offset}, but the file has only ${kernel.bytes.length} bytes`;
    throw badImage('kernel.truncated', kernel, 'setup_sects', what);
  }
  if (declared > present) {
    const what = `promises ${declared} bytes of kernel, but the file has only ${present} after its setup part`;
    throw badImage('kernel.truncated', kernel, 'syssize', `${what}; fetch it again`);
  }
  return { payloadOffset: offset, payloadSize: declared === 0 ? present : declared };
}

/** Where the kernel is loaded, and the first address after all that it needs before it reads its memory map. */
function placeKernel(
  kernel: BootFile,
  header: SetupHeader,
  map: readonly MemoryRange[],
): { load: number; end: number } {
  const end = (load: number): number => {
    const aligned = header.relocatable ? alignUp(load, header.kernelAlignment) : header.prefAddress;
    return Math.max(load + header.payloadSize, Math.max(aligned, header.prefAddress) + header.initSize);
  };
  // A relocatable kernel that lies at its preferred address need not move itself further than over its own tail.
  const candidates =
    header.relocatable && header.prefAddress >= HIGH_MEMORY ? [header.prefAddress, HIGH_MEMORY] : [HIGH_MEMORY];
  const load = candidates.find((at) => isUsable(map, at, end(at) - at));
  if (load !== undefined) return { load, end: end(load) };
  const need = Math.ceil(end(HIGH_MEMORY) / 2 ** 20);
  const what = `says that the kernel needs memory up to ${need} MiB; the guest has ${highMemoryEnd(map) / 2 ** 20} MiB`;
  throw badImage('kernel.too-large', kernel, 'init_size', `${what}: raise memsize`);
}

/** The highest page where the initrd fits: the kernel is free to use what lies between. */
function placeInitrd(initrd: BootFile, from: number, header: SetupHeader, map: readonly MemoryRange[]): number {
  const top = Math.min(header.initrdAddrMax + 1, highMemoryEnd(map));
  const address = Math.floor((top - initrd.bytes.length) / 4096) * 4096;
  if (address >= from) return address;
  const room = Math.max(0, top - from);
  throw badImage(
    'initrd.too-large',
    initrd,
    'size',
    `is ${initrd.bytes.length} bytes; ${room} are free: raise memsize`,
  );
}

function writeE820(page: DataView, map: readonly MemoryRange[]): void {
  const entries = map.slice(0, E820_MAX_ENTRIES);
  page.setUint8(ZP_E820_ENTRIES, entries.length);
  entries.forEach((range, i) => {
    const at = ZP_E820_TABLE + 20 * i;
    page.setBigUint64(at, BigInt(range.address), true);
    page.setBigUint64(at + 8, BigInt(range.length), true);
    page.setUint32(at + 16, range.type, true);
  });
}

/**
 * Writes kernel, initrd, command line and boot_params into RAM and returns the state to start in.
 * Nothing is written when it throws: `kernel.not-bzimage`, `kernel.truncated`, `kernel.too-large`,
 * `kernel.bad-command-line`, `kernel.command-line-too-long` or `initrd.too-large`.
 */
export function loadLinux(memory: GuestMemory, boot: LinuxBoot): BootState {
  const { kernel, initrd } = boot;
  const map = boot.memoryMap ?? boardMemoryMap(memory.size);
  const header = parseSetupHeader(kernel);
  const placed = placeKernel(kernel, header, map);
  const initrdAddress = initrd === undefined ? 0 : placeInitrd(initrd, placed.end, header, map);
  checkCommandLine(kernel, boot.commandLine);
  const commandLine = cString(boot.commandLine);
  const room = Math.min(header.cmdlineSize, COMMAND_LINE_ROOM - 1);
  if (commandLine.length - 1 > room) {
    const what = `allows ${room} bytes; the command line has ${commandLine.length - 1}: shorten it`;
    throw badImage('kernel.command-line-too-long', kernel, 'cmdline_size', what);
  }

  const page = new Uint8Array(BOOT_PARAMS_SIZE);
  const fields = new DataView(page.buffer);
  page.set(screenInfo(boot.screen));
  page.set(kernel.bytes.subarray(ZP_SETUP_HEADER, header.headerEnd), ZP_SETUP_HEADER);
  fields.setUint8(ZP_TYPE_OF_LOADER, LOADER_UNDEFINED);
  fields.setUint32(ZP_CODE32_START, placed.load, true);
  fields.setUint32(ZP_RAMDISK_IMAGE, initrdAddress, true);
  fields.setUint32(ZP_RAMDISK_SIZE, initrd?.bytes.length ?? 0, true);
  fields.setUint32(ZP_CMD_LINE_PTR, COMMAND_LINE_ADDRESS, true);
  if (boot.rsdp !== undefined) fields.setBigUint64(ZP_ACPI_RSDP, BigInt(boot.rsdp), true);
  writeE820(fields, map);

  memory.write(placed.load, kernel.bytes.subarray(header.payloadOffset, header.payloadOffset + header.payloadSize));
  if (initrd !== undefined) memory.write(initrdAddress, initrd.bytes);
  memory.write(COMMAND_LINE_ADDRESS, commandLine);
  memory.write(BOOT_PARAMS_ADDRESS, page);
  const gdt = writeBootGdt(memory, GDT_ADDRESS);
  return bootState({ eip: placed.load, esi: BOOT_PARAMS_ADDRESS, esp: STACK_TOP, gdt });
}
