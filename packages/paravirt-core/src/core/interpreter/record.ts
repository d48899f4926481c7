/** A decoded instruction as the interpreter reads it: 32 bytes, little-endian, consecutive instructions side by side. */

export const RECORD_BYTES = 32;
export const RECORD_SHIFT = 5;
export const RECORD = {
  /** u16: which handler. */
  handler: 0,
  /** u8: bytes of the instruction. */
  length: 2,
  /** u8: scale of the index register, as a shift. */
  scale: 3,
  /** u16: address of the ModRM.reg (or opcode) register; its number for segment, control and debug registers. */
  reg: 4,
  /** u16: address of the ModRM.rm register, or of the base register; the number for x87 registers. */
  rm: 6,
  /** u16: address of the index register. */
  index: 8,
  /** u16: address of the segment register. */
  segment: 10,
  /** i32: displacement. */
  displacement: 12,
  /** i32: immediate; for relative branches the target, counted from the start of the page. */
  immediate: 16,
  /** i32: second immediate. */
  immediate2: 20,
  /** u16: offset of the instruction in its page. */
  pageOffset: 24,
  /** u16: number of the ModRM.rm register where a number is wanted besides an address. */
  number: 26,
  /** u16: the opcode as the x87 unit notes it. */
  opcode: 28,
  /** u16: how often control landed here, modulo 2^16. */
  landings: 30,
} as const;

/** Handlers that stand for no instruction; forms follow after them. */
export const PSEUDO = {
  /** Go on by looking up the EIP that follows the previous record: end of a page, stale record, joined flow. */
  lookup: 0,
  /** Leave: end of a single step. */
  exit: 1,
  /** An instruction that crosses into the next page: asks the core for a scratch record. */
  cross: 2,
  /** No row claims these bytes: #UD. */
  undefined: 3,
  /** Longer than 15 bytes: #GP(0). */
  tooLong: 4,
  /** Goes on at another record of the same page. */
  join: 5,
  /** Puts a 16-bit effective offset into `address16`, for the record that follows. */
  address16: 6,
  /**
   * The map's record where compiled code begins: `immediate` is the entrance (`entranceOf`), `immediate2` the record of the instruction
   * itself, `displacement` the mode that it was compiled for.
   */
  region: 7,
} as const;
export const PSEUDO_COUNT = 8;

/** A function of compiled code can have so many entries, as a power of two. */
export const ENTRY_BITS = 5;
/** Where compiled code is entered, as a number: its function's place in the table of regions, and which of the function's entries it is. */
export const entranceOf = (index: number, entry: number): number => (index << ENTRY_BITS) | entry;

/** What `run` returns; `restart` is between two repetitions, with EIP at their instruction. */
export const RUN = { budget: 0, fault: 1, exit: 2, restart: 3 } as const;
/**
 * What compiled code returns: go on at EIP; or at EIP without entering compiled code there, since it stopped before this instruction;
 * or a handler that it called said so. 0 is none of them.
 */
export const REGION = { next: 1, bail: 2, fault: 3, restart: 4 } as const;
/** What a handler behind a call returns. */
export const STATUS = { next: 0, fault: 1, jump: 2, restart: 3 } as const;
