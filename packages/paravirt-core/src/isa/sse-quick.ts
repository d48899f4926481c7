/**
 * The common case of SSE arithmetic without a leaf: WebAssembly's instruction, where it provably gives the same bits and
 * flags as SSE (SDM vol. 1, 11.5.2).
 *
 * That is so when MXCSR rounds to nearest and has PE masked and set already, operands are normal, and the result is at
 * least twice the least normal number and finite: then nothing but PE can be raised (no invalid operation, as there is no NaN
 * and no infinity from finite numbers; no denormal; no division by zero, no overflow, as the result is finite; no underflow,
 * as it is not tiny before or after rounding), and whether PE is raised changes nothing. DAZ and FTZ have nothing to act on.
 * MIN and MAX raise nothing for operands that are normal or infinite, so MXCSR does not matter to them.
 * Zeros are looked at apart, since they are rarer: an operand of zero is as good as a normal one where it is not divided by, and a result
 * of zero where it is exact.
 * A NaN fails a comparison below, so that its bits, which WebAssembly leaves open, never reach a register.
 */
import type { Build, FloatForm, FloatOperation, Semantics } from './build.ts';
import { and, andImm, eq, eqz } from './ops.ts';
import { combined, reportSimd } from './sse.ts';

/** MXCSR: rounding control, and the mask and flag of PE. */
export const MXCSR_CONTROL = 0x7020;
export const MXCSR_QUICK = 0x1020;

const splat32 = (n: bigint): bigint => n | (n << 32n) | (n << 64n) | (n << 96n);
const splat64 = (n: bigint): bigint => n | (n << 64n);
const SINGLE = {
  bits: 32,
  shape: 'f32x4',
  integers: 'i32x4',
  magnitude: splat32(0x7fffffffn),
  leastNormal: splat32(0x00800000n),
  leastResult: splat32(0x01000000n),
  greatest: splat32(0x7f7fffffn),
} as const;
const DOUBLE = {
  bits: 64,
  shape: 'f64x2',
  integers: 'i64x2',
  magnitude: splat64(0x7fff_ffff_ffff_ffffn),
  leastNormal: splat64(0x0010_0000_0000_0000n),
  leastResult: splat64(0x0020_0000_0000_0000n),
  greatest: splat64(0x7fef_ffff_ffff_ffffn),
} as const;
/** `lanes`: those whose result counts. `merge`: bytes of the result over those of the first operand. */
export const FLOAT_FORMS = {
  ps: { format: SINGLE, lanes: 15, merge: undefined },
  ss: { format: SINGLE, lanes: 1, merge: [0, 1, 2, 3, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31] },
  pd: { format: DOUBLE, lanes: 3, merge: undefined },
  sd: { format: DOUBLE, lanes: 1, merge: [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31] },
} as const;

/** One packed or scalar operation: at once where that is exact, otherwise by its leaf. */
export const computingQuickly =
  (operation: FloatOperation, form: FloatForm): Semantics =>
  (b, dst, src) => {
    if (b.arithmetic?.(operation, form, dst, src) === true) return;
    const x = dst.read(),
      y = src.read();
    if (!b.shortcuts) return dst.write(byLeaf(b, operation, form, x, y));
    const { format, merge } = FLOAT_FORMS[form];
    const z = vectorResult(b, format.bits, operation, x, y);
    const value = b.variable(merge === undefined ? z : b.op('i8x16.shuffle', [z, x], merge));
    b.if(eqz(b, isQuick(b, operation, form, x, y, z)), () =>
      b.if(eqz(b, isQuickWithZeros(b, operation, form, x, y, z)), () => {
        value.set(byLeaf(b, operation, form, x, y));
      }),
    );
    dst.write(value.get());
  };

