/** What operations make of constants, and of values that they leave as they are: compiled code need not compute it. */
import type { Value } from '../core/interpreter/value.ts';

/** A value and the operation that it came from. */
export interface Origin {
  readonly name: string;
  readonly args: readonly Value[];
}
/** Operations on two constants, as numbers that `imm` takes modulo 2^32. */
const OF_CONSTANTS: Readonly<Record<string, (x: number, y: number) => number>> = {
  'i32.add': (x, y) => x + y,
  'i32.sub': (x, y) => x - y,
  'i32.and': (x, y) => x & y,
  'i32.or': (x, y) => x | y,
  'i32.xor': (x, y) => x ^ y,
  'i32.shl': (x, y) => x << y,
  'i32.shr_u': (x, y) => x >>> y,
  'i32.shr_s': (x, y) => x >> y,
};
const imm = (n: number): Value => ({ type: 'i', constant: n | 0 });

/** What is already known to be the result of an operation on 32-bit integers, if anything is. */
export function folded(
  name: string,
  [x, y]: readonly Value[],
  originOf: (value: Value) => Origin | undefined,
): Value | undefined {
  if (name === 'i32.eqz') return x?.constant === undefined ? undefined : imm(x.constant === 0 ? 1 : 0);
  if (y?.type !== 'i' || x === undefined) return undefined;
  const { constant } = y;
  if (constant !== undefined && x.constant !== undefined) {
    const value = OF_CONSTANTS[name]?.(Number(x.constant), Number(constant));
    if (value !== undefined) return imm(value);
  }
  switch (name) {
    case 'i32.and':
      return constant === -1 ? x : constant === 0 ? y : undefined;
    case 'i32.or':
      return constant === 0 ? x : x.constant === 0 ? y : undefined;
    case 'i32.shl':
    case 'i32.shr_u':
    case 'i32.sub':
      return constant === 0 ? x : undefined;
    case 'i32.add':
      return constant === 0 ? x : undefined;
    case 'i32.xor': {
      // a xor (a xor b), which is how ESP moves within the width of the stack.
      const origin = originOf(y);
      return constant === 0 ? x : origin?.name === name && origin.args[0] === x ? origin.args[1] : undefined;
    }
    default:
      return undefined;
  }
}
