/** Loads, stores, exchanges and constants of the x87 unit (SDM vol. 2: FLD FST FSTP FILD FIST FISTP FBLD FBSTP FXCH FCMOVcc FLDcc). */
import type { Build, Number80, Operand, Semantics } from '../build.ts';
import { conditionFlags, family, m16, m32, m64, m80, r, row, rw, sti, w } from '../dsl.ts';
import type { Row } from '../model.ts';
import { addImm, eqz, signExtend, widenS } from '../ops.ts';
import { quickInteger } from '../x87-integer.ts';
import { NOTHING, numberAt, numberOfInteger, quickNarrowed, quickWidened } from '../x87-quick.ts';
import { calculate, compute, copy, exchange, isEmpty, markFull, physical, place, pop, push, report, room, st, store } from '../x87.ts';

/** Ten bytes of memory into a slot, and back: the further end is looked at first, so that a fault leaves no half. */
function loadTen<V>(from: Operand<V>): { low: V; high: V } {
  return { low: from.load('u64', 0), high: from.load('u16', 8) };
}
function probeTen<V>(b: Build<V>, to: Operand<V>): void {
  b.probeStore('operand', to.offset(), 'u64');
  b.probeStore('operand', addImm(b, to.offset(), 8), 'u16');
}
function storeTen<V>(b: Build<V>, to: Operand<V>, { significand, high }: Number80<V>): void {
  probeTen(b, to);
  to.store('u64', 0, significand);
  to.store('u16', 8, high);
}

const loadingFloat = (bits: 32 | 64): Semantics => (b, src) => {
  const value = src.read();
  push(b, { quick: () => quickWidened(b, bits, value), leaf: (to) => b.leaf(`f80_from_f${bits}`, to, value, b.get('fpuControl')) });
};
const loadingInteger = (bits: 16 | 32 | 64): Semantics => (b, src) => {
  const value = src.read();
  push(b, { quick: () => () => numberOfInteger(b, bits === 64 ? value : widenS(b, signExtend(b, bits, value))) });
};
const loadingExtended: Semantics = (b, src) => {
  const { low, high } = loadTen(src);
  push(b, { quick: () => () => ({ significand: low, high }) });
};
const loadingDecimal: Semantics = (b, src) => {
  const { low, high } = loadTen(src), digits = room(b, 0);
  b.poke(digits, 'u64', 0, low);
  b.poke(digits, 'u16', 8, high);
  push(b, { leaf: (to) => b.leaf('f80_from_bcd', to, digits) });
};
const loadingRegister: Semantics = (b, src) => {
  const register = physical(b, src.number());
  push(b, { quick: () => () => numberAt(b, place(b, register)) }, register);
};
const ONE = 0, ZERO = 6;
const loadingConstant = (index: number): Semantics => (b) => {
  if (index === ONE) push(b, { quick: () => () => ({ significand: b.imm64(1n << 63n), high: b.imm(0x3fff), range: { unit: 0, most: 1 } }) });
  else if (index === ZERO) push(b, { quick: () => () => ({ significand: b.imm64(0n), high: b.imm(0), range: NOTHING }) });
  else push(b, { leaf: (to) => b.leaf('f80_constant', to, b.imm(index), b.get('fpuControl')) });
};

const storingFloat = (bits: 32 | 64, popping: boolean): Semantics => (b, dst) => {
  const type = bits === 32 ? 'u32' : 'u64';
  store(b, {
    popping,
    quick: (number) => quickNarrowed(b, bits, number),
    empty: bits === 64 ? b.imm64(0n) : b.imm(0),
    convert: (to, from) => b.leaf(`f80_to_f${bits}`, to, from, b.get('fpuControl')),
    read: (at) => b.peek(at, type, 0),
    write: (value) => dst.write(value),
    probe: () => b.probeStore('operand', dst.offset(), type),
  });
};
const storingInteger = (bits: 16 | 32 | 64, popping: boolean, truncating = false): Semantics => (b, dst) => {
  const type = bits === 16 ? 'u16' : bits === 32 ? 'u32' : 'u64';
  store(b, {
    popping,
    quick: (number) => quickInteger(b, bits, number, truncating),
    empty: bits === 64 ? b.imm64(0n) : b.imm(0),
    convert: (to, from) => b.leaf(`f80_to_i${bits}`, to, from, b.imm(truncating ? 1 : 0), b.get('fpuControl')),
    read: (at) => b.peek(at, type, 0),
    write: (value) => dst.write(value),
    probe: () => b.probeStore('operand', dst.offset(), type),
  });
};
/** Ten bytes as they are. An empty register as the indefinite. */
const storingExtended: Semantics = (b, dst) => storeWide(b, dst, (to, from) => {
  copy(b, to, from);
  return b.imm(0);
});
const storingDecimal: Semantics = (b, dst) => storeWide(b, dst, (to, from) => b.leaf('f80_to_bcd', to, from, b.get('fpuControl')));
/** Both words of what was converted are taken from its slot where they are written. */
function storeWide<V>(b: Build<V>, dst: Operand<V>, convert: (to: V, from: V) => V): void {
  store(b, {
    popping: true,
    empty: b.imm(0),
    convert,
    read: (at) => at,
    write: (at) => storeTen(b, dst, numberAt(b, at)),
    probe: () => probeTen(b, dst),
  });
}
const storingRegister = (pops: number): Semantics => (b, dst) => {
  const from = st(b, 0), to = physical(b, dst.number());
  calculate(b, { reads: [from], to, fills: true, pops }, { quick: () => () => numberAt(b, place(b, from)) });
};
/** FSTP of the undocumented opcode D9 D8: an empty register is no fault, and nothing is stored. */
const storingAnything: Semantics = (b, dst) => {
  const from = st(b, 0), to = physical(b, dst.number());
  b.if(eqz(b, isEmpty(b, from)), () => {
    copy(b, place(b, to), place(b, from));
    markFull(b, to);
  });
  pop(b);
  report(b, b.imm(0));
};
const exchanging: Semantics = (b, other) => exchange(b, st(b, 0), physical(b, other.number()));

