/** Effective addresses of every shape, and the register values that make them point at a wanted place. */
import { defaultSegment, type MemoryOperand } from '@tomei/paravirt-core';
import { type Random } from '../random.ts';

const ESP = 4;
const EBP = 5;
const SEGMENTS = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;
/** Base and index of 16-bit addressing (SDM vol. 2, table 2-1); -1 is none. */
export const PAIRS_16: readonly (readonly [base: number, index: number])[] = [
  [3, 6],
  [3, 7],
  [5, 6],
  [5, 7],
  [6, -1],
  [7, -1],
  [5, -1],
  [3, -1],
];

/** General registers by number; the address choosers write to it. */
export type RegisterFile = Uint32Array;

/** An address, and which registers it took. */
export interface ChosenAddress {
  readonly memory: MemoryOperand;
  /** Bit n: general register n has the value that the address needs. */
  readonly taken: number;
}

/** A 32-bit address of any shape; sets base and index so that it is `target`. Mostly without an override prefix. */
export function address32(random: Random, registers: RegisterFile, target: number): ChosenAddress {
  const base = random.oneIn(6) ? -1 : random.below(8);
  const drawn = random.oneIn(2) ? -1 : random.below(8);
  const index = drawn === ESP ? -1 : drawn;
  return pointAt(random, registers, target, { base, index, scale: index < 0 ? 0 : random.below(4) });
}

/** Sets the registers of a shape, and a displacement where it has room for one, so that the address is `target`. */
export function pointAt(
  random: Random,
  registers: RegisterFile,
  target: number,
  shape: Pick<MemoryOperand, 'base' | 'index' | 'scale'>,
): ChosenAddress {
  const { base, index, scale } = shape;
  if (index >= 0) registers[index] = random.oneIn(2) ? random.below(0x200) : random.u32();
  const offset = index < 0 ? 0 : registers[index]! << scale;
  let displacement = random.pick([0, 0, 4, 0x7f, -0x80, -1, 0x80, 0x7fffffff, random.u32() | 0]);
  if (base < 0 || base === index) displacement = (target - offset - (base < 0 ? 0 : registers[base]!)) | 0;
  else registers[base] = target - offset - displacement;
  const memory = { base, index, scale, displacement, addressSize: 32, segment: segmentOf(random, base) } as const;
  return { memory, taken: (base < 0 ? 0 : 1 << base) | (index < 0 ? 0 : 1 << index) };
}

/** A 16-bit address of any shape. It cannot reach a page of a case: what it computes shows in CR2. */
export function address16(random: Random): ChosenAddress {
  const [base, index] = random.oneIn(9) ? ([-1, -1] as const) : random.pick(PAIRS_16);
  const displacement = base < 0 ? random.below(0x10000) : random.pick([0, 1, -1, 0x7f, -0x80, 0x80, -0x8000, 0x7fff]);
  const memory = { base, index, scale: 0, displacement, addressSize: 16, segment: segmentOf(random, base) } as const;
  return { memory, taken: (base < 0 ? 0 : 1 << base) | (index < 0 ? 0 : 1 << index) };
}

/** FS and GS hold null selectors: #GP. A write through CS is #GP as well. */
function segmentOf(random: Random, base: number): number {
  const usual = defaultSegment(base === EBP || base === ESP ? base : -1);
  if (!random.oneIn(12)) return usual;
  return random.pick([
    SEGMENTS.es,
    SEGMENTS.cs,
    SEGMENTS.ss,
    SEGMENTS.ds,
    SEGMENTS.ds,
    SEGMENTS.es,
    SEGMENTS.fs,
    SEGMENTS.gs,
  ]);
}