function byLeaf<V>(b: Build<V>, operation: FloatOperation, form: FloatForm, x: V, y: V): V {
  const { flags, value } = combined(b, `sse_${operation}${form}`, x, y);
  reportSimd(b, flags);
  return value;
}
const isChoice = (operation: FloatOperation): boolean => operation === 'min' || operation === 'max';
/** Whether all lanes that count hold, and MXCSR is as it must be. */
function holds<V>(b: Build<V>, operation: FloatOperation, form: FloatForm, fits: V): V {
  const { format, lanes } = FLOAT_FORMS[form];
  const all = eq(b, andImm(b, b.op(`${format.integers}.bitmask`, [fits]), lanes), b.imm(lanes));
  return isChoice(operation) ? all : and(b, all, eq(b, andImm(b, b.get('mxcsr'), MXCSR_CONTROL), b.imm(MXCSR_QUICK)));
}
/** Operands and result are no zeros, denormals, infinities or NaNs. */
function isQuick<V>(b: Build<V>, operation: FloatOperation, form: FloatForm, x: V, y: V, z: V): V {
  const { format } = FLOAT_FORMS[form];
  const magnitude = (v: V): V => b.op('v128.and', [v, b.imm128(format.magnitude)]);
  const atLeast = (v: V, least: bigint): V => b.op(`${format.shape}.ge`, [v, b.imm128(least)]);
  if (isChoice(operation)) {
    const [p, q] = [atLeast(magnitude(x), format.leastNormal), atLeast(magnitude(y), format.leastNormal)];
    return holds(b, operation, form, b.op('v128.and', [p, q]));
  }
  // A NaN may get lost in the minimum, but then the result is one.
  const size = magnitude(z);
  const operands = [size, magnitude(y), ...(operation === 'sqrt' ? [] : [magnitude(x)])];
  const least = operands.reduce((v, w) => b.op(`${format.shape}.pmin`, [v, w]));
  const finite = b.op(`${format.shape}.le`, [size, b.imm128(format.greatest)]);
  return holds(b, operation, form, b.op('v128.and', [atLeast(least, format.leastResult), finite]));
}
/** The same with zeros among them, where they raise nothing. */
function isQuickWithZeros<V>(b: Build<V>, operation: FloatOperation, form: FloatForm, x: V, y: V, z: V): V {
  const { format } = FLOAT_FORMS[form];
  const magnitude = (v: V): V => b.op('v128.and', [v, b.imm128(format.magnitude)]);
  const atLeast = (v: V, least: bigint): V => b.op(`${format.shape}.ge`, [magnitude(v), b.imm128(least)]);
  const isZero = (v: V): V => b.op(`${format.shape}.eq`, [v, b.imm128(0n)]);
  const either = (v: V, w: V): V => b.op('v128.or', [v, w]);
  const both = (v: V, w: V): V => b.op('v128.and', [v, w]);
  const isOperand = (v: V): V => either(isZero(v), atLeast(v, format.leastNormal));
  let fits = operation === 'div' ? atLeast(y, format.leastNormal) : isOperand(y);
  if (operation !== 'sqrt') fits = both(fits, isOperand(x));
  if (!isChoice(operation)) {
    // Zeros that are exact: differences of equal numbers, and what an operand of zero makes.
    const zero =
      operation === 'mul'
        ? either(isZero(x), isZero(y))
        : isZero(operation === 'div' ? x : operation === 'sqrt' ? y : z);
    const finite = b.op(`${format.shape}.le`, [magnitude(z), b.imm128(format.greatest)]);
    fits = both(fits, both(either(zero, atLeast(z, format.leastResult)), finite));
  }
  return holds(b, operation, form, fits);
}

/** All lanes of `x operation y`, as WebAssembly computes it. */
export function vectorResult<V>(b: Build<V>, bits: 32 | 64, operation: FloatOperation, x: V, y: V): V {
  const shape = bits === 32 ? 'f32x4' : 'f64x2';
  if (operation === 'sqrt') return b.op(`${shape}.sqrt`, [y]);
  // The second operand, unless the first wins: for WebAssembly the operands change places.
  if (operation === 'min' || operation === 'max') return b.op(`${shape}.p${operation}`, [y, x]);
  return b.op(`${shape}.${operation}`, [x, y]);
}
