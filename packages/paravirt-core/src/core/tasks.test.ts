/** Tasks switched in hardware: what is saved and loaded, what fails before and behind the point of no return; on both engines. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CS, DS, EAX, EBX, EFLAGS, ES, ESP, EXCEPTION, FS, SS } from '../isa/build.ts';
import { CR0 } from './cpu.ts';
import { DR6 } from './debug-registers.ts';
import { LDTR, OFFSET, TR } from './layout.ts';
import { oracleEngine } from './oracle.ts';
import { AT, FLAT, PTE, SELECTOR, TestProcessor, le32 } from './test-processor.ts';

const { GP, NP, TS, PF, DF, UD } = EXCEPTION;
const HLT = 0xf4,
  IRET = 0xcf,
  INC_EAX = 0x40;
/** The second task: its descriptor, TSS, code and stacks. */
const TASK = SELECTOR.free,
  GATE = 0x38,
  SPARE = 0x40;
const TSS = 0x5000,
  ENTRY = 0x3000,
  TASK_STACK = 0x7000;
const AVAILABLE = 0x89,
  NARROW = 0x81,
  BUSY = 2;
const TASK_GATE = 0x85;
const VECTOR = 0x50;
/** Offsets in a 32-bit TSS. */
const LINK = 0,
  EIP = 32,
  FLAGS = 36,
  REGISTERS = 40,
  SEGMENTS = 72,
  LDT = 96;
const selectorAt = (register: number): number => SEGMENTS + 4 * register;

