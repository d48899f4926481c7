/** The tags of x87 registers as one field: a bit for each physical register, set where it is empty. */
import type { Build } from './build.ts';
import { and, andImm, not, or, shl, shrU } from './ops.ts';

/** `Build.isEmpty`, read from the field. */
export const tagOf = <V>(b: Build<V>, register: V): V => andImm(b, shrU(b, b.get('fpuTags'), register), 1);
/** `Build.setEmpty`, written to the field. */
export function setTag<V>(b: Build<V>, register: V, empty: boolean): void {
  const bit = shl(b, b.imm(1), register),
    tags = b.get('fpuTags');
  b.set('fpuTags', empty ? or(b, tags, bit) : and(b, tags, not(b, bit)));
}
