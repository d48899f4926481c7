/**
 * One conformance case and its result: the contract between the host CPU, the stored vectors and our own engines.
 *
 * A case is a short piece of i386 code with all the state that it may read; a result is all the state that it may have
 * changed when the first exception was raised. Code that does not fault runs into the int3 filler that surrounds it, so
 * *every* case ends in an exception, and the place where control went is the address of that int3.
 *
 * The environment that an engine must provide (it is what Linux gives a 32-bit process):
 * - protected mode, CPL 3, IOPL 0, IF set; paging on with 4 KiB user pages and CR0.WP; CR0.NE, CR0.AM, CR0.MP set, EM and TS clear;
 *   CR4.OSFXSR and CR4.OSXMMEXCPT set; 32-bit flat segments (base 0, limit 4 GiB) with the selectors of `SELECTORS`,
 *   and for a case that is 16-bit the LDT of `SEGMENTS_16`;
 * - the pages of `MEMORY`, and no other: each is filled with `backgroundByte`, the code pages with int3 (0xCC); the
 *   case's `memory` and `code` are written over that. All are writable and executable but the read-only page;
 * - TF clear. Everything else of the processor is as after reset and must not matter.
 */

/** General registers in the order of their encoding (Intel SDM vol. 2, table 2-2). */
export const REGISTER_NAMES = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;
export type RegisterName = (typeof REGISTER_NAMES)[number];
/** Values are unsigned 32-bit. */
export type Registers = Readonly<Record<RegisterName, number>>;

/** Segment registers in the order of their encoding. */
export const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;
export type SegmentName = (typeof SEGMENT_NAMES)[number];
/** Selectors, unsigned 16-bit. */
export type Segments = Readonly<Record<SegmentName, number>>;

/** The selectors that a case starts with: a flat code segment in GDT entry 4 and a flat data segment in entry 5, RPL 3. */
export const SELECTORS: Segments = { es: 0x2b, cs: 0x23, ss: 0x2b, ds: 0x2b, fs: 0, gs: 0 };

/** What makes a case 16-bit, each by itself; `segmentsOf` says how. */
export interface Narrow {
  /** Code of 16-bit operands and addresses (D = 0). */
  readonly code?: boolean;
  /** A stack that is addressed by SP (B = 0). */
  readonly stack?: boolean;
  /** 64 KiB of data where addresses of 16 bits reach the data page: DS and ES. */
  readonly data?: boolean;
}

export const PAGE_SIZE = 4096;

/** Linear addresses of the mapped pages. The pages before and after each region are not mapped. */
export const MEMORY = {
  /** One page for operands. */
  data: { address: 0x1000_0000, size: PAGE_SIZE },
  /** One page that can be read and executed; cases cannot choose its contents. */
  readOnly: { address: 0x1000_2000, size: PAGE_SIZE },
  /** One page for the stack. */
  stack: { address: 0x1001_0000, size: PAGE_SIZE },
  /** Two pages for code, which the code may write. */
  code: { address: 0x2000_0000, size: 2 * PAGE_SIZE },
} as const;

/**
 * The segments of 16-bit cases: LDT entries 0 to 2, RPL 3, limit 0xffff, D/B clear. Where a region starts, so that the low halves of the
 * addresses that other cases use reach the same bytes.
 */
export const SEGMENTS_16 = {
  code: { selector: 0x07, base: MEMORY.code.address },
  stack: { selector: 0x0f, base: MEMORY.stack.address },
  data: { selector: 0x17, base: MEMORY.data.address },
} as const;

/** The regions whose contents a case may set, and whose changes a result lists, in this order. */
export const WRITABLE_REGIONS = [MEMORY.data, MEMORY.stack, MEMORY.code] as const;

/** What fills the code pages: int3, so that control ends wherever it arrives. */
export const CODE_FILLER = 0xcc;

