/** Shifts and rotates (SDM vol. 2: SHL SHR SAR ROL ROR RCL RCR SHLD SHRD). A count of zero changes nothing, flags included. */
import { type Build, type Semantics, type Size } from '../build.ts';
import { cl, family, imm8, one, r, rm8, rmv, row, rv, rw } from '../dsl.ts';
import type { Row } from '../model.ts';
import { andImm, bit, highHalf, or, or64, rotl, shl, shl64, shlImm, shrImm, shrS, shrU, shrU64, signBit, signExtend, sizeOf, sub, truncate, widenU, wrap, xor, type RowSize } from '../ops.ts';

/** What one shift does with a value and a count of 1..31: the result, and the carry and overflow it leaves. */
interface Shifted<V> { result: V; carry: V; overflow: V }
type Shift = <V>(b: Build<V>, size: Size, x: V, count: V) => Shifted<V>;

const minusOne = <V>(b: Build<V>, count: V): V => sub(b, count, b.imm(1));

const left: Shift = (b, size, x, count) => {
  const result = shl(b, x, count);
  const carry = size === 32 ? shrImm(b, shl(b, x, minusOne(b, count)), 31) : bit(b, result, size);
  return { result, carry, overflow: xor(b, signBit(b, size, result), carry) };
};
const right: Shift = (b, size, x, count) => {
  const result = shrU(b, x, count);
  const carry = andImm(b, shrU(b, x, minusOne(b, count)), 1);
  // For a count of 1 this is the sign of the operand, as the SDM defines it.
  return { result, carry, overflow: xor(b, signBit(b, size, result), signBit(b, size, shlImm(b, result, 1))) };
};
const arithmetic: Shift = (b, size, x, count) => {
  const wide = signExtend(b, size, x);
  return { result: shrS(b, wide, count), carry: andImm(b, shrS(b, wide, minusOne(b, count)), 1), overflow: b.imm(0) };
};

const shifting = (how: Shift) => (size: RowSize): Semantics => (b, dst, by) => {
  const n = sizeOf(b, size), x = dst.read(), count = andImm(b, by.read(), 31);
  b.if(count, () => {
    const { result, carry, overflow } = how(b, n, x, count);
    dst.write(result);
    b.setFlagsWith(n, truncate(b, n, result), carry, overflow, b.imm(0));
  }, () => { if (dst.isMemory) dst.write(x); });
};

/** A value repeated to fill 32 bits, so that a 32-bit rotate rotates it at its own size. */
const repeated = <V>(b: Build<V>, size: Size, x: V): V =>
  size === 32 ? x : size === 16 ? or(b, x, shlImm(b, x, 16)) : b.op('i32.mul', [x, b.imm(0x01010101)]);
const rotating = (toLeft: boolean) => (size: RowSize): Semantics => (b, dst, by) => {
  const n = sizeOf(b, size), x = dst.read(), count = andImm(b, by.read(), 31);
  b.if(count, () => {
    const wide = repeated(b, n, x);
    const result = truncate(b, n, toLeft ? rotl(b, wide, count) : b.op('i32.rotr', [wide, count]));
    dst.write(result);
    const carry = toLeft ? andImm(b, result, 1) : signBit(b, n, result);
    const other = toLeft ? signBit(b, n, result) : signBit(b, n, shlImm(b, result, 1));
    b.setFlag('C', carry);
    b.setFlag('O', xor(b, carry, other));
  }, () => { if (dst.isMemory) dst.write(x); });
};

/** Rotates through carry: the operand and C as one number of size + 1 bits. */
const rotatingThroughCarry = (toLeft: boolean) => (size: RowSize): Semantics => (b, dst, by) => {
  const n = sizeOf(b, size), bits = n + 1, x = dst.read(), masked = andImm(b, by.read(), 31);
  const count = n === 32 ? masked : b.op('i32.rem_u', [masked, b.imm(bits)]);
  b.if(count, () => {
    const carry = b.flag('C');
    const whole = or64(b, widenU(b, x), shl64(b, widenU(b, carry), b.imm64(BigInt(n))));
    const up = toLeft ? count : sub(b, b.imm(bits), count);
    const rotated = or64(b, shl64(b, whole, widenU(b, up)), shrU64(b, whole, widenU(b, sub(b, b.imm(bits), up))));
    const result = truncate(b, n, wrap(b, rotated));
    const out = andImm(b, wrap(b, shrU64(b, rotated, b.imm64(BigInt(n)))), 1);
    dst.write(result);
    const overflow = toLeft ? xor(b, signBit(b, n, result), out) : xor(b, signBit(b, n, result), signBit(b, n, shlImm(b, result, 1)));
    b.setFlag('C', out);
    b.setFlag('O', overflow);
  }, () => { if (dst.isMemory) dst.write(x); });
};

