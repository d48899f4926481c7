/** The processor's state: flags in two words, what follows from a mode, reset, save and restore. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CS, EAX, EDX, EFLAGS, SS } from '../isa/build.ts';
import { CR0, CR4, GUEST_FAULT, STATUS_MASK, dplOf } from './cpu.ts';
import { FAMILY_MODEL_STEPPING } from './cpuid.ts';
import { CODE_KEY, OFFSET, TLB, UNIT } from './layout.ts';
import { AT, FLAT, TestProcessor } from './test-processor.ts';

const t = new TestProcessor();
beforeEach(() => t.reset());

describe('EFLAGS', () => {
  const STATUS = [1, 4, 0x10, 0x40, 0x80, 0x800];
  it('keeps every combination of status flags', () => {
    for (let n = 0; n < 64; n++) {
      const image = STATUS.reduce((all, bit, i) => all | ((n >> i) & 1 ? bit : 0), 2);
      t.cpu.eflags = image;
      expect(t.cpu.eflags).toBe(image);
    }
  });
  it('keeps the other flags that exist, sets bit 1, and drops the rest', () => {
    t.cpu.eflags = 0xffffffff;
    expect(t.cpu.eflags).toBe(0x3f7fd7);
    t.cpu.eflags = 0;
    expect(t.cpu.eflags).toBe(2);
  });
  it('lets status flags change by themselves', () => {
    t.cpu.eflags = EFLAGS.IF | EFLAGS.DF | 0x40;
    t.cpu.setStatusFlags(STATUS_MASK & ~0x40);
    expect(t.cpu.eflags).toBe(EFLAGS.IF | EFLAGS.DF | 2 | (STATUS_MASK & ~0x40));
  });
});

describe('what follows from a mode', () => {
  it('accesses use the rights of the ring', () => {
    expect(t.cpu.get('accessRead')).toBe(TLB.supervisorRead);
    t.cpu.setCpl(3);
    expect(t.cpu.get('accessRead')).toBe(TLB.userRead);
    for (const cpl of [1, 2]) {
      t.cpu.setCpl(cpl);
      expect(t.cpu.get('accessRead')).toBe(TLB.supervisorRead);
    }
  });
  it('alignment checking closes the fast path of users alone', () => {
    t.cpu.set('cr0', t.cpu.get('cr0') | CR0.AM);
    t.cpu.eflags = EFLAGS.AC;
    t.cpu.refreshMode();
    expect(t.cpu.get('accessRead')).toBe(TLB.supervisorRead);
    t.cpu.setCpl(3);
    expect(t.cpu.get('accessRead')).toBe(TLB.never);
  });
  it('decoded code is found by ring and by the size of CS', () => {
    expect(t.cpu.get('codeKey')).toBe(CODE_KEY.valid | CODE_KEY.big);
    t.cpu.setSegment(CS, 8, 0, 0xffff, 0x9b);
    t.cpu.setCpl(3);
    expect(t.cpu.get('codeKey')).toBe(CODE_KEY.valid | CODE_KEY.user);
  });
  it.each([
    ['CR0.TS', CR0.TS, CR4.OSFXSR, UNIT.x87 | UNIT.mmx | UNIT.sse | UNIT.fxsr],
    ['CR0.EM', CR0.EM, CR4.OSFXSR, UNIT.x87 | UNIT.mmx | UNIT.sse | UNIT.fxsr],
    ['a clear CR4.OSFXSR', 0, 0, UNIT.sse],
    ['nothing', 0, CR4.OSFXSR, 0],
  ])('%s closes units', (_, cr0, cr4, denied) => {
    t.cpu.set('cr0', CR0.PE | cr0);
    t.cr4(cr4);
    expect(t.cpu.get('unitDenied')).toBe(denied);
  });
  it.each([
    ['a flat segment', 0, 0xffff_ffff, 0xffff_f000, true],
    ['a limit that ends with the page', 0, 0x1fff, 0x1000, true],
    ['a limit a byte before that', 0, 0x1ffe, 0x1000, false],
    ['a limit within the first page', 0, 0xffe, 0, false],
    ['a base within the page', 0x7c00, 0xffff, -0xc00, true],
    ['a base and a limit within the page', 0x7c00, 0x3fe, -0xc00, false],
    ['a page in which EIP wraps', 0x7c00, 0xffff_ffff, -0xc00, false],
    ['the page before that', 0x7c00, 0xffff_ffff, -0x1c00, true],
  ])('%s: whether a page of code is one as a whole', (_, base, limit, pageEip, whole) => {
    t.cpu.setSegment(CS, 8, base, limit, FLAT.code);
    expect((pageEip + t.cpu.get('codeSkew')) >>> 0 <= t.cpu.get('codeBound')).toBe(whole);
    expect(t.cpu.get('codeLimit')).toBe(limit);
  });
  it('SS.B says how much of ESP counts', () => {
    t.cpu.setSegment(SS, 0x10, 0, 0xffff, 0x93);
    expect(t.cpu.get('stackMask')).toBe(0xffff);
  });
});

describe('reset', () => {
  beforeEach(() => t.cpu.reset());
  it('is the state of SDM vol. 3, table 10-1', () => {
    const { cpu } = t;
    expect([cpu.get('cr0'), cpu.get('cr2'), cpu.get('cr3'), cpu.get('cr4')]).toEqual([0x60000010, 0, 0, 0]);
    expect([cpu.eflags, cpu.get('eip'), cpu.segment(CS, 'selector'), cpu.segment(CS, 'base')]).toEqual([
      2, 0xfff0, 0xf000, 0xffff0000,
    ]);
    expect([cpu.getRegister(EAX), cpu.getRegister(EDX)]).toEqual([0, FAMILY_MODEL_STEPPING]);
    expect([cpu.get('fpuControl'), cpu.get('mxcsr'), cpu.get('gdtLimit'), cpu.get('idtLimit')]).toEqual([
      0x40, 0x1f80, 0xffff, 0xffff,
    ]);
    const dr = (n: number): number => cpu.data.getUint32(cpu.base + OFFSET.dr + n * 4, true);
    expect([dr(6), dr(7)]).toEqual([0xffff0ff0, 0x400]);
  });
  it('forgets translations and decoded code', () => {
    t.reset();
    t.put(AT.code, 0x40, 0xf4);
    t.run(AT.code);
    t.ram[AT.code] = 0x41; // told to nobody
    t.cpu.reset();
    t.reset();
    t.ram[AT.code] = 0x43;
    t.ram[AT.code + 1] = 0xf4;
    t.run(AT.code);
    expect(t.register(3)).toBe(1);
  });
});

it('a saved state goes on in another processor', () => {
  const other = new TestProcessor();
  t.execute(0xb8, 1, 2, 3, 4, 0x83, 0xf8, 5); // MOV EAX,04030201h ; CMP EAX,5
  const saved = t.cpu.save();

  other.cpu.restore(saved);

  expect([other.register(EAX), other.cpu.eflags, other.cpu.get('eip')]).toEqual([
    0x04030201,
    t.cpu.eflags,
    t.cpu.get('eip'),
  ]);
  other.put(AT.code, 0x40, 0xf4);
  other.run(AT.code);
  expect(other.register(EAX)).toBe(0x04030202);
});
it('raising records vector and code before it unwinds', () => {
  expect(() => t.cpu.raise(13, 0x18)).toThrow();
  try {
    t.cpu.raise(14);
  } catch (thrown) {
    expect(thrown).toBe(GUEST_FAULT);
  }
  expect([t.cpu.get('fault'), t.cpu.get('faultVector'), t.cpu.get('faultCode')]).toEqual([1, 14, 0xffffffff]);
  t.cpu.set('fault', 0);
});
it('the DPL of attributes is bits 5 and 6', () => {
  expect([dplOf(FLAT.data), dplOf(FLAT.userData), dplOf(0x40)]).toEqual([0, 3, 2]);
});
