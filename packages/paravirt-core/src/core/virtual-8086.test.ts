/** Virtual-8086 mode, VME and PVI: the way in and out, sensitive instructions, virtual interrupts; on both engines. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CS, DS, EAX, EBX, EFLAGS, ES, ESP, EXCEPTION, FS, GS, SS } from '../isa/build.ts';
import { CR4 } from './cpu.ts';
import { oracleEngine } from './oracle.ts';
import { AT, FLAT, SELECTOR, TestProcessor, le32, type Delivered } from './test-processor.ts';

const { GP, NP, SS: STACK, UD, BP } = EXCEPTION;
const HLT = 0xf4,
  CLI = 0xfa,
  STI = 0xfb,
  PUSHF = 0x9c,
  POPF = 0x9d,
  IRET = 0xcf,
  NOP = 0x90,
  INT3 = 0xcc,
  WIDE = 0x66;
const VECTOR = 0x60;
const INT = [0xcd, VECTOR];
const IOPL3 = EFLAGS.IOPL;
/** Where the code of a virtual machine lies: 0200:0000 is AT.code. */
const CODE = AT.code >> 4,
  STACK_SEGMENT = 0x700,
  SP = 0x800;
const PUSH32 = 0x68;

describe.each([
  ['interpreter', undefined],
  ['oracle', oracleEngine],
] as const)('on the %s', (_, engine) => {
  const t = new TestProcessor(engine === undefined ? {} : { engine });
  beforeEach(() => t.reset());

  /** Puts the processor into the mode, at its first instruction. */
  function enter(flags: number, cr4 = 0): void {
    const { cpu } = t;
    t.cr4(cr4);
    cpu.eflags = flags | EFLAGS.VM;
    cpu.set('cpl', 3);
    for (const [index, selector] of [
      [CS, CODE],
      [SS, STACK_SEGMENT],
      [DS, 0x400],
      [ES, 0x410],
      [FS, 0x420],
      [GS, 0x430],
    ] as const)
      cpu.setVirtualSegment(index, selector);
    cpu.setRegister(ESP, SP);
  }
  /** Runs a program in the mode; it ends at the latest by INT3. */
  function run(flags: number, program: readonly number[], cr4 = 0): Delivered {
    enter(flags, cr4);
    t.put(AT.code, ...program, INT3);
    const { exception } = t.run(0);
    if (exception === undefined) throw new Error('nothing was delivered');
    return exception;
  }
  /** What the handler finds: EIP CS EFLAGS ESP SS ES DS FS GS. */
  const frame = (): number[] => Array.from({ length: 9 }, (_, i) => t.u32(AT.innerStack - 36 + 4 * i));
  const flagsWithin = (mask: number): number => frame()[2]! & mask;
  const BOTH = EFLAGS.VIF | EFLAGS.VIP | EFLAGS.IF;

  describe('the way in', () => {
    const pushes = (...values: readonly number[]): number[] => values.toReversed().flatMap((v) => [PUSH32, ...le32(v)]);
    it('is IRET of ring 0, which takes nine doublewords', () => {
      t.put(0x3000, NOP, INT3);
      t.execute(...pushes(0, 0x300, EFLAGS.VM | EFLAGS.NT | 2, SP, 0x701, 0x411, 0x402, 0x423, 0x434), IRET);
      expect(frame()).toEqual([2, 0x300, EFLAGS.VM | EFLAGS.NT | 2, SP, 0x701, 0x411, 0x402, 0x423, 0x434]);
    });
    it('is closed to an EIP beyond 64 KiB: #GP(0) at the IRET', () => {
      const { exception } = t.execute(...pushes(0x1_0000, 0x300, EFLAGS.VM | 2, SP, 0, 0, 0, 0, 0), IRET);
      expect(exception).toEqual({ vector: GP, code: 0, eip: AT.code + 45 });
      expect(t.cpu.isVirtual8086).toBe(false);
    });
    it('is closed to users, whose VM is not looked at', () => {
      t.put(0x3000, HLT).enterUser();
      const { exception } = t.execute(...pushes(0x3000, SELECTOR.userCode, EFLAGS.VM | 2), IRET);
      expect(exception).toEqual({ vector: GP, code: 0, eip: 0x3000 });
    });
    it('finds segments of 64 KiB at 16 times their selectors', () => {
      t.view.setUint16(0x4320, 0x1234, true);
      run(0, [0x65, 0xa1, 0x20, 0]); // MOV AX,GS:[20h]
      expect(t.register(EAX) & 0xffff).toBe(0x1234);
    });
  });

  describe('the way out', () => {
    it('leaves ring 0 without data segments', () => {
      expect(run(IOPL3, INT)).toEqual({ vector: VECTOR, code: undefined, eip: 2 });
      expect([DS, ES, FS, GS].map((i) => t.cpu.segment(i, 'attributes'))).toEqual([0, 0, 0, 0]);
      expect([t.cpu.isVirtual8086, t.cpu.get('cpl')]).toEqual([false, 0]);
    });
    it.each([
      ['ring 3', SELECTOR.userCode, FLAT.userCode],
      ['a conforming segment', SELECTOR.free, FLAT.code | 4],
      ['ring 1', SELECTOR.free | 1, FLAT.code | 0x20],
    ])('does not lead to %s: #GP with the selector', (_name, selector, attributes) => {
      if ((selector & ~3) === SELECTOR.free) t.descriptor(SELECTOR.free, 0, 0xfffff, attributes);
      t.gate(VECTOR, 0x3000, 0xee, selector);
      expect(run(IOPL3, INT)).toEqual({ vector: GP, code: selector & ~3, eip: 0 });
    });
    it('asks the gate of INT3 for its DPL, and that of INT1 not', () => {
      t.gate(BP, 0x3000, 0x8e).gate(EXCEPTION.DB, AT.handlers + 1, 0x8e);
      expect(run(0, [])).toEqual({ vector: GP, code: BP * 8 + 2, eip: 0 });
      t.reset();
      t.gate(EXCEPTION.DB, AT.handlers + 1, 0x8e);
      expect(run(0, [0xf1]).vector).toBe(EXCEPTION.DB);
    });
  });

  describe('without extensions', () => {
    const SENSITIVE: readonly (readonly [string, readonly number[]])[] = [
      ['CLI', [CLI]],
      ['STI', [STI]],
      ['PUSHF', [PUSHF]],
      ['PUSHFD', [WIDE, PUSHF]],
      ['POPF', [POPF]],
      ['IRET', [IRET]],
      ['IRETD', [WIDE, IRET]],
      ['INT n', INT],
    ];
    it.each(SENSITIVE)('%s below IOPL 3 is #GP(0)', (_name, code) => {
      expect(run(EFLAGS.IOPL & 0x2000, code)).toEqual({ vector: GP, code: 0, eip: 0 });
      expect(frame()[3]).toBe(SP);
    });
    it('with IOPL 3 they do as anywhere, but IOPL stays', () => {
      run(IOPL3 | EFLAGS.IF, [CLI]);
      expect(flagsWithin(EFLAGS.IF)).toBe(0);
      run(IOPL3, [0x68, 0xd7, 0x0e, POPF, PUSHF, 0x5b, CLI]); // PUSH 0ED7h ; POPF ; PUSHF ; POP BX
      expect(t.register(EBX) & 0xffff).toBe(0x3ed7);
      t.put(AT.code + 0x10, INT3);
      run(IOPL3, [0x68, 0x02, 0x02, 0x68, 0x01, 0x02, 0x68, 0x00, 0x00, IRET]);
      expect(frame().slice(0, 3)).toEqual([1, 0x201, EFLAGS.VM | IOPL3 | 0x202]);
    });
    it.each([
      ['SLDT', [0x0f, 0x00, 0xc0]],
      ['LLDT', [0x0f, 0x00, 0xd0]],
      ['VERR', [0x0f, 0x00, 0xe0]],
      ['LAR', [0x0f, 0x02, 0xc8]],
      ['ARPL', [0x63, 0xc1]],
    ])('%s is #UD', (_name, code) => {
      expect(run(IOPL3, code).vector).toBe(UD);
    });
    it('offsets and stacks end at 64 KiB', () => {
      expect(run(0, [0xbb, 0xff, 0xff, 0x8b, 0x07])).toEqual({ vector: GP, code: 0, eip: 3 }); // MOV AX,[BX]
      expect(run(0, [0xbc, 0x01, 0x00, 0x50])).toEqual({ vector: STACK, code: 0, eip: 3 }); // PUSH AX
      expect(run(0, [WIDE, 0xea, ...le32(0x1_0000), 0, 3])).toEqual({ vector: GP, code: 0, eip: 0 });
    });
    it('ports are a matter of the bitmap, whatever IOPL says', () => {
      t.cpu.setSegment(7, SELECTOR.tss, AT.tss, 0xff, FLAT.tss);
      t.put(AT.tss + 0x68 + 0x10, 0xfe, 0xff);
      expect(run(IOPL3, [0xe6, 0x80]).vector).toBe(BP);
      expect(run(IOPL3, [0xe6, 0x81])).toEqual({ vector: GP, code: 0, eip: 0 });
    });
  });

  describe('with VME', () => {
    const vme = (flags: number, program: readonly number[]): Delivered => run(flags, program, CR4.VME);
    it.each([
      ['CLI clears VIF', CLI, EFLAGS.VIF | EFLAGS.IF, EFLAGS.IF],
      ['STI sets VIF', STI, 0, EFLAGS.VIF],
      ['CLI with an interrupt pending clears VIF', CLI, EFLAGS.VIP, EFLAGS.VIP],
    ])('%s', (_name, opcode, before, after) => {
      expect(vme(before, [opcode]).vector).toBe(BP);
      expect(flagsWithin(BOTH)).toBe(after);
    });
    it('STI and POPF that would take a pending interrupt are #GP(0)', () => {
      expect(vme(EFLAGS.VIP, [STI])).toEqual({ vector: GP, code: 0, eip: 0 });
      expect(vme(EFLAGS.VIP, [0x68, 0x02, 0x02, POPF])).toEqual({ vector: GP, code: 0, eip: 3 });
      expect(frame()[3]).toBe(SP - 2);
    });
    it('PUSHF shows VIF as IF and IOPL 3; POPF moves IF to VIF', () => {
      vme(EFLAGS.VIF, [PUSHF, 0x5b]);
      expect(t.register(EBX) & 0xffff).toBe(0x3202);
      vme(EFLAGS.IF, [0x68, 0x02, 0x02, POPF]);
      expect(flagsWithin(BOTH | IOPL3)).toBe(EFLAGS.VIF | EFLAGS.IF);
    });
    it('the forms of 32 bits and a TF that would be set are #GP(0)', () => {
      for (const code of [
        [WIDE, PUSHF],
        [WIDE, POPF],
        [WIDE, IRET],
      ])
        expect(vme(0, code)).toEqual({ vector: GP, code: 0, eip: 0 });
      expect(vme(0, [0x68, 0x02, 0x01, POPF])).toEqual({ vector: GP, code: 0, eip: 3 });
    });
    it('IRET loads VIF from IF', () => {
      t.put(AT.code + 0x10, INT3);
      vme(EFLAGS.IF, [0x68, 0x02, 0x02, 0x68, 0x01, 0x02, 0x68, 0x00, 0x00, IRET]);
      expect(frame().slice(0, 3)).toEqual([1, 0x201, EFLAGS.VM | EFLAGS.VIF | 0x202]);
    });

    /** The bitmap of software interrupts at the end of the TSS, with bits set for all vectors or none. */
    function redirection(byte: number, limit = 0xff): void {
      t.cpu.setSegment(7, SELECTOR.tss, AT.tss, limit, FLAT.tss);
      t.ram.fill(byte, AT.tss + 0x68, AT.tss + 0x88);
      t.view.setUint16(AT.tss + 102, 0x88, true);
    }
    it('INT n goes through the vector table at 0 where the bitmap lets it', () => {
      redirection(0);
      t.put(0x3100, INT3);
      t.view.setUint32(VECTOR * 4, 0x0310_0000, true);
      vme(EFLAGS.VIF | EFLAGS.IF, INT);
      expect(frame().slice(0, 2)).toEqual([1, 0x310]);
      expect(flagsWithin(BOTH)).toBe(EFLAGS.IF);
      // FLAGS as the virtual machine sees them, CS, IP.
      expect([5, 3, 1].map((n) => t.view.getUint16(STACK_SEGMENT * 16 + SP + n - 7, true))).toEqual([0x3202, CODE, 2]);
    });
    it('INT n is #GP(0) where the bitmap says so, or the gate’s with IOPL 3', () => {
      redirection(0xff);
      expect(vme(0, INT)).toEqual({ vector: GP, code: 0, eip: 0 });
      expect(vme(IOPL3, INT).vector).toBe(VECTOR);
      redirection(0, 0x68 + (VECTOR >> 3) - 1);
      expect(vme(IOPL3, INT)).toEqual({ vector: GP, code: 0, eip: 0 });
    });
    it('a virtual interrupt that waits at the way in is #GP(0) before the first instruction', () => {
      const flags = EFLAGS.VM | EFLAGS.VIF | EFLAGS.VIP | 2;
      t.cr4(CR4.VME).put(0x3000, 0x40, INT3); // INC AX
      const values = [0, 0x300, flags, SP, 0x700, 0, 0, 0, 0].toReversed().flatMap((v) => [PUSH32, ...le32(v)]);
      expect(t.execute(...values, IRET).exception).toEqual({ vector: GP, code: 0, eip: 0 });
      expect([frame()[1], flagsWithin(EFLAGS.VM), t.register(EAX)]).toEqual([0x300, EFLAGS.VM, 0]);
    });
  });

  describe('with PVI, at CPL 3', () => {
    const pvi = (flags: number, opcode: number): { vector: number | undefined; flags: number } => {
      t.cr4(CR4.PVI).enterUser();
      t.cpu.eflags = flags;
      const { exception } = t.execute(opcode, INT3);
      const codes = exception?.code === undefined ? 0 : 4;
      return { vector: exception?.vector, flags: t.u32(t.register(ESP) + codes + 8) & BOTH };
    };
    it('CLI and STI change VIF', () => {
      expect(pvi(EFLAGS.VIF | EFLAGS.IF, CLI)).toEqual({ vector: BP, flags: EFLAGS.IF });
      t.reset();
      expect(pvi(0, STI)).toEqual({ vector: BP, flags: EFLAGS.VIF });
      t.reset();
      expect(pvi(EFLAGS.VIP, STI)).toEqual({ vector: GP, flags: EFLAGS.VIP });
    });
    it('other rings and other modes have no part in it', () => {
      t.cr4(CR4.VME).enterUser();
      expect(t.execute(CLI).exception?.vector).toBe(GP);
      t.reset();
      expect(run(0, [CLI], CR4.PVI).vector).toBe(GP);
    });
  });

  it('a gate that is not present is #NP', () => {
    t.gate(VECTOR, 0x3000, 0x6e);
    expect(run(IOPL3, INT)).toEqual({ vector: NP, code: VECTOR * 8 + 2, eip: 0 });
  });
});
