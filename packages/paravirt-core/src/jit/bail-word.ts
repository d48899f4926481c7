/** One word that says where, and as what, compiled code was left before an instruction: what bails have in common is done once. */
import type { Code } from '../wasm/module.ts';

/** Bits of the word, from its lowest on: which flags are pending, and how many instructions of the block were executed. */
const PENDING_BITS = 5,
  BEFORE_BITS = 9;
/** Above them comes the place; `eip` has it where a page of the region is that far away. */
const FAR_PAGES = (1 << (32 - PENDING_BITS - BEFORE_BITS - 12)) / 2;

/** Whether places in all these pages fit into the word. */
export const isNearEnough = (pages: Iterable<number>): boolean =>
  [...pages].every((page) => Math.abs(page) < FAR_PAGES);
/** Of what is pending where a local says what it is. */
export const OPEN_PENDING = (1 << PENDING_BITS) - 1;
export const bailWord = (place: number, before: number, pending: number): number =>
  (place << (PENDING_BITS + BEFORE_BITS)) | (before << PENDING_BITS) | pending;

/** Locals: the word, instructions left, the page's EIP, and EIP, which has the place where the word has no room for it. */
export interface BailLocals {
  readonly how: number;
  readonly left: number;
  readonly pageEip: number;
  readonly eip: number;
  readonly isNear: boolean;
}
/** Counts what was executed, and makes EIP what it was. */
export function settleBail(code: Code, { how, left, pageEip, eip, isNear }: BailLocals): void {
  code.get(left).get(how).i32(PENDING_BITS).op('i32.shr_u');
  code
    .i32((1 << BEFORE_BITS) - 1)
    .op('i32.and')
    .op('i32.sub')
    .set(left);
  code.get(pageEip);
  if (isNear)
    code
      .get(how)
      .i32(PENDING_BITS + BEFORE_BITS)
      .op('i32.shr_s');
  else code.get(eip);
  code.op('i32.add').set(eip);
}
/** Pushes which flags are pending. */
export const pendingOf = (code: Code, how: number): Code =>
  code
    .get(how)
    .i32((1 << PENDING_BITS) - 1)
    .op('i32.and');