/** FCMOVcc: the condition of the integer flags, by its code of Jcc. */
const moving = (condition: number): Semantics => (b, src) => {
  const to = st(b, 0), from = physical(b, src.number());
  compute(b, { reads: [to, from], to, defined: 0 }, (at) => {
    b.if(b.condition(condition), () => copy(b, at, place(b, from)));
    return b.imm(0);
  });
};
const CONDITION = { b: 2, e: 4, be: 6, u: 10, nb: 3, ne: 5, nbe: 7, nu: 11 } as const;
const conditional = (Object.keys(CONDITION) as (keyof typeof CONDITION)[]).map((name, i): Row =>
  row(`fcmov${name}`, `${i < 4 ? 'DA' : 'DB'} ${(0xc0 + (i & 3) * 8).toString(16).toUpperCase()}+i`, [r(sti)], moving(CONDITION[name]), { flags: conditionFlags(CONDITION[name]), feature: 'cmov' }));

const constants = ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'].map((name, i): Row =>
  row(name, `D9 ${(0xe8 + i).toString(16).toUpperCase()}`, [], loadingConstant(i)));

export const x87LoadStore = family('x87-load-store', [
  row('fld',   'D9 /0',    [r(m32)], loadingFloat(32)),
  row('fld',   'DD /0',    [r(m64)], loadingFloat(64)),
  row('fld',   'DB /5',    [r(m80)], loadingExtended),
  row('fld',   'D9 C0+i',  [r(sti)], loadingRegister),
  row('fild',  'DF /0',    [r(m16)], loadingInteger(16)),
  row('fild',  'DB /0',    [r(m32)], loadingInteger(32)),
  row('fild',  'DF /5',    [r(m64)], loadingInteger(64)),
  row('fbld',  'DF /4',    [r(m80)], loadingDecimal),
  ...constants,
  row('fst',   'D9 /2',    [w(m32)], storingFloat(32, false)),
  row('fst',   'DD /2',    [w(m64)], storingFloat(64, false)),
  row('fstp',  'D9 /3',    [w(m32)], storingFloat(32, true)),
  row('fstp',  'DD /3',    [w(m64)], storingFloat(64, true)),
  row('fstp',  'DB /7',    [w(m80)], storingExtended),
  row('fist',  'DF /2',    [w(m16)], storingInteger(16, false)),
  row('fist',  'DB /2',    [w(m32)], storingInteger(32, false)),
  row('fistp', 'DF /3',    [w(m16)], storingInteger(16, true)),
  row('fistp', 'DB /3',    [w(m32)], storingInteger(32, true)),
  row('fistp', 'DF /7',    [w(m64)], storingInteger(64, true)),
  row('fisttp', 'DF /1',   [w(m16)], storingInteger(16, true, true), { feature: 'sse3' }),
  row('fisttp', 'DB /1',   [w(m32)], storingInteger(32, true, true), { feature: 'sse3' }),
  row('fisttp', 'DD /1',   [w(m64)], storingInteger(64, true, true), { feature: 'sse3' }),
  row('fbstp', 'DF /6',    [w(m80)], storingDecimal),
  row('fst',   'DD D0+i',  [w(sti)], storingRegister(0)),
  row('fstp',  'DD D8+i',  [w(sti)], storingRegister(1)),
  // The same instructions under opcodes that no manual lists and every processor has.
  row('fstp',  'D9 D8+i',  [w(sti)], storingAnything),
  row('fstp',  'DF D0+i',  [w(sti)], storingRegister(1)),
  row('fstp',  'DF D8+i',  [w(sti)], storingRegister(1)),
  row('fxch',  'D9 C8+i',  [rw(sti)], exchanging),
  row('fxch',  'DD C8+i',  [rw(sti)], exchanging),
  row('fxch',  'DF C8+i',  [rw(sti)], exchanging),
  ...conditional,
], { unit: 'x87', feature: 'fpu' });
