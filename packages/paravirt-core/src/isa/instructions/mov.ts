/** Moves, exchanges, extensions, address loads and flag moves (SDM vol. 2: MOV XCHG MOVZX MOVSX LEA CBW CWD LAHF SAHF XLAT ...). */
import { EAX, EBX, EDX, EFLAGS, type Build, type Semantics, type Size } from '../build.ts';
import { al, family, imm8, immv, m, moffs8, moffsv, or8, orv, r, r8, rax, rm16, rm8, rmv, row, rv, rw, w } from '../dsl.ts';
import { add, andImm, eqz, gtU, or, shlImm, shrImm, shrS, signExtend, wrapAddress, xor } from '../ops.ts';

const moving: Semantics = (_, dst, src) => dst.write(src.read());
const exchanging: Semantics = (_, left, right) => {
  const x = left.read(), y = right.read();
  left.write(y);
  right.write(x);
};
const movingSigned = (from: Size): Semantics => (b, dst, src) => dst.write(signExtend(b, from, src.read()));
const loadingAddress: Semantics = (b, dst, src) => dst.write(wrapAddress(b, src.offset()));
const translating: Semantics = (b) => {
  const offset = wrapAddress(b, add(b, b.getRegister(32, EBX), b.getRegister(8, EAX)));
  b.setRegister(8, EAX, b.load('operand', offset, 'u8'));
};
const wideningAccumulator: Semantics = (b) =>
  b.size === 16 ? b.setRegister(16, EAX, signExtend(b, 8, b.getRegister(8, EAX))) : b.setRegister(32, EAX, signExtend(b, 16, b.getRegister(16, EAX)));
const wideningPair: Semantics = (b) => b.setRegister(b.size, EDX, shrS(b, signExtend(b, b.size, b.getRegister(b.size, EAX)), b.imm(31)));

const STATUS_IN_AH = 0xd5;
const flagsToAh: Semantics = (b) => {
  const placed = ([['S', 7], ['Z', 6], ['A', 4], ['P', 2], ['C', 0]] as const).map(([flag, at]) => shlImm(b, b.flag(flag), at));
  b.setRegister(8, 4, placed.reduce((all, each) => or(b, all, each), b.imm(2)));
};
const ahToFlags: Semantics = (b) =>
  b.setStatusFlags(or(b, andImm(b, b.getRegister(8, 4), STATUS_IN_AH), shlImm(b, b.flag('O'), 11)));

/** CLI and STI with CPL above IOPL: VIF instead of IF, or #GP(0) (SDM vol. 2, CLI and STI). */
function unlessPrivileged<V>(b: Build<V>, system: V, on: 0 | 1, privileged: () => void): void {
  b.if(gtU(b, b.get('cpl'), andImm(b, shrImm(b, system, 12), 3)), () => void b.service('changeInterruptFlag', b.imm(on)), privileged);
}
const disablingInterrupts: Semantics = (b) => {
  const system = b.get('systemFlags');
  unlessPrivileged(b, system, 0, () => b.set('systemFlags', andImm(b, system, ~EFLAGS.IF)));
};
const enablingInterrupts: Semantics = (b) => {
  const system = b.get('systemFlags');
  unlessPrivileged(b, system, 1, () => {
    const wasOff = eqz(b, andImm(b, system, EFLAGS.IF));
    b.set('systemFlags', or(b, system, b.imm(EFLAGS.IF)));
    // The instruction after STI runs before an interrupt is taken, wherever the engine stops next; the core steps it when one waits.
    b.if(wasOff, () => {
      b.set('shadow', b.imm(1));
      b.if(b.get('interruptPending'), () => void b.service('shadowNext'));
    });
  });
};
const changingSystemFlag = (flag: number, on: boolean): Semantics => (b) => {
  const system = b.get('systemFlags');
  b.set('systemFlags', on ? or(b, system, b.imm(flag)) : andImm(b, system, ~flag));
};

