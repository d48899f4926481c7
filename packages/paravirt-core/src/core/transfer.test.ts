/** Gates, frames and returns: what delivery of an event pushes, checks and leaves behind (SDM vol. 3, chapters 5 and 6). */
import { beforeEach, describe, expect, it } from 'vitest';
import { CS, DS, EAX, EBX, ECX, EDX, EFLAGS, ES, ESP, EXCEPTION, SS } from '../isa/build.ts';
import { ATTRIBUTE, CR0 } from './cpu.ts';
import { TR } from './layout.ts';
import { AT, FLAT, PTE, SELECTOR, TestProcessor, le32 } from './test-processor.ts';

const { GP, NP, TS, PF, UD } = EXCEPTION;
const HLT = 0xf4,
  IRET = 0xcf;
const VECTOR = 0x50;
const HANDLER = 0x3000;
const INT = [0xcd, VECTOR];
/** Gate types with P and DPL 3, and with DPL 0. */
const GATE = {
  interrupt: 0xee,
  trap: 0xef,
  interrupt16: 0xe6,
  trap16: 0xe7,
  call: 0xec,
  ofSystem: 0x8e,
  absent: 0x6e,
};
const ALL = PTE.P | PTE.W | PTE.U;

const t = new TestProcessor();
beforeEach(() => {
  t.reset();
  t.put(HANDLER, HLT);
});
const vectorOf = (program: readonly number[]): number | undefined => t.execute(...program).exception?.vector;
const words = (at: number, count: number): number[] => Array.from({ length: count }, (_, i) => t.u32(at + 4 * i));
const flags = (): number => t.cpu.eflags;

describe('an event at the same privilege', () => {
  it('pushes EFLAGS, CS and EIP onto the current stack', () => {
    t.gate(VECTOR, HANDLER);
    t.cpu.eflags = EFLAGS.IF | 0x8d7;

    t.execute(...INT);

    expect(words(t.register(ESP), 3)).toEqual([AT.code + 2, SELECTOR.code, EFLAGS.IF | 0x8d7]);
    expect(t.register(ESP)).toBe(AT.stack - 12);
  });
  it.each([
    ['an interrupt gate clears IF', GATE.interrupt, 0],
    ['a trap gate leaves it', GATE.trap, EFLAGS.IF],
  ])('%s; TF, NT and RF are cleared by both', (_, type, interrupts) => {
    t.gate(VECTOR, HANDLER, type);
    t.cpu.eflags = EFLAGS.IF | EFLAGS.NT | EFLAGS.RF;

    t.execute(...INT);

    expect(flags() & (EFLAGS.IF | EFLAGS.TF | EFLAGS.NT | EFLAGS.RF)).toBe(interrupts);
  });
  it('pushes RF for faults and not for software interrupts', () => {
    t.gate(VECTOR, HANDLER).gate(UD, HANDLER);
    t.execute(...INT);
    expect(t.u32(t.register(ESP) + 8) & EFLAGS.RF).toBe(0);
    t.execute(0x0f, 0x0b);
    expect(t.u32(t.register(ESP) + 8) & EFLAGS.RF).toBe(EFLAGS.RF);
  });
  it('a 16-bit gate pushes words and takes 16 bits of the offset', () => {
    t.gate(VECTOR, 0x1234_0000 | HANDLER, GATE.interrupt16);

    t.execute(...INT);

    expect(t.register(ESP)).toBe(AT.stack - 6);
    expect(t.u32(t.register(ESP))).toBe((SELECTOR.code << 16) | (AT.code + 2));
    expect(t.cpu.get('eip')).toBe(HANDLER + 1);
  });
  it('a stack without room is #SS and leaves ESP alone', () => {
    t.gate(VECTOR, HANDLER);
    t.cpu.setSegment(SS, SELECTOR.data, 0, AT.stack - 1, FLAT.data);
    t.cpu.setRegister(ESP, AT.stack + 0x100);
    // #SS meets the same stack, and so does the double fault.
    expect(t.execute(...INT).reason).toBe('triple-fault');
    expect([t.processor.delivered[EXCEPTION.SS], t.register(ESP)]).toEqual([1, AT.stack + 0x100]);
  });
});

