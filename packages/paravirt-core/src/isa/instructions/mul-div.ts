/** Multiplication, division and the decimal adjustments (SDM vol. 2: MUL IMUL DIV IDIV DAA DAS AAA AAS AAM AAD). */
import { EAX, EDX, EXCEPTION, type Build, type Semantics, type Size } from '../build.ts';
import { family, imm8, immv, r, rm8, rmv, row, rv, simm8, w, rw } from '../dsl.ts';
import { add, addImm, and, andImm, eqz, gtU, highHalf, mul, mul64, ne, or, pair, shlImm, shrImm, signExtend, sizeOf, truncate, widenS, widenU, wrap, type RowSize } from '../ops.ts';

/** Puts a double-width product or dividend's halves where they belong: AX, DX:AX or EDX:EAX. */
function setWide<V>(b: Build<V>, size: Size, low: V, high: V): void {
  if (size === 8) {
    b.setRegister(16, EAX, or(b, shlImm(b, truncate(b, 8, high), 8), truncate(b, 8, low)));
  } else {
    b.setRegister(size, EAX, low);
    b.setRegister(size, EDX, high);
  }
}
const multiplying = (signed: boolean) => (size: RowSize): Semantics => (b, src) => {
  const n = sizeOf(b, size), x = b.getRegister(n, EAX), y = src.read();
  let low: ReturnType<typeof src.read>, high: typeof low;
  if (n === 32) {
    const widen = signed ? widenS : widenU, product = mul64(b, widen(b, x), widen(b, y));
    low = wrap(b, product);
    high = highHalf(b, product);
  } else {
    const product = signed ? mul(b, signExtend(b, n, x), signExtend(b, n, y)) : mul(b, x, y);
    low = truncate(b, n, product);
    high = truncate(b, n, shrImm(b, product, n));
  }
  setWide(b, n, low, high);
  const fill = signed ? truncate(b, n, b.op('i32.shr_s', [signExtend(b, n, low), b.imm(31)])) : b.imm(0);
  const overflow = ne(b, high, fill);
  b.setFlagsWith(n, low, overflow, overflow, b.imm(0));
};
/** The two- and three-operand forms keep the low half only. */
const multiplyingInto: Semantics = (b, dst, left, right) => {
  const n = b.size, source = right === undefined ? [dst, left] : [left, right];
  const x = source[0]!.read(), y = source[1]!.read();
  if (n === 32) {
    const product = mul64(b, widenS(b, x), widenS(b, y)), low = wrap(b, product);
    const overflow = b.op('i64.ne', [product, widenS(b, low)]);
    dst.write(low);
    b.setFlagsWith(n, low, overflow, overflow, b.imm(0));
  } else {
    const product = mul(b, signExtend(b, n, x), signExtend(b, n, y)), low = truncate(b, n, product);
    const overflow = ne(b, product, signExtend(b, n, product));
    dst.write(low);
    b.setFlagsWith(n, low, overflow, overflow, b.imm(0));
  }
};

const dividing = (size: RowSize): Semantics => (b, src) => {
  const n = sizeOf(b, size), divisor = src.read();
  b.if(eqz(b, divisor), () => b.raise(EXCEPTION.DE));
  if (n === 32) {
    const high = b.getRegister(32, EDX);
    b.if(b.op('i32.ge_u', [high, divisor]), () => b.raise(EXCEPTION.DE));
    const dividend = pair(b, high, b.getRegister(32, EAX)), by = widenU(b, divisor);
    const quotient = b.op('i64.div_u', [dividend, by]), remainder = b.op('i64.rem_u', [dividend, by]);
    setWide(b, n, wrap(b, quotient), wrap(b, remainder));
    return;
  }
  const dividend = n === 8 ? b.getRegister(16, EAX) : or(b, shlImm(b, b.getRegister(16, EDX), 16), b.getRegister(16, EAX));
  const quotient = b.op('i32.div_u', [dividend, divisor]), remainder = b.op('i32.rem_u', [dividend, divisor]);
  b.if(gtU(b, quotient, b.imm(n === 8 ? 0xff : 0xffff)), () => b.raise(EXCEPTION.DE));
  setWide(b, n, quotient, remainder);
};
const dividingSigned = (size: RowSize): Semantics => (b, src) => {
  const n = sizeOf(b, size), raw = src.read();
  b.if(eqz(b, raw), () => b.raise(EXCEPTION.DE));
  // In 64 bits only one case overflows the host's division: the smallest dividend by -1, which #DE covers as well.
  const divisor = widenS(b, signExtend(b, n, raw));
  const dividend = n === 32
    ? pair(b, b.getRegister(32, EDX), b.getRegister(32, EAX))
    : widenS(b, n === 8 ? signExtend(b, 16, b.getRegister(16, EAX)) : or(b, shlImm(b, b.getRegister(16, EDX), 16), b.getRegister(16, EAX)));
  const smallest = b.op('i64.eq', [dividend, b.imm64(-(2n ** 63n))]), minusOne = b.op('i64.eq', [divisor, b.imm64(-1n)]);
  b.if(and(b, smallest, minusOne), () => b.raise(EXCEPTION.DE));
  const quotient = b.op('i64.div_s', [dividend, divisor]), remainder = b.op('i64.rem_s', [dividend, divisor]);
  const low = wrap(b, quotient);
  b.if(b.op('i64.ne', [quotient, widenS(b, signExtend(b, n, low))]), () => b.raise(EXCEPTION.DE));
  setWide(b, n, low, wrap(b, remainder));
};

