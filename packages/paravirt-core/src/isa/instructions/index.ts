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
import { sseFloat } from './sse-float.ts';
import { sseMove } from './sse-move.ts';
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
];
export const allRows: readonly Row[] = families.flat();
