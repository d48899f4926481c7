/** Loading segment registers and looking at descriptors (SDM vol. 3, chapters 3 and 5; vol. 2: MOV LLDT LTR LAR LSL VERR VERW). */
import { beforeEach, describe, expect, it } from 'vitest';
import { CS, DS, EBX, ES, EXCEPTION, SS } from '../isa/build.ts';
import { ATTRIBUTE, CR0 } from './cpu.ts';
import { LDTR, SEGMENT, TR, segmentOffset } from './layout.ts';
import { rplOf, selectorError } from './segmentation.ts';
import { AT, FLAT, SELECTOR, TestProcessor, dataSegment, le32 } from './test-processor.ts';

const { GP, NP, UD } = EXCEPTION;
const FREE = SELECTOR.free;
const READ_ONLY = FLAT.data & ~ATTRIBUTE.writable,
  EXECUTE_ONLY = FLAT.code & ~ATTRIBUTE.readable,
  CONFORMING = FLAT.code | ATTRIBUTE.conforming,
  ABSENT = FLAT.data & ~ATTRIBUTE.present,
  LDT = 0x82,
  TSS = 0x89,
  BUSY_TSS = 0x8b,
  TSS_16 = 0x81,
  CALL_GATE = 0x8c;

const t = new TestProcessor();
beforeEach(() => t.reset());

/** MOV EAX,selector ; MOV DS,EAX (or another register). */
const load = (selector: number, register = DS): number[] => [0xb8, ...le32(selector), 0x8e, 0xc0 | (register << 3)];
function faultOf(program: readonly number[]): string {
  const { exception } = t.execute(...program);
  if (exception === undefined) return 'none';
  return `#${Object.entries(EXCEPTION).find(([, v]) => v === exception.vector)![0]}(${(exception.code ?? 0).toString(16)})`;
}

describe('loading DS, ES, FS and GS', () => {
  const cases: readonly [what: string, attributes: number, rpl: number, user: boolean, fault: string][] = [
    ['data', FLAT.data, 0, false, 'none'],
    ['read-only data', READ_ONLY, 0, false, 'none'],
    ['readable code', FLAT.code, 0, false, 'none'],
    ['execute-only code', EXECUTE_ONLY, 0, false, '#GP(30)'],
    ['a segment that is not present', ABSENT, 0, false, '#NP(30)'],
    ['a system descriptor', TSS, 0, false, '#GP(30)'],
    ["the system's data with the RPL of a user", FLAT.data, 3, false, '#GP(30)'],
    ["a user's data with any RPL", FLAT.userData, 3, false, 'none'],
    ["the system's data by a user", FLAT.data, 0, true, '#GP(30)'],
    ["the system's conforming code by a user", CONFORMING, 3, true, 'none'],
  ];
  it.each(cases)('%s', (_, attributes, rpl, user, fault) => {
    t.descriptor(FREE, 0x1234, 0xfffff, attributes);
    if (user) t.enterUser();
    // A user cannot halt: the #GP(0) of HLT is the end of a program that went well.
    const seen = faultOf(load(FREE | rpl));
    expect(user && seen === '#GP(0)' ? 'none' : seen).toBe(fault);
    if (fault === 'none') expect(t.cpu.segment(DS, 'base')).toBe(0x1234);
  });
  it('a null selector, with any RPL, makes the register unusable without a fault', () => {
    for (const selector of [0, 1, 2, 3]) {
      expect(faultOf(load(selector))).toBe('none');
      expect([t.cpu.segment(DS, 'selector'), t.cpu.segment(DS, 'attributes')]).toEqual([selector, 0]);
    }
    expect(faultOf([0xa1, ...le32(AT.data)])).toBe('#GP(0)');
  });
  it('a selector whose descriptor does not lie in the table as a whole is #GP', () => {
    t.cpu.set('gdtLimit', FREE + 6);
    expect(faultOf(load(FREE))).toBe('#GP(30)');
    t.cpu.set('gdtLimit', FREE + 7);
    t.descriptor(FREE, 0, 0xfffff, FLAT.data);
    expect(faultOf(load(FREE))).toBe('none');
  });
  it('a fault leaves the register as it was', () => {
    t.descriptor(FREE, 0, 0xfffff, ABSENT);
    t.execute(...load(FREE));
    expect(t.cpu.segment(DS, 'selector')).toBe(SELECTOR.data);
  });
  it('marks the descriptor as accessed, once', () => {
    t.descriptor(FREE, 0, 0xfffff, FLAT.data & ~ATTRIBUTE.accessed);
    t.execute(...load(FREE));
    expect(t.ram[AT.gdt + FREE + 5]! & 1).toBe(1);
    expect(t.cpu.segment(DS, 'attributes') & ATTRIBUTE.accessed).toBe(1);
  });
  it.each([
    ['bytes', 0x1234, 0, 0x1234],
    ['pages, the last of them whole', 0x1234, ATTRIBUTE.granular, 0x1234fff],
    ['the largest', 0xfffff, ATTRIBUTE.granular, 0xffffffff],
  ])('counts the limit in %s', (_, limit, granular, bytes) => {
    t.descriptor(FREE, 0xabcd_ef12, limit, (FLAT.data & ~ATTRIBUTE.granular) | granular);
    t.execute(...load(FREE, ES));
    expect([t.cpu.segment(ES, 'limit'), t.cpu.segment(ES, 'base')]).toEqual([bytes, 0xabcd_ef12]);
  });
  it('CS cannot be loaded by MOV', () => {
    expect(faultOf(load(FREE, CS))).toBe('#UD(0)');
  });
  it('in real mode takes any selector, with base selector * 16 and the limit it had', () => {
    t.cpu.set('cr0', CR0.ET);
    t.cpu.setSegment(DS, 0, 0, 0xffff, 0x93);
    t.put(AT.code, ...load(0x1234));
    t.cpu.set('eip', AT.code);
    t.processor.step();
    t.processor.step();
    expect([t.cpu.segment(DS, 'base'), t.cpu.segment(DS, 'limit')]).toEqual([0x12340, 0xffff]);
  });
});

