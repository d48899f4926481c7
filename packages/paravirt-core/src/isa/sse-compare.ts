/**
 * Comparisons of SSE without a leaf, where they raise nothing: of zeros, normal numbers and infinities, whatever MXCSR says. Denormals, which
 * may be zeros or raise an exception, and NaNs go by the leaf (SDM vol. 1, 11.5.2; vol. 2, CMPPS and COMISS).
 */
import type { Build, FloatForm, Semantics } from './build.ts';
import { andImm, eq, ne, or, shlImm } from './ops.ts';
import { FLOAT_FORMS } from './sse-quick.ts';
import { combined, related, reportSimd } from './sse.ts';

/** EFLAGS; CF has no distance. */
const ZF_SHIFT = 6;
/** Of an immediate: which relation, and that it is to fail (SDM vol. 2, table 3-1). */
const RELATION = 3,
  NEGATED = 4;
const ONES = (1n << 128n) - 1n;

/** 1 where a lane that counts may raise something, among those of which it is not known that they do not; undefined: there is none. */
export function areOdd<V>(b: Build<V>, form: FloatForm, values: readonly V[], lanes: number): V | undefined {
  const { shape, integers, bits, magnitude, leastNormal } = FLOAT_FORMS[form].format;
  const fits = values
    .filter((v) => b.numbersIn?.(v, bits, lanes) === undefined)
    .map((v) =>
      b.op('v128.or', [
        b.op(`${shape}.eq`, [v, b.imm128(0n)]),
        b.op(`${shape}.ge`, [b.op('v128.and', [v, b.imm128(magnitude)]), b.imm128(leastNormal)]),
      ]),
    );
  if (fits.length === 0) return undefined;
  const all = b.op(`${integers}.bitmask`, [fits.reduce((v, w) => b.op('v128.and', [v, w]))]);
  const isWhole = lanes === 2 ** (128 / bits) - 1;
  return ne(b, isWhole ? all : andImm(b, all, lanes), b.imm(lanes));
}

/** CMPPS and the like: lanes of ones where a relation holds. */
export const comparingQuickly =
  (form: FloatForm): Semantics =>
  (b, dst, src, immediate) => {
    const { lanes, merge } = FLOAT_FORMS[form];
    const x = dst.read(),
      y = src.read(),
      predicate = immediate.read();
    const byLeaf = (): typeof x => {
      const { flags, value } = combined(b, `sse_cmp${form}`, x, y, predicate);
      reportSimd(b, flags);
      return value;
    };
    if (!b.shortcuts) return dst.write(byLeaf());
    const quickly = (): typeof x => {
      const mask = holding(b, form, predicate, x, y);
      return merge === undefined ? mask : b.op('i8x16.shuffle', [mask, x], merge);
    };
    const odd = areOdd(b, form, [x, y], lanes);
    if (odd === undefined) return dst.write(quickly());
    const value = b.variable(x);
    b.attempt!(
      (unless) => {
        unless(odd);
        value.set(quickly());
      },
      () => value.set(byLeaf()),
    );
    dst.write(value.get());
  };
/** Where the relation of a predicate holds, of numbers that are no NaNs. */
function holding<V>(b: Build<V>, form: FloatForm, predicate: V, x: V, y: V): V {
  const { shape } = FLOAT_FORMS[form].format;
  // None are unordered.
  const relations = [
    () => b.op(`${shape}.eq`, [x, y]),
    () => b.op(`${shape}.lt`, [x, y]),
    () => b.op(`${shape}.le`, [x, y]),
    () => b.imm128(0n),
  ];
  const known = b.constantOf?.(predicate);
  if (known !== undefined) {
    const mask = relations[known & RELATION]!();
    return (known & NEGATED) === 0 ? mask : b.op('v128.not', [mask]);
  }
  const mask = b.variable(b.imm128(0n)),
    relation = andImm(b, predicate, RELATION);
  relations.slice(0, -1).forEach((compute, i) => b.if(eq(b, relation, b.imm(i)), () => mask.set(compute())));
  const inverts = b.select(andImm(b, predicate, NEGATED), b.imm128(ONES), b.imm128(0n));
  return b.op('v128.xor', [mask.get(), inverts]);
}

/** COMISS and the like: the relation as ZF, PF and CF. */
export const relatingQuickly =
  (leaf: string, quiet: boolean, form: 'ss' | 'sd'): Semantics =>
  (b, left, right) => {
    const { shape } = FLOAT_FORMS[form].format;
    const x = left.read(),
      y = right.read();
    if (!b.shortcuts) return b.setStatusFlags(related(b, leaf, quiet, x, y));
    const float = form === 'ss' ? 'f32' : 'f64';
    const low = (v: typeof x): typeof x => b.op(`${shape}.extract_lane`, [v], [0]);
    const relation = (name: string): typeof x => b.op(`${float}.${name}`, [low(x), low(y)]);
    const quickly = (): typeof x => or(b, shlImm(b, relation('eq'), ZF_SHIFT), relation('lt'));
    const odd = areOdd(b, form, [x, y], 1);
    if (odd === undefined) return b.setStatusFlags(quickly());
    const image = b.variable(b.imm(0));
    b.attempt!(
      (unless) => {
        unless(odd);
        image.set(quickly());
      },
      () => image.set(related(b, leaf, quiet, x, y)),
    );
    b.setStatusFlags(image.get());
  };
