/** Arithmetic of the x87 unit that is exact by IEEE 754 (SDM vol. 2: FADD FSUB FMUL FDIV FSQRT FRNDINT FSCALE FXTRACT FPREM FABS FCHS). */
import type { Build, Number80, Semantics } from '../build.ts';
import { family, m16, m32, m64, r, row, rw, sti } from '../dsl.ts';
import type { Row } from '../model.ts';
import { and, andImm, eqz, or, signExtend, widenS, xor } from '../ops.ts';
import { quickWhole } from '../x87-integer.ts';
import { numberAt, numberOfInteger, operandAt, quickProduct, quickSum, quickWidened, type Quick } from '../x87-quick.ts';
import { quickQuotient, quickRoot } from '../x87-quotient.ts';
import { C0, C1, C2, C3, DE, IE, calculate, compute, computeTwo, physical, place, room, st, unmasked } from '../x87.ts';

interface Operation {
  readonly name: string;
  /** ModRM digit of the memory forms. */
  readonly digit: number;
  readonly leaf: 'f80_add' | 'f80_mul' | 'f80_sub' | 'f80_div';
  /** The other operand comes first: FSUBR, FDIVR. */
  readonly reversed: boolean;
}
const OPERATIONS: readonly Operation[] = [
  { name: 'fadd', digit: 0, leaf: 'f80_add', reversed: false },
  { name: 'fmul', digit: 1, leaf: 'f80_mul', reversed: false },
  { name: 'fsub', digit: 4, leaf: 'f80_sub', reversed: false },
  { name: 'fsubr', digit: 5, leaf: 'f80_sub', reversed: true },
  { name: 'fdiv', digit: 6, leaf: 'f80_div', reversed: false },
  { name: 'fdivr', digit: 7, leaf: 'f80_div', reversed: true },
];

/** ST(0) and another operand, by place, in the operation's order. */
function apply<V>(b: Build<V>, { leaf, reversed }: Operation, to: V, first: V, other: V): V {
  return reversed ? b.leaf(leaf, to, other, first, b.get('fpuControl')) : b.leaf(leaf, to, first, other, b.get('fpuControl'));
}
/** The same without it. */
function quickly<V>(b: Build<V>, { leaf, reversed }: Operation, first: Number80<V>, other: Number80<V>): Quick<V> {
  const [x, y] = reversed ? [other, first] : [first, other];
  if (leaf === 'f80_mul') return quickProduct(b, x, y);
  return leaf === 'f80_div' ? quickQuotient(b, x, y) : quickSum(b, x, y, leaf === 'f80_sub');
}

/** A float in memory is taken exactly as it is; when it is denormal, #D comes where the operation looks at it. */
const withFloat = (operation: Operation, bits: 32 | 64): Semantics => (b, src) => {
  const value = src.read(), top = st(b, 0), at = place(b, top);
  calculate(b, { reads: [top], to: top }, {
    quick: () => {
      const first = operandAt(b, at), other = quickWidened(b, bits, value);
      return (unless) => quickly(b, operation, first, other(unless))(unless);
    },
    leaf: (to) => {
      const other = room(b, 0), denormal = b.leaf(`f80_widen_f${bits}`, other, value);
      const divides = operation.leaf === 'f80_div' && operation.reversed;
      const flags = b.variable(b.imm(0));
      b.if(denormal, () => flags.set(b.leaf('f80_meets_denormal', at, b.imm(divides ? 1 : 0))));
      b.if(eqz(b, unmasked(b, flags.get(), DE)), () => flags.set(or(b, flags.get(), apply(b, operation, to, at, other))));
      return flags.get();
    },
  });
};
const withInteger = (operation: Operation, bits: 16 | 32): Semantics => (b, src) => {
  const value = widenS(b, signExtend(b, bits, src.read())), top = st(b, 0), at = place(b, top);
  calculate(b, { reads: [top], to: top }, {
    quick: () => quickly(b, operation, operandAt(b, at), numberOfInteger(b, value)),
    leaf: (to) => {
      const other = room(b, 0);
      b.leaf('f80_from_int', other, value);
      return apply(b, operation, to, at, other);
    },
  });
};
/** The first operand is ST(0) whichever register takes the result. */
const withRegister = (operation: Operation, into: 'top' | 'other', pops = 0): Semantics => (b, operand) => {
  const top = st(b, 0), other = physical(b, operand.number());
  const first = place(b, top), second = place(b, other);
  calculate(b, { reads: [top, other], to: into === 'top' ? top : other, pops }, {
    quick: () => quickly(b, operation, operandAt(b, first), operandAt(b, second)),
    leaf: (to) => apply(b, operation, to, first, second),
  });
};