describe.each([
  ['interpreter', undefined],
  ['oracle', oracleEngine],
] as const)('on the %s', (_, engine) => {
  const t = new TestProcessor(engine === undefined ? {} : { engine });
  beforeEach(() => {
    t.reset();
    prepare();
  });

  const field = (offset: number, value: number, at = TSS): void => t.view.setUint32(at + offset, value, true);
  function prepare(): void {
    t.descriptor(TASK, TSS, 103, AVAILABLE);
    field(EIP, ENTRY);
    field(FLAGS, 2);
    for (let i = 0; i < 8; i++) field(REGISTERS + 4 * i, 0x1000 * (i + 1));
    field(REGISTERS + 4 * ESP, TASK_STACK);
    for (const register of [ES, SS, DS, 4, 5]) field(selectorAt(register), SELECTOR.data);
    field(selectorAt(CS), SELECTOR.code);
    field(4, 0x6000);
    field(8, SELECTOR.data);
    t.put(ENTRY, HLT);
  }
  const far = (opcode: number, selector: number): number[] => [opcode, ...le32(0xdead), selector & 0xff, selector >> 8];
  const call = (selector: number = TASK): number[] => far(0x9a, selector);
  const jump = (selector: number = TASK): number[] => far(0xea, selector);
  const access = (selector: number): number => t.ram[AT.gdt + (selector & ~7) + 5]!;
  const busy = (): boolean[] => [SELECTOR.tss, TASK].map((selector) => (access(selector) & BUSY) !== 0);
  const taskOf = (): number => t.cpu.segment(TR, 'selector');

  describe('a call', () => {
    it('saves one task and loads the other, linked and nested', () => {
      t.cpu.setRegister(EBX, 0xabcd);
      t.descriptor(SELECTOR.tss, AT.tss, 0x67, AVAILABLE | BUSY);
      t.execute(...call());
      expect([t.cpu.get('eip'), t.register(ESP), t.register(EAX)]).toEqual([ENTRY + 1, TASK_STACK, 0x1000]);
      expect([taskOf(), t.u32(TSS + LINK), t.cpu.eflags, busy()]).toEqual([
        TASK,
        SELECTOR.tss,
        EFLAGS.NT | 2,
        [true, true],
      ]);
      expect([EIP, FLAGS, REGISTERS + 4 * EBX, selectorAt(CS)].map((at) => t.u32(AT.tss + at))).toEqual([
        AT.code + 7,
        2,
        0xabcd,
        SELECTOR.code,
      ]);
      expect(t.cpu.get('cr0') & CR0.TS).toBe(CR0.TS);
    });
    it('comes back by IRET, which leaves the other task ready to go on', () => {
      t.descriptor(SELECTOR.tss, AT.tss, 0x67, AVAILABLE | BUSY);
      t.put(ENTRY, INC_EAX, IRET, INC_EAX, IRET);
      t.execute(...call(), ...call());
      expect([t.cpu.get('eip'), taskOf(), t.cpu.eflags & EFLAGS.NT]).toEqual([AT.code + 15, SELECTOR.tss, 0]);
      expect([t.u32(TSS + REGISTERS), t.u32(TSS + EIP), t.u32(TSS + FLAGS) & EFLAGS.NT]).toEqual([
        0x1002,
        ENTRY + 4,
        0,
      ]);
      expect(busy()).toEqual([true, false]);
    });
    it('by a jump there is no way back', () => {
      t.descriptor(SELECTOR.tss, AT.tss, 0x67, AVAILABLE | BUSY);
      t.execute(...jump());
      expect([taskOf(), t.u32(TSS + LINK), t.cpu.eflags & EFLAGS.NT, busy()]).toEqual([TASK, 0, 0, [false, true]]);
    });
    it('through a gate of either kind', () => {
      t.view.setUint32(AT.gdt + GATE, TASK << 16, true);
      t.view.setUint32(AT.gdt + GATE + 4, TASK_GATE << 8, true);
      t.execute(...call(GATE));
      expect(taskOf()).toBe(TASK);
    });
  });

  describe('what is refused leaves everything as it was', () => {
    const refused = (program: readonly number[], vector: number, code: number): void => {
      expect(t.execute(...program).exception).toEqual({ vector, code, eip: AT.code });
      expect([taskOf(), t.u32(AT.tss + EIP)]).toEqual([SELECTOR.tss, 0]);
    };
    it.each([
      ['busy', AVAILABLE | BUSY, 103, GP],
      ['absent', 0x09, 103, NP],
      ['too short', AVAILABLE, 102, TS],
      ['too short for 16 bits', NARROW, 42, TS],
    ])('a task that is %s', (_name, attributes, limit, vector) => {
      t.descriptor(TASK, TSS, limit, attributes);
      refused(call(), vector, TASK);
    });
    it('a caller without the privilege', () => {
      t.enterUser();
      refused(call(TASK | 3), GP, TASK);
    });
    it('a TSS that is not mapped', () => {
      t.enablePaging();
      t.view.setUint32(t.entryAt(TSS), 0, true);
      refused(call(), PF, 0);
    });
    it('a TSS that cannot be saved to', () => {
      t.enablePaging({ cr0: CR0.WP });
      t.page(AT.tss, AT.tss, PTE.P);
      // Descriptor tables lie on the same page: they need no writing before.
      const { exception } = t.execute(...call());
      expect([exception?.vector, exception?.code, taskOf()]).toEqual([PF, 3, SELECTOR.tss]);
    });
    it('an IRET to a task that is none, or not busy', () => {
      t.cpu.eflags = EFLAGS.NT;
      refused([IRET], TS, 0);
      t.reset();
      prepare();
      field(LINK, TASK, AT.tss);
      t.cpu.eflags = EFLAGS.NT;
      refused([IRET], TS, TASK);
    });
  });

  describe('what fails in the new task is its own', () => {
    /** Code, data and stack of ring 3, so that handlers find the stack of the new TSS. */
    beforeEach(() => {
      field(selectorAt(CS), SELECTOR.userCode);
      for (const register of [ES, SS, DS, 4, 5]) field(selectorAt(register), SELECTOR.userData);
    });
    it.each([
      ['CS of no code', selectorAt(CS), SELECTOR.userData, TS, SELECTOR.userData & ~3],
      ['CS of another ring', selectorAt(CS), SELECTOR.code | 3, TS, SELECTOR.code],
      ['a null SS', selectorAt(SS), 0, TS, 0],
      ['SS of another ring', selectorAt(SS), SELECTOR.data | 3, TS, SELECTOR.data],
      ['DS out of reach', selectorAt(DS), SELECTOR.data, TS, SELECTOR.data],
      ['FS beyond the table', selectorAt(FS), 0x83, TS, 0x80],
      ['an LDT that is none', LDT, SELECTOR.data, TS, SELECTOR.data],
      ['an LDT of the LDT', LDT, 4, TS, 4],
    ])('%s', (_name, offset, value, vector, code) => {
      field(offset, value);
      expect(t.execute(...call()).exception).toEqual({ vector, code, eip: ENTRY });
      expect([taskOf(), t.u32(AT.tss + EIP)]).toEqual([TASK, AT.code + 7]);
      expect(t.register(ESP)).toBe(0x6000 - 24);
    });
    it('segments that are absent: #NP, and #SS for the stack', () => {
      t.descriptor(SPARE, 0, 0xfffff, FLAT.userData & ~0x80);
      field(selectorAt(DS), SPARE | 3);
      expect(t.execute(...call()).exception).toEqual({ vector: NP, code: SPARE, eip: ENTRY });
      t.reset();
      prepare();
      field(selectorAt(CS), SELECTOR.userCode);
      t.descriptor(SPARE, 0, 0xfffff, FLAT.userData & ~0x80);
      field(selectorAt(SS), SPARE | 3);
      expect(t.execute(...call()).exception).toEqual({ vector: EXCEPTION.SS, code: SPARE, eip: ENTRY });
    });
    it('an EIP beyond the limit', () => {
      t.descriptor(SPARE, 0, 0x2fff, (FLAT.userCode & ~0x8000) | 0);
      field(selectorAt(CS), SPARE | 3);
      expect(t.execute(...call()).exception).toEqual({ vector: GP, code: 0, eip: ENTRY });
    });
  });

  describe('an event by a task gate', () => {
    const gate = (vector: number, selector: number = TASK): void => void t.gate(vector, 0, TASK_GATE, selector);
    it('leaves the error code on the new stack, and RF in what was saved', () => {
      gate(GP);
      t.cpu.eflags = EFLAGS.IF;
      t.execute(0x66, 0xb8, 0xf8, 0x07, 0x8e, 0xe0); // MOV AX,7F8h ; MOV FS,AX
      expect([taskOf(), t.u32(TASK_STACK - 4), t.register(ESP)]).toEqual([TASK, 0x7f8, TASK_STACK - 4]);
      expect([t.u32(AT.tss + EIP), t.u32(AT.tss + FLAGS) & (EFLAGS.RF | EFLAGS.IF)]).toEqual([
        AT.code + 4,
        EFLAGS.RF | EFLAGS.IF,
      ]);
    });
    it('has room for it on the stack, or else fails in the new task: a double fault', () => {
      gate(GP);
      t.gate(DF, AT.handlers + DF, 0x8e);
      t.descriptor(SPARE, 0, 0xfff, 0x4093);
      field(selectorAt(SS), SPARE);
      field(REGISTERS + 4 * ESP, 0x8000);
      // #DF meets the same stack.
      expect(t.execute(0x66, 0xb8, 0xf8, 0x07, 0x8e, 0xe0).reason).toBe('triple-fault');
      expect([taskOf(), t.cpu.get('eip')]).toEqual([TASK, ENTRY]);
    });
    it('is refused to a user’s INT by the DPL', () => {
      gate(VECTOR);
      t.enterUser();
      expect(t.execute(0xcd, VECTOR).exception).toEqual({ vector: GP, code: VECTOR * 8 + 2, eip: AT.code });
    });
    it('a busy task is #GP with its selector and EXT', () => {
      gate(UD, SELECTOR.tss);
      t.descriptor(SELECTOR.tss, AT.tss, 0x67, AVAILABLE | BUSY);
      expect(t.execute(0x0f, 0x0b).exception).toEqual({ vector: GP, code: SELECTOR.tss | 1, eip: AT.code });
    });
  });

  it('the T bit traps before the first instruction, and local breakpoints end', () => {
    field(100, 1);
    const dr = (n: number): number => t.cpu.i32[(t.cpu.base + OFFSET.dr) / 4 + n]!;
    t.cpu.i32[(t.cpu.base + OFFSET.dr) / 4 + 7] = 0x455;
    expect(t.execute(...call()).exception).toEqual({ vector: EXCEPTION.DB, code: undefined, eip: ENTRY });
    expect([dr(6) & DR6.BT, dr(7) & 0x155]).toEqual([DR6.BT, 0]);
  });
  it('with paging each task has an address space of its own', () => {
    t.enablePaging();
    const other = 0x1_f000;
    t.ram.copyWithin(other, AT.directory, AT.directory + 4096);
    field(28, other);
    t.put(ENTRY, 0x0f, 0x20, 0xd8, HLT); // MOV EAX,CR3
    t.execute(...call());
    expect(t.register(EAX)).toBe(other);
  });
  it('a task may be one of virtual-8086 mode', () => {
    field(FLAGS, EFLAGS.VM | 2);
    field(EIP, 0);
    field(selectorAt(CS), ENTRY >> 4);
    field(selectorAt(DS), 0x1235);
    t.put(ENTRY, 0xcc);
    expect(t.execute(...call()).exception).toEqual({ vector: EXCEPTION.BP, code: undefined, eip: 1 });
    expect(t.u32(0x6000 - 12)).toBe(0x1235);
  });
  it('an LDT comes with the task', () => {
    t.descriptor(SPARE, 0x1_0000, 7, 0x82);
    field(LDT, SPARE);
    t.execute(...call());
    expect([t.cpu.segment(LDTR, 'selector'), t.cpu.segment(LDTR, 'base')]).toEqual([SPARE, 0x1_0000]);
  });
  it('a 16-bit TSS holds words: FS and GS are null then', () => {
    t.descriptor(TASK, TSS, 43, NARROW);
    t.ram.fill(0, TSS, TSS + 104);
    const word = (at: number, value: number): void => t.view.setUint16(TSS + at, value, true);
    word(14, ENTRY);
    word(16, 2);
    word(18, 0x1234);
    for (const [at, selector] of [
      [34, SELECTOR.data],
      [36, SELECTOR.code],
      [38, SELECTOR.data],
      [40, SELECTOR.data],
    ] as const)
      word(at, selector);
    t.execute(...call());
    expect([t.register(EAX) & 0xffff, t.cpu.segment(FS, 'attributes'), taskOf()]).toEqual([0x1234, 0, TASK]);
  });
});
