/**
 * `Build<V>`: the vocabulary in which the meaning of an instruction is stated, once.
 * `V` is a number (or bigint) in the oracle, a WebAssembly local in the interpreter and the JIT, and text in the manual.
 *
 * Values of operands of 8 and 16 bits are 32-bit integers with the upper bits zero. Writing truncates.
 * A semantics function reads everything, computes, writes memory, then registers, then flags: a fault on the way leaves the
 * guest as it was, on every engine.
 */

/** Operand size in bits of an integer instruction. */
export type Size = 8 | 16 | 32;

/** What lies in memory, and how it is widened: integers zero-extended to i32, i64, or 128 bits raw. */
export type MemoryType = 'u8' | 'u16' | 'u32' | 'u64' | 'v128';

/** Status and control flags by their letter in the SDM's EFLAGS figure (vol. 1, 3.4.3). */
export type StatusFlag = 'C' | 'P' | 'A' | 'Z' | 'S' | 'O';

/** General registers in encoding order. */
export const EAX = 0,
  ECX = 1,
  EDX = 2,
  EBX = 3,
  ESP = 4,
  EBP = 5,
  ESI = 6,
  EDI = 7;
/** Segment registers in encoding order. */
export const ES = 0,
  CS = 1,
  SS = 2,
  DS = 3,
  FS = 4,
  GS = 5;

/** Exception vectors (SDM vol. 3, table 6-1). */
export const EXCEPTION = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;

/** State that is neither a general register nor a status flag, by its name in the processor's layout. All are 32 bits wide. */
export type StateField =
  | 'systemFlags' // EFLAGS without the six status flags; bit 1 is set
  | 'interruptPending' // not 0: something waits for IF
  | 'shadow' // 1: interrupts wait until one more instruction has been executed
  | 'stackMask' // 0xFFFF or 0xFFFFFFFF, by SS.B
  | 'codeLimit' // CS limit in bytes
  | 'cpl'
  | 'monitor' // 1: MONITOR was executed, and nothing has happened since
  | 'cr0'
  | 'cr4'
  | 'fpuControl'
  | 'fpuStatus' // without TOP; ES and B follow from the flags and their masks
  | 'fpuTop'
  | 'fpuTags' // bit n: physical register n is empty
  | 'fpuOpcode'
  | 'fpuIp'
  | 'fpuCs'
  | 'fpuDp'
  | 'fpuDs'
  | 'mxcsr';

/** State that is an array of 16-byte slots: x87 registers by physical number, XMM registers, room for leaf numerics. */
export type SlotField = 'fpr' | 'xmm' | 'scratch';

/** EFLAGS bits outside the status flags (SDM vol. 1, 3.4.3). */
export const EFLAGS = {
  TF: 1 << 8,
  IF: 1 << 9,
  DF: 1 << 10,
  IOPL: 3 << 12,
  NT: 1 << 14,
  RF: 1 << 16,
  VM: 1 << 17,
  AC: 1 << 18,
  VIF: 1 << 19,
  VIP: 1 << 20,
  ID: 1 << 21,
} as const;

/** SSE arithmetic: packed or scalar, singles or doubles. */
export type FloatForm = 'ps' | 'ss' | 'pd' | 'sd';
export type FloatOperation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt' | 'min' | 'max';

/** Condition codes of Jcc, SETcc and CMOVcc in encoding order (SDM vol. 2, appendix B.1.4.7). */
export const CONDITIONS = [
  'o',
  'no',
  'b',
  'ae',
  'z',
  'nz',
  'be',
  'a',
  's',
  'ns',
  'p',
  'np',
  'l',
  'ge',
  'le',
  'g',
] as const;

/** A value that changes inside `if` and `loop`. */
export interface Variable<V> {
  get(): V;
  set(value: V): void;
}

/** Numbers that are 0, or normal and a multiple of 2^unit up to 2^most. */
export interface Range {
  readonly unit: number;
  readonly most: number;
}
/** An x87 number as its register has it: the significand with its integer bit, and the word of sign and exponent. */
export interface Number80<V> {
  readonly significand: V;
  readonly high: V;
  /** The exponent alone, where that is at hand. */
  readonly exponent?: V;
  /** What number it is, where that is known before anything is computed. */
  readonly range?: Range | undefined;
}
/** How a result was rounded: `up` is 1 where its magnitude grew by it (C1), and `lost`, of 64 bits, not 0 where it is inexact (PE). */
export interface Rounding<V> {
  readonly up: V;
  readonly lost: V;
}

