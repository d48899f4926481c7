/** Control of the x87 unit (SDM vol. 2: FNINIT FNCLEX FLDCW FNSTCW FNSTSW FWAIT). */
import { type Build, type Semantics } from '../build.ts';
import { ax, family, m16, r, row, w } from '../dsl.ts';
import { andImm, or, shlImm } from '../ops.ts';

/** The status word with TOP in its place (SDM vol. 1, figure 8-4). */
const statusWord = <V>(b: Build<V>): V => or(b, andImm(b, b.get('fpuStatus'), ~0x3800), shlImm(b, b.get('fpuTop'), 11));

const initializing: Semantics = (b) => {
  b.set('fpuControl', b.imm(0x37f));
  b.set('fpuStatus', b.imm(0));
  b.set('fpuTop', b.imm(0));
  b.set('fpuTags', b.imm(0xff));
};

export const x87Control = family('x87-control', [
  row('fninit', 'DB E3',   [],        initializing, { unit: 'x87-control' }),
  row('fnclex', 'DB E2',   [],        (b) => b.set('fpuStatus', andImm(b, b.get('fpuStatus'), 0x7f00)), { unit: 'x87-control' }),
  row('fldcw',  'D9 /5',   [r(m16)],  (b, src) => b.set('fpuControl', or(b, src.read(), b.imm(0x40))), { unit: 'x87' }),
  row('fnstcw', 'D9 /7',   [w(m16)],  (b, dst) => dst.write(b.get('fpuControl')), { unit: 'x87-control' }),
  row('fnstsw', 'DD /7',   [w(m16)],  (b, dst) => dst.write(statusWord(b)), { unit: 'x87-control' }),
  row('fnstsw', 'DF E0',   [w(ax)],   (b, dst) => dst.write(statusWord(b)), { unit: 'x87-control' }),
]);