/** What the data, read-only and stack pages hold at `address` unless the case says otherwise. */
export function backgroundByte(address: number): number {
  return (Math.imul(address, 0x9d) + Math.imul(address >>> 8, 0x3b) + 0x11) & 0xff;
}

/** The flags a case may set and a result reports. IF, IOPL, VM, RF, VIF and VIP are the environment's. */
export const EFLAGS = {
  CF: 1 << 0,
  PF: 1 << 2,
  AF: 1 << 4,
  ZF: 1 << 6,
  SF: 1 << 7,
  TF: 1 << 8,
  DF: 1 << 10,
  OF: 1 << 11,
  NT: 1 << 14,
  AC: 1 << 18,
  ID: 1 << 21,
} as const;
export const EFLAGS_STATUS = EFLAGS.CF | EFLAGS.PF | EFLAGS.AF | EFLAGS.ZF | EFLAGS.SF | EFLAGS.OF;
export const EFLAGS_REPORTED = EFLAGS_STATUS | EFLAGS.TF | EFLAGS.DF | EFLAGS.NT | EFLAGS.AC | EFLAGS.ID;
/** TF would trap before the code is reached. */
export const EFLAGS_SETTABLE = EFLAGS_REPORTED & ~EFLAGS.TF;

/** Exception vectors (Intel SDM vol. 3, "Interrupt and Exception Handling"), and three ends that are no exception. */
export const TRAP = {
  DE: 0,
  DB: 1,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  XM: 19,
  /** The code looped for more than some 50 ms of processor time; the rest of the result means nothing. */
  timeout: 256,
  /** The code made a system call, which was suppressed. Only a host CPU reports this. */
  systemCall: 257,
  /** The code went astray into the harness. Only a host CPU reports this; such a case is of no use. */
  harness: 258,
} as const;

/** Exceptions that push an error code. */
const WITH_ERROR_CODE: ReadonlySet<number> = new Set([TRAP.TS, TRAP.NP, TRAP.SS, TRAP.GP, TRAP.PF, TRAP.AC]);
/** Bit 4 of a page fault's error code: an instruction fetch. It exists only with EFER.NXE or CR4.SMEP, so it is not compared. */
const PF_FETCH = 1 << 4;