/** An operand as the instruction names it. Memory operands are addressed once, however often they are read or written. */
export interface Operand<V> {
  readonly isMemory: boolean;
  read(): V;
  write(value: V): void;
  /** Memory only: the offset in its segment, before the segment's base. */
  offset(): V;
  /** Memory only: what lies `delta` bytes further. */
  load(type: MemoryType, delta: number): V;
  store(type: MemoryType, delta: number, value: V): void;
  /** Memory only: the same kind of operand at another offset, wrapped to the address size (bit strings). */
  moved(delta: V): Operand<V>;
  /** Registers only: the number of the register. */
  number(): V;
  /** Where its bytes lie in linear memory: registers of 64 bits and more (for leaf numerics). */
  address(): V;
}

/** A segment: a number that is fixed, or the one that the instruction's prefixes chose. */
export type SegmentRef = number | 'operand';

export interface Build<V> {
  /** Operand size attribute: 16 or 32 (8 never: byte operands say so themselves). */
  readonly size: 16 | 32;
  /** Address size attribute. */
  readonly addressSize: 16 | 32;
  /**
   * Whether common cases are computed by a way of their own beside their leaf. The oracle and the manual have the leaf alone, so that
   * one is there to compare the other with.
   */
  readonly shortcuts: boolean;

  /**
   * SSE arithmetic, all of it, in a way of the engine's own; false where it has none for these operands, and nothing was done. Engines
   * without any such way leave it out.
   */
  arithmetic?(operation: FloatOperation, form: FloatForm, dst: Operand<V>, src: Operand<V>): boolean;

  /** What compiled code knows of lanes of a vector (a bit each): numbers that are all 0 or normal. */
  numbersIn?(value: V, bits: 32 | 64, lanes: number): Range | undefined;
  /** Compiled code that may expect numbers to be plain makes sure that these are, up to 2^(spread + 1) and no less than 2^-spread, or 0. */
  expectNumbers?(value: V, bits: 32 | 64, lanes: number, spread?: number): void;
  /** Whether MXCSR rounds to nearest and has PE masked and set; compiled code makes sure of that where it may expect it. */
  roundsSimdQuickly?(): boolean;
  /** The number that a value is in compiled code, where that does not depend on anything. */
  constantOf?(value: V): number | undefined;

  imm(n: number): V;
  imm64(n: bigint): V;
  imm128(n: bigint): V;
  /** A numeric instruction of WebAssembly by name; `lanes` for those that take lane indices. */
  op(name: string, args: readonly V[], lanes?: readonly number[]): V;
  /** `condition != 0 ? a : b`, both computed. */
  select(condition: V, a: V, b: V): V;

  /** General register `index` at a size; byte registers 4..7 are AH, CH, DH, BH. */
  getRegister(size: Size, index: number): V;
  setRegister(size: Size, index: number, value: V): void;
  get(field: StateField): V;
  set(field: StateField, value: V): void;

  /** Whether an x87 register, by its physical number, is empty, as 0 or 1; and what it becomes. */
  isEmpty(register: V): V;
  setEmpty(register: V, empty: boolean): void;

  /** A status flag as 0 or 1. */
  flag(flag: StatusFlag): V;
  setFlag(flag: StatusFlag, value: V): void;
  /** C P A Z S O at their places in EFLAGS, all else 0; and back. */
  statusFlags(): V;
  setStatusFlags(image: V): void;
  /** Remembers the status flags; what is returned puts them back. */
  keepFlags(): () => void;
  /** Condition code 0..15 as 0 or 1. */
  condition(code: number): V;
  /**
   * All six status flags of `result = x op y` at a size: 'add' also serves ADC, 'sub' also SBB, CMP and NEG; 'logic' clears
   * C, O and A. `x` and `y` are not needed by 'logic'.
   */
  setFlags(kind: 'add' | 'sub' | 'logic', size: Size, result: V, x?: V, y?: V): void;
  /** S, Z and P from a result; the others given as 0 or 1. */
  setFlagsWith(size: Size, result: V, carry: V, overflow: V, adjust: V): void;