/** DAA and DAS: SDM vol. 2, operation sections. */
const decimalAdjust = (sign: 1 | -1): Semantics => (b) => {
  const old = b.getRegister(8, EAX), carry = b.flag('C');
  const low = or(b, gtU(b, andImm(b, old, 0xf), b.imm(9)), b.flag('A'));
  const high = or(b, gtU(b, old, b.imm(0x99)), carry);
  const fix = add(b, b.select(low, b.imm(6 * sign), b.imm(0)), b.select(high, b.imm(0x60 * sign), b.imm(0)));
  const result = truncate(b, 8, add(b, old, fix));
  // DAS borrows into C when the low adjustment alone goes below zero.
  const borrow = sign === 1 ? b.imm(0) : and(b, low, b.op('i32.lt_u', [old, b.imm(6)]));
  b.setRegister(8, EAX, result);
  b.setFlagsWith(8, result, or(b, high, borrow), b.imm(0), low);
};
/** AAA and AAS. */
const asciiAdjust = (sign: 1 | -1): Semantics => (b) => {
  const old = b.getRegister(16, EAX);
  const adjust = or(b, gtU(b, andImm(b, old, 0xf), b.imm(9)), b.flag('A'));
  const moved = b.select(adjust, addImm(b, old, sign === 1 ? 0x106 : -0x106), old);
  const result = andImm(b, moved, 0xff0f);
  b.setRegister(16, EAX, result);
  b.setFlagsWith(8, andImm(b, result, 0xff), adjust, b.imm(0), adjust);
};
const asciiAfterMultiply: Semantics = (b, base) => {
  const divisor = base.read(), x = b.getRegister(8, EAX);
  b.if(eqz(b, divisor), () => b.raise(EXCEPTION.DE));
  const high = b.op('i32.div_u', [x, divisor]), low = b.op('i32.rem_u', [x, divisor]);
  b.setRegister(16, EAX, or(b, shlImm(b, high, 8), low));
  b.setFlagsWith(8, low, b.imm(0), b.imm(0), b.imm(0));
};
const asciiBeforeDivide: Semantics = (b, base) => {
  const x = b.getRegister(16, EAX);
  const result = truncate(b, 8, add(b, andImm(b, x, 0xff), mul(b, shrImm(b, x, 8), base.read())));
  b.setRegister(16, EAX, result);
  b.setFlagsWith(8, result, b.imm(0), b.imm(0), b.imm(0));
};

const MULTIPLY = { flags: 'w=oc u=szap' };
const DIVIDE = { flags: 'u=oszapc' };
export const mulDiv = family('mul-div', [
  row('mul',  'F6 /4',       [r(rm8)],                     multiplying(false)(8),   MULTIPLY),
  row('mul',  'F7 /4',       [r(rmv)],                     multiplying(false)('v'), { ...MULTIPLY, hot: true }),
  row('imul', 'F6 /5',       [r(rm8)],                     multiplying(true)(8),    MULTIPLY),
  row('imul', 'F7 /5',       [r(rmv)],                     multiplying(true)('v'),  { ...MULTIPLY, hot: true }),
  row('imul', '0F AF /r',    [rw(rv), r(rmv)],             multiplyingInto,         { ...MULTIPLY, hot: true }),
  row('imul', '69 /r iv',    [w(rv), r(rmv), r(immv)],     multiplyingInto,         { ...MULTIPLY, hot: true }),
  row('imul', '6B /r ib',    [w(rv), r(rmv), r(simm8)],    multiplyingInto,         { ...MULTIPLY, hot: true }),
  row('div',  'F6 /6',       [r(rm8)],                     dividing(8),             DIVIDE),
  row('div',  'F7 /6',       [r(rmv)],                     dividing('v'),           { ...DIVIDE, hot: true }),
  row('idiv', 'F6 /7',       [r(rm8)],                     dividingSigned(8),       DIVIDE),
  row('idiv', 'F7 /7',       [r(rmv)],                     dividingSigned('v'),     DIVIDE),
  row('daa',  '27',          [],                           decimalAdjust(1),        { flags: 'r=ac w=szapc u=o' }),
  row('das',  '2F',          [],                           decimalAdjust(-1),       { flags: 'r=ac w=szapc u=o' }),
  row('aaa',  '37',          [],                           asciiAdjust(1),          { flags: 'r=a w=ac u=oszp' }),
  row('aas',  '3F',          [],                           asciiAdjust(-1),         { flags: 'r=a w=ac u=oszp' }),
  row('aam',  'D4 ib',       [r(imm8)],                    asciiAfterMultiply,      { flags: 'w=szp u=oac' }),
  row('aad',  'D5 ib',       [r(imm8)],                    asciiBeforeDivide,       { flags: 'w=szp u=oac' }),
]);
