/** Reads 32-bit x86 ELF executables: headers and loadable segments, every offset checked (System V ABI, chapters 4 and 5). */
import { badImage, fieldReader, hex, type BootFile } from './boot-file.ts';

/** A PT_LOAD entry: `fileSize` bytes from `fileOffset`, then zeros up to `memorySize`. All of it lies in the file. */
export interface ElfSegment {
  readonly fileOffset: number;
  readonly fileSize: number;
  readonly virtual: number;
  readonly physical: number;
  readonly memorySize: number;
}
export interface ElfImage {
  /** e_entry as it stands in the header: a virtual address. */
  readonly entry: number;
  /** In the order of the program header table; segments of no memory are left out. */
  readonly segments: readonly ElfSegment[];
}

const BAD_ELF = 'kernel.bad-elf';
/** Bytes 0x7f, 'E', 'L', 'F'. */
const ELF_MAGIC = 0x464c_457f;
const ELFCLASS32 = 1;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const EM_386 = 3;
const PT_LOAD = 1;
const PROGRAM_HEADER_SIZE = 32;
/** Far more than any linker writes; keeps a hostile table from costing time. */
const MAX_PROGRAM_HEADERS = 256;

export function looksLikeElf(file: BootFile): boolean {
  const [a, b, c, d] = file.bytes;
  return a === 0x7f && b === 0x45 && c === 0x4c && d === 0x46;
}

/** Throws `kernel.bad-elf`, naming file and field, for anything that is not a whole, loadable 32-bit x86 executable. */
export function parseElf32(file: BootFile): ElfImage {
  const read = fieldReader(file, BAD_ELF);
  const demand = (field: string, value: number, wanted: number, meaning: string): void => {
    if (value !== wanted)
      throw badImage(BAD_ELF, file, field, `is ${hex(value)}; ${hex(wanted)} (${meaning}) is needed`);
  };
  demand('e_ident', read.u32(0, 'e_ident'), ELF_MAGIC, 'ELF');
  demand('EI_CLASS', read.u8(4, 'EI_CLASS'), ELFCLASS32, '32-bit');
  demand('EI_DATA', read.u8(5, 'EI_DATA'), ELFDATA2LSB, 'little-endian');
  demand('e_type', read.u16(16, 'e_type'), ET_EXEC, 'executable');
  demand('e_machine', read.u16(18, 'e_machine'), EM_386, 'Intel 80386');
  const entry = read.u32(24, 'e_entry');
  const table = read.u32(28, 'e_phoff');
  const size = read.u16(42, 'e_phentsize');
  const count = read.u16(44, 'e_phnum');
  if (count > 0 && size < PROGRAM_HEADER_SIZE) {
    throw badImage(BAD_ELF, file, 'e_phentsize', `is ${size}; at least ${PROGRAM_HEADER_SIZE} is needed`);
  }
  if (count > MAX_PROGRAM_HEADERS) {
    throw badImage(BAD_ELF, file, 'e_phnum', `is ${count}; at most ${MAX_PROGRAM_HEADERS} are read`);
  }
  const segments: ElfSegment[] = [];
  for (let i = 0; i < count; i++) {
    const segment = readSegment(file, table + i * size, i);
    if (segment !== undefined) segments.push(segment);
  }
  if (segments.length === 0) throw badImage(BAD_ELF, file, 'e_phnum', 'gives no segment to load');
  refuseOverlaps(file, segments);
  return { entry, segments };
}

function readSegment(file: BootFile, at: number, index: number): ElfSegment | undefined {
  const read = fieldReader(file, BAD_ELF);
  const field = (name: string): string => `program header ${index}, ${name}`;
  const word = (offset: number, name: string): number => read.u32(at + offset, field(name));
  const segment: ElfSegment = {
    fileOffset: word(4, 'p_offset'),
    virtual: word(8, 'p_vaddr'),
    physical: word(12, 'p_paddr'),
    fileSize: word(16, 'p_filesz'),
    memorySize: word(20, 'p_memsz'),
  };
  if (word(0, 'p_type') !== PT_LOAD || segment.memorySize === 0) return undefined;
  if (segment.fileSize > segment.memorySize) {
    const what = `is ${segment.fileSize}, more than p_memsz (${segment.memorySize})`;
    throw badImage(BAD_ELF, file, field('p_filesz'), what);
  }
  const end = segment.fileOffset + segment.fileSize;
  if (end > file.bytes.length) {
    const what = `and p_filesz reach byte ${end}, but the file has only ${file.bytes.length} bytes`;
    throw badImage(BAD_ELF, file, field('p_offset'), what);
  }
  return segment;
}

function refuseOverlaps(file: BootFile, segments: readonly ElfSegment[]): void {
  const sorted = segments.toSorted((a, b) => a.physical - b.physical);
  sorted.forEach((segment, i) => {
    const next = sorted[i + 1];
    if (next === undefined || segment.physical + segment.memorySize <= next.physical) return;
    const what = `of two segments overlap at ${hex(next.physical)}`;
    throw badImage(BAD_ELF, file, 'p_paddr and p_memsz', what);
  });
}

/**
 * The physical address that execution starts at. Multiboot kernels write either kind of address into e_entry:
 * one that lies in a segment's virtual range is translated, one in a physical range is taken as it is.
 */
export function physicalEntry(file: BootFile, image: ElfImage): number {
  const { entry, segments } = image;
  const inside = (start: number, s: ElfSegment): boolean => entry >= start && entry < start + s.memorySize;
  const virtual = segments.find((s) => inside(s.virtual, s));
  if (virtual !== undefined) return entry - virtual.virtual + virtual.physical;
  if (segments.some((s) => inside(s.physical, s))) return entry;
  throw badImage(BAD_ELF, file, 'e_entry', `is ${hex(entry)}, which no segment covers`);
}