describe('what delivery checks', () => {
  const error = (external = 0): number => VECTOR * 8 + 2 + external;
  it.each([
    ['a gate that is not present is #NP', GATE.absent, NP],
    ['a call gate is #GP', GATE.call, GP],
    ['an empty entry is #GP', 0, GP],
  ])('%s, naming the vector', (_, type, vector) => {
    t.gate(VECTOR, HANDLER, type);
    expect(t.execute(...INT).exception).toEqual({ vector, code: error(), eip: AT.code });
  });
  it("a gate of the system's is #GP for a user's INT, and open to exceptions", () => {
    t.gate(VECTOR, HANDLER, GATE.ofSystem)
      .gate(UD, AT.handlers + UD, GATE.ofSystem)
      .enterUser();
    expect(t.execute(...INT).exception).toEqual({ vector: GP, code: error(), eip: AT.code });
    t.enterUser().cpu.setRegister(ESP, AT.stack);
    expect(vectorOf([0x0f, 0x0b])).toBe(UD);
  });
  it.each([
    ['a null selector', 0, GP, 0],
    ['a selector beyond the table', 0x80, GP, 0x80],
    ['a data segment', SELECTOR.data, GP, SELECTOR.data],
    ['a code segment of less privilege than the handler interrupts', SELECTOR.userCode, GP, SELECTOR.userCode & ~3],
  ])('%s as the handler’s CS', (_, selector, vector, code) => {
    t.gate(VECTOR, HANDLER, GATE.interrupt, selector);
    expect(t.execute(...INT).exception).toEqual({ vector, code, eip: AT.code });
  });
  it('a code segment that is not present is #NP with its selector', () => {
    t.descriptor(SELECTOR.free, 0, 0xfffff, FLAT.code & ~ATTRIBUTE.present);
    t.gate(VECTOR, HANDLER, GATE.interrupt, SELECTOR.free);
    expect(t.execute(...INT).exception).toEqual({ vector: NP, code: SELECTOR.free, eip: AT.code });
  });
  it('an offset beyond the limit of the code segment is #GP(0) and has changed nothing', () => {
    t.descriptor(SELECTOR.free, 0, 0xfff, FLAT.code & ~ATTRIBUTE.granular);
    t.gate(VECTOR, HANDLER, GATE.interrupt, SELECTOR.free);
    expect(t.execute(...INT).exception).toEqual({ vector: GP, code: 0, eip: AT.code });
    expect(t.register(ESP)).toBe(AT.stack - 16);
  });
});

