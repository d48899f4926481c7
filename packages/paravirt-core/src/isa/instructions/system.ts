/** Segment registers, descriptor tables, control registers and the processor's identity (SDM vol. 3, 2.8; vol. 2 by name). */
import { CS, DS, EAX, ECX, ES, ESP, EXCEPTION, FS, GS, SS, type Semantics } from '../build.ts';
import { creg, dreg, family, m, r, r16, rm16, rmreg32, rmv_m16, row, rv, rw, sreg, w } from '../dsl.ts';
import type { Row, Traits } from '../model.ts';
import { andImm, ltU, or, peekStack, push } from '../ops.ts';

const loadSegmentFrom = (segment: number): Semantics => (b, dst, pointer) => {
  const offset = pointer.load(b.size === 16 ? 'u16' : 'u32', 0);
  b.service('loadSegment', b.imm(segment), pointer.load('u16', b.size / 8));
  dst.write(offset);
};
const pushingSegment = (segment: number): Semantics => (b) => push(b, b.size, b.service('selector', b.imm(segment)));
const poppingSegment = (segment: number): Semantics => (b) => {
  const { value, esp } = peekStack(b, b.size);
  b.service('loadSegment', b.imm(segment), andImm(b, value, 0xffff));
  b.setRegister(32, ESP, esp);
};
const segments: readonly [string, number][] = [['es', ES], ['cs', CS], ['ss', SS], ['ds', DS]];
const SIZED: Traits = { operandSized: true };

const stackRows = segments.flatMap(([name, n], i): Row[] => {
  const opcode = (low: number): string => (i * 8 + low).toString(16).toUpperCase().padStart(2, '0');
  return [
    row(`push ${name}`, opcode(6), [], pushingSegment(n), SIZED),
    ...(n === CS ? [] : [row(`pop ${name}`, opcode(7), [], poppingSegment(n), SIZED)]),
  ];
});

const loadTable = (which: 'loadGdt' | 'loadIdt'): Semantics => (b, from) => {
  const limit = from.load('u16', 0), base = from.load('u32', 2);
  b.service(which, b.size === 16 ? andImm(b, base, 0xffffff) : base, limit);
};
const storeTable = (base: string, limit: string): Semantics => (b, to) => {
  // Both stores are probed by the wider access that covers them.
  b.probeStore('operand', to.offset(), 'u16');
  to.store('u32', 2, b.service(base));
  to.store('u16', 0, b.service(limit));
};
const describing = (kind: 0 | 1): Semantics => (b, dst, src) => {
  const selector = andImm(b, src.read(), 0xffff), old = dst.read();
  const valid = b.service('descriptorVisible', b.imm(kind), selector);
  dst.write(b.select(valid, b.service('descriptorValue', b.imm(kind), selector), old));
  b.setFlag('Z', valid);
};
const verifying = (kind: 2 | 3): Semantics => (b, src) => b.setFlag('Z', b.service('descriptorVisible', b.imm(kind), andImm(b, src.read(), 0xffff)));
/** Memory that need not change is only read: it may be read-only. */
const adjustingRpl: Semantics = (b, dst, src) => {
  const x = dst.read(), rpl = andImm(b, src.read(), 3), lower = ltU(b, andImm(b, x, 3), rpl);
  b.if(lower, () => dst.write(or(b, andImm(b, x, 0xfffc), rpl)));
  b.setFlag('Z', lower);
};
/** DS:EAX, or the segment of a prefix, is read as a byte (SDM vol. 2, MONITOR); no extensions in ECX, hints of EDX change nothing. */
const monitoring: Semantics = (b) => {
  b.service('checkMonitor');
  b.if(b.getRegister(32, ECX), () => b.raise(EXCEPTION.GP, 0));
  b.load('operand', b.getRegister(b.addressSize, EAX), 'u8');
  b.set('monitor', b.imm(1));
};
const waitingMonitored: Semantics = (b) => {
  b.service('checkMonitor');
  const extensions = b.getRegister(32, ECX);
  b.if(andImm(b, extensions, ~1), () => b.raise(EXCEPTION.GP, 0));
  b.service('waitMonitored', extensions);
};
const undefinedInstruction: Semantics = (b) => b.raise(EXCEPTION.UD);