/** SHLD and SHRD: bits of the second operand move in. 16-bit counts above 16 go on rotating in the first operand's bits. */
const shiftingDouble = (toLeft: boolean): Semantics => (b, dst, src, by) => {
  const n = b.size, x = dst.read(), y = src.read(), count = andImm(b, by.read(), 31);
  b.if(count, () => {
    let result: typeof x, carry: typeof x;
    if (n === 32) {
      const other = sub(b, b.imm(32), count);
      result = toLeft ? or(b, shl(b, x, count), shrU(b, y, other)) : or(b, shrU(b, x, count), shl(b, y, other));
      carry = toLeft ? andImm(b, shrU(b, x, other), 1) : andImm(b, shrU(b, x, minusOne(b, count)), 1);
    } else {
      const wide = (high: typeof x, middle: typeof x, low: typeof x): typeof x =>
        or64(b, shl64(b, widenU(b, high), b.imm64(32n)), or64(b, shl64(b, widenU(b, middle), b.imm64(16n)), widenU(b, low)));
      if (toLeft) {
        const moved = shl64(b, wide(x, y, x), widenU(b, count));
        result = truncate(b, 16, highHalf(b, moved));
        carry = bit(b, highHalf(b, moved), 16);
      } else {
        const moved = shrU64(b, wide(x, y, x), widenU(b, minusOne(b, count)));
        carry = andImm(b, wrap(b, moved), 1);
        result = truncate(b, 16, shrImm(b, wrap(b, moved), 1));
      }
    }
    dst.write(result);
    b.setFlagsWith(n, result, carry, xor(b, signBit(b, n, result), signBit(b, n, x)), b.imm(0));
  }, () => { if (dst.isMemory) dst.write(x); });
};

const SHIFT = { flags: 'w=oszpc u=a', hot: true };
const ROTATE = { flags: 'w=oc', hot: true };
const THROUGH = { flags: 'r=c w=oc' };

/** By an immediate, by one, by CL. */
function six(mnemonic: string, digit: number, of: (size: RowSize) => Semantics, traits: object): Row[] {
  return [
    row(mnemonic, `C0 /${digit} ib`, [rw(rm8), r(imm8)], of(8),   traits),
    row(mnemonic, `C1 /${digit} ib`, [rw(rmv), r(imm8)], of('v'), traits),
    row(mnemonic, `D0 /${digit}`,    [rw(rm8), r(one)],  of(8),   traits),
    row(mnemonic, `D1 /${digit}`,    [rw(rmv), r(one)],  of('v'), traits),
    row(mnemonic, `D2 /${digit}`,    [rw(rm8), r(cl)],   of(8),   traits),
    row(mnemonic, `D3 /${digit}`,    [rw(rmv), r(cl)],   of('v'), traits),
  ];
}

export const shift = family('shift', [
  ...six('rol', 0, rotating(true), ROTATE),
  ...six('ror', 1, rotating(false), ROTATE),
  ...six('rcl', 2, rotatingThroughCarry(true), THROUGH),
  ...six('rcr', 3, rotatingThroughCarry(false), THROUGH),
  ...six('shl', 4, shifting(left), SHIFT),
  ...six('shr', 5, shifting(right), SHIFT),
  ...six('shl', 6, shifting(left), { ...SHIFT, hot: false }),
  ...six('sar', 7, shifting(arithmetic), SHIFT),
  row('shld', '0F A4 /r ib', [rw(rmv), r(rv), r(imm8)], shiftingDouble(true),  SHIFT),
  row('shld', '0F A5 /r',    [rw(rmv), r(rv), r(cl)],   shiftingDouble(true),  SHIFT),
  row('shrd', '0F AC /r ib', [rw(rmv), r(rv), r(imm8)], shiftingDouble(false), SHIFT),
  row('shrd', '0F AD /r',    [rw(rmv), r(rv), r(cl)],   shiftingDouble(false), SHIFT),
]);