describe('an event that raises the privilege', () => {
  beforeEach(() => t.gate(VECTOR, HANDLER).enterUser());

  it('changes to the stack of the TSS and pushes the old one first', () => {
    t.execute(...INT);

    expect(t.register(ESP)).toBe(AT.innerStack - 20);
    expect(words(t.register(ESP), 5)).toEqual([AT.code + 2, SELECTOR.userCode, 2, AT.stack, SELECTOR.userData]);
    expect([t.cpu.get('cpl'), t.cpu.segment(CS, 'selector'), t.cpu.segment(SS, 'selector')]).toEqual([
      0,
      SELECTOR.code,
      SELECTOR.data,
    ]);
  });
  it('stays on its stack in a conforming segment', () => {
    t.descriptor(SELECTOR.free, 0, 0xfffff, FLAT.code | ATTRIBUTE.conforming);
    t.gate(VECTOR, HANDLER, GATE.interrupt, SELECTOR.free);
    t.put(HANDLER, 0x0f, 0x0b); // HLT is not for users
    t.execute(...INT);
    expect(t.u32(AT.stack - 12)).toBe(AT.code + 2);
    expect(t.u32(AT.innerStack - 16)).toBe(SELECTOR.free | 3);
  });
  it.each([
    ['a TSS too short for it', (): void => t.cpu.setSegment(TR, SELECTOR.tss, AT.tss, 8, FLAT.tss), TS, SELECTOR.tss],
    ['a null SS in the TSS', (): void => t.view.setUint16(AT.tss + 8, 0, true), TS, 0],
    [
      'an SS of the wrong privilege',
      (): void => t.view.setUint16(AT.tss + 8, SELECTOR.userData, true),
      TS,
      SELECTOR.userData & ~3,
    ],
    ['an SS that is code', (): void => t.view.setUint16(AT.tss + 8, SELECTOR.code, true), TS, SELECTOR.code],
    ['an SS beyond the table', (): void => t.view.setUint16(AT.tss + 8, 0x80, true), TS, 0x80],
  ])('%s is #TS', (_, spoil, vector, code) => {
    // The handler of #TS lies in a conforming segment, which needs no stack from the TSS.
    t.descriptor(SELECTOR.free, 0, 0xfffff, FLAT.code | ATTRIBUTE.conforming);
    t.gate(TS, HANDLER + 0x10, GATE.interrupt, SELECTOR.free).put(HANDLER + 0x10, 0xeb, 0xfe);
    spoil();
    t.put(AT.code, ...INT);
    t.run(AT.code, 100);
    expect(t.processor.delivered[vector]).toBe(1);
    expect(words(t.register(ESP), 2)).toEqual([code, AT.code]);
  });
  it('an inner stack that is not mapped is #PF of the system, and then a double fault', () => {
    t.enablePaging();
    t.view.setUint32(t.entryAt(AT.innerStack - 4), 0, true);
    expect(t.execute(...INT).reason).toBe('triple-fault');
    expect([t.cpu.get('cr2'), t.processor.delivered[PF]]).toEqual([AT.innerStack - 4, 1]);
  });
  it('leaves the user as it was when the accessed bit of its new stack cannot be set', () => {
    // The table lies in a page that may not be written: marking a segment as accessed faults in the middle of delivery.
    t.descriptor(SELECTOR.free, 0, 0xfffff, FLAT.data & ~ATTRIBUTE.accessed);
    t.view.setUint16(AT.tss + 8, SELECTOR.free, true);
    t.ram.copyWithin(0x2_0000, AT.gdt, AT.gdt + 0x80);
    t.cpu.set('gdtBase', 0x2_0000);
    t.enablePaging({ cr0: CR0.WP }).page(0x2_0000, 0x2_0000, PTE.P);
    t.gate(PF, HANDLER + 0x10, GATE.interrupt, SELECTOR.code);
    t.put(AT.code, ...INT);
    t.cpu.set('eip', AT.code);

    const how = t.processor.run(100);

    // The handler of #PF needs the same stack: triple fault, with the user's registers.
    expect([how, t.cpu.get('cpl'), t.cpu.segment(SS, 'selector'), t.register(ESP)]).toEqual([
      'triple-fault',
      3,
      SELECTOR.userData,
      AT.stack,
    ]);
  });
});

