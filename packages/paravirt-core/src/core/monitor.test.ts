/** MONITOR and MWAIT (SDM vol. 2; vol. 3, 9.10.4): who may, what ends the wait, and that nothing is slept through. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EXCEPTION } from '../isa/build.ts';
import { AT, TestProcessor, le32 } from './test-processor.ts';

const { GP, UD } = EXCEPTION;
const t = new TestProcessor();
beforeEach(() => t.reset());

const VECTOR = 0x30;
const STI = 0xfb,
  HLT = 0xf4,
  INC_ESI = 0x46,
  INC_EBX = 0x43,
  IRET = 0xcf,
  MONITOR = [0x0f, 0x01, 0xc8],
  MWAIT = [0x0f, 0x01, 0xc9];
const mov = (register: number, n: number): number[] => [0xb8 + register, ...le32(n)];
/** Arms the monitor on the data page, and waits with extensions. */
const waiting = (extensions: number): number[] => [
  ...mov(EAX, AT.data),
  ...mov(ECX, 0),
  ...MONITOR,
  ...mov(ECX, extensions),
  ...MWAIT,
];
const start = (...program: readonly number[]): string => {
  t.put(AT.code, ...program);
  t.cpu.set('eip', AT.code);
  return t.processor.run(1000);
};
const request = (): void => {
  t.bus.vectors.push(VECTOR);
  t.processor.setInterruptRequest(true);
};
const faultOf = (...program: readonly number[]): string => {
  const { exception } = t.execute(...program);
  return exception === undefined ? 'none' : `${exception.vector}(${exception.code ?? ''})`;
};

describe('MWAIT', () => {
  it('halts, and goes on behind itself after an interrupt', () => {
    t.gate(VECTOR, 0x3000).put(0x3000, INC_EBX, IRET);
    expect(start(STI, ...waiting(0), INC_ESI, HLT)).toBe('halted');
    expect([t.register(6), t.processor.canWake]).toEqual([0, true]);

    t.bus.onAccess = () => {};
    request();
    t.processor.run(1);
    t.processor.setInterruptRequest(false);
    expect(t.processor.run(1000)).toBe('halted');
    expect([t.register(EBX), t.register(6)]).toEqual([1, 1]);
  });
  it('with ECX bit 0 ends by an interrupt that is masked, without taking it', () => {
    expect(start(...waiting(1), INC_ESI, HLT)).toBe('halted');
    expect([t.register(6), t.processor.canWake]).toEqual([0, true]);

    request();
    expect(t.processor.run(1000)).toBe('halted');
    expect([t.register(6), t.bus.vectors.length]).toEqual([1, 1]);
    expect(t.processor.canWake).toBe(false);
  });
  it('without it sleeps through masked interrupts', () => {
    start(...waiting(0), INC_ESI, HLT);
    request();
    expect(t.processor.run(1000)).toBe('halted');
    expect([t.register(6), t.processor.canWake]).toEqual([0, false]);
  });
  it('does not wait unless MONITOR has armed it, nor twice', () => {
    start(...mov(ECX, 0), ...MWAIT, INC_ESI, HLT);
    expect(t.register(6)).toBe(1);
    t.reset();
    start(...waiting(1), ...MWAIT, INC_ESI, HLT);
    request();
    t.processor.run(1000);
    expect(t.register(6)).toBe(1);
  });
  it('does not wait when an exception came since MONITOR: its handler may have stored to the line', () => {
    t.gate(UD, 0x3000).put(0x3000, 0x83, 0x04, 0x24, 0x02, IRET); // ADD [ESP],2
    start(...mov(EAX, AT.data), ...mov(ECX, 0), ...MONITOR, 0x0f, 0x0b, ...MWAIT, INC_ESI, HLT);
    expect(t.register(6)).toBe(1);
  });
});

describe('MONITOR and MWAIT', () => {
  it.each([
    ['MONITOR', MONITOR],
    ['MWAIT', MWAIT],
  ])('%s above CPL 0 is undefined', (_, code) => {
    t.enterUser();
    expect(faultOf(...mov(ECX, 0), ...code)).toBe(`${UD}()`);
  });
  it('refuse extensions that are not there', () => {
    expect(faultOf(...mov(EAX, AT.data), ...mov(ECX, 1), ...MONITOR)).toBe(`${GP}(0)`);
    expect(faultOf(...mov(ECX, 2), ...MWAIT)).toBe(`${GP}(0)`);
  });
  it('are undefined where CPUID does not show them: IA32_MISC_ENABLE bit 18 clear', () => {
    const off = [...mov(ECX, 0x1a0), 0x0f, 0x32, 0x25, ...le32(~(1 << 18)), 0x0f, 0x30];
    expect(faultOf(...off, ...mov(ECX, 0), ...MONITOR)).toBe(`${UD}()`);
  });
  it('check the address as a byte that is read', () => {
    t.enablePaging();
    expect(faultOf(...mov(EAX, 0x7000_0000), ...mov(ECX, 0), ...MONITOR)).toBe(`${EXCEPTION.PF}(0)`);
  });
});
