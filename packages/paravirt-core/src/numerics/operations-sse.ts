/** The SSE operations of the reference program by number, and how each is run on the numerics module. */
import type { Numerics } from './numerics.ts';

export interface SseOperation {
  readonly number: number;
  readonly name: string;
  readonly operands: 'f32' | 'f64' | 'integer';
  readonly pair: boolean;
  /** Bits of the result, and whether it is the general register (or EFLAGS) rather than the vector register. */
  readonly bits: 32 | 64;
  readonly general: boolean;
  readonly run: (n: Numerics, a: bigint, b: bigint, mxcsr: number) => number | bigint;
}

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

type Binary = 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max';
const f32 = (number: number, name: Binary): SseOperation => ({
  ...{ number, name: `${name}ss`, operands: 'f32', pair: true, bits: 32, general: false },
  run: (n, a, b, mxcsr) => n[`f32_${name}`](low(a), low(b), mxcsr),
});
const f64 = (number: number, name: Binary): SseOperation => ({
  ...{ number, name: `${name}sd`, operands: 'f64', pair: true, bits: 64, general: false },
  run: (n, a, b, mxcsr) => n[`f64_${name}`](signed(a), signed(b), mxcsr),
});
const unary = (
  number: number,
  name: string,
  operands: SseOperation['operands'],
  bits: 32 | 64,
  general: boolean,
  run: SseOperation['run'],
): SseOperation => ({ number, name, operands, pair: false, bits, general, run });
/** COMISS and its kin: the result is EFLAGS, of which ZF, PF and CF count. */
const comparison = (
  number: number,
  name: string,
  operands: SseOperation['operands'],
  run: SseOperation['run'],
): SseOperation => ({ number, name, operands, pair: true, bits: 32, general: true, run });

export const SSE_OPERATIONS: readonly SseOperation[] = [
  f32(64, 'add'),
  f32(65, 'sub'),
  f32(66, 'mul'),
  f32(67, 'div'),
  unary(68, 'sqrtss', 'f32', 32, false, (n, a, _, mxcsr) => n.f32_sqrt(low(a), mxcsr)),
  f32(69, 'min'),
  f32(70, 'max'),
  f64(71, 'add'),
  f64(72, 'sub'),
  f64(73, 'mul'),
  f64(74, 'div'),
  unary(75, 'sqrtsd', 'f64', 64, false, (n, a, _, mxcsr) => n.f64_sqrt(signed(a), mxcsr)),
  f64(76, 'min'),
  f64(77, 'max'),
  comparison(78, 'comiss', 'f32', (n, a, b, mxcsr) => n.f32_compare(low(a), low(b), 0, mxcsr)),
  comparison(79, 'ucomiss', 'f32', (n, a, b, mxcsr) => n.f32_compare(low(a), low(b), 1, mxcsr)),
  comparison(80, 'comisd', 'f64', (n, a, b, mxcsr) => n.f64_compare(signed(a), signed(b), 0, mxcsr)),
  comparison(81, 'ucomisd', 'f64', (n, a, b, mxcsr) => n.f64_compare(signed(a), signed(b), 1, mxcsr)),
  unary(82, 'cvtsi2ss r32', 'integer', 32, false, (n, a, _, mxcsr) => n.f32_from_i32(low(a), mxcsr)),
  unary(83, 'cvtsi2sd r32', 'integer', 64, false, (n, a, _, mxcsr) => n.f64_from_i32(low(a), mxcsr)),
  unary(84, 'cvtsi2ss r64', 'integer', 32, false, (n, a, _, mxcsr) => n.f32_from_i64(signed(a), mxcsr)),
  unary(85, 'cvtsi2sd r64', 'integer', 64, false, (n, a, _, mxcsr) => n.f64_from_i64(signed(a), mxcsr)),
  unary(86, 'cvtss2sd', 'f32', 64, false, (n, a, _, mxcsr) => n.f64_from_f32(low(a), mxcsr)),
  unary(87, 'cvtsd2ss', 'f64', 32, false, (n, a, _, mxcsr) => n.f32_from_f64(signed(a), mxcsr)),
  unary(88, 'cvtss2si r32', 'f32', 32, true, (n, a, _, mxcsr) => n.f32_to_i32(low(a), 0, mxcsr)),
  unary(89, 'cvttss2si r32', 'f32', 32, true, (n, a, _, mxcsr) => n.f32_to_i32(low(a), 1, mxcsr)),
  unary(90, 'cvtsd2si r32', 'f64', 32, true, (n, a, _, mxcsr) => n.f64_to_i32(signed(a), 0, mxcsr)),
  unary(91, 'cvttsd2si r32', 'f64', 32, true, (n, a, _, mxcsr) => n.f64_to_i32(signed(a), 1, mxcsr)),
  unary(92, 'cvtss2si r64', 'f32', 64, true, (n, a, _, mxcsr) => n.f32_to_i64(low(a), 0, mxcsr)),
  unary(93, 'cvttss2si r64', 'f32', 64, true, (n, a, _, mxcsr) => n.f32_to_i64(low(a), 1, mxcsr)),
  unary(94, 'cvtsd2si r64', 'f64', 64, true, (n, a, _, mxcsr) => n.f64_to_i64(signed(a), 0, mxcsr)),
  unary(95, 'cvttsd2si r64', 'f64', 64, true, (n, a, _, mxcsr) => n.f64_to_i64(signed(a), 1, mxcsr)),
];

const FLAGS = 0x3f;
/** ZF, PF and CF; COMISS also clears OF, SF and AF. */
const EFLAGS_ARITHMETIC = 0x8d5;

/** Runs the record at `at` and says in words where the answer differs from the reference's, or undefined. */
export function runSse(
  operation: SseOperation,
  n: Numerics,
  input: DataView,
  output: DataView,
  at: number,
): string | undefined {
  const mxcsr = input.getUint32(at + 4, true);
  const result = operation.run(n, input.getBigUint64(at + 8, true), input.getBigUint64(at + 24, true), mxcsr);
  const flags = n.sse_flags.value;
  const wanted = output.getUint32(at + 4, true) & FLAGS;
  const masks = (mxcsr >> 7) & FLAGS;
  const trapped = output.getUint16(at + 2, true) !== 0;
  let reference = output.getBigUint64(operation.general ? at + 24 : at + 8, true);
  if (operation.pair && operation.general) reference &= BigInt(EFLAGS_ARITHMETIC);
  const ours = BigInt.asUintN(operation.bits, BigInt(result));
  reference = BigInt.asUintN(operation.bits, reference);
  const sameResult = trapped || ours === reference;
  if (flags === wanted && ((flags & ~masks) !== 0) === trapped && sameResult) return undefined;
  return (
    `flags ${flags.toString(16)} result ${ours.toString(16)}; ` +
    `reference flags ${wanted.toString(16)} result ${reference.toString(16)}${trapped ? ' #XM' : ''}`
  );
}