describe('IRET', () => {
  const frame = (...values: readonly number[]): number[] => values.toReversed().flatMap((v) => [0x68, ...le32(v)]);
  const TARGET = AT.code + 0x80;

  it('at the same privilege restores EIP, CS and EFLAGS', () => {
    t.put(TARGET, HLT);
    t.execute(...frame(TARGET, SELECTOR.code, 0x8d7 | EFLAGS.DF), IRET);
    expect([t.cpu.get('eip'), flags(), t.register(ESP)]).toEqual([TARGET + 1, 0x8d7 | EFLAGS.DF, AT.stack]);
  });
  it('to a user changes the stack, and nulls data segments that only the system may use', () => {
    t.put(TARGET, 0xeb, 0xfe);
    t.descriptor(SELECTOR.free, 0, 0xfffff, FLAT.userData);
    t.cpu.setSegment(ES, SELECTOR.free | 3, 0, 0xffffffff, FLAT.userData);
    t.put(AT.code, ...frame(TARGET, SELECTOR.userCode, 2, 0x7000, SELECTOR.userData), IRET);
    // frame() pushes in the order that IRET pops: EIP, CS, EFLAGS, ESP, SS.
    t.run(AT.code, 20);
    expect([t.cpu.get('eip'), t.cpu.get('cpl'), t.register(ESP)]).toEqual([TARGET, 3, 0x7000]);
    expect([t.cpu.segment(DS, 'selector'), t.cpu.segment(DS, 'attributes')]).toEqual([0, 0]);
    expect(t.cpu.segment(ES, 'selector')).toBe(SELECTOR.free | 3);
  });
  it('of a user changes neither IF nor IOPL', () => {
    t.enterUser();
    t.cpu.eflags = EFLAGS.IF;
    t.put(TARGET, 0xeb, 0xfe);
    t.put(AT.code, ...frame(TARGET, SELECTOR.userCode, EFLAGS.IOPL | 0x41), IRET);
    t.run(AT.code, 20);
    expect(flags() & (EFLAGS.IF | EFLAGS.IOPL | 0x41)).toBe(EFLAGS.IF | 0x41);
  });
  it.each([
    ['to more privilege', SELECTOR.code, GP, SELECTOR.code],
    ['to a null selector', 3, GP, 0],
    ['to data', SELECTOR.userData, GP, SELECTOR.userData & ~3],
    ['to a selector whose RPL is not the DPL', SELECTOR.userCode & ~3, GP, SELECTOR.userCode & ~3],
  ])('%s is #GP', (_, selector, vector, code) => {
    t.enterUser();
    expect(t.execute(...frame(TARGET, selector, 2), IRET).exception).toEqual({ vector, code, eip: AT.code + 15 });
  });
  it('to an EIP beyond the limit is #GP(0), with ESP still at the frame', () => {
    t.descriptor(SELECTOR.free, 0, 0x1fff, FLAT.code & ~ATTRIBUTE.granular);
    const { exception } = t.execute(...frame(0x2000, SELECTOR.free, 2), IRET);
    expect(exception).toEqual({ vector: GP, code: 0, eip: AT.code + 15 });
    expect(t.register(ESP)).toBe(AT.stack - 12 - 16);
  });
});

describe('far calls and returns', () => {
  const TARGET = 0x3100;
  const callFar = (selector: number, offset = 0): number[] => [0x9a, ...le32(offset), selector & 0xff, selector >> 8];
  const RETF = 0xcb;

  it('push CS and EIP, and come back', () => {
    t.put(TARGET, 0x8b, 0x1c, 0x24, 0x8b, 0x4c, 0x24, 0x04, RETF); // MOV EBX,[ESP] ; MOV ECX,[ESP+4]
    expect(t.execute(...callFar(SELECTOR.code, TARGET)).exception).toBeUndefined();
    expect([t.register(EBX), t.register(ECX), t.register(ESP)]).toEqual([AT.code + 7, SELECTOR.code, AT.stack]);
  });
  it('through a gate to more privilege copy parameters and change the stack', () => {
    t.view.setUint32(AT.gdt + SELECTOR.free, (SELECTOR.code << 16) | TARGET, true);
    t.view.setUint32(AT.gdt + SELECTOR.free + 4, (GATE.call << 8) | 2, true);
    t.put(TARGET, HLT).enterUser();

    t.execute(0x6a, 1, 0x6a, 2, ...callFar(SELECTOR.free));

    const esp = t.register(ESP);
    expect(esp).toBe(AT.innerStack - 24);
    expect(words(esp, 6)).toEqual([AT.code + 11, SELECTOR.userCode, 2, 1, AT.stack - 8, SELECTOR.userData]);
  });
  it('RETF to a user releases parameters on both stacks', () => {
    t.view.setUint32(AT.gdt + SELECTOR.free, (SELECTOR.code << 16) | TARGET, true);
    t.view.setUint32(AT.gdt + SELECTOR.free + 4, (GATE.call << 8) | 2, true);
    t.put(TARGET, 0xca, 8, 0).enterUser(); // RETF 8
    t.put(AT.code, 0x6a, 1, 0x6a, 2, ...callFar(SELECTOR.free), 0xeb, 0xfe);

    t.run(AT.code, 50);

    expect([t.cpu.get('cpl'), t.cpu.get('eip'), t.register(ESP)]).toEqual([3, AT.code + 11, AT.stack]);
  });
  it.each([
    ['a gate of more privilege than the caller may use', 0x8c, GP],
    ['a gate that is not present', 0x6c, NP],
  ])('%s is refused with its selector', (_, type, vector) => {
    t.view.setUint32(AT.gdt + SELECTOR.free, (SELECTOR.code << 16) | TARGET, true);
    t.view.setUint32(AT.gdt + SELECTOR.free + 4, type << 8, true);
    t.enterUser();
    expect(t.execute(...callFar(SELECTOR.free)).exception).toEqual({ vector, code: SELECTOR.free, eip: AT.code });
  });
  it.each([
    ['code of another privilege', SELECTOR.userCode, GP, SELECTOR.userCode & ~3],
    ['data', SELECTOR.data, GP, SELECTOR.data],
    ['the TSS of the task that runs', SELECTOR.tss, GP, SELECTOR.tss],
    ['a null selector', 0, GP, 0],
  ])('to %s are #GP and push nothing', (_, selector, vector, code) => {
    expect(t.execute(...callFar(selector, TARGET)).exception).toEqual({ vector, code, eip: AT.code });
    expect(t.register(ESP)).toBe(AT.stack - 16);
  });
});