describe('loading SS', () => {
  it.each([
    ['null', 0, FLAT.data, '#GP(0)'],
    ['read-only data', FREE, READ_ONLY, '#GP(30)'],
    ['code', FREE, FLAT.code, '#GP(30)'],
    ['data of another privilege', FREE | 3, FLAT.userData, '#GP(30)'],
    ['an RPL that is not CPL', FREE | 1, FLAT.data, '#GP(30)'],
    ['a segment that is not present', FREE, ABSENT, '#SS(30)'],
    ['data of this privilege', FREE, FLAT.data, 'none'],
  ])('%s', (_, selector, attributes, fault) => {
    t.descriptor(FREE, 0, 0xfffff, attributes);
    expect(faultOf(load(selector, SS))).toBe(fault);
  });
  it('sets how much of ESP counts', () => {
    t.descriptor(FREE, 0, 0xfffff, FLAT.data & ~ATTRIBUTE.big);
    t.execute(...load(FREE, SS));
    expect(t.cpu.get('stackMask')).toBe(0xffff);
    t.execute(...load(SELECTOR.data, SS));
    expect(t.cpu.get('stackMask')).toBe(0xffffffff);
  });
});

describe('the local table', () => {
  const LDT_AT = 0x5000;
  const LLDT = [0x0f, 0x00, 0xd0];
  it('serves selectors with TI, within its limit', () => {
    t.descriptor(FREE, LDT_AT, 0x0f, LDT);
    t.ram.copyWithin(LDT_AT + 8, AT.gdt + SELECTOR.data, AT.gdt + SELECTOR.data + 8);
    expect(faultOf([0xb8, ...le32(FREE), ...LLDT, ...load(0x0c)])).toBe('none');
    expect(t.cpu.segment(DS, 'selector')).toBe(0x0c);
    expect(faultOf(load(0x14))).toBe('#GP(14)');
  });
  it('without one, selectors with TI are #GP', () => {
    t.cpu.setSegment(LDTR, 0, 0, 0xffff, 0);
    expect(faultOf(load(0x0c))).toBe('#GP(c)');
  });
  it.each([
    ['null', 0, LDT, 'none'],
    ['of the wrong type', FREE, FLAT.data, '#GP(30)'],
    ['that is not present', FREE, LDT & ~ATTRIBUTE.present, '#NP(30)'],
    ['from the local table itself', FREE | 4, LDT, '#GP(34)'],
  ])('LLDT with a selector %s', (_, selector, attributes, fault) => {
    t.descriptor(FREE, LDT_AT, 0x0f, attributes);
    expect(faultOf([0xb8, ...le32(selector), ...LLDT])).toBe(fault);
  });
});

describe('LTR', () => {
  it.each([
    ['a free TSS', FREE, TSS, 'none'],
    ['a free 16-bit TSS', FREE, TSS_16, 'none'],
    ['a busy TSS', FREE, BUSY_TSS, '#GP(30)'],
    ['null', 0, TSS, '#GP(0)'],
    ['data', FREE, FLAT.data, '#GP(30)'],
    ['a TSS that is not present', FREE, TSS & ~ATTRIBUTE.present, '#NP(30)'],
  ])('%s', (_, selector, attributes, fault) => {
    t.descriptor(FREE, 0x500, 0x67, attributes);
    expect(faultOf([0xb8, ...le32(selector), 0x0f, 0x00, 0xd8])).toBe(fault);
    if (fault === 'none') {
      expect(t.ram[AT.gdt + FREE + 5]! & 2).toBe(2);
      expect(t.cpu.segment(TR, 'selector')).toBe(FREE);
    }
  });
});