  /** Memory at an offset in a segment. `offset` is taken modulo 2^32: wrap it yourself for 16-bit addressing. */
  load(segment: SegmentRef, offset: V, type: MemoryType): V;
  store(segment: SegmentRef, offset: V, type: MemoryType, value: V): void;
  /** The linear address of an offset, without any check (INVLPG). */
  linear(segment: SegmentRef, offset: V): V;
  /** Names the segment that prefixes chose, for services. */
  segmentAddress(): V;
  /** Faults now if a store there would, so that a later one cannot. */
  probeStore(segment: SegmentRef, offset: V, type: MemoryType): void;

  if(condition: V, then: () => void, otherwise?: () => void): void;
  /**
   * The same where `condition` hardly ever holds: compiled code leaves `rare` to the interpreter. Nothing may have been changed
   * before it.
   */
  unlikely(condition: V, rare: () => void, usual: () => void): void;
  /** Runs `body` again and again until `leave(condition)` holds inside it. */
  loop(body: (leave: (condition: V) => void) => void): void;
  /**
   * Runs `usual`; where a condition that it hands to `unless` holds, `otherwise` instead, from there on. Nothing may have been changed
   * before but variables. Engines without shortcuts leave it out.
   */
  attempt?(usual: (unless: (condition: V) => void) => void, otherwise: () => void): void;
  /** `usual` alone, where compiled code may expect that it holds: it leaves the region where it does not. */
  readonly expect?: (<R>(usual: (unless: (condition: V) => void) => R) => R) | undefined;
  /** `if` within those two, where a condition seldom holds. */
  seldom?(condition: V, then: () => void, otherwise?: () => void): void;
  /** What compiled code knows of the x87 number at a place, besides its parts. */
  knownAt?(at: V): Partial<Number80<V>> | undefined;
  /** The number at a place with its range, which has been made sure of; undefined where that is not done. */
  operandAt?(at: V): Number80<V> | undefined;
  /** A number was put at a place. */
  noteNumber?(at: V, number: Number80<V>): void;
  /** Whether these fields of the x87 control word are known to have their usual values; `found`: they have been looked at. */
  roundsQuickly?(fields: number, found?: boolean): boolean;
  /** Leaves the instruction to the interpreter where a condition holds: compiled code. Nothing may have been changed before. */
  leaveIf?(condition: V): void;
  /** The x87 status word after a result whose exceptions are masked: C1, and PE besides what is there. Nothing: it is exact. */
  noteRounding?(rounding: Rounding<V> | undefined): void;
  /** The same after a result with any exceptions: all are masked, and those of `defined` that are not among the flags become 0. */
  noteFlags?(flags: V, defined: number): void;
  variable(initial: V): Variable<V>;

  /** Raises an exception at this instruction; nothing after it happens. */
  raise(vector: number, errorCode?: number): void;
  /** EIP of the following instruction, truncated to the operand size. */
  nextEip(): V;
  /** #GP(0) when `eip` lies beyond the limit of CS. Comes before any effect of a near transfer. */
  checkTarget(eip: V): void;
  /** Goes on at `eip`, which has been checked. Last effect of a function. */
  jump(eip: V): void;

  /** A service of the core (privileged state, far transfers, ports): may fault, may end the run. */
  service(name: string, ...args: V[]): V;
  /** A leaf computation over linear memory (80-bit floats and the like): never faults. */
  leaf(name: string, ...args: V[]): V;
  /** Where a slot lies in linear memory: for `leaf`, `peek` and `poke`. Slots 0 and 1 of `scratch` are the engines' own. */
  slotAddress(field: SlotField, index: V): V;
  /** What lies in a slot, at an address that `slotAddress` gave. */
  peek(address: V, type: MemoryType, delta: number): V;
  poke(address: V, type: MemoryType, delta: number, value: V): void;
  /** A repeated string instruction: lets interrupts in between two iterations; may leave, to start the same instruction again. */
  poll(): void;
}

/** The meaning of an instruction; operands come in the order of its row. */
export type Semantics = <V>(b: Build<V>, ...operands: Operand<V>[]) => void;