describe('SYSENTER and SYSEXIT', () => {
  beforeEach(() => {
    t.cpu.set('sysenterCs', SELECTOR.code);
    t.cpu.set('sysenterEsp', AT.innerStack);
    t.cpu.set('sysenterEip', HANDLER);
  });
  it('enter with flat segments, CPL 0 and IF clear', () => {
    t.enterUser();
    t.cpu.eflags = EFLAGS.IF;
    t.execute(0x0f, 0x34);
    expect([t.cpu.get('eip'), t.register(ESP), t.cpu.get('cpl'), flags() & EFLAGS.IF]).toEqual([
      HANDLER + 1,
      AT.innerStack,
      0,
      0,
    ]);
    expect([t.cpu.segment(CS, 'selector'), t.cpu.segment(SS, 'selector')]).toEqual([SELECTOR.code, SELECTOR.code + 8]);
  });
  it('exit to EDX and ECX at CPL 3', () => {
    t.put(AT.code, 0x0f, 0x35).put(0x3300, 0xeb, 0xfe);
    t.cpu.setRegister(EDX, 0x3300);
    t.cpu.setRegister(ECX, 0x7000);
    t.run(AT.code, 10);
    expect([t.cpu.get('eip'), t.register(ESP), t.cpu.get('cpl')]).toEqual([0x3300, 0x7000, 3]);
    expect([t.cpu.segment(CS, 'selector'), t.cpu.segment(SS, 'selector')]).toEqual([
      SELECTOR.userCode,
      SELECTOR.userData,
    ]);
  });
  it.each([
    ['SYSENTER with a null selector in its MSR', 0x34, false, 0],
    ['SYSEXIT of a user', 0x35, true, SELECTOR.code],
  ])('%s is #GP(0)', (_, opcode, user, selector) => {
    t.cpu.set('sysenterCs', selector);
    if (user) t.enterUser();
    expect(t.execute(0x0f, opcode).exception).toEqual({ vector: GP, code: 0, eip: AT.code });
  });
});

