/** Addition, subtraction, comparison, increments, negation (SDM vol. 2: ADD ADC SUB SBB CMP INC DEC NEG XADD CMPXCHG). */
import { EAX, EDX, EBX, ECX, type Semantics } from '../build.ts';
import { al, family, imm8, immv, m64, orv, r, r8, rax, rm8, rmv, row, rv, rw, simm8 } from '../dsl.ts';
import type { Row, Traits } from '../model.ts';
import { add, addImm, eq, not, or, pair, sizeOf, sub, wrap, highHalf, xor, and, type RowSize } from '../ops.ts';

type Of = (size: RowSize) => Semantics;

const adding: Of = (size) => (b, dst, src) => {
  const x = dst.read(), y = src.read(), sum = add(b, x, y);
  dst.write(sum);
  b.setFlags('add', sizeOf(b, size), sum, x, y);
};
const addingCarry: Of = (size) => (b, dst, src) => {
  const x = dst.read(), y = src.read(), sum = add(b, add(b, x, y), b.flag('C'));
  dst.write(sum);
  b.setFlags('add', sizeOf(b, size), sum, x, y);
};
const subtracting: Of = (size) => (b, dst, src) => {
  const x = dst.read(), y = src.read(), difference = sub(b, x, y);
  dst.write(difference);
  b.setFlags('sub', sizeOf(b, size), difference, x, y);
};
const subtractingBorrow: Of = (size) => (b, dst, src) => {
  const x = dst.read(), y = src.read(), difference = sub(b, sub(b, x, y), b.flag('C'));
  dst.write(difference);
  b.setFlags('sub', sizeOf(b, size), difference, x, y);
};
const comparing: Of = (size) => (b, left, right) => {
  const x = left.read(), y = right.read();
  b.setFlags('sub', sizeOf(b, size), sub(b, x, y), x, y);
};
const logical = (how: typeof and): Of => (size) => (b, dst, src) => {
  const result = how(b, dst.read(), src.read());
  dst.write(result);
  b.setFlags('logic', sizeOf(b, size), result);
};

/** The nine encodings that the eight arithmetic groups share. */
function group(mnemonic: string, n: number, of: Of, traits: Traits, writes = true): Row[] {
  const op = (low: number): string => (n * 8 + low).toString(16).toUpperCase().padStart(2, '0');
  const d = writes ? rw : r;
  const locked = writes ? { ...traits, lock: true } : traits;
  return [
    row(mnemonic, `${op(0)} /r`,    [d(rm8), r(r8)],    of(8),   locked),
    row(mnemonic, `${op(1)} /r`,    [d(rmv), r(rv)],    of('v'), locked),
    row(mnemonic, `${op(2)} /r`,    [d(r8), r(rm8)],    of(8),   traits),
    row(mnemonic, `${op(3)} /r`,    [d(rv), r(rmv)],    of('v'), traits),
    row(mnemonic, `${op(4)} ib`,    [d(al), r(imm8)],   of(8),   traits),
    row(mnemonic, `${op(5)} iv`,    [d(rax), r(immv)],  of('v'), traits),
    row(mnemonic, `80 /${n} ib`,    [d(rm8), r(imm8)],  of(8),   locked),
    row(mnemonic, `81 /${n} iv`,    [d(rmv), r(immv)],  of('v'), locked),
    row(mnemonic, `82 /${n} ib`,    [d(rm8), r(imm8)],  of(8),   { ...locked, hot: false }),
    row(mnemonic, `83 /${n} ib`,    [d(rmv), r(simm8)], of('v'), locked),
  ];
}

const incrementing: Of = (size) => (b, dst) => {
  const x = dst.read(), carry = b.flag('C'), sum = addImm(b, x, 1);
  dst.write(sum);
  b.setFlags('add', sizeOf(b, size), sum, x, b.imm(1));
  b.setFlag('C', carry);
};
const decrementing: Of = (size) => (b, dst) => {
  const x = dst.read(), carry = b.flag('C'), difference = sub(b, x, b.imm(1));
  dst.write(difference);
  b.setFlags('sub', sizeOf(b, size), difference, x, b.imm(1));
  b.setFlag('C', carry);
};
const negating: Of = (size) => (b, dst) => {
  const x = dst.read(), zero = b.imm(0), difference = sub(b, zero, x);
  dst.write(difference);
  b.setFlags('sub', sizeOf(b, size), difference, zero, x);
};
const inverting: Semantics = (b, dst) => dst.write(not(b, dst.read()));

