/**
 * The processor as it lies in linear memory: the one list that TypeScript, the emitters and snapshots read.
 * Names are the SDM's. Register slots are 64 bits wide, so that long mode needs no other layout.
 */

/** Bytes of one processor's block. Blocks lie below 64 KiB, so that a decoded record names a register by a 16-bit address. */
export const CPU_BLOCK = 4096;
/** Where the block of processor `n` lies; page 0 stays unused, so that address 0 means "nothing". */
export const cpuBlock = (n: number): number => CPU_BLOCK * (n + 1);

/** One segment register with its hidden part (SDM vol. 3, 3.4.3). */
export const SEGMENT_BYTES = 32;
export const SEGMENT = {
  selector: 0,
  base: 4,
  /** In bytes, granularity applied. */
  limit: 8,
  /** Offsets below these may be read or written (up to 16 bytes) without a further look; 0 = always look. */
  readBound: 12,
  writeBound: 16,
  /** The descriptor's second doubleword without base and limit: type, S, DPL, P, AVL, D/B, G; 0 = null or unusable. */
  attributes: 20,
} as const;
export const LDTR = 6,
  TR = 7;

type Entry = readonly [name: string, bytes: number, count?: number];
const entries = [
  ['gpr', 8, 8], // EAX ECX EDX EBX ESP EBP ESI EDI
  ['zero', 8], // a register that is always 0: absent base or index
  ['address16', 8], // the offset of 16-bit addressing, between its record and the instruction's
  ['eip', 4],
  ['flagResult', 4], // Z, and S and P unless flagAux says otherwise: see isa flags in emit
  ['flagAux', 4], // 31: C, 30: C xor O, 3: A, 15..8: xor into P's byte, 0: xor into S
  ['systemFlags', 4],
  ['interruptPending', 4],
  ['stackMask', 4],
  ['codeLimit', 4],
  ['codeSkew', 4], // a page of code is executed as a whole where the EIP of its first byte plus this...
  ['codeBound', 4], // ...is not above this, unsigned: CS ends behind it, and may begin within it
  ['cpl', 4],
  ['cr0', 4],
  ['cr2', 4],
  ['cr3', 4],
  ['cr4', 4],
  ['efer', 4],
  ['pdpte', 8, 4], // the page-directory-pointer entries as CR3 was loaded (PAE)
  ['fault', 4], // 1: an exception waits to be delivered
  ['faultVector', 4],
  ['faultCode', 4], // -1: none
  ['exit', 4], // not 0: leave after this instruction
  ['halted', 4],
  ['monitor', 4], // what MONITOR and MWAIT have begun: see MONITOR
  ['nmi', 4], // NMI bits
  ['debugTraps', 4], // DR6 bits of traps that come behind the current instruction
  ['shadow', 4], // one more instruction runs before interrupts are looked at (STI, MOV SS)
  ['pollBudget', 4], // string iterations until the next look at interrupts
  ['accessRead', 4], // the TLB bit that allows reading: 1 at CPL 0..2, 4 at CPL 3
  ['unitDenied', 4], // UNIT bits that may not be used now
  ['codeKey', 4], // what a code TLB tag must carry in its low bits
  ['compiledMode', 4], // the mode that compiled code may be made for now: see COMPILED
  ['pageEip', 4], // EIP of the first byte of the page that is executing
  ['pageMap', 4], // its map from page offset to record
  ['instructionsLeft', 4],
  ['instructionsReturned', 4], // budget given back by handlers that want to leave early
  ['tlb', 4], // address of the data TLB
  ['codeTlb', 4], // address of the code TLB
  ['segments', SEGMENT_BYTES, 8], // ES CS SS DS FS GS LDTR TR
  ['gdtBase', 4],
  ['gdtLimit', 4],
  ['idtBase', 4],
  ['idtLimit', 4],
  ['dr', 4, 8],
  ['sysenterCs', 4],
  ['sysenterEsp', 4],
  ['sysenterEip', 4],
  ['fpuControl', 4],
  ['fpuStatus', 4],
  ['fpuTop', 4],
  ['fpuTags', 4],
  ['fpuOpcode', 4],
  ['fpuIp', 4],
  ['fpuCs', 4],
  ['fpuDp', 4],
  ['fpuDs', 4],
  ['mxcsr', 4],
  ['fpr', 16, 8], // physical registers R0..R7, 80 bits each; MM0..MM7 are their low 64
  ['xmm', 16, 8],
  ['scratch', 16, 8], // for leaf numerics and wide accesses; never live between instructions
] as const satisfies readonly Entry[];

