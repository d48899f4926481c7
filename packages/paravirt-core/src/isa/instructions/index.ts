/** The instruction set: the list of families. A new family is one line here. */
import type { Row } from '../model.ts';
import { arith } from './arith.ts';
import { bits } from './bit.ts';
import { control } from './control.ts';
import { mov } from './mov.ts';
import { mulDiv } from './mul-div.ts';
import { shift } from './shift.ts';
import { string } from './string.ts';
import { system } from './system.ts';
import { x87Control } from './x87-control.ts';

export const families: readonly (readonly Row[])[] = [mov, arith, bits, shift, mulDiv, control, string, system, x87Control];
export const allRows: readonly Row[] = families.flat();
