/** What of the x87 unit depends on the processor's mode: image formats, waiting errors without CR0.NE, WAIT (SDM vol. 1, 8.1.10, D). */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EXCEPTION } from '../isa/build.ts';
import { ensureNumerics } from '../numerics/build.ts';
import { createLeaves } from '../numerics/leaves.ts';
import { CR0, type CpuBus } from './cpu.ts';
import { oracleEngine } from './oracle.ts';
import { PhysicalMap } from './physical.ts';
import { allocateMemory, planMemory } from './plan.ts';
import { Processor } from './processor.ts';

const CODE = 0x1000;
const DATA = 0x2000;
const STACK = 0x8000;
/** Where the handler of the external interrupt lies, and its vector. */
const HANDLER = 0x3000;
const VECTOR = 0x75;
const HLT = 0xf4;

describe.each([
  ['interpreter', {}],
  ['oracle', { engine: oracleEngine }],
])('the x87 unit of the %s', (_, engine) => {
  let processor: Processor;
  let ram: Uint8Array;
  let view: DataView;
  const ferr: boolean[] = [];
  let ignne = false;
  let interrupts = false;
  const bus: CpuBus = {
    portRead: () => 0,
    portWrite: () => {},
    memoryRead: () => 0,
    memoryWrite: () => {},
    acknowledgeInterrupt: () => {
      processor.setInterruptRequest(false);
      return VECTOR;
    },
    timestamp: () => 0,
    readDeadline: () => 0n,
    writeDeadline: () => {},
    apicBase: () => {},
    fpuError: (asserted) => {
      ferr.push(asserted);
      if (asserted && interrupts) processor.setInterruptRequest(true);
      return ignne;
    },
  };

  beforeAll(async () => {
    await ensureNumerics();
    const plan = planMemory({ processors: 1, ramBytes: 1 << 20, videoMemoryBytes: 0 });
    const memory = allocateMemory(plan);
    const physical = new PhysicalMap();
    physical.map(0, plan.ram, plan.ramBytes, true);
    processor = new Processor({ memory, plan, index: 0, physical, bus, leaves: createLeaves(memory), ...engine });
    ram = new Uint8Array(memory.buffer, plan.ram, plan.ramBytes);
    view = new DataView(memory.buffer, plan.ram, plan.ramBytes);
  });

  /** Real-address mode, or protected mode with flat segments. */
  const start = (mode: 'real' | 'protected', code: readonly number[], cr0 = 0): void => {
    const { cpu } = processor;
    cpu.reset();
    const flat = mode === 'protected';
    for (const i of [0, 2, 3, 4, 5])
      cpu.setSegment(i, flat ? 0x10 : 0, 0, flat ? 0xffffffff : 0xffff, flat ? 0xc093 : 0x93);
    cpu.setSegment(1, flat ? 8 : 0, 0, flat ? 0xffffffff : 0xffff, flat ? 0xc09b : 0x9b);
    cpu.set('cr0', CR0.ET | (flat ? CR0.PE : 0) | cr0);
    cpu.set('idtLimit', 0x3ff);
    cpu.refreshMode();
    cpu.onModeChange();
    cpu.setRegister(4, STACK);
    cpu.set('eip', CODE);
    ram.fill(0, 0, 0x10000);
    ram.set([...code, HLT], CODE);
    ram.set([HLT], HANDLER);
    for (const vector of [VECTOR, EXCEPTION.NM, EXCEPTION.MF]) view.setUint32(vector * 4, HANDLER, true);
    processor.delivered.fill(0);
  };
  const vectors = (): number[] => [...processor.delivered.keys()].filter((vector) => processor.delivered[vector]! > 0);

  beforeEach(() => {
    ferr.length = 0;
    ignne = false;
    interrupts = false;
    processor.setInterruptRequest(false);
  });

  describe('image formats', () => {
    // Linear addresses of 20 bits and an opcode of 11, as real-address mode keeps them.
    const REAL_16 = [0x037f, 0x0000, 0xffff, 0x2345, 0x15a5, 0xbcde, 0xa000];
    const REAL_32 = [0xffff037f, 0xffff0000, 0xffffffff, 0xffff2345, 0x15a5, 0xffffbcde, 0xa000];
    const words = (step: 2 | 4, at: number): number[] =>
      Array.from({ length: 7 }, (_, i) =>
        step === 2 ? view.getUint16(at + i * 2, true) : view.getUint32(at + i * 4, true),
      );

    it('split linear addresses in real-address mode', () => {
      // fldenv [0x2000]; fnstenv [0x2040]; o32 fnstenv [0x2080]; o32 fldenv [0x2080]; fnstenv [0x20c0]
      start(
        'real',
        [
          0xd9, 0x26, 0, 0x20, 0xd9, 0x36, 0x40, 0x20, 0x66, 0xd9, 0x36, 0x80, 0x20, 0x66, 0xd9, 0x26, 0x80, 0x20, 0xd9,
          0x36, 0xc0, 0x20,
        ],
      );
      REAL_16.forEach((word, i) => view.setUint16(DATA + i * 2, word, true));

      expect(processor.run(100)).toBe('halted');
      expect(words(2, DATA + 0x40)).toEqual(REAL_16);
      expect(words(4, DATA + 0x80)).toEqual(REAL_32);
      expect(words(2, DATA + 0xc0)).toEqual(REAL_16);
    });

    it('name selectors in protected mode', () => {
      const image = [0xffff037f, 0xffff0000, 0xffffffff, 0x12345678, 0x05a50008, 0x9abcdef0, 0xffff0010];
      // fldenv [0x2000]; fnstenv [0x2040]; o16 fnstenv [0x2080]
      start('protected', [0xd9, 0x25, 0, 0x20, 0, 0, 0xd9, 0x35, 0x40, 0x20, 0, 0, 0x66, 0xd9, 0x35, 0x80, 0x20, 0, 0]);
      image.forEach((word, i) => view.setUint32(DATA + i * 4, word, true));

      expect(processor.run(100)).toBe('halted');
      expect(words(4, DATA + 0x40)).toEqual(image);
      expect(words(2, DATA + 0x80)).toEqual([0x037f, 0, 0xffff, 0x5678, 0x0008, 0xdef0, 0x0010]);
    });
  });

  describe('an unmasked exception without CR0.NE', () => {
    // fninit; fldcw [0x2000] (#Z unmasked); fld1; fldz; fdivp; then a waiting instruction
    const DIVIDE = [0xdb, 0xe3, 0xd9, 0x2e, 0, 0x20, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9];
    const FWAIT = 0x9b;
    const begin = (code: readonly number[], cr0 = 0): void => {
      start('real', code, cr0);
      view.setUint16(DATA, 0x037b, true);
    };

    it('holds the processor at the next waiting instruction until the interrupt comes', () => {
      begin([0xfa, ...DIVIDE, 0xd9, 0xe8]); // cli; ...; fld1

      expect(processor.run(50)).toBe('budget');
      const held = CODE + 1 + DIVIDE.length;
      expect([processor.cpu.get('eip'), processor.cpu.get('fpuTop'), ferr[0]]).toEqual([held, 6, true]);

      processor.cpu.eflags |= 0x200;
      processor.setInterruptRequest(true);
      expect(processor.run(50)).toBe('halted');
      expect([processor.cpu.get('eip'), view.getUint16(STACK - 6, true), vectors()]).toEqual([
        HANDLER + 1,
        held,
        [VECTOR],
      ]);
    });

    it('is taken as an interrupt at once when interrupts are enabled', () => {
      interrupts = true;
      begin([0xfb, ...DIVIDE, FWAIT]); // sti; ...

      expect(processor.run(50)).toBe('halted');
      expect([view.getUint16(STACK - 6, true), vectors()]).toEqual([CODE + 1 + DIVIDE.length, [VECTOR]]);
    });

    it('lets execution go on while the board ignores it, and tells the board when it is cleared', () => {
      ignne = true;
      begin([...DIVIDE, FWAIT, 0xdb, 0xe2, FWAIT]); // ...; fwait; fnclex; fwait

      expect(processor.run(50)).toBe('halted');
      expect([ferr, vectors()]).toEqual([[true, false], []]);
    });

    it('is #MF with CR0.NE, and the board hears nothing', () => {
      begin([...DIVIDE, FWAIT], CR0.NE);

      expect(processor.run(50)).toBe('halted');
      expect([ferr, vectors()]).toEqual([[], [EXCEPTION.MF]]);
    });
  });

  it.each([
    [0, []],
    [CR0.TS, []],
    [CR0.MP, []],
    [CR0.TS | CR0.MP, [EXCEPTION.NM]],
    [CR0.EM, []],
  ])('WAIT with CR0 %i raises what the manual says', (cr0, raised) => {
    start('real', [0x9b], cr0);

    expect(processor.run(10)).toBe('halted');
    expect(vectors()).toEqual(raised);
  });
});
