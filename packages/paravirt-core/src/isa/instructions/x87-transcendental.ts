/** Transcendental instructions of the x87 unit (SDM vol. 2; vol. 1, 8.3.7): within one unit of the last place. */
import type { Semantics } from '../build.ts';
import { family, row } from '../dsl.ts';
import { C1, C2, compute, computeTwo, place, st } from '../x87.ts';

/** ST(0) by itself. `defined`: C2 tells an argument that is too large. */
const alone = (leaf: string, defined = C1): Semantics => (b) => {
  const top = st(b, 0);
  compute(b, { reads: [top], to: top, defined }, (at) => b.leaf(leaf, at, at, b.get('fpuControl')));
};
const two = (leaf: string): Semantics => (b) => computeTwo(b, C1 | C2, (at, pushed) => b.leaf(leaf, at, pushed, at, b.get('fpuControl')));
/** ST(1) with ST(0), which is popped: `first` is the leaf's first operand. */
const pairwise = (leaf: string, first: 'top' | 'next'): Semantics => (b) => {
  const top = st(b, 0), next = st(b, 1);
  compute(b, { reads: [top, next], to: next, pops: 1 }, (at) => {
    const from = place(b, top);
    return first === 'top' ? b.leaf(leaf, at, from, at, b.get('fpuControl')) : b.leaf(leaf, at, at, from, b.get('fpuControl'));
  });
};

export const x87Transcendental = family('x87-transcendental', [
  row('f2xm1',   'D9 F0', [], alone('f80_2xm1')),
  row('fyl2x',   'D9 F1', [], pairwise('f80_yl2x', 'top')),
  row('fptan',   'D9 F2', [], two('f80_tan')),
  row('fpatan',  'D9 F3', [], pairwise('f80_atan', 'next')),
  row('fyl2xp1', 'D9 F9', [], pairwise('f80_yl2xp1', 'top')),
  row('fsincos', 'D9 FB', [], two('f80_sincos')),
  row('fsin',    'D9 FE', [], alone('f80_sin', C1 | C2)),
  row('fcos',    'D9 FF', [], alone('f80_cos', C1 | C2)),
], { unit: 'x87', feature: 'fpu' });
