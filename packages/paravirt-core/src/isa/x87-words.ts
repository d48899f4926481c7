/** The words of the x87 unit as instructions load and store them: tags, status and control (SDM vol. 1, 8.1). */
import type { Build } from './build.ts';
import { addImm, and, andImm, eqz, or, shl } from './ops.ts';
import { isEmpty, place, summarize } from './x87.ts';

/** The full tag word (SDM vol. 1, figure 8-7): 0 valid, 1 zero, 2 special, 3 empty. */
export function tagWord<V>(b: Build<V>): V {
  const word = b.variable(b.imm(0)),
    register = b.variable(b.imm(0));
  b.loop((leave) => {
    const n = register.get(),
      at = place(b, n);
    leave(b.op('i32.eq', [n, b.imm(8)]));
    const exponent = andImm(b, b.peek(at, 'u16', 8), 0x7fff),
      significand = b.peek(at, 'u64', 0);
    const zero = and(b, eqz(b, exponent), b.op('i64.eqz', [significand]));
    const normal = and(
      b,
      b.op('i32.lt_u', [addImm(b, exponent, -1), b.imm(0x7ffe)]),
      b.op('i64.lt_s', [significand, b.imm64(0n)]),
    );
    const full = b.select(normal, b.imm(0), b.select(zero, b.imm(1), b.imm(2)));
    const tag = b.select(isEmpty(b, n), b.imm(3), full);
    word.set(or(b, word.get(), shl(b, tag, b.op('i32.shl', [n, b.imm(1)]))));
    register.set(addImm(b, n, 1));
  });
  return word.get();
}
/** The empty registers of a full tag word, a bit each. */
export function emptyOf<V>(b: Build<V>, tags: V): V {
  const right = (x: V, n: number): V => b.op('i32.shr_u', [x, b.imm(n)]);
  let bits = andImm(b, and(b, tags, right(tags, 1)), 0x5555);
  for (const [shift, mask] of [
    [1, 0x3333],
    [2, 0x0f0f],
    [4, 0xff],
  ] as const)
    bits = andImm(b, or(b, bits, right(bits, shift)), mask);
  return bits;
}

/** The status word as instructions store it, TOP in its place (SDM vol. 1, figure 8-4); and back. */
export const statusWord = <V>(b: Build<V>): V =>
  or(b, b.get('fpuStatus'), b.op('i32.shl', [b.get('fpuTop'), b.imm(11)]));
export function loadStatusWord<V>(b: Build<V>, word: V): void {
  b.set('fpuTop', andImm(b, b.op('i32.shr_u', [word, b.imm(11)]), 7));
  summarize(b, andImm(b, word, 0x477f));
}
/** Bit 6 of the control word reads as 1; the reserved ones above are 0 (SDM vol. 1, 8.1.5). */
export const controlWord = <V>(b: Build<V>, word: V): V => or(b, andImm(b, word, 0x1f3f), b.imm(0x40));

export function initialize<V>(b: Build<V>): void {
  b.set('fpuControl', b.imm(0x37f));
  for (const field of ['fpuStatus', 'fpuTop', 'fpuOpcode', 'fpuIp', 'fpuCs', 'fpuDp', 'fpuDs'] as const)
    b.set(field, b.imm(0));
  b.set('fpuTags', b.imm(0xff));
}