describe('real-address mode', () => {
  beforeEach(() => {
    t.cpu.set('cr0', CR0.ET);
    for (const i of [DS, ES, SS]) t.cpu.setSegment(i, 0, 0, 0xffff, 0x93);
    t.cpu.setSegment(CS, 0, 0, 0xffff, 0x9b);
    t.cpu.set('idtBase', 0);
    t.cpu.set('idtLimit', 0x3ff);
    t.cpu.refreshMode();
  });
  it('delivers through the vector table, with words and no error code', () => {
    t.view.setUint32(VECTOR * 4, (0x0030 << 16) | 0x0010, true);
    t.put(0x310, HLT);
    t.cpu.eflags = EFLAGS.IF;

    t.execute(...INT);

    expect([t.cpu.segment(CS, 'selector'), t.cpu.segment(CS, 'base'), t.cpu.get('eip')]).toEqual([0x30, 0x300, 0x11]);
    expect([t.u32(AT.stack - 6), t.view.getUint16(AT.stack - 2, true)]).toEqual([AT.code + 2, EFLAGS.IF | 2]);
    expect(flags() & EFLAGS.IF).toBe(0);
  });
  it('a table that is too short for the vector is #GP', () => {
    t.cpu.set('idtLimit', VECTOR * 4 + 2);
    t.view.setUint32(GP * 4, 0x310, true);
    t.put(0x310, HLT);
    t.execute(...INT);
    expect([t.cpu.get('eip'), t.view.getUint16(AT.stack - 6, true)]).toEqual([0x311, AT.code]);
  });
  it('a stack without room shuts the processor down: no exception has any either', () => {
    t.cpu.setRegister(ESP, 1);
    expect(t.execute(0x50).reason).toBe('triple-fault'); // PUSH AX
    expect([t.processor.delivered[EXCEPTION.SS], t.processor.delivered[EXCEPTION.DF]]).toEqual([1, 1]);
  });
  it('the stack wraps from 0 to FFFEh, and the upper half of ESP stays', () => {
    t.cpu.setRegister(ESP, 0x1234_0000);
    t.execute(0x50);
    expect(t.register(ESP)).toBe(0x1234_fffe);
  });
  it('limits of protected mode stay through loads, and what a null selector closed opens', () => {
    t.cpu.setSegment(DS, 0x10, 0, 0xffffffff, 0xc093);
    t.cpu.setSegment(ES, 0, 0, 0, 0);
    t.put(0x12_0000, 0x77);
    // XOR AX,AX ; MOV DS,AX ; MOV ES,AX ; MOV EBX,120000h ; MOV AL,[EBX]
    t.execute(0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x66, 0xbb, ...le32(0x12_0000), 0x67, 0x8a, 0x03);
    expect([t.register(EAX), t.cpu.segment(DS, 'limit'), t.cpu.segment(ES, 'limit')]).toEqual([
      0x77, 0xffffffff, 0xffff,
    ]);
  });
  it('code that runs off the end of its 64 KiB is #GP', () => {
    t.view.setUint32(GP * 4, 0x310, true);
    t.put(0x310, HLT).put(0xffff, 0x90);
    t.run(0xffff);
    expect([t.cpu.get('eip'), t.processor.delivered[GP]]).toEqual([0x311, 1]);
  });
  it('protected mode begins with MOV CR0 and the far jump behind it', () => {
    // MOV EAX,CR0 ; OR AL,1 ; MOV CR0,EAX ; 66h JMP 08h:target ; target (32-bit): MOV EAX,12345678h
    const target = AT.code + 16;
    t.cpu.setSegment(CS, 0, 0, 0xffff, 0x9b);
    t.execute(
      0x0f,
      0x20,
      0xc0,
      0x0c,
      1,
      0x0f,
      0x22,
      0xc0,
      0x66,
      0xea,
      ...le32(target),
      SELECTOR.code,
      0,
      0xb8,
      ...le32(0x1234_5678),
    );
    expect(t.register(EAX)).toBe(0x1234_5678);
  });
  it('no page table is asked', () => {
    t.page(AT.data, 0x6000, ALL);
    t.put(AT.data, 7);
    t.cpu.setSegment(CS, 0, 0, 0xffff, 0x409b);
    t.execute(0xa1, ...le32(AT.data));
    expect(t.register(EAX)).toBe(7);
  });
});