/** Bytes at an address; the address and the last byte lie in one of `WRITABLE_REGIONS`. */
export interface MemoryPatch {
  /** Linear. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** The state in which a piece of code starts. */
export interface CpuCase {
  readonly code: Uint8Array;
  /** Linear address of the first code byte, in `MEMORY.code`; the initial EIP is its offset in the code segment. */
  readonly codeAddress: number;
  /** Which of the segments are 16-bit; none if missing. */
  readonly narrow?: Narrow;
  readonly registers: Registers;
  /** Of `EFLAGS_SETTABLE`; other bits are refused. */
  readonly eflags: number;
  /** A 512-byte FXSAVE image (`fxsave.ts`). Reserved MXCSR bits are refused. */
  readonly fx: Uint8Array;
  /** Written over the background, before the code. */
  readonly memory: readonly MemoryPatch[];
}

/** The state at the first exception. */
export interface CpuResult {
  /** One of `TRAP`. */
  readonly trap: number;
  /** 0 where the exception has none; for #PF without the instruction-fetch bit. */
  readonly errorCode: number;
  /** The faulting linear address of a #PF; 0 for every other trap. */
  readonly cr2: number;
  /** The saved EIP; for #BP one less, which is the address of the int3. */
  readonly eip: number;
  /** Of `EFLAGS_REPORTED`. */
  readonly eflags: number;
  readonly registers: Registers;
  readonly segments: Segments;
  /** FXSAVE image as `normalizeFx` leaves it: only the bytes that all processors agree on. */
  readonly fx: Uint8Array;
  /** Exactly the bytes of the writable regions that differ from the start, as the longest runs, by ascending address. */
  readonly memory: readonly MemoryPatch[];
}

/** Runs cases: a host CPU, the oracle, the interpreter, translated code. Results are in the order of the cases. */
export interface CpuUnderTest {
  run(cases: readonly CpuCase[]): CpuResult[] | Promise<CpuResult[]>;
}

/** A case with a name for people, and the parts of its result that the manual leaves undefined. */
export interface NamedCase extends CpuCase {
  /** Unique in its family. */
  readonly name: string;
  /** EFLAGS bits that the manual leaves undefined: not compared. */
  readonly undefinedFlags: number;
  /** x87 status word bits that the manual leaves undefined (for example C0, C2, C3 after FADD). */
  readonly undefinedStatus?: number;
  /** Bit n: general register n is undefined (for example BSF of zero). */
  readonly undefinedRegisters?: number;
  /** Bit n: x87 register ST(n) or MMX register n is undefined. */
  readonly undefinedSt?: number;
  /** True where an instruction of several stores may or may not have done the first ones before it faulted (PUSHA, ENTER). */
  readonly undefinedMemory?: true;
}

/** Where cases come from: one family is one file of vectors. Iterating twice gives the same cases. */
export interface CaseSource {
  /** Lower-case words joined by hyphens; the file's name. */
  readonly family: string;
  readonly cases: Iterable<NamedCase>;
}

/** The selectors that a case starts with. */
export function segmentsOf({ narrow = {} }: Pick<CpuCase, 'narrow'>): Segments {
  const data = narrow.data === true ? SEGMENTS_16.data.selector : SELECTORS.ds;
  return {
    ...SELECTORS,
    cs: narrow.code === true ? SEGMENTS_16.code.selector : SELECTORS.cs,
    ss: narrow.stack === true ? SEGMENTS_16.stack.selector : SELECTORS.ss,
    ds: data,
    es: data,
  };
}
/** Where the code segment of a case starts. */
export function codeBase({ narrow = {} }: Pick<CpuCase, 'narrow'>): number {
  return narrow.code === true ? SEGMENTS_16.code.base : 0;
}

/** `errorCode` as results hold it. */
export function comparableErrorCode(trap: number, errorCode: number): number {
  if (!WITH_ERROR_CODE.has(trap)) return 0;
  return trap === TRAP.PF ? errorCode & ~PF_FETCH : errorCode;
}

/** Whether `length` bytes at `address` lie in one region whose contents a case may set. */
export function isSettable(address: number, length: number): boolean {
  return WRITABLE_REGIONS.some((r) => address >= r.address && address + length <= r.address + r.size);
}

/** The runs of bytes that differ; both arrays hold the memory that starts at `address`. Engines use it to build `CpuResult.memory`. */
export function changedRuns(address: number, before: Uint8Array, after: Uint8Array): MemoryPatch[] {
  const runs: MemoryPatch[] = [];
  for (let i = 0; i < after.length; i++) {
    if (after[i] === before[i]) continue;
    const start = i;
    while (i < after.length && after[i] !== before[i]) i++;
    runs.push({ address: address + start, bytes: after.slice(start, i) });
  }
  return runs;
}

type Region = (typeof WRITABLE_REGIONS)[number];

const FILLED: ReadonlyMap<number, Uint8Array> = new Map(
  WRITABLE_REGIONS.map(({ address, size }) => {
    const byteAt = (_: unknown, i: number): number =>
      address === MEMORY.code.address ? CODE_FILLER : backgroundByte(address + i);
    return [address, Uint8Array.from({ length: size }, byteAt)];
  }),
);

/** The contents of a region when the case starts: a fresh copy. */
export function initialRegion(region: Region, start: Pick<CpuCase, 'code' | 'codeAddress' | 'memory'>): Uint8Array {
  const bytes = (FILLED.get(region.address) ?? new Uint8Array(region.size)).slice();
  for (const patch of [...start.memory, { address: start.codeAddress, bytes: start.code }])
    if (patch.address >= region.address && patch.address < region.address + region.size)
      bytes.set(patch.bytes, patch.address - region.address);
  return bytes;
}
