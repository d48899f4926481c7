/** Comparisons and classification of the x87 unit (SDM vol. 2: FCOM FUCOM FICOM FCOMI FTST FXAM). */
import type { Build, Semantics } from '../build.ts';
import { family, m16, m32, m64, r, row, sti } from '../dsl.ts';
import type { Traits } from '../model.ts';
import { andImm, or, shrImm, signExtend, widenS } from '../ops.ts';
import { NOTHING, numberAt, numberOfInteger, quickRelation, quickWidened } from '../x87-quick.ts';
import { C0, C1, C3, CONDITION_CODES, compare, isEmpty, physical, place, report, room, st } from '../x87.ts';

/** The relation of ST(0) to another place. `quiet`: quiet NaNs raise nothing. */
const relation = <V>(b: Build<V>, first: V, other: V, quiet: boolean): V => b.leaf('f80_compare', first, other, b.imm(quiet ? 1 : 0));

const withRegister = (quiet: boolean, pops: number): Semantics => (b, operand) => {
  withOther(b, physical(b, operand.number()), quiet, pops);
};
/** ST(0) with ST(1), and both are popped. */
const withNext = (quiet: boolean): Semantics => (b) => withOther(b, st(b, 1), quiet, 2);
function withOther<V>(b: Build<V>, other: V, quiet: boolean, pops: number, defined = CONDITION_CODES, then?: (relation: V) => void): void {
  const top = st(b, 0), first = place(b, top), second = place(b, other);
  compare(b, {
    ...{ reads: [top, other], pops, defined },
    ...(then === undefined ? {} : { then }),
    quick: () => quickRelation(b, numberAt(b, first), numberAt(b, second)),
    leaf: () => relation(b, first, second, quiet),
  });
}
const withFloat = (bits: 32 | 64, pops: number): Semantics => (b, src) => {
  const value = src.read(), top = st(b, 0), at = place(b, top);
  compare(b, {
    ...{ reads: [top], pops, defined: CONDITION_CODES },
    quick: () => {
      const first = numberAt(b, at), other = quickWidened(b, bits, value);
      return (unless) => quickRelation(b, first, other(unless))(unless);
    },
    leaf: () => {
      const other = room(b, 0), denormal = b.leaf(`f80_widen_f${bits}`, other, value);
      const met = b.variable(b.imm(0));
      b.if(denormal, () => met.set(b.leaf('f80_meets_denormal', at, b.imm(0))));
      return or(b, met.get(), relation(b, at, other, false));
    },
  });
};
const withInteger = (bits: 16 | 32, pops: number): Semantics => (b, src) => {
  const value = widenS(b, signExtend(b, bits, src.read())), top = st(b, 0), at = place(b, top);
  compare(b, {
    ...{ reads: [top], pops, defined: CONDITION_CODES },
    quick: () => quickRelation(b, numberAt(b, at), numberOfInteger(b, value)),
    leaf: () => {
      const other = room(b, 0);
      b.leaf('f80_from_int', other, value);
      return relation(b, at, other, false);
    },
  });
};
/** The relation goes to ZF, PF and CF; the other status flags become 0, and the conditions of the status word stay but C1. */
const intoFlags = (quiet: boolean, pops: number): Semantics => (b, operand) => {
  // C0, C2 and C3 lie above CF, PF and ZF by eight bits.
  withOther(b, physical(b, operand.number()), quiet, pops, C1, (flags) => b.setStatusFlags(andImm(b, shrImm(b, flags, 8), 0x45)));
};
const testing: Semantics = (b) => {
  const top = st(b, 0), at = place(b, top);
  compare(b, {
    ...{ reads: [top], pops: 0, defined: CONDITION_CODES },
    quick: () => quickRelation(b, numberAt(b, at), { significand: b.imm64(0n), high: b.imm(0), range: NOTHING }),
    leaf: () => b.leaf('f80_test', at),
  });
};
/** The sign of an empty register is told too. */
const examining: Semantics = (b) => {
  const top = st(b, 0), found = b.leaf('f80_examine', place(b, top));
  report(b, b.select(isEmpty(b, top), or(b, andImm(b, found, C1), b.imm(C3 | C0)), found), CONDITION_CODES);
};

const FLAGS: Traits = { flags: 'w=zpc 0=osa', feature: 'cmov' };
export const x87Compare = family('x87-compare', [
  row('fcom',    'D8 /2',   [r(m32)], withFloat(32, 0)),
  row('fcomp',   'D8 /3',   [r(m32)], withFloat(32, 1)),
  row('fcom',    'DC /2',   [r(m64)], withFloat(64, 0)),
  row('fcomp',   'DC /3',   [r(m64)], withFloat(64, 1)),
  row('ficom',   'DA /2',   [r(m32)], withInteger(32, 0)),
  row('ficomp',  'DA /3',   [r(m32)], withInteger(32, 1)),
  row('ficom',   'DE /2',   [r(m16)], withInteger(16, 0)),
  row('ficomp',  'DE /3',   [r(m16)], withInteger(16, 1)),
  row('fcom',    'D8 D0+i', [r(sti)], withRegister(false, 0)),
  row('fcomp',   'D8 D8+i', [r(sti)], withRegister(false, 1)),
  row('fcompp',  'DE D9',   [],       withNext(false)),
  row('fucom',   'DD E0+i', [r(sti)], withRegister(true, 0)),
  row('fucomp',  'DD E8+i', [r(sti)], withRegister(true, 1)),
  row('fucompp', 'DA E9',   [],       withNext(true)),
  row('fcomi',   'DB F0+i', [r(sti)], intoFlags(false, 0), FLAGS),
  row('fcomip',  'DF F0+i', [r(sti)], intoFlags(false, 1), FLAGS),
  row('fucomi',  'DB E8+i', [r(sti)], intoFlags(true, 0), FLAGS),
  row('fucomip', 'DF E8+i', [r(sti)], intoFlags(true, 1), FLAGS),
  row('ftst',    'D9 E4',   [],       testing),
  row('fxam',    'D9 E5',   [],       examining),
  // The same instructions under opcodes that no manual lists and every processor has.
  row('fcom',    'DC D0+i', [r(sti)], withRegister(false, 0)),
  row('fcomp',   'DC D8+i', [r(sti)], withRegister(false, 1)),
  row('fcomp',   'DE D0+i', [r(sti)], withRegister(false, 1)),
], { unit: 'x87', feature: 'fpu' });