const FLAGS_ALL = { hot: true };
export const mov = family('mov', [
  row('mov',   '88 /r',      [w(rm8), r(r8)],    moving, { hot: true }),
  row('mov',   '89 /r',      [w(rmv), r(rv)],    moving, { hot: true }),
  row('mov',   '8A /r',      [w(r8), r(rm8)],    moving, { hot: true }),
  row('mov',   '8B /r',      [w(rv), r(rmv)],    moving, { hot: true }),
  row('mov',   'A0 mo',      [w(al), r(moffs8)], moving, { hot: true }),
  row('mov',   'A1 mo',      [w(rax), r(moffsv)], moving, { hot: true }),
  row('mov',   'A2 mo',      [w(moffs8), r(al)], moving, { hot: true }),
  row('mov',   'A3 mo',      [w(moffsv), r(rax)], moving, { hot: true }),
  row('mov',   'B0+r ib',    [w(or8), r(imm8)],  moving, { hot: true }),
  row('mov',   'B8+r iv',    [w(orv), r(immv)],  moving, { hot: true }),
  row('mov',   'C6 /0 ib',   [w(rm8), r(imm8)],  moving, { hot: true }),
  row('mov',   'C7 /0 iv',   [w(rmv), r(immv)],  moving, { hot: true }),
  row('movzx', '0F B6 /r',   [w(rv), r(rm8)],    moving, { hot: true }),
  row('movzx', '0F B7 /r',   [w(rv), r(rm16)],   moving, { hot: true }),
  row('movsx', '0F BE /r',   [w(rv), r(rm8)],    movingSigned(8), { hot: true }),
  row('movsx', '0F BF /r',   [w(rv), r(rm16)],   movingSigned(16), { hot: true }),
  row('xchg',  '86 /r',      [rw(rm8), rw(r8)],  exchanging, { lock: true, hot: true }),
  row('xchg',  '87 /r',      [rw(rmv), rw(rv)],  exchanging, { lock: true, hot: true }),
  row('pause', 'F3 90',      [],                 () => {}, { hot: true }),
  row('xchg',  '90+r',       [rw(orv), rw(rax)], exchanging, { hot: true }),
  row('lea',   '8D /r',      [w(rv), r(m)],      loadingAddress, { hot: true, addressSized: true }),
  row('xlat',  'D7',         [],                 translating, { addressSized: true }),
  row('cbw',   '98',         [],                 wideningAccumulator, { operandSized: true, hot: true }),
  row('cwd',   '99',         [],                 wideningPair, { operandSized: true, hot: true }),
  row('lahf',  '9F',         [],                 flagsToAh, { flags: 'r=szapc' }),
  row('sahf',  '9E',         [],                 ahToFlags, { flags: 'r=o w=oszapc' }),
  row('clc',   'F8',         [],                 (b) => b.setFlag('C', b.imm(0)), { flags: 'w=c', ...FLAGS_ALL }),
  row('stc',   'F9',         [],                 (b) => b.setFlag('C', b.imm(1)), { flags: 'w=c', ...FLAGS_ALL }),
  row('cmc',   'F5',         [],                 (b) => b.setFlag('C', xor(b, b.flag('C'), b.imm(1))), { flags: 'r=c w=c' }),
  row('salc',  'D6',         [],                 (b) => b.setRegister(8, EAX, b.select(b.flag('C'), b.imm(0xff), b.imm(0))), { flags: 'r=c' }),
  row('cld',   'FC',         [],                 changingSystemFlag(EFLAGS.DF, false), { flags: 'w=d', ...FLAGS_ALL }),
  row('std',   'FD',         [],                 changingSystemFlag(EFLAGS.DF, true), { flags: 'w=d', ...FLAGS_ALL }),
  row('cli',   'FA',         [],                 disablingInterrupts, { flags: 'w=i', ...FLAGS_ALL }),
  row('sti',   'FB',         [],                 enablingInterrupts, { flags: 'w=i', ...FLAGS_ALL }),
  row('nop',   '0F 1F /r',   [r(rmv)],           () => {}, { hot: true }),
  row('nop',   '0F 18 /r',   [r(rmv)],           () => {}),
  row('nop',   '0F 19 /r',   [r(rmv)],           () => {}),
  row('nop',   '0F 1A /r',   [r(rmv)],           () => {}),
  row('nop',   '0F 1B /r',   [r(rmv)],           () => {}),
  row('nop',   '0F 1C /r',   [r(rmv)],           () => {}),
  row('nop',   '0F 1D /r',   [r(rmv)],           () => {}),
  row('nop',   '0F 1E /r',   [r(rmv)],           () => {}),
  row('prefetch', '0F 0D /r', [r(m)],            () => {}),
]);