const exchangingAdd: Of = (size) => (b, dst, src) => {
  const x = dst.read(), y = src.read(), sum = add(b, x, y);
  // A register destination wins when both operands are the same register, a faulting store must leave the source alone.
  if (dst.isMemory) {
    dst.write(sum);
    src.write(x);
  } else {
    src.write(x);
    dst.write(sum);
  }
  b.setFlags('add', sizeOf(b, size), sum, x, y);
};
const comparingExchange: Of = (size) => (b, dst, src) => {
  const n = sizeOf(b, size), old = dst.read(), expected = b.getRegister(n, EAX), wanted = src.read();
  const equal = eq(b, old, expected);
  dst.write(b.select(equal, wanted, old)); // writes in either case, as the processor does
  // Only the accumulator's own bits change: the register form leaves it alone on success.
  b.if(equal, () => {}, () => b.setRegister(n, EAX, old));
  b.setFlags('sub', n, sub(b, expected, old), expected, old);
};
const comparingExchange8: Semantics = (b, dst) => {
  b.probeStore('operand', dst.offset(), 'u64');
  const old = dst.load('u64', 0);
  const expected = pair(b, b.getRegister(32, EDX), b.getRegister(32, EAX));
  const wanted = pair(b, b.getRegister(32, ECX), b.getRegister(32, EBX));
  const equal = b.op('i64.eq', [old, expected]);
  b.if(equal, () => dst.store('u64', 0, wanted), () => {
    dst.store('u64', 0, old);
    b.setRegister(32, EAX, wrap(b, old));
    b.setRegister(32, EDX, highHalf(b, old));
  });
  b.setFlag('Z', equal);
};

const ALL = { flags: 'w=oszapc', hot: true };
const LOGIC = { flags: 'w=szp u=a 0=oc', hot: true };

export const arith = family('arith', [
  ...group('add', 0, adding, ALL),
  ...group('or',  1, logical(or), LOGIC),
  ...group('adc', 2, addingCarry, { ...ALL, flags: 'r=c w=oszapc' }),
  ...group('sbb', 3, subtractingBorrow, { ...ALL, flags: 'r=c w=oszapc' }),
  ...group('and', 4, logical(and), LOGIC),
  ...group('sub', 5, subtracting, ALL),
  ...group('xor', 6, logical(xor), LOGIC),
  ...group('cmp', 7, comparing, ALL, false),
  row('inc',  '40+r',      [rw(orv)],          incrementing('v'), { flags: 'w=oszap', hot: true }),
  row('dec',  '48+r',      [rw(orv)],          decrementing('v'), { flags: 'w=oszap', hot: true }),
  row('inc',  'FE /0',     [rw(rm8)],          incrementing(8),   { flags: 'w=oszap', lock: true, hot: true }),
  row('inc',  'FF /0',     [rw(rmv)],          incrementing('v'), { flags: 'w=oszap', lock: true, hot: true }),
  row('dec',  'FE /1',     [rw(rm8)],          decrementing(8),   { flags: 'w=oszap', lock: true, hot: true }),
  row('dec',  'FF /1',     [rw(rmv)],          decrementing('v'), { flags: 'w=oszap', lock: true, hot: true }),
  row('not',  'F6 /2',     [rw(rm8)],          inverting,         { lock: true, hot: true }),
  row('not',  'F7 /2',     [rw(rmv)],          inverting,         { lock: true, hot: true }),
  row('neg',  'F6 /3',     [rw(rm8)],          negating(8),       { flags: 'w=oszapc', lock: true, hot: true }),
  row('neg',  'F7 /3',     [rw(rmv)],          negating('v'),     { flags: 'w=oszapc', lock: true, hot: true }),
  row('xadd', '0F C0 /r',  [rw(rm8), rw(r8)],  exchangingAdd(8),  { flags: 'w=oszapc', lock: true }),
  row('xadd', '0F C1 /r',  [rw(rmv), rw(rv)],  exchangingAdd('v'), { flags: 'w=oszapc', lock: true, hot: true }),
  row('cmpxchg', '0F B0 /r', [rw(rm8), r(r8)], comparingExchange(8), { flags: 'w=oszapc', lock: true }),
  row('cmpxchg', '0F B1 /r', [rw(rmv), r(rv)], comparingExchange('v'), { flags: 'w=oszapc', lock: true, hot: true }),
  row('cmpxchg8b', '0F C7 /1', [rw(m64)],      comparingExchange8, { flags: 'w=z', lock: true, feature: 'cx8' }),
]);
