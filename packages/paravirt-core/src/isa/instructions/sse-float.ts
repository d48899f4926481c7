/** Packed and scalar floating point of SSE and SSE2 (SDM vol. 1, 10.4.1.2, 11.4.1.2; exceptions 11.5). */
import { family, imm8, r, row, rw, w, xm128, xm32, xm64, xmm } from '../dsl.ts';
import type { FloatOperation } from '../build.ts';
import type { Row } from '../model.ts';
import { computing } from '../sse.ts';
import { comparingQuickly, relatingQuickly } from '../sse-compare.ts';
import { computingQuickly } from '../sse-quick.ts';
import { SSE, SSE2 } from '../vector.ts';

/** Four singles, one; two doubles, one. The upper part of a scalar's destination stays. */
const four = (name: FloatOperation, opcode: string): Row[] => [
  row(`${name}ps`, `NP 0F ${opcode} /r`, [rw(xmm), r(xm128)], computingQuickly(name, 'ps'), SSE),
  row(`${name}ss`, `F3 0F ${opcode} /r`, [rw(xmm), r(xm32)],  computingQuickly(name, 'ss'), SSE),
  row(`${name}pd`, `66 0F ${opcode} /r`, [rw(xmm), r(xm128)], computingQuickly(name, 'pd'), SSE2),
  row(`${name}sd`, `F2 0F ${opcode} /r`, [rw(xmm), r(xm64)],  computingQuickly(name, 'sd'), SSE2),
];
const COMPARES = { flags: 'w=zpc 0=osa' };

export const sseFloat = family('sse-float', [
  ...four('sqrt', '51'),
  ...four('add',  '58'),
  ...four('mul',  '59'),
  ...four('sub',  '5C'),
  ...four('min',  '5D'),
  ...four('div',  '5E'),
  ...four('max',  '5F'),
  row('rsqrtps', 'NP 0F 52 /r', [w(xmm), r(xm128)],  computing('sse_rsqrtps'), SSE),
  row('rsqrtss', 'F3 0F 52 /r', [rw(xmm), r(xm32)],  computing('sse_rsqrtss'), SSE),
  row('rcpps',   'NP 0F 53 /r', [w(xmm), r(xm128)],  computing('sse_rcpps'), SSE),
  row('rcpss',   'F3 0F 53 /r', [rw(xmm), r(xm32)],  computing('sse_rcpss'), SSE),
  row('cmpps',   'NP 0F C2 /r ib', [rw(xmm), r(xm128), r(imm8)], comparingQuickly('ps'), SSE),
  row('cmpss',   'F3 0F C2 /r ib', [rw(xmm), r(xm32), r(imm8)],  comparingQuickly('ss'), SSE),
  row('cmppd',   '66 0F C2 /r ib', [rw(xmm), r(xm128), r(imm8)], comparingQuickly('pd'), SSE2),
  row('cmpsd',   'F2 0F C2 /r ib', [rw(xmm), r(xm64), r(imm8)],  comparingQuickly('sd'), SSE2),
  row('ucomiss', 'NP 0F 2E /r', [r(xmm), r(xm32)], relatingQuickly('sse_comiss', true, 'ss'),  { ...SSE, ...COMPARES }),
  row('comiss',  'NP 0F 2F /r', [r(xmm), r(xm32)], relatingQuickly('sse_comiss', false, 'ss'), { ...SSE, ...COMPARES }),
  row('ucomisd', '66 0F 2E /r', [r(xmm), r(xm64)], relatingQuickly('sse_comisd', true, 'sd'),  { ...SSE2, ...COMPARES }),
  row('comisd',  '66 0F 2F /r', [r(xmm), r(xm64)], relatingQuickly('sse_comisd', false, 'sd'), { ...SSE2, ...COMPARES }),
]);