describe('looking at descriptors', () => {
  const instruction = {
    lar: [0x0f, 0x02, 0xd8],
    lsl: [0x0f, 0x03, 0xd8],
    verr: [0x0f, 0x00, 0xe0],
    verw: [0x0f, 0x00, 0xe8],
  };
  /** ZF after the instruction with FREE (and an RPL) in EAX; EBX is where LAR and LSL load. */
  function zero(what: keyof typeof instruction, attributes: number, selector: number = FREE): boolean {
    t.reset();
    t.descriptor(FREE, 0, 0x1234, attributes);
    t.cpu.setRegister(EBX, 0xdead);
    t.execute(0xb8, ...le32(selector), ...instruction[what]);
    return (t.cpu.eflags & 0x40) !== 0;
  }
  it.each([
    ['data', FLAT.data, true, true, true, true],
    ['read-only data', READ_ONLY, true, true, true, false],
    ['code', FLAT.code, true, true, true, false],
    ['execute-only code', EXECUTE_ONLY, true, true, false, false],
    ['a TSS', TSS, true, true, false, false],
    ['an LDT', LDT, true, true, false, false],
    ['a call gate', CALL_GATE, true, false, false, false],
    ['an interrupt gate', 0x8e, false, false, false, false],
    ['an empty type', 0x80, false, false, false, false],
  ])('%s: LAR %s LSL %s VERR %s VERW %s', (_, attributes, lar, lsl, verr, verw) => {
    expect([
      zero('lar', attributes),
      zero('lsl', attributes),
      zero('verr', attributes),
      zero('verw', attributes),
    ]).toEqual([lar, lsl, verr, verw]);
  });
  it('an RPL of less privilege hides all but conforming code', () => {
    expect([zero('lar', FLAT.data, FREE | 3), zero('verr', FLAT.data, FREE | 3)]).toEqual([false, false]);
    expect([zero('lar', CONFORMING, FREE | 3), zero('verr', CONFORMING, FREE | 3)]).toEqual([true, true]);
    expect(zero('lar', FLAT.userData, FREE | 3)).toBe(true);
  });
  it('null selectors and those beyond the table clear ZF and load nothing', () => {
    for (const selector of [0, 3, 0x80]) {
      expect(zero('lsl', FLAT.data, selector)).toBe(false);
      expect(t.register(EBX)).toBe(0xdead);
    }
  });
  it('LSL gives bytes', () => {
    expect(zero('lsl', FLAT.data)).toBe(true);
    expect(t.register(EBX)).toBe(0x1234fff);
  });
  it('are undefined in real mode', () => {
    t.cpu.set('cr0', CR0.ET);
    t.cpu.set('idtBase', 0);
    t.cpu.set('idtLimit', 0x3ff);
    t.put(AT.code, ...instruction.lar);
    t.cpu.set('eip', AT.code);
    t.processor.step();
    expect([t.processor.delivered[UD], t.processor.delivered[GP], t.processor.delivered[NP]]).toEqual([1, 0, 0]);
  });
});

describe('what accesses may skip', () => {
  const bounds = (limit: number, attributes: number): [read: number, write: number] => {
    t.cpu.setSegment(DS, FREE, 0, limit, attributes);
    return [t.cpu.segment(DS, 'readBound'), t.cpu.segment(DS, 'writeBound')];
  };
  it('16 bytes at any offset below the bound lie within the limit', () => {
    expect(bounds(0xffffffff, FLAT.data)).toEqual([0xfffffff1, 0xfffffff1]);
    expect(bounds(0x7f, dataSegment())).toEqual([0x71, 0x71]);
    expect(bounds(15, dataSegment())).toEqual([1, 1]);
  });
  it.each([
    ['limits below 16 bytes', 14, dataSegment(), [0, 0]],
    ['segments that expand down', 0x7f, dataSegment(ATTRIBUTE.expandDown), [0, 0]],
    ['null segments', 0, 0, [0, 0]],
    ['segments that are not present', 0xffffffff, ABSENT, [0, 0]],
    ['writes to read-only data', 0xffffffff, READ_ONLY, [0xfffffff1, 0]],
    ['writes to code', 0xffffffff, FLAT.code, [0xfffffff1, 0]],
    ['reads of execute-only code', 0xffffffff, EXECUTE_ONLY, [0, 0]],
  ])('%s are always looked at', (_, limit, attributes, expected) => {
    expect(bounds(limit, attributes)).toEqual(expected);
  });
  it('lie beside the limit in the layout', () => {
    t.cpu.setSegment(DS, FREE, 0, 0x7f, dataSegment());
    expect(t.cpu.data.getUint32(t.cpu.base + segmentOffset(DS) + SEGMENT.readBound, true)).toBe(0x71);
  });
});

it('error codes name the selector without its RPL, and the external bit', () => {
  expect([selectorError(0x1b), selectorError(0x1f), selectorError(0x1b, 1), rplOf(0x1b)]).toEqual([
    0x18, 0x1c, 0x19, 3,
  ]);
});
