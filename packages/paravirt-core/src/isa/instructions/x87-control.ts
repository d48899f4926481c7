/** Control of the x87 unit, and its state in memory (SDM vol. 2: FNINIT FLDCW FNSTENV FNSAVE FXSAVE FWAIT; vol. 1, 8.1.10). */
import { EFLAGS, EXCEPTION, type Build, type Operand, type Semantics } from '../build.ts';
import { ax, family, m, m16, m512, r, row, sti, w } from '../dsl.ts';
import type { Traits } from '../model.ts';
import { add, addImm, andImm, eq, eqz, ltU, or, shlImm, shrImm, xor } from '../ops.ts';
import { controlWord, emptyOf, initialize, loadStatusWord, statusWord, tagWord } from '../x87-words.ts';
import { C1, ES, markEmpty, physical, place, pop, report, summarize } from '../x87.ts';

/** CR0 and CR4 bits that matter here (SDM vol. 3, 2.5). */
const PE = 1, MP_TS = 2 | 8, OSFXSR = 1 << 9;
const MASKS = 0x3f;
const REGISTERS = 8, REGISTER_BYTES = 10;
/** MXCSR bits that may be set: as FXSAVE's MXCSR_MASK says. */
const MXCSR_MASK = 0xffff;

/** Real-address and virtual-8086 mode have a format of their own. */
const isReal = <V>(b: Build<V>): V => or(b, eqz(b, andImm(b, b.get('cr0'), PE)), andImm(b, b.get('systemFlags'), EFLAGS.VM));

/** Faults now if any of `bytes` could not be written (read): these areas are smaller than a page. */
function probeStore<V>(b: Build<V>, at: Operand<V>, bytes: number): void {
  b.probeStore('operand', at.offset(), b.size === 16 ? 'u16' : 'u32');
  b.probeStore('operand', addImm(b, at.offset(), bytes - 1), 'u8');
}
function probeLoad<V>(b: Build<V>, at: Operand<V>, bytes: number): void {
  at.load(b.size === 16 ? 'u16' : 'u32', 0);
  at.load('u8', bytes - 1);
}

/** Before a waiting exception is cleared, the board is told that it goes. */
const clearingError = <V>(b: Build<V>): void => b.if(andImm(b, b.get('fpuStatus'), ES), () => void b.service('fpuErrorCleared'));

const environmentBytes = <V>(b: Build<V>): number => (b.size === 16 ? 14 : 28);
/** Seven words, or doublewords whose unused halves are ones (SDM vol. 1, figures 8-9 to 8-12). */
function storeEnvironment<V>(b: Build<V>, to: Operand<V>): void {
  const real = isReal(b), ip = b.get('fpuIp'), dp = b.get('fpuDp'), opcode = b.get('fpuOpcode');
  const head = [b.get('fpuControl'), statusWord(b), tagWord(b)];
  if (b.size === 16) {
    const upper = (linear: V): V => andImm(b, shrImm(b, linear, 4), 0xf000);
    const tail = [ip, b.select(real, or(b, upper(ip), opcode), b.get('fpuCs')), dp, b.select(real, upper(dp), b.get('fpuDs'))];
    [...head, ...tail].forEach((word, i) => to.store('u16', i * 2, andImm(b, word, 0xffff)));
    return;
  }
  const ones = (word: V): V => or(b, word, b.imm(0xffff0000));
  const upper = (linear: V): V => andImm(b, shrImm(b, linear, 4), 0x0ffff000);
  head.forEach((word, i) => to.store('u32', i * 4, ones(word)));
  to.store('u32', 12, b.select(real, ones(ip), ip));
  to.store('u32', 16, b.select(real, or(b, upper(ip), opcode), or(b, b.get('fpuCs'), shlImm(b, opcode, 16))));
  to.store('u32', 20, b.select(real, ones(dp), dp));
  to.store('u32', 24, b.select(real, upper(dp), ones(b.get('fpuDs'))));
}
function loadEnvironment<V>(b: Build<V>, from: Operand<V>): void {
  const real = isReal(b), step = b.size / 8, type = b.size === 16 ? 'u16' : 'u32';
  const [control, status, tags, ip, code, dp, data] = [0, 1, 2, 3, 4, 5, 6].map((i) => from.load(type, i * step)) as [V, V, V, V, V, V, V];
  const linear = (low: V, upper: V): V => or(b, andImm(b, low, 0xffff), shlImm(b, andImm(b, upper, b.size === 16 ? 0xf000 : 0x0ffff000), 4));
  const opcode = b.select(real, code, b.size === 16 ? b.imm(0) : shrImm(b, code, 16));
  const selector = (word: V): V => b.select(real, b.imm(0), andImm(b, word, 0xffff));
  clearingError(b);
  b.set('fpuIp', b.select(real, linear(ip, code), ip));
  b.set('fpuDp', b.select(real, linear(dp, data), dp));
  b.set('fpuOpcode', andImm(b, opcode, 0x7ff));
  b.set('fpuCs', selector(code));
  b.set('fpuDs', selector(data));
  b.set('fpuControl', controlWord(b, control));
  loadStatusWord(b, status);
  b.set('fpuTags', emptyOf(b, tags));
}

