/**
 * Debug registers, a debugger's list, NMIs, and runs of exactly so much work: on a processor by itself. What the manual says of
 * debug exceptions is tried by the kernels `breakpoints`, `debug-traps` and `single-step` too, here and in QEMU.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EDI, EFLAGS, ESP } from '../isa/build.ts';
import { DR6, DR7 } from './debug-registers.ts';
import { AT, PTE, TestProcessor, le32 } from './test-processor.ts';

const HLT = 0xf4,
  NOP = 0x90,
  INC_EAX = 0x40,
  INC_EBX = 0x43,
  IRET = 0xcf;
const DB = 1,
  NMI = 2;
const STORE_EAX = (address: number): number[] => [0xa3, ...le32(address)];
const LOAD_EAX = (address: number): number[] => [0xa1, ...le32(address)];

let t: TestProcessor;
beforeEach(() => {
  t = new TestProcessor();
});
const dr = (n: number): number => t.processor.debug.read(n) >>> 0;
const set = (n: number, value: number): void => t.processor.debug.write(n, value);
const flagsPushed = (): number => t.u32(t.register(ESP) + 8);

describe('debug registers', () => {
  it('have bits that are always 0 or 1', () => {
    set(6, 0xffff_ffff);
    set(7, 0xffff_dfff);
    expect([dr(6), dr(7)]).toEqual([0xffff_efff, 0xffff_07ff]);
    set(6, 0);
    set(7, 0);
    expect([dr(6), dr(7)]).toEqual([0xffff_0ff0, 0x400]);
  });
  it('4 and 5 are 6 and 7, until CR4.DE makes them undefined', () => {
    set(5, 0x403);
    expect([dr(7), dr(5)]).toEqual([0x403, 0x403]);
  });
  it('are given back by a processor that is restored, and watch at once', () => {
    set(0, AT.code + 1);
    set(7, 2);
    const saved = t.cpu.save();
    t.cpu.reset();
    t.cpu.restore(saved);
    expect(t.execute(NOP, NOP).exception).toMatchObject({ vector: DB, eip: AT.code + 1 });
  });
});

describe('an instruction breakpoint', () => {
  it('is a fault that leaves RF alone, in code that has run before', () => {
    t.execute(INC_EAX, INC_EAX, INC_EAX);
    set(1, AT.code + 2);
    set(7, 8);
    expect(t.execute(INC_EAX, INC_EAX, INC_EAX).exception).toMatchObject({ vector: DB, eip: AT.code + 2 });
    expect([t.register(EAX), dr(6), flagsPushed() & EFLAGS.RF]).toEqual([5, 0xffff_0ff2, 0]);
  });
  it('is met by falling into its page, by jumps, and in loops, and nowhere else', () => {
    const page = AT.code + 0x1000;
    t.gate(DB, 0x3800);
    t.put(0x3800, INC_EBX, 0x81, 0x4c, 0x24, 0x08, ...le32(EFLAGS.RF), IRET); // OR [ESP+8],RF
    set(0, page + 1);
    set(7, 2);
    // At the end of the page before: MOV ECX,3 ; into the page: loop: NOP ; INC EAX ; LOOP ; HLT
    t.put(page - 5, 0xb9, ...le32(3));
    t.put(page, NOP, INC_EAX, 0xe2, 0xfc, HLT);
    expect(t.run(page - 5)).toEqual({ reason: 'halted' });
    expect([t.register(EBX), t.register(EAX)]).toEqual([3, 3]);
  });
  it('counts the base of CS in', () => {
    set(0, AT.code + 2);
    set(7, 2);
    t.cpu.setSegment(1, 8, 0x1000, 0xffffffff, 0xc09b);
    t.gate(DB, AT.handlers + DB);
    t.put(AT.code, NOP, NOP, NOP, HLT);
    t.run(AT.code - 0x1000);
    expect(dr(6) & 0xf).toBe(1);
  });
  it('costs nothing while there is none: code is decoded once', () => {
    const loop = [0xb9, ...le32(1000), INC_EAX, 0xe2, 0xfd]; // MOV ECX ; loop: INC EAX ; LOOP
    t.execute(...loop);
    const { decoded } = t.processor.code.counts;
    set(0, AT.code + 0x5000);
    set(7, 2);
    t.run(AT.code);
    expect(t.processor.code.counts.decoded - decoded).toBeLessThan(10);
  });
});

describe('a data breakpoint', () => {
  it('is a trap behind the instruction, wherever that lies in a stretch of code', () => {
    t.execute(STORE_EAX(AT.data)[0]!, ...le32(AT.data), INC_EAX, INC_EAX);
    t.reset();
    set(2, AT.data);
    set(7, (1 << 5) | (1 << 24));
    expect(t.execute(INC_EAX, ...STORE_EAX(AT.data), INC_EAX).exception).toMatchObject({
      vector: DB,
      eip: AT.code + 6,
    });
    expect([t.u32(AT.data), t.register(EAX), dr(6) & 0xf]).toEqual([1, 1, 4]);
  });
  it('on writes alone lets reads pass, and neighbours in the same page too', () => {
    set(0, AT.data);
    set(7, 2 | (1 << 16));
    expect(t.execute(...LOAD_EAX(AT.data), ...STORE_EAX(AT.data + 1)).exception).toBeUndefined();
  });
  it('covers its length, aligned', () => {
    for (const [len, bytes] of [
      [0, 1],
      [1, 2],
      [3, 4],
    ] as const) {
      for (let at = AT.data - 2; at < AT.data + 6; at++) {
        t.reset();
        set(0, AT.data + 1);
        set(7, 2 | (3 << 16) | (len << 18));
        const first = (AT.data + 1) & -bytes;
        const hit = t.execute(0xa0, ...le32(at)).exception !== undefined; // MOV AL,[at]
        expect([len, at, hit]).toEqual([len, at, at >= first && at < first + bytes]);
      }
    }
  });
  it('is not met by an instruction that faults', () => {
    t.enablePaging();
    t.page(0x8_0000, 0, 0);
    set(0, AT.data);
    set(7, 2 | (3 << 16));
    // PUSH [AT.data] onto a page that is not there
    t.cpu.setRegister(ESP, 0x8_0004);
    t.gate(14, AT.handlers + 14, 0xee);
    t.put(AT.code, 0xff, 0x35, ...le32(AT.data), HLT);
    t.cpu.set('eip', AT.code);
    t.processor.run(100);
    expect(dr(6) & 0xf).toBe(0);
  });
  it('stops a string instruction behind the repetition, with exact registers', () => {
    set(0, AT.data + 100);
    set(7, 2 | (1 << 16));
    t.cpu.setRegister(ECX, 1000);
    t.cpu.setRegister(EDI, AT.data);
    expect(t.execute(0xf3, 0xaa).exception).toMatchObject({ vector: DB, eip: AT.code });
    expect([t.register(ECX), t.register(EDI), flagsPushed() & EFLAGS.RF]).toEqual([899, AT.data + 101, EFLAGS.RF]);
  });
  it('of a page with paging off and on is found by its linear address', () => {
    t.enablePaging();
    t.page(0x9_0000, AT.data, PTE.P | PTE.W);
    set(0, 0x9_0000);
    set(7, 2 | (1 << 16));
    expect(t.execute(...STORE_EAX(AT.data)).exception).toBeUndefined();
    expect(t.execute(...STORE_EAX(0x9_0000)).exception).toMatchObject({ vector: DB });
  });
});

describe('general detect', () => {
  it('comes once, and its handler may use the registers', () => {
    set(7, DR7.GD);
    expect(t.execute(0x0f, 0x21, 0xc0).exception).toMatchObject({ vector: DB, eip: AT.code });
    expect([dr(6) & DR6.BD, dr(7) & DR7.GD, flagsPushed() & EFLAGS.RF]).toEqual([DR6.BD, 0, EFLAGS.RF]);
  });
});

describe('a debugger', () => {
  it('stops before an instruction, and the guest sees nothing of it', () => {
    const { debug } = t.processor;
    debug.codeStops.add(AT.code + 1);
    debug.refresh();
    t.put(AT.code, INC_EAX, INC_EAX, HLT);
    expect(t.run(AT.code).reason).toBe('breakpoint');
    expect([t.cpu.get('eip'), debug.stop, dr(6)]).toEqual([
      AT.code + 1,
      { kind: 'code', address: AT.code + 1 },
      0xffff_0ff0,
    ]);
    debug.stop = undefined;
    debug.passing = AT.code + 1;
    expect([t.run().reason, t.register(EAX)]).toEqual(['halted', 2]);
  });
  it('stops behind an access, of any length', () => {
    const { debug } = t.processor,
      watch = { address: AT.data, bytes: 0x1800, kind: 'read' } as const;
    debug.watches.add(watch);
    debug.refresh();
    t.put(AT.code, ...STORE_EAX(AT.data), ...LOAD_EAX(AT.data + 0x17fc), NOP, HLT);
    expect(t.run(AT.code).reason).toBe('breakpoint');
    expect([t.cpu.get('eip'), debug.stop]).toEqual([AT.code + 10, { kind: 'watch', watch }]);
  });
});

describe('a non-maskable interrupt', () => {
  it('is taken with interrupts off, wakes HLT, and waits while another is handled', () => {
    t.gate(NMI, 0x3000);
    t.put(0x3000, INC_EBX, NOP, NOP, IRET);
    t.put(AT.code, HLT, INC_EAX, HLT);
    t.run(AT.code);
    expect(t.processor.canWake).toBe(false);
    t.processor.requestNmi();
    expect(t.processor.canWake).toBe(true);
    t.processor.run(2, true);
    expect([t.register(EBX), t.cpu.get('eip')]).toEqual([1, 0x3001]);
    t.processor.requestNmi();
    t.processor.requestNmi();
    t.processor.run(100, true);
    expect([t.register(EBX), t.register(EAX)]).toEqual([2, 1]);
  });
  it('waits behind MOV SS', () => {
    t.put(AT.code, 0x8e, 0xd0, INC_EBX, HLT); // MOV SS,AX
    t.cpu.setRegister(EAX, 0x10);
    t.cpu.set('eip', AT.code);
    t.processor.step();
    t.processor.requestNmi();
    expect(t.run()).toMatchObject({ exception: { vector: NMI, eip: AT.code + 3 } });
  });
});

describe('work', () => {
  /** Faults, string instructions of all sizes, stepping, port accesses: something of everything that is counted. */
  const PROGRAM = [
    ...[0xbf, ...le32(0x2_0000), 0xb9, ...le32(5000), 0xf3, 0xaa], // REP STOSB
    ...[0xbe, ...le32(0x2_0000), 0xbf, ...le32(0x3_0ff8), 0xb9, ...le32(700), 0xf3, 0xa5], // REP MOVSD
    ...[0xb9, ...le32(300), INC_EAX, INC_EBX, 0x89, 0x05, ...le32(AT.data), 0xe2, 0xf6], // LOOP
    ...[0x0f, 0x0b], // UD2
    ...[0xe4, 0x80], // IN
    ...[0xb9, ...le32(0), 0xf3, 0xaa],
    ...[0xb9, ...le32(1), 0xf3, 0xaa],
    ...[0x9c, 0x81, 0x0c, 0x24, ...le32(EFLAGS.TF), 0x9d, 0xb9, ...le32(20), 0xf3, 0xaa, NOP], // stepped
    ...[0x9c, 0x81, 0x24, 0x24, ...le32(~EFLAGS.TF), 0x9d],
    HLT,
  ];
  const begin = (): TestProcessor => {
    const fresh = new TestProcessor();
    fresh.gate(6, 0x3800).gate(DB, 0x3900);
    fresh.put(0x3800, 0x83, 0x04, 0x24, 2, IRET); // ADD [ESP],2
    fresh.put(0x3900, IRET);
    fresh.put(AT.code, ...PROGRAM);
    fresh.cpu.set('eip', AT.code);
    return fresh;
  };
  const whole = begin();
  while (whole.processor.run(1_000_000, true) === 'budget');
  const { work, instructions } = whole.processor;

  it('is the same however it is cut, and no cut goes over its budget', () => {
    const seed = (Date.now() % 0x7fff_ffff) + 1;
    let x = seed;
    for (const most of [1, 7, 90, 400, 3000]) {
      const p = begin();
      for (let n = 0; p.cpu.get('halted') === 0; n++) {
        x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
        const budget = 1 + (x % most),
          end = p.processor.work + budget;
        const how = p.processor.run(budget, true);
        if (how === 'budget' && p.processor.work !== end)
          throw new Error(`seed ${seed}, budget ${budget}: ${p.processor.work - end} over`);
      }
      expect([most, seed, p.processor.work, p.processor.instructions]).toEqual([most, seed, work, instructions]);
      expect(Buffer.compare(p.ram, whole.ram)).toBe(0);
    }
  });
  it('is the same when somebody looks at each instruction, who sees as many as there are', () => {
    const p = begin();
    let seen = 0;
    p.processor.observer = { before: () => void seen++, delivered: () => {} };
    while (p.processor.run(1000, true) === 'budget');
    expect([p.processor.work, p.processor.instructions]).toEqual([work, instructions]);
    expect(seen).toBeGreaterThanOrEqual(instructions);
  });
});
