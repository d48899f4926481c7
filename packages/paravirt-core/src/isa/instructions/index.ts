/** The instruction set: the list of families. A new family is one line here. */
import type { Row } from '../model.ts';
import { arith } from './arith.ts';
import { bits } from './bit.ts';
import { control } from './control.ts';
import { mov } from './mov.ts';
import { mulDiv } from './mul-div.ts';
import { packedInteger } from './packed-integer.ts';
import { packedShift } from './packed-shift.ts';
import { packedShuffle } from './packed-shuffle.ts';
import { shift } from './shift.ts';
import { sseConvert } from './sse-convert.ts';
import { sse3 } from './sse3.ts';
import { sse41 } from './sse4-1.ts';
import { sse42 } from './sse4-2.ts';
import { sseFloat } from './sse-float.ts';
import { sseMove } from './sse-move.ts';
import { ssse3 } from './ssse3.ts';
import { string } from './string.ts';
import { system } from './system.ts';
import { x87Arith } from './x87-arith.ts';
import { x87Compare } from './x87-compare.ts';
import { x87Control } from './x87-control.ts';
import { x87LoadStore } from './x87-load-store.ts';
import { x87Transcendental } from './x87-transcendental.ts';

export const families: readonly (readonly Row[])[] = [
  mov, arith, bits, shift, mulDiv, control, string, system,
  x87Control, x87LoadStore, x87Arith, x87Compare, x87Transcendental,
  sseMove, packedInteger, packedShift, packedShuffle, sseFloat, sseConvert,
  sse3, ssse3, sse41, sse42,
];
export const allRows: readonly Row[] = families.flat();