/** Runs `body` for ST(0) to ST(7) with their places and an offset that grows by `step`. */
function eachRegister<V>(b: Build<V>, offset: V, step: number, body: (place: V, offset: V) => void): void {
  const count = b.variable(b.imm(0));
  b.loop((leave) => {
    const i = count.get();
    leave(eq(b, i, b.imm(REGISTERS)));
    body(place(b, physical(b, i)), add(b, offset, b.op('i32.mul', [i, b.imm(step)])));
    count.set(addImm(b, i, 1));
  });
}

const storingEnvironment: Semantics = (b, to) => {
  probeStore(b, to, environmentBytes(b));
  storeEnvironment(b, to);
  clearingError(b);
  b.set('fpuControl', or(b, b.get('fpuControl'), b.imm(MASKS)));
  summarize(b, b.get('fpuStatus'));
};
const loadingEnvironment: Semantics = (b, from) => {
  probeLoad(b, from, environmentBytes(b));
  loadEnvironment(b, from);
};
const saving: Semantics = (b, to) => {
  const head = environmentBytes(b);
  probeStore(b, to, head + REGISTERS * REGISTER_BYTES);
  storeEnvironment(b, to);
  eachRegister(b, addImm(b, to.offset(), head), REGISTER_BYTES, (at, offset) => {
    b.store('operand', offset, 'u64', b.peek(at, 'u64', 0));
    b.store('operand', addImm(b, offset, 8), 'u16', b.peek(at, 'u16', 8));
  });
  clearingError(b);
  initialize(b);
};
const restoring: Semantics = (b, from) => {
  const head = environmentBytes(b);
  probeLoad(b, from, head + REGISTERS * REGISTER_BYTES);
  loadEnvironment(b, from);
  eachRegister(b, addImm(b, from.offset(), head), REGISTER_BYTES, (at, offset) => {
    b.poke(at, 'u64', 0, b.load('operand', offset, 'u64'));
    b.poke(at, 'u16', 8, b.load('operand', addImm(b, offset, 8), 'u16'));
  });
};

/** The 512-byte area (SDM vol. 1, table 10-2): byte offsets. */
const FX = { control: 0, status: 2, tags: 4, opcode: 6, ip: 8, cs: 12, dp: 16, ds: 20, mxcsr: 24, mxcsrMask: 28, st: 32, xmm: 160 } as const;
const FX_BYTES = 512, FX_ENTRY = 16;

function checkAligned<V>(b: Build<V>, at: Operand<V>): void {
  b.if(andImm(b, b.linear('operand', at.offset()), 15), () => b.raise(EXCEPTION.GP, 0));
}
/** Runs `body` for each XMM register, if the operating system has said that it knows them. */
function eachVector<V>(b: Build<V>, at: Operand<V>, body: (place: V, offset: V) => void): void {
  b.if(andImm(b, b.get('cr4'), OSFXSR), () => {
    const count = b.variable(b.imm(0));
    b.loop((leave) => {
      const i = count.get();
      leave(eq(b, i, b.imm(REGISTERS)));
      body(b.slotAddress('xmm', i), add(b, at.offset(), addImm(b, shlImm(b, i, 4), FX.xmm)));
      count.set(addImm(b, i, 1));
    });
  });
}
const savingAll: Semantics = (b, to) => {
  checkAligned(b, to);
  probeStore(b, to, FX_BYTES);
  to.store('u16', FX.control, b.get('fpuControl'));
  to.store('u16', FX.status, statusWord(b));
  to.store('u16', FX.tags, xor(b, b.get('fpuTags'), b.imm(0xff)));
  to.store('u16', FX.opcode, b.get('fpuOpcode'));
  to.store('u32', FX.ip, b.get('fpuIp'));
  to.store('u32', FX.cs, b.get('fpuCs'));
  to.store('u32', FX.dp, b.get('fpuDp'));
  to.store('u32', FX.ds, b.get('fpuDs'));
  to.store('u32', FX.mxcsr, b.get('mxcsr'));
  to.store('u32', FX.mxcsrMask, b.imm(MXCSR_MASK));
  eachRegister(b, addImm(b, to.offset(), FX.st), FX_ENTRY, (at, offset) => {
    b.store('operand', offset, 'u64', b.peek(at, 'u64', 0));
    b.store('operand', addImm(b, offset, 8), 'u64', b.op('i64.extend_i32_u', [b.peek(at, 'u16', 8)]));
  });
  eachVector(b, to, (at, offset) => b.store('operand', offset, 'v128', b.peek(at, 'v128', 0)));
};
const restoringAll: Semantics = (b, from) => {
  checkAligned(b, from);
  probeLoad(b, from, FX_BYTES);
  const mxcsr = from.load('u32', FX.mxcsr);
  b.if(ltU(b, b.imm(MXCSR_MASK), mxcsr), () => b.raise(EXCEPTION.GP, 0));
  b.set('mxcsr', mxcsr);
  clearingError(b);
  b.set('fpuControl', controlWord(b, from.load('u16', FX.control)));
  loadStatusWord(b, from.load('u16', FX.status));
  b.set('fpuTags', xor(b, from.load('u8', FX.tags), b.imm(0xff)));
  b.set('fpuOpcode', andImm(b, from.load('u16', FX.opcode), 0x7ff));
  b.set('fpuIp', from.load('u32', FX.ip));
  b.set('fpuCs', from.load('u16', FX.cs));
  b.set('fpuDp', from.load('u32', FX.dp));
  b.set('fpuDs', from.load('u16', FX.ds));
  eachRegister(b, addImm(b, from.offset(), FX.st), FX_ENTRY, (at, offset) => {
    b.poke(at, 'u64', 0, b.load('operand', offset, 'u64'));
    b.poke(at, 'u16', 8, b.load('operand', addImm(b, offset, 8), 'u16'));
  });
  eachVector(b, from, (at, offset) => b.poke(at, 'v128', 0, b.load('operand', offset, 'v128')));
};

