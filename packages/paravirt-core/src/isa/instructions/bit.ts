/** Bit tests, scans and byte swaps (SDM vol. 2: BT BTS BTR BTC BSF BSR BSWAP TEST SETcc). */
import { CONDITIONS, type Semantics } from '../build.ts';
import { al, conditionFlags, family, imm8, immv, orv, r, r8, rax, rm8, rmv, row, rv, rw, w } from '../dsl.ts';
import type { Row } from '../model.ts';
import { and, andImm, eqz, not, or, shl, shlImm, shrS, shrU, signExtend, sizeOf, xor, type RowSize } from '../ops.ts';

type Change = 'test' | 'set' | 'reset' | 'complement';
const bitTesting = (change: Change, fromRegister: boolean): Semantics => (b, base, index) => {
  const n = b.size, position = index.read(), within = andImm(b, position, n - 1);
  // A register index reaches beyond a memory operand: signed, in units of the operand size.
  const dst = base.isMemory && fromRegister
    ? base.moved(shlImm(b, shrS(b, signExtend(b, n, position), b.imm(n === 32 ? 5 : 4)), n === 32 ? 2 : 1))
    : base;
  const x = dst.read(), mask = shl(b, b.imm(1), within);
  const carry = andImm(b, shrU(b, x, within), 1);
  if (change === 'set') dst.write(or(b, x, mask));
  if (change === 'reset') dst.write(and(b, x, not(b, mask)));
  if (change === 'complement') dst.write(xor(b, x, mask));
  b.setFlag('C', carry);
};
const scanning = (name: 'i32.ctz' | 'i32.clz'): Semantics => (b, dst, src) => {
  const x = src.read(), zero = eqz(b, x);
  // With a zero source the destination keeps its value, as every processor since the 486 does.
  b.if(zero, () => {}, () => {
    const n = b.op(name, [x]);
    dst.write(name === 'i32.ctz' ? n : xor(b, n, b.imm(31)));
  });
  b.setFlag('Z', zero);
};
const swappingBytes: Semantics = (b, dst) => {
  // Of 16 bits the manual leaves the result open; processors give zero.
  if (b.size === 16) return dst.write(b.imm(0));
  const x = dst.read();
  const ends = andImm(b, b.op('i32.rotl', [x, b.imm(8)]), 0x00ff00ff), middle = andImm(b, b.op('i32.rotr', [x, b.imm(8)]), 0xff00ff00 | 0);
  dst.write(or(b, ends, middle));
};
const testing = (size: RowSize): Semantics => (b, left, right) =>
  b.setFlags('logic', sizeOf(b, size), and(b, left.read(), right.read()));

const changes: readonly [string, Change, number, string][] = [['bt', 'test', 4, 'A3'], ['bts', 'set', 5, 'AB'], ['btr', 'reset', 6, 'B3'], ['btc', 'complement', 7, 'BB']];
const bitRows = changes.flatMap(([mnemonic, change, digit, opcode]): Row[] => {
  const d = change === 'test' ? r : rw, traits = { flags: 'w=c u=osap', lock: change !== 'test', hot: true };
  return [
    row(mnemonic, `0F ${opcode} /r`,     [d(rmv), r(rv)],   bitTesting(change, true),  { ...traits, addressSized: true }),
    row(mnemonic, `0F BA /${digit} ib`,  [d(rmv), r(imm8)], bitTesting(change, false), traits),
  ];
});

export const bits = family('bit', [
  ...bitRows,
  row('bsf',   '0F BC /r',   [rw(rv), r(rmv)],  scanning('i32.ctz'), { flags: 'w=z u=oscap', hot: true }),
  row('bsr',   '0F BD /r',   [rw(rv), r(rmv)],  scanning('i32.clz'), { flags: 'w=z u=oscap', hot: true }),
  row('bswap', '0F C8+r',    [rw(orv)],         swappingBytes,       { hot: true }),
  row('test',  '84 /r',      [r(rm8), r(r8)],   testing(8),   { flags: 'w=szp u=a 0=oc', hot: true }),
  row('test',  '85 /r',      [r(rmv), r(rv)],   testing('v'), { flags: 'w=szp u=a 0=oc', hot: true }),
  row('test',  'A8 ib',      [r(al), r(imm8)],  testing(8),   { flags: 'w=szp u=a 0=oc', hot: true }),
  row('test',  'A9 iv',      [r(rax), r(immv)], testing('v'), { flags: 'w=szp u=a 0=oc', hot: true }),
  row('test',  'F6 /0 ib',   [r(rm8), r(imm8)], testing(8),   { flags: 'w=szp u=a 0=oc', hot: true }),
  row('test',  'F7 /0 iv',   [r(rmv), r(immv)], testing('v'), { flags: 'w=szp u=a 0=oc', hot: true }),
  row('test',  'F6 /1 ib',   [r(rm8), r(imm8)], testing(8),   { flags: 'w=szp u=a 0=oc' }),
  row('test',  'F7 /1 iv',   [r(rmv), r(immv)], testing('v'), { flags: 'w=szp u=a 0=oc' }),
  ...CONDITIONS.map((cc, code) => row(`set${cc}`, `0F ${(0x90 + code).toString(16).toUpperCase()} /r`, [w(rm8)], (b, dst) => dst.write(b.condition(code)), { flags: conditionFlags(code), hot: true })),
  ...CONDITIONS.map((cc, code) => row(`cmov${cc}`, `0F ${(0x40 + code).toString(16).toUpperCase()} /r`, [rw(rv), r(rmv)], (b, dst, src) => {
    const y = src.read();
    dst.write(b.select(b.condition(code), y, dst.read()));
  }, { flags: conditionFlags(code), hot: true, feature: 'cmov' })),
]);
