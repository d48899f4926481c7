/**
 * The common case of SSE arithmetic without a leaf: WebAssembly's instruction, where it provably gives the same bits and
 * flags as SSE (SDM vol. 1, 11.5.2).
 *
 * That is so when MXCSR rounds to nearest and has PE masked and set already, operands are normal, and the result is at
 * least twice the least normal number and finite: then nothing but PE can be raised (no invalid operation, as there is no NaN
 * and no infinity from finite numbers; no denormal; no division by zero, no overflow, as the result is finite; no underflow,
 * as it is not tiny before or after rounding), and whether PE is raised changes nothing. DAZ and FTZ have nothing to act on.
 * MIN and MAX raise nothing for operands that are normal or infinite, so MXCSR does not matter to them.
 * A NaN fails every comparison below, so that its bits, which WebAssembly leaves open, never reach a register.
 */
import type { Build, Semantics } from './build.ts';
import { and, andImm, eq } from './ops.ts';
import { computeFrom, keep } from './sse.ts';

export type SseForm = 'ps' | 'ss' | 'pd' | 'sd';
export type QuickOperation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt' | 'min' | 'max';

/** MXCSR: rounding control, and the mask and flag of PE. */
const CONTROL = 0x7020;
const CONTROL_QUICK = 0x1020;

const splat32 = (n: bigint): bigint => n | (n << 32n) | (n << 64n) | (n << 96n);
const splat64 = (n: bigint): bigint => n | (n << 64n);
const SINGLE = {
  shape: 'f32x4',
  integers: 'i32x4',
  magnitude: splat32(0x7fffffffn),
  leastNormal: splat32(0x00800000n),
  leastResult: splat32(0x01000000n),
  greatest: splat32(0x7f7fffffn),
} as const;
const DOUBLE = {
  shape: 'f64x2',
  integers: 'i64x2',
  magnitude: splat64(0x7fff_ffff_ffff_ffffn),
  leastNormal: splat64(0x0010_0000_0000_0000n),
  leastResult: splat64(0x0020_0000_0000_0000n),
  greatest: splat64(0x7fef_ffff_ffff_ffffn),
} as const;
/** `lanes`: those whose result counts. `merge`: bytes of the result over those of the first operand. */
const FORMS = {
  ps: { format: SINGLE, lanes: 15, merge: undefined },
  ss: { format: SINGLE, lanes: 1, merge: [0, 1, 2, 3, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31] },
  pd: { format: DOUBLE, lanes: 3, merge: undefined },
  sd: { format: DOUBLE, lanes: 1, merge: [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31] },
} as const;

/** One packed or scalar operation: at once where that is exact, otherwise by its leaf. */
export const computingQuickly =
  (operation: QuickOperation, form: SseForm): Semantics =>
  (b, dst, src) => {
    const { format, lanes, merge } = FORMS[form];
    const x = dst.read(),
      y = src.read();
    const z = result(b, format.shape, operation, x, y);
    const magnitude = (v: typeof x): typeof x => b.op('v128.and', [v, b.imm128(format.magnitude)]);
    const atLeast = (v: typeof x, least: bigint): typeof x =>
      b.op(`${format.shape}.ge`, [magnitude(v), b.imm128(least)]);
    const both = (v: typeof x, w: typeof x): typeof x => b.op('v128.and', [v, w]);
    const choice = operation === 'min' || operation === 'max';
    let fits = atLeast(y, format.leastNormal);
    if (operation !== 'sqrt') fits = both(fits, atLeast(x, format.leastNormal));
    if (!choice) {
      const finite = b.op(`${format.shape}.le`, [magnitude(z), b.imm128(format.greatest)]);
      fits = both(fits, both(atLeast(z, format.leastResult), finite));
    }
    let quick = eq(b, andImm(b, b.op(`${format.integers}.bitmask`, [fits]), lanes), b.imm(lanes));
    if (!choice) quick = and(b, quick, eq(b, andImm(b, b.get('mxcsr'), CONTROL), b.imm(CONTROL_QUICK)));
    b.if(
      quick,
      () => dst.write(merge === undefined ? z : b.op('i8x16.shuffle', [z, x], merge)),
      () => computeFrom(b, `sse_${operation}${form}`, dst, src.isMemory ? keep(b, y) : src.address()),
    );
  };

function result<V>(b: Build<V>, shape: 'f32x4' | 'f64x2', operation: QuickOperation, x: V, y: V): V {
  if (operation === 'sqrt') return b.op(`${shape}.sqrt`, [y]);
  // The second operand, unless the first wins: for WebAssembly the operands change places.
  if (operation === 'min' || operation === 'max') return b.op(`${shape}.p${operation}`, [y, x]);
  return b.op(`${shape}.${operation}`, [x, y]);
}