const loadingControl: Semantics = (b, src) => {
  b.set('fpuControl', controlWord(b, src.read()));
  summarize(b, b.get('fpuStatus'));
};
/** Exceptions, stack fault, summary and busy bits go; conditions stay. */
const clearing: Semantics = (b) => {
  clearingError(b);
  b.set('fpuStatus', andImm(b, b.get('fpuStatus'), 0x4700));
};
const initializing: Semantics = (b) => {
  clearingError(b);
  initialize(b);
};
const turning = (by: 1 | 7): Semantics => (b) => {
  b.set('fpuTop', physical(b, b.imm(by)));
  report(b, b.imm(0), C1);
};
const freeing = (popping: boolean): Semantics => (b, register) => {
  markEmpty(b, physical(b, register.number()));
  if (popping) pop(b);
};
/** Its own rule for CR0: MP with TS (SDM vol. 3, table 2-2). */
const waiting: Semantics = (b) => {
  b.if(eq(b, andImm(b, b.get('cr0'), MP_TS), b.imm(MP_TS)), () => b.raise(EXCEPTION.NM));
  b.if(andImm(b, b.get('fpuStatus'), ES), () => void b.service('reportFpuError'));
};
const nothing: Semantics = () => {};

const CONTROL: Traits = { unit: 'x87-control' }, KEEPS: Traits = { keepsPointers: true }, SIZED: Traits = { operandSized: true }, FXSR: Traits = { unit: 'fxsr', feature: 'fxsr' };
const controlled = family('x87-control', [
  row('fninit',  'DB E3',   [],        initializing, CONTROL),
  row('fnclex',  'DB E2',   [],        clearing, CONTROL),
  row('fnstcw',  'D9 /7',   [w(m16)],  (b, dst) => dst.write(b.get('fpuControl')), CONTROL),
  row('fnstsw',  'DD /7',   [w(m16)],  (b, dst) => dst.write(statusWord(b)), CONTROL),
  row('fnstsw',  'DF E0',   [w(ax)],   (b, dst) => dst.write(statusWord(b)), CONTROL),
  row('fnstenv', 'D9 /6',   [w(m)],    storingEnvironment, { ...CONTROL, ...SIZED }),
  row('fnsave',  'DD /6',   [w(m)],    saving, { ...CONTROL, ...SIZED }),
  row('fldcw',   'D9 /5',   [r(m16)],  loadingControl, KEEPS),
  row('fldenv',  'D9 /4',   [r(m)],    loadingEnvironment, { ...SIZED, ...KEEPS }),
  row('frstor',  'DD /4',   [r(m)],    restoring, { ...SIZED, ...KEEPS }),
  row('fdecstp', 'D9 F6',   [],        turning(7)),
  row('fincstp', 'D9 F7',   [],        turning(1)),
  row('ffree',   'DD C0+i', [w(sti)],  freeing(false)),
  row('ffreep',  'DF C0+i', [w(sti)],  freeing(true)),
  row('fnop',    'D9 D0',   [],        nothing),
  // FENI, FDISI and FSETPM of the 8087 and 80287: later processors do nothing.
  row('fneni',   'DB E0',   [],        nothing, CONTROL),
  row('fndisi',  'DB E1',   [],        nothing, CONTROL),
  row('fnsetpm', 'DB E4',   [],        nothing, CONTROL),
  row('fxsave',  'NP 0F AE /0', [w(m512)], savingAll, FXSR),
  row('fxrstor', 'NP 0F AE /1', [r(m512)], restoringAll, FXSR),
], { unit: 'x87', feature: 'fpu' });
export const x87Control = [...controlled, ...family('x87-control', [row('fwait', '9B', [], waiting)], { feature: 'fpu' })];
