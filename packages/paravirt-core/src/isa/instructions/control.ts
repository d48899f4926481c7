/** Stack, branches, calls, returns, loops, software interrupts (SDM vol. 1, chapter 6; vol. 2 by name). */
import { CONDITIONS, EBP, ECX, EDI, EFLAGS, ESP, EXCEPTION, SS, EAX, EBX, EDX, ESI, type Build, type Semantics } from '../build.ts';
import { conditionFlags, family, far, imm16, imm8, immv, m, orv, r, rel, rmv, row, rv, simm8, w } from '../dsl.ts';
import { add, and, andImm, eqz, gtS, ltS, memoryType, movedStack, ne, or, peekStack, push, shrImm, signExtend, sub, truncate, xor, gtU } from '../ops.ts';

const pushing: Semantics = (b, src) => push(b, b.size, src.read());
const popping: Semantics = (b, dst) => {
  const { value, esp } = peekStack(b, b.size);
  // POP ESP keeps the popped value; POP to memory must fault before ESP moves. (The decoder adds the pop to ESP-based addresses.)
  if (dst.isMemory) dst.write(value);
  b.setRegister(32, ESP, esp);
  if (!dst.isMemory) dst.write(value);
};
const pushingAll: Semantics = (b) => {
  const n = b.size, before = b.getRegister(32, ESP);
  const values = [EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI].map((i) => b.getRegister(n, i));
  // A fault on the way leaves the first stores done, as it does on processors; running it again repeats them.
  values.forEach((value, i) => b.store(SS, movedStack(b, before, (-(i + 1) * n) / 8).offset, memoryType(n), value));
  b.setRegister(32, ESP, movedStack(b, before, -n).esp);
};
const poppingAll: Semantics = (b) => {
  const n = b.size, step = n / 8;
  const order = [EDI, ESI, EBP, null, EBX, EDX, ECX, EAX];
  const values = order.map((_, i) => peekStack(b, n, i * step).value);
  const { esp } = movedStack(b, b.getRegister(32, ESP), n);
  order.forEach((register, i) => { if (register !== null) b.setRegister(n, register, values[i]!); });
  b.setRegister(32, ESP, esp);
};

/** What PUSHF shows: RF and VM read as zero. In virtual-8086 mode IOPL decides (SDM vol. 3, 20.2.7). */
const pushingFlags: Semantics = (b) => {
  const system = b.get('systemFlags'), shown = b.variable(andImm(b, system, ~(EFLAGS.RF | EFLAGS.VM)));
  b.if(andImm(b, system, EFLAGS.VM), () => shown.set(b.service('shownFlags', b.imm(b.size))));
  push(b, b.size, or(b, b.statusFlags(), shown.get()));
};
const poppingFlags: Semantics = (b) => {
  const { value, esp } = peekStack(b, b.size);
  b.if(andImm(b, b.get('systemFlags'), EFLAGS.VM), () => void b.service('acceptFlags', value, b.imm(b.size)));
  const system = b.get('systemFlags'), cpl = b.get('cpl');
  // IOPL changes at CPL 0 only, IF when CPL <= IOPL (SDM vol. 2, POPF, table 4-17).
  const always = EFLAGS.TF | EFLAGS.DF | EFLAGS.NT | (b.size === 32 ? EFLAGS.AC | EFLAGS.ID : 0);
  const mayIf = b.select(gtU(b, cpl, andImm(b, shrImm(b, system, 12), 3)), b.imm(0), b.imm(EFLAGS.IF));
  const mayIopl = b.select(cpl, b.imm(0), b.imm(EFLAGS.IOPL));
  const mask = or(b, b.imm(always), or(b, mayIf, mayIopl));
  const next = or(b, and(b, value, mask), and(b, system, xor(b, mask, b.imm(-1))));
  b.setRegister(32, ESP, esp);
  b.set('systemFlags', andImm(b, next, ~EFLAGS.RF));
  b.setStatusFlags(value);
  b.if(or(b, andImm(b, next, EFLAGS.TF), andImm(b, xor(b, next, system), EFLAGS.AC)), () => void b.service('flagsChanged'));
  b.if(andImm(b, next, EFLAGS.IF), () => b.if(b.get('interruptPending'), () => void b.service('flagsChanged')));
};