const CPL0: Traits = { cpl0: true };
const PROTECTED: Traits = { protectedOnly: true };
export const system = family('system', [
  ...stackRows,
  row('push fs', '0F A0', [], pushingSegment(FS), SIZED),
  row('pop fs',  '0F A1', [], poppingSegment(FS), SIZED),
  row('push gs', '0F A8', [], pushingSegment(GS), SIZED),
  row('pop gs',  '0F A9', [], poppingSegment(GS), SIZED),
  row('mov',  '8C /r',    [w(rmv_m16), r(sreg)],  (_, dst, src) => dst.write(src.read())),
  row('mov',  '8E /r',    [w(sreg), r(rm16)],     (_, dst, src) => dst.write(src.read())),
  row('les',  'C4 /r',    [w(rv), r(m)],          loadSegmentFrom(ES)),
  row('lds',  'C5 /r',    [w(rv), r(m)],          loadSegmentFrom(DS)),
  row('lss',  '0F B2 /r', [w(rv), r(m)],          loadSegmentFrom(SS)),
  row('lfs',  '0F B4 /r', [w(rv), r(m)],          loadSegmentFrom(FS)),
  row('lgs',  '0F B5 /r', [w(rv), r(m)],          loadSegmentFrom(GS)),
  row('sldt', '0F 00 /0', [w(rmv_m16)],           (b, dst) => dst.write(b.service('selector', b.imm(6))), PROTECTED),
  row('str',  '0F 00 /1', [w(rmv_m16)],           (b, dst) => dst.write(b.service('selector', b.imm(7))), PROTECTED),
  row('lldt', '0F 00 /2', [r(rm16)],              (b, src) => void b.service('loadLdt', src.read()), { ...PROTECTED, ...CPL0 }),
  row('ltr',  '0F 00 /3', [r(rm16)],              (b, src) => void b.service('loadTaskRegister', src.read()), { ...PROTECTED, ...CPL0 }),
  row('verr', '0F 00 /4', [r(rm16)],              verifying(2), { ...PROTECTED, flags: 'w=z' }),
  row('verw', '0F 00 /5', [r(rm16)],              verifying(3), { ...PROTECTED, flags: 'w=z' }),
  row('sgdt', '0F 01 /0', [w(m)],                 storeTable('gdtBase', 'gdtLimit')),
  row('sidt', '0F 01 /1', [w(m)],                 storeTable('idtBase', 'idtLimit')),
  row('lgdt', '0F 01 /2', [r(m)],                 loadTable('loadGdt'), { ...CPL0, operandSized: true }),
  row('lidt', '0F 01 /3', [r(m)],                 loadTable('loadIdt'), { ...CPL0, operandSized: true }),
  row('smsw', '0F 01 /4', [w(rmv_m16)],           (b, dst) => dst.write(b.get('cr0'))),
  row('lmsw', '0F 01 /6', [r(rm16)],              (b, src) => void b.service('loadMachineStatus', src.read()), CPL0),
  row('invlpg', '0F 01 /7', [r(m)],               (b, at) => void b.service('invalidatePage', b.linear('operand', at.offset())), { ...CPL0, transfers: true }),
  row('lar',  '0F 02 /r', [rw(rv), r(rmv_m16)],   describing(0), { ...PROTECTED, flags: 'w=z' }),
  row('lsl',  '0F 03 /r', [rw(rv), r(rmv_m16)],   describing(1), { ...PROTECTED, flags: 'w=z' }),
  row('clts', '0F 06',    [],                     (b) => void b.service('clearTaskSwitched'), CPL0),
  row('invd', '0F 08',    [],                     () => {}, CPL0),
  row('wbinvd', '0F 09',  [],                     () => {}, CPL0),
  row('ud2',  '0F 0B',    [],                     undefinedInstruction),
  row('ud1',  '0F B9 /r', [],                     undefinedInstruction),
  row('ud0',  '0F FF /r', [],                     undefinedInstruction),
  row('mov',  '0F 20 /r', [w(rmreg32), r(creg)],  (b, dst, src) => dst.write(b.service('readControl', src.number())), CPL0),
  row('mov',  '0F 21 /r', [w(rmreg32), r(dreg)],  (b, dst, src) => dst.write(b.service('readDebug', src.number())), CPL0),
  row('mov',  '0F 22 /r', [w(creg), r(rmreg32)],  (b, dst, src) => void b.service('writeControl', dst.number(), src.read()), { ...CPL0, transfers: true }),
  row('mov',  '0F 23 /r', [w(dreg), r(rmreg32)],  (b, dst, src) => void b.service('writeDebug', dst.number(), src.read()), CPL0),
  row('wrmsr', '0F 30',   [],                     (b) => void b.service('writeMsr'), CPL0),
  row('rdtsc', '0F 31',   [],                     (b) => void b.service('readTimestamp')),
  row('rdmsr', '0F 32',   [],                     (b) => void b.service('readMsr'), CPL0),
  row('rdpmc', '0F 33',   [],                     (b) => void b.service('readCounter')),
  row('sysenter', '0F 34', [],                    (b) => void b.service('enterSystem'), { transfers: true, feature: 'sep' }),
  row('sysexit', '0F 35', [],                     (b) => void b.service('exitSystem'), { ...CPL0, transfers: true, feature: 'sep' }),
  row('cpuid', '0F A2',   [],                     (b) => void b.service('identify')),
  row('hlt',  'F4',       [],                     (b) => void b.service('halt'), { ...CPL0, transfers: true }),
  row('monitor', '0F 01 C8', [],                  monitoring, { addressSized: true, feature: 'monitor' }),
  row('mwait', '0F 01 C9', [],                    waitingMonitored, { transfers: true, feature: 'monitor' }),
  // Intel's and AMD's way to one's hypervisor: guests know their processor, and each hypervisor takes both.
  row('vmcall', '0F 01 C1', [],                   (b) => void b.service('callHypervisor')),
  row('vmmcall', '0F 01 D9', [],                  (b) => void b.service('callHypervisor')),
  // Resuming needs system management mode, which this processor is never in.
  row('rsm',  '0F AA',    [],                     undefinedInstruction),
  row('arpl', '63 /r',    [r(rm16), r(r16)],      adjustingRpl, { ...PROTECTED, flags: 'w=z' }),
  row('lfence', 'NP 0F AE E8+r', [],              () => {}),
  row('mfence', 'NP 0F AE F0+r', [],              () => {}),
  row('sfence', 'NP 0F AE F8+r', [],              () => {}),
  row('clflush', 'NP 0F AE /7', [r(m)],           (_, at) => void at.load('u8', 0), { feature: 'clfsh' }),
]);