export type FieldName = (typeof entries)[number][0];

function place(): { offset: Record<FieldName, number>; size: number } {
  const offset: Partial<Record<FieldName, number>> = {};
  let at = 0;
  for (const [name, bytes, count] of entries as readonly (readonly [FieldName, number, number?])[]) {
    const align = Math.min(bytes, 16);
    at = Math.ceil(at / align) * align;
    offset[name] = at;
    at += bytes * (count ?? 1);
  }
  return { offset: offset as Record<FieldName, number>, size: at };
}
const placed = place();
/** Byte offset of each field in the block. */
export const OFFSET: Readonly<Record<FieldName, number>> = placed.offset;
/** Bytes that hold state; the block's rest is for scratch records. */
export const STATE_BYTES = placed.size;
/**
 * Words of the block that are no state: where the cache of jumps lies, and the numbers that its entries carry which hold, be their page
 * a global one or not.
 */
export const JUMP = { cache: 3040, local: 3044, global: 3048 } as const;
/** Bytes of the block that are saved end before them. */
export const STATE_END = JUMP.cache;
/** The cache of jumps between compiled code, by EIP: entries of {EIP, number and mode, place in the table of regions, 0}. */
export const JUMP_ENTRIES = 16_384;
export const JUMP_BYTES = JUMP_ENTRIES * 16;
/**
 * Where indirect jumps of compiled code went of late: by the guest-physical address of the jump, some EIPs in no order. Several jumps may
 * share a place.
 */
export const JUMP_TARGETS = 16;
const JUMP_SITES = 1024,
  SITE_BYTES = JUMP_TARGETS * 4;
export const JUMP_SITES_BYTES = JUMP_SITES * SITE_BYTES;
export const jumpSite = (physical: number): number =>
  (Math.imul(physical, 0x9e37_79b1) >>> (32 - Math.log2(JUMP_SITES))) * SITE_BYTES;
/** Where the scratch records of single steps and page-crossing instructions lie in the block. */
export const SCRATCH_RECORDS = 3072;
/** Where the record of an instruction lies after which the run is left. */
export const LEAVING_RECORDS = SCRATCH_RECORDS + 512;

export const segmentOffset = (index: number): number => OFFSET.segments + index * SEGMENT_BYTES;
/** Values of `shadow`: STI holds back interrupts for one instruction, MOV SS and POP SS debug traps as well. */
export const SHADOW = { none: 0, interrupts: 1, stack: 2 } as const;
/** Bits of `nmi`: one waits to be delivered; none is until the next IRET (SDM vol. 3, 6.7.1). */
export const NMI = { pending: 1, blocked: 2 } as const;
/** Values of `monitor`: armed; waiting in MWAIT; waiting, and an interrupt ends that though IF is clear. */
export const MONITOR = { none: 0, armed: 1, waiting: 2, waitingMasked: 3 } as const;
/** Units of `unitDenied`. */
export const UNIT = { x87: 1, mmx: 2, sse: 4, fxsr: 8 } as const;
/** The unit that a row's trait names. 'sse-mmx' is closed whenever SSE is. */
export const UNIT_OF = {
  x87: UNIT.x87,
  'x87-control': UNIT.x87,
  mmx: UNIT.mmx,
  sse: UNIT.sse,
  'sse-mmx': UNIT.sse,
  fxsr: UNIT.fxsr,
} as const;

/** Bits of a data TLB entry; the rest is (host address - linear address) of the page. 0 = nothing known. */
export const TLB = {
  supervisorRead: 1,
  supervisorWrite: 2,
  userRead: 4,
  userWrite: 8,
  global: 16,
  never: 32,
  noExecute: 128,
} as const;
/** One i32 for each of the 2^20 pages. */
export const TLB_BYTES = 4 << 20;
/**
 * Code TLB: entries of {tag, address of the page's map}, direct-mapped by linear page. A kernel has thousands of pages of code, and each
 * one that another has driven out takes microseconds to find again.
 */
export const CODE_TLB_ENTRIES = 8192;
export const CODE_TLB_BYTES = CODE_TLB_ENTRIES * 8;
/**
 * Bits of `compiledMode`: 32-bit code, with CS, DS, ES and SS over all 4 GiB and nothing that must be looked at instruction by
 * instruction. 0 = none: compiled code is not entered.
 */
export const COMPILED = { flat: 1, user: 2 } as const;
/** Low bits of a code TLB tag. */
export const CODE_KEY = { valid: 1, user: 2, big: 4 } as const;