const entering: Semantics = (b, bytes, level) => {
  const n = b.size, step = n / 8, depth = andImm(b, level.read(), 31), oldEsp = b.getRegister(32, ESP), ebp = b.getRegister(n, EBP);
  const esp = b.variable(oldEsp), frame = b.variable(b.getRegister(32, EBP));
  const pushValue = (value: typeof depth): void => {
    const to = movedStack(b, esp.get(), -step);
    b.store(SS, to.offset, memoryType(n), value);
    esp.set(to.esp);
  };
  pushValue(ebp);
  const frameAt = esp.get();
  b.if(depth, () => {
    const left = b.variable(sub(b, depth, b.imm(1)));
    b.loop((leave) => {
      leave(eqz(b, left.get()));
      left.set(sub(b, left.get(), b.imm(1)));
      const up = movedStack(b, frame.get(), -step);
      frame.set(up.esp);
      pushValue(b.load(SS, up.offset, memoryType(n)));
    });
    pushValue(truncate(b, n, frameAt));
  });
  const moved = sub(b, esp.get(), bytes.read()), mask = b.get('stackMask');
  const final = xor(b, esp.get(), and(b, xor(b, esp.get(), moved), mask));
  b.probeStore(SS, and(b, final, mask), memoryType(n));
  b.setRegister(n, EBP, frameAt);
  b.setRegister(32, ESP, final);
};
const leaving: Semantics = (b) => {
  const mask = b.get('stackMask'), ebp = b.getRegister(32, EBP), old = b.getRegister(32, ESP);
  const value = b.load(SS, and(b, ebp, mask), memoryType(b.size));
  const base = xor(b, old, and(b, xor(b, old, ebp), mask));
  b.setRegister(32, ESP, movedStack(b, base, b.size / 8).esp);
  b.setRegister(b.size, EBP, value);
};

const jumping: Semantics = (b, target) => {
  const eip = target.read();
  b.checkTarget(eip);
  b.jump(eip);
};
const jumpingIf = (code: number): Semantics => (b, target) =>
  b.if(b.condition(code), () => jumping(b, target));
const calling: Semantics = (b, target) => {
  const eip = target.read();
  b.checkTarget(eip);
  push(b, b.size, b.nextEip());
  b.jump(eip);
};
const returning: Semantics = (b, extra) => {
  const { value, esp } = peekStack(b, b.size);
  b.checkTarget(value);
  const released = extra === undefined ? esp : releasedStack(b, esp, extra.read());
  b.setRegister(32, ESP, released);
  b.jump(value);
};
function releasedStack<V>(b: Build<V>, esp: V, bytes: V): V {
  return xor(b, esp, and(b, xor(b, esp, add(b, esp, bytes)), b.get('stackMask')));
}
const farPointer = <V>(b: Build<V>, operand: { load(type: 'u16' | 'u32', delta: number): V }): { selector: V; offset: V } => ({
  offset: operand.load(b.size === 16 ? 'u16' : 'u32', 0),
  selector: operand.load('u16', b.size / 8),
});

/** ECX or CX, by the address size. */
const counting = (how: 'none' | 'z' | 'nz'): Semantics => (b, target) => {
  const n = b.addressSize, count = truncate(b, n, sub(b, b.getRegister(n, ECX), b.imm(1)));
  const more = ne(b, count, b.imm(0));
  const taken = how === 'none' ? more : and(b, more, how === 'z' ? b.flag('Z') : eqz(b, b.flag('Z')));
  const eip = target.read();
  b.if(taken, () => b.checkTarget(eip));
  b.setRegister(n, ECX, count);
  b.if(taken, () => b.jump(eip));
};
const jumpingIfCountZero: Semantics = (b, target) => b.if(eqz(b, b.getRegister(b.addressSize, ECX)), () => jumping(b, target));

const checkingBounds: Semantics = (b, index, bounds) => {
  const n = b.size, type = memoryType(n);
  const x = signExtend(b, n, index.read()), low = signExtend(b, n, bounds.load(type, 0)), high = signExtend(b, n, bounds.load(type, n / 8));
  b.if(or(b, ltS(b, x, low), gtS(b, x, high)), () => b.raise(EXCEPTION.BR));
};

