/** Short names for what semantics write all the time: arithmetic on 32-bit values, widths, the stack. */
import { EFLAGS, ESP, SS, type Build, type MemoryType, type Operand, type Size } from './build.ts';

type Binary = <V>(b: Build<V>, x: V, y: V) => V;
type Unary = <V>(b: Build<V>, x: V) => V;
const binary =
  (name: string): Binary =>
  (b, x, y) =>
    b.op(name, [x, y]);
const unary =
  (name: string): Unary =>
  (b, x) =>
    b.op(name, [x]);

export const add = binary('i32.add'),
  sub = binary('i32.sub'),
  mul = binary('i32.mul');
export const and = binary('i32.and'),
  or = binary('i32.or'),
  xor = binary('i32.xor');
export const shl = binary('i32.shl'),
  shrU = binary('i32.shr_u'),
  shrS = binary('i32.shr_s'),
  rotl = binary('i32.rotl');
export const eq = binary('i32.eq'),
  ne = binary('i32.ne'),
  ltU = binary('i32.lt_u'),
  gtU = binary('i32.gt_u'),
  ltS = binary('i32.lt_s'),
  gtS = binary('i32.gt_s');
export const eqz = unary('i32.eqz'),
  widenU = unary('i64.extend_i32_u'),
  widenS = unary('i64.extend_i32_s'),
  wrap = unary('i32.wrap_i64');
export const add64 = binary('i64.add'),
  sub64 = binary('i64.sub'),
  or64 = binary('i64.or'),
  and64 = binary('i64.and'),
  mul64 = binary('i64.mul'),
  shl64 = binary('i64.shl'),
  shrU64 = binary('i64.shr_u'),
  shrS64 = binary('i64.shr_s');

export const andImm = <V>(b: Build<V>, x: V, n: number): V => and(b, x, b.imm(n));
export const addImm = <V>(b: Build<V>, x: V, n: number): V => add(b, x, b.imm(n));
export const shlImm = <V>(b: Build<V>, x: V, n: number): V => (n === 0 ? x : shl(b, x, b.imm(n)));
export const shrImm = <V>(b: Build<V>, x: V, n: number): V => (n === 0 ? x : shrU(b, x, b.imm(n)));
export const not = <V>(b: Build<V>, x: V): V => xor(b, x, b.imm(-1));
/** 1 where bit `n` is set, else 0. */
export const bit = <V>(b: Build<V>, x: V, n: number): V => andImm(b, shrImm(b, x, n), 1);
/** The sign bit at a size, as 0 or 1. */
export const signBit = <V>(b: Build<V>, size: Size, x: V): V => (size === 32 ? shrImm(b, x, 31) : bit(b, x, size - 1));

/** Sign-extends the low `size` bits to 32. */
export const signExtend = <V>(b: Build<V>, size: Size, x: V): V =>
  size === 32 ? x : b.op(size === 8 ? 'i32.extend8_s' : 'i32.extend16_s', [x]);
/** Clears all but the low `size` bits. */
export const truncate = <V>(b: Build<V>, size: Size, x: V): V =>
  size === 32 ? x : andImm(b, x, size === 8 ? 0xff : 0xffff);
/** A 64-bit value of two halves. */
export const pair = <V>(b: Build<V>, high: V, low: V): V =>
  or64(b, shl64(b, widenU(b, high), b.imm64(32n)), widenU(b, low));
export const highHalf = <V>(b: Build<V>, x: V): V => wrap(b, shrU64(b, x, b.imm64(32n)));

export const memoryType = (size: Size): MemoryType => (size === 8 ? 'u8' : size === 16 ? 'u16' : 'u32');
/** Wraps an offset to the address size. */
export const wrapAddress = <V>(b: Build<V>, offset: V): V =>
  b.addressSize === 16 ? andImm(b, offset, 0xffff) : offset;
/** +n or -n bytes, by the direction flag. */
export const stringStep = <V>(b: Build<V>, bytes: number): V =>
  b.select(andImm(b, b.get('systemFlags'), EFLAGS.DF), b.imm(-bytes), b.imm(bytes));

/** ESP moved by `by` within the width of the stack (SS.B): the value for ESP, and the offset for SS. */
export function movedStack<V>(b: Build<V>, esp: V, by: number): { esp: V; offset: V } {
  const mask = b.get('stackMask');
  const moved = addImm(b, esp, by);
  return { esp: xor(b, esp, and(b, xor(b, esp, moved), mask)), offset: and(b, moved, mask) };
}
/** Pushes a value: memory first, then ESP. */
export function push<V>(b: Build<V>, size: 16 | 32, value: V): void {
  const to = movedStack(b, b.getRegister(32, ESP), -size / 8);
  b.store(SS, to.offset, memoryType(size), value);
  b.setRegister(32, ESP, to.esp);
}
/** Reads the stack's top and says what ESP becomes, without changing it. */
export function peekStack<V>(b: Build<V>, size: 16 | 32, depth = 0): { value: V; esp: V } {
  const esp = b.getRegister(32, ESP);
  const at = depth === 0 ? and(b, esp, b.get('stackMask')) : movedStack(b, esp, depth).offset;
  return { value: b.load(SS, at, memoryType(size)), esp: movedStack(b, esp, depth + size / 8).esp };
}

/** The operand size in bits of a row that is written for bytes or for the size attribute. */
export type RowSize = Size | 'v';
export const sizeOf = <V>(b: Build<V>, size: RowSize): Size => (size === 'v' ? b.size : size);
export type { Operand };