const hex = (byte: number): string => byte.toString(16).toUpperCase();
const rowsOf = (operation: Operation): Row[] => {
  const { name, digit } = operation, registers = hex(0xc0 + digit * 8);
  // In the forms that write ST(i) the manual counts "reverse" from the other side.
  const swapped = OPERATIONS.find((o) => o.leaf === operation.leaf && o.reversed !== operation.reversed)?.name ?? name;
  return [
    row(name, `D8 /${digit}`, [r(m32)], withFloat(operation, 32)),
    row(name, `DC /${digit}`, [r(m64)], withFloat(operation, 64)),
    row(`fi${name.slice(1)}`, `DA /${digit}`, [r(m32)], withInteger(operation, 32)),
    row(`fi${name.slice(1)}`, `DE /${digit}`, [r(m16)], withInteger(operation, 16)),
    row(name, `D8 ${registers}+i`, [r(sti)], withRegister(operation, 'top')),
    row(swapped, `DC ${registers}+i`, [rw(sti)], withRegister(operation, 'other')),
    row(`${swapped}p`, `DE ${registers}+i`, [rw(sti)], withRegister(operation, 'other', 1)),
  ];
};

const root: Semantics = (b) => {
  const top = st(b, 0), at = place(b, top);
  calculate(b, { reads: [top], to: top }, {
    quick: () => quickRoot(b, numberAt(b, at)),
    leaf: (to) => b.leaf('f80_sqrt', to, at, b.get('fpuControl')),
  });
};
const rounding: Semantics = (b) => {
  const top = st(b, 0), at = place(b, top);
  calculate(b, { reads: [top], to: top }, { quick: () => quickWhole(b, numberAt(b, at)), leaf: (to) => b.leaf('f80_rndint', to, at, b.get('fpuControl')) });
};
/** Sign changes look at nothing but the sign: no exception but the stack's. */
const signed = (change: <V>(b: Build<V>, high: V) => V): Semantics => (b) => {
  const top = st(b, 0), at = place(b, top);
  calculate(b, { reads: [top], to: top }, {
    quick: () => {
      const number = numberAt(b, at);
      return () => ({ ...number, high: change(b, number.high) });
    },
  });
};
/** The quotient's bits come in C0, C3 and C1, but where the result is a NaN, or none, C0 and C3 stay. */
const remainder = (nearest: 0 | 1): Semantics => (b) => {
  const top = st(b, 0), next = st(b, 1);
  compute(b, { reads: [top, next], to: top, defined: C1 | C2 }, (at) => {
    const flags = b.leaf('f80_rem', at, at, place(b, next), b.imm(nearest), b.get('fpuControl'));
    const isNumber = b.op('i32.ne', [andImm(b, b.peek(at, 'u16', 8), 0x7fff), b.imm(0x7fff)]);
    const stopped = or(b, andImm(b, flags, IE), unmasked(b, flags, DE));
    b.if(and(b, isNumber, eqz(b, stopped)), () => b.set('fpuStatus', andImm(b, b.get('fpuStatus'), ~(C0 | C3))));
    return flags;
  });
};
const scaling: Semantics = (b) => {
  const top = st(b, 0), next = st(b, 1);
  compute(b, { reads: [top, next], to: top }, (at) => b.leaf('f80_scale', at, at, place(b, next), b.get('fpuControl')));
};
/** The exponent replaces ST(0), the significand is pushed. */
const extracting: Semantics = (b) => computeTwo(b, C1, (at, pushed) => b.leaf('f80_extract', pushed, at, at, b.get('fpuControl')));

export const x87Arith = family('x87-arith', [
  ...OPERATIONS.flatMap(rowsOf),
  row('fchs',    'D9 E0', [], signed((b, high) => xor(b, high, b.imm(0x8000)))),
  row('fabs',    'D9 E1', [], signed((b, high) => andImm(b, high, 0x7fff))),
  row('fxtract', 'D9 F4', [], extracting),
  row('fprem1',  'D9 F5', [], remainder(1)),
  row('fprem',   'D9 F8', [], remainder(0)),
  row('fsqrt',   'D9 FA', [], root),
  row('frndint', 'D9 FC', [], rounding),
  row('fscale',  'D9 FD', [], scaling),
], { unit: 'x87', feature: 'fpu' });