const TRANSFER = { transfers: true };
const HOT = { transfers: true, hot: true };
export const control = family('control', [
  row('push',  '50+r',       [r(orv)],          pushing, { hot: true }),
  row('push',  '68 iv',      [r(immv)],         pushing, { hot: true }),
  row('push',  '6A ib',      [r(simm8)],        pushing, { hot: true }),
  row('push',  'FF /6',      [r(rmv)],          pushing, { hot: true }),
  row('pop',   '58+r',       [w(orv)],          popping, { hot: true }),
  row('pop',   '8F /0',      [w(rmv)],          popping, { hot: true }),
  row('pusha', '60',         [],                pushingAll, { operandSized: true }),
  row('popa',  '61',         [],                poppingAll, { operandSized: true }),
  row('pushf', '9C',         [],                pushingFlags, { operandSized: true, flags: 'r=oszapc', hot: true }),
  row('popf',  '9D',         [],                poppingFlags, { operandSized: true, flags: 'w=oszapcdi', hot: true }),
  row('enter', 'C8 iw ib',   [r(imm16), r(imm8)], entering, { operandSized: true }),
  row('leave', 'C9',         [],                leaving, { operandSized: true, hot: true }),
  row('jmp',   'EB cb',      [r(rel)],          jumping, HOT),
  row('jmp',   'E9 cv',      [r(rel)],          jumping, HOT),
  row('jmp',   'FF /4',      [r(rmv)],          jumping, HOT),
  row('call',  'E8 cv',      [r(rel)],          calling, HOT),
  row('call',  'FF /2',      [r(rmv)],          calling, HOT),
  row('ret',   'C3',         [],                returning, { ...HOT, operandSized: true }),
  row('ret',   'C2 iw',      [r(imm16)],        returning, { ...HOT, operandSized: true }),
  ...CONDITIONS.map((cc, code) => row(`j${cc}`, `${(0x70 + code).toString(16).toUpperCase()} cb`, [r(rel)], jumpingIf(code), { ...HOT, flags: conditionFlags(code) })),
  ...CONDITIONS.map((cc, code) => row(`j${cc}`, `0F ${(0x80 + code).toString(16).toUpperCase()} cv`, [r(rel)], jumpingIf(code), { ...HOT, flags: conditionFlags(code) })),
  row('loopne', 'E0 cb',     [r(rel)],          counting('nz'), { ...TRANSFER, addressSized: true, flags: 'r=z' }),
  row('loope', 'E1 cb',      [r(rel)],          counting('z'), { ...TRANSFER, addressSized: true, flags: 'r=z' }),
  row('loop',  'E2 cb',      [r(rel)],          counting('none'), { ...HOT, addressSized: true }),
  row('jecxz', 'E3 cb',      [r(rel)],          jumpingIfCountZero, { ...HOT, addressSized: true }),
  row('call',  '9A iv iw',   [r(far)],          (b, to) => void b.service('callFar', to.number(), to.read(), b.imm(b.size)), TRANSFER),
  row('jmp',   'EA iv iw',   [r(far)],          (b, to) => void b.service('jumpFar', to.number(), to.read()), TRANSFER),
  row('call',  'FF /3',      [r(m)],            (b, to) => { const p = farPointer(b, to); b.service('callFar', p.selector, p.offset, b.imm(b.size)); }, { ...TRANSFER, operandSized: true }),
  row('jmp',   'FF /5',      [r(m)],            (b, to) => { const p = farPointer(b, to); b.service('jumpFar', p.selector, p.offset); }, { ...TRANSFER, operandSized: true }),
  row('retf',  'CB',         [],                (b) => void b.service('returnFar', b.imm(b.size), b.imm(0)), { ...TRANSFER, operandSized: true }),
  row('retf',  'CA iw',      [r(imm16)],        (b, extra) => void b.service('returnFar', b.imm(b.size), extra.read()), { ...TRANSFER, operandSized: true }),
  row('iret',  'CF',         [],                (b) => void b.service('returnInterrupt', b.imm(b.size)), { ...TRANSFER, operandSized: true, flags: 'w=oszapcdi' }),
  row('int3',  'CC',         [],                (b) => void b.service('softwareInterrupt', b.imm(EXCEPTION.BP), b.imm(3)), TRANSFER),
  row('int',   'CD ib',      [r(imm8)],         (b, n) => void b.service('softwareInterrupt', n.read(), b.imm(0)), TRANSFER),
  row('into',  'CE',         [],                (b) => b.if(b.flag('O'), () => void b.service('softwareInterrupt', b.imm(EXCEPTION.OF), b.imm(3))), { ...TRANSFER, flags: 'r=o' }),
  row('int1',  'F1',         [],                (b) => void b.service('softwareInterrupt', b.imm(EXCEPTION.DB), b.imm(1)), TRANSFER),
  row('bound', '62 /r',      [r(rv), r(m)],     checkingBounds, { operandSized: true }),
]);
