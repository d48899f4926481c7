/** The TLB as compiled code asks it. */
import type { Code } from '../wasm/module.ts';
import { lookHow, type WindowCode } from './windows.ts';

export interface LookUp {
  /** Pushes the address. */
  readonly linear: () => Code;
  /** The local for the upper part of the entry. */
  readonly entry: number;
  readonly bytes: number;
  readonly write: boolean;
  /** Whether what is found serves other accesses too. */
  readonly stays: boolean;
}

/**
 * Puts the upper part of a TLB entry into a local, by `Mmu.look` where the entry does not allow the access, or bails, one block further in.
 * Two tests that the host predicts cost less than one that depends on both. The usual way is the branch: a baseline compiler keeps locals
 * where they are along the first way to a place, and the call of the other way moves all of them.
 */
export function lookUp(
  code: Code,
  { tlb, readBit, look }: { readonly tlb: number; readonly readBit: number; readonly look: number },
  { linear, entry, bytes, write, stays }: LookUp,
  bail: () => void,
): WindowCode {
  const looksAtOffset = stays || bytes > 1;
  code.block();
  if (looksAtOffset) code.block();
  linear().i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and').memory('i32.load', tlb).tee(entry);
  code.i32(write ? readBit << 1 : readBit);
  const bit = code.length - 1;
  code.op('i32.and');
  let low = 0,
    room = 0;
  if (looksAtOffset) {
    code.op('i32.eqz').brIfSeldom(0);
    linear().i32(0xfff).op('i32.and');
    if (stays) {
      low = code.i32In2(0);
      code.op('i32.add');
    }
    room = code.i32In2(4096 - bytes);
    code.op('i32.le_u').brIfOften(1).end();
  } else code.brIfOften(0);
  linear();
  const how = code.i32In3(lookHow(0, bytes, write, write));
  code.call(look).tee(entry).brIfOften(0);
  bail();
  code.end();
  code.get(entry).i32(-4096).op('i32.and').set(entry);
  return { bit, low, room, how };
}
