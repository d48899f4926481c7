/** What SSE floating point instructions share: operands for leaf numerics, and how exceptions are reported (SDM vol. 1, 11.5). */
import type { Build, Operand, Semantics } from './build.ts';
import { and, andImm, not, or, shrImm } from './ops.ts';

/** Slot of `scratch` for an operand from memory or a result on its way. */
const ROOM = 2;
/** MXCSR: the masks lie this far above the flags. */
const MASKS_SHIFT = 7;
const FLAGS = 0x3f;

export const room = <V>(b: Build<V>): V => b.slotAddress('scratch', b.imm(ROOM));

/** Where the bytes of an operand lie: a register's own place, or a copy of what was read from memory. */
export function addressOf<V>(b: Build<V>, operand: Operand<V>): V {
  return operand.isMemory ? keep(b, operand.read()) : operand.address();
}
/** Puts 128 bits where a leaf can read them. */
function keep<V>(b: Build<V>, value: V): V {
  const copy = room(b);
  b.poke(copy, 'v128', 0, value);
  return copy;
}

/** Adds flags to MXCSR; raises #XM, or #UD when the system does not expect it, for those that are not masked. */
export function reportSimd<V>(b: Build<V>, flags: V): void {
  const mxcsr = b.get('mxcsr');
  b.set('mxcsr', or(b, mxcsr, flags));
  b.if(and(b, flags, not(b, shrImm(b, mxcsr, MASKS_SHIFT))), () => void b.service('simdException'));
}

/** A leaf that writes its result to the destination register: (destination, source, MXCSR) -> flags. */
export const computing =
  (leaf: string): Semantics =>
  (b, dst, src) => {
    const from = addressOf(b, src);
    reportSimd(b, b.leaf(leaf, dst.address(), from, b.get('mxcsr')));
  };
/** Slots of `scratch` for two operands that no register holds. */
const LEFT = 3,
  RIGHT = 2;
/**
 * A packed leaf on two values: what it raises, and its result, which counts only when nothing unmasked is raised. The caller
 * reports the flags. `how`: what the leaf takes besides, the predicate of a comparison.
 */
export function combined<V>(b: Build<V>, leaf: string, x: V, y: V, ...how: V[]): { flags: V; value: V } {
  const { left, right } = keepBoth(b, x, y);
  const flags = b.leaf(leaf, left, right, ...how, b.get('mxcsr'));
  return { flags, value: b.peek(left, 'v128', 0) };
}
/** A comparison by its leaf: reports the flags of MXCSR, and returns the relation as ZF, PF and CF. */
export function related<V>(b: Build<V>, leaf: string, quiet: boolean, x: V, y: V): V {
  const { left, right } = keepBoth(b, x, y);
  // Flags of MXCSR lie below, the relation from bit 8 on.
  const both = b.leaf(leaf, left, right, b.imm(quiet ? 1 : 0), b.get('mxcsr'));
  reportSimd(b, andImm(b, both, FLAGS));
  return shrImm(b, both, 8);
}
function keepBoth<V>(b: Build<V>, x: V, y: V): { left: V; right: V } {
  const left = b.slotAddress('scratch', b.imm(LEFT)),
    right = b.slotAddress('scratch', b.imm(RIGHT));
  b.poke(left, 'v128', 0, x);
  b.poke(right, 'v128', 0, y);
  return { left, right };
}
/** Invalid, denormal and zero-divide: what operands raise. */
const OF_OPERANDS = 7;
/** Of flags that several leaves raised: an unmasked exception of operands keeps those of results away (SDM vol. 1, 11.5.3). */
export function operandsFirst<V>(b: Build<V>, flags: V): V {
  const before = andImm(b, flags, OF_OPERANDS);
  return b.select(and(b, before, not(b, shrImm(b, b.get('mxcsr'), MASKS_SHIFT))), before, flags);
}
