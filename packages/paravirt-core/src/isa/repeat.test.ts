/** REP, REPE and REPNE on every engine: counts, ends, faults in the middle (SDM vol. 2, REP). */
import { beforeEach, describe, expect, it } from 'vitest';
import { oracleEngine } from '../core/oracle.ts';
import { AT, PTE, SELECTOR, TestProcessor, dataSegment, le32 } from '../core/test-processor.ts';
import { DS, EAX, ECX, EDI, EDX, ESI, EXCEPTION } from './build.ts';

const FROM = 0x2_0000,
  TO = 0x3_0000;
const ZF = 0x40;

describe.each([
  ['interpreter', {}],
  ['oracle', { engine: oracleEngine }],
])('a repeated string instruction on the %s', (_, options) => {
  const t = new TestProcessor(options);
  beforeEach(() => t.reset());
  function start(count: number, from = FROM, to = TO): void {
    t.cpu.setRegister(ECX, count);
    t.cpu.setRegister(ESI, from);
    t.cpu.setRegister(EDI, to);
  }
  const registers = (): number[] => [t.register(ECX), t.register(ESI), t.register(EDI)];

  it('with a count of zero does nothing, and leaves flags alone', () => {
    start(0);
    t.cpu.eflags = 0x8d7;
    t.execute(0xf3, 0xa6);
    expect([registers(), t.cpu.eflags]).toEqual([[0, FROM, TO], 0x8d7]);
  });
  it('REPE CMPSB ends behind the first difference, with its flags', () => {
    t.put(FROM, 1, 2, 3, 4, 5).put(TO, 1, 2, 9, 4, 5);
    start(5);
    t.execute(0xf3, 0xa6);
    expect([registers(), t.cpu.eflags & (ZF | 1)]).toEqual([[2, FROM + 3, TO + 3], 1]);
  });
  it('REPE CMPSB of equal strings ends with ZF and a count of zero', () => {
    t.put(FROM, 1, 2, 3).put(TO, 1, 2, 3);
    start(3);
    t.execute(0xf3, 0xa6);
    expect([registers(), t.cpu.eflags & ZF]).toEqual([[0, FROM + 3, TO + 3], ZF]);
  });
  it('REPNE SCASD ends behind the first match', () => {
    t.put(TO, ...le32(1), ...le32(2), ...le32(0xdeadbeef), ...le32(4));
    start(4);
    t.cpu.setRegister(EAX, 0xdeadbeef);
    t.execute(0xf2, 0xaf);
    expect([registers(), t.cpu.eflags & ZF]).toEqual([[1, FROM, TO + 12], ZF]);
  });
  it('with 16-bit addressing uses CX, SI and DI, and leaves the upper halves', () => {
    start(0xabcd_0003, 0xabcd_4000, 0xabcd_5000);
    t.put(0x4000, 1, 2, 3);
    t.execute(0x67, 0xf3, 0xa4);
    expect(registers()).toEqual([0xabcd_0000, 0xabcd_4003, 0xabcd_5003]);
    expect([...t.ram.subarray(0x5000, 0x5004)]).toEqual([1, 2, 3, 0]);
  });
  it('with 16-bit addressing wraps within 64 KiB', () => {
    start(4, 0x4000, 0xfffe);
    t.put(0x4000, 1, 2, 3, 4);
    t.execute(0x67, 0xf3, 0xa4);
    expect([t.ram[0xfffe], t.ram[0xffff], t.ram[0], t.ram[1]]).toEqual([1, 2, 3, 4]);
    expect(t.register(EDI)).toBe(2);
  });
  it('reads from the segment that a prefix names, and always writes to ES', () => {
    t.cpu.setSegment(4, SELECTOR.data, 0x100, 0xffffffff, 0xc093);
    t.put(FROM + 0x100, 7);
    start(1);
    t.execute(0x64, 0xf3, 0xa4);
    expect(t.ram[TO]).toBe(7);
  });
  it('that compares and faults in the middle shows the flags from before it', () => {
    t.enablePaging();
    t.view.setUint32(t.entryAt(FROM + 0x1000), 0, true);
    start(0x20, FROM + 0xff0);
    t.ram.copyWithin(TO, FROM + 0xff0, FROM + 0x1000);
    t.cpu.eflags = 0x893; // O S A C, and not Z as after any of the comparisons
    const { exception } = t.execute(0xf3, 0xa6);
    expect(exception).toEqual({ vector: EXCEPTION.PF, code: 0, eip: AT.code });
    expect([t.register(ECX), t.cpu.eflags & 0x8d5]).toEqual([0x10, 0x891]);
  });
  it.each([
    ['LODSB', 0xac],
    ['MOVSB', 0xa4],
  ])('%s that faults in the middle leaves what is done done, and the rest to do', (_name, opcode) => {
    t.enablePaging();
    t.view.setUint32(t.entryAt(FROM + 0x1000), 0, true);
    start(0x20, FROM + 0xff0);
    const { exception } = t.execute(0xf3, opcode);
    expect(exception).toEqual({ vector: EXCEPTION.PF, code: 0, eip: AT.code });
    expect([t.register(ECX), t.register(ESI), t.cpu.get('cr2')]).toEqual([0x10, FROM + 0x1000, FROM + 0x1000]);
    t.page(FROM + 0x1000, 0x6000, PTE.P | PTE.W | PTE.U);
    t.put(0x6000 + 0xf, 9);
    t.cpu.setRegister(4, AT.stack);
    t.run(AT.code);
    expect([t.register(ECX), t.register(ESI)]).toEqual([0, FROM + 0x1010]);
    if (opcode === 0xa4) expect(t.ram[TO + 0x1f]).toBe(9);
  });
  it('REP OUTSB and REP INSB reach the port once for each byte, in order', () => {
    t.put(FROM, 1, 2, 3);
    start(3);
    t.cpu.setRegister(EDX, 0x123);
    t.execute(0xf3, 0x6e);
    expect(t.bus.log).toEqual(['out1 00000123 01', 'out1 00000123 02', 'out1 00000123 03']);
    start(2);
    t.bus.answers.set(0x123, 0x77);
    t.execute(0xf3, 0x6c);
    expect([t.ram[TO], t.ram[TO + 1], t.ram[TO + 2]]).toEqual([0x77, 0x77, 0]);
  });
  it('REP INSB reads no port when the byte could not be stored', () => {
    t.cpu.setSegment(0, SELECTOR.data, TO, 1, dataSegment());
    start(5, FROM, 0);
    expect(t.execute(0xf3, 0x6c).exception?.vector).toBe(EXCEPTION.GP);
    expect([t.bus.log.length, t.register(ECX)]).toEqual([2, 3]);
  });
  it('REP OUTSB that may not use the port is #GP, even with a count of zero', () => {
    t.enterUser();
    t.cpu.setSegment(DS, SELECTOR.userData, 0, 0xffffffff, 0xc0f3);
    start(0);
    t.cpu.setRegister(EDX, 0x123);
    expect(t.execute(0xf3, 0x6e).exception).toEqual({ vector: EXCEPTION.GP, code: 0, eip: AT.code });
  });
  it('can be millions of repetitions long', () => {
    start(3_000_000, FROM, 0x10_0000);
    t.cpu.setRegister(EAX, 0x1234_5678);
    start(0x20_0000 / 4, FROM, 0x10_0000);
    t.put(AT.code, 0xf3, 0xab, 0xf4);
    t.cpu.set('eip', AT.code);
    while (t.processor.run(100_000) === 'budget');
    expect([t.register(ECX), t.u32(0x2f_fffc), t.u32(0x30_0000)]).toEqual([0, 0x1234_5678, 0]);
  });
});
