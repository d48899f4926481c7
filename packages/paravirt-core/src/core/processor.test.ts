/** What happens between instructions: budgets and counts, interrupts, HLT, single steps, exceptions within exceptions. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EDI, EDX, EFLAGS, ESP, EXCEPTION } from '../isa/build.ts';
import { CR0 } from './cpu.ts';
import { oracleEngine } from './oracle.ts';
import { AT, PTE, SELECTOR, TestProcessor, le32 } from './test-processor.ts';

const { DE, DB, UD, DF, NP, GP, PF } = EXCEPTION;
const HLT = 0xf4,
  NOP = 0x90,
  STI = 0xfb,
  CLI = 0xfa,
  IRET = 0xcf,
  INC_EAX = 0x40,
  INC_EBX = 0x43;
const VECTOR = 0x40;
const ALL = PTE.P | PTE.W | PTE.U;
/** A run is cut after so many instructions. */
const RUN_LIMIT = 64;
/** OUT 80h,AL: where a test lets something happen. */
const TELL = [0xe6, 0x80];

const t = new TestProcessor();
beforeEach(() => {
  t.reset();
  t.bus.onAcknowledge = () => t.processor.setInterruptRequest(false);
});

/** An interrupt waits from now on. */
function request(vector = VECTOR): void {
  t.bus.vectors.push(vector);
  t.processor.setInterruptRequest(true);
}
const enableInterrupts = (): void => void (t.cpu.eflags = t.cpu.eflags | EFLAGS.IF);

describe('the budget', () => {
  const fill = (count: number): TestProcessor => t.put(AT.code, ...Array<number>(count).fill(NOP), 0xeb, 0xfe);

  it.each([1, 10, 63, 64, 65, 1000])('of %i is passed by no more than one run of records', (budget) => {
    fill(3000);
    t.run(AT.code, budget);
    expect(t.processor.instructions).toBeGreaterThan(0);
    const before = t.processor.instructions;

    expect(t.run(AT.code, budget).reason).toBe('budget');

    const executed = t.processor.instructions - before;
    expect(executed).toBeGreaterThanOrEqual(budget);
    expect(executed).toBeLessThanOrEqual(budget + RUN_LIMIT);
  });
  it('is looked at where runs join, however short they are', () => {
    // Decoding backwards makes every instruction a run of its own that goes on in the next.
    fill(1000);
    for (let at = AT.code + 1000; at >= AT.code; at--) t.run(at, 1);
    const before = t.processor.instructions;

    t.run(AT.code, 1);

    expect(t.processor.instructions - before).toBeLessThanOrEqual(1 + RUN_LIMIT);
  });
  it('leaves EIP at the next instruction, so that going on is seamless', () => {
    t.put(AT.code, ...Array<number>(500).fill(INC_EAX), HLT);
    t.cpu.set('eip', AT.code);
    for (let i = 0; t.cpu.get('halted') === 0 && i < 1000; i++) t.processor.run(1);
    expect([t.register(EAX), t.cpu.get('eip')]).toEqual([500, AT.code + 501]);
  });
  it('lets string iterations count, so that a long one ends in parts', () => {
    t.cpu.setRegister(ECX, 100_000);
    t.cpu.setRegister(EDI, 0x10_0000);
    // REP SCASB over zeros, AL = 0.
    t.put(AT.code, 0xf3, 0xae, HLT);

    expect(t.run(AT.code, 1000).reason).toBe('budget');

    expect(t.cpu.get('eip')).toBe(AT.code);
    expect(t.register(ECX)).toBeGreaterThan(98_000);
  });
});

describe('counts', () => {
  it.each([
    ['straight code', [NOP, NOP, NOP], 4],
    ['a jump', [0xeb, 0x00, NOP], 3],
    ['a branch that is not taken', [0x85, 0xc0, 0x75, 0x00], 3],
    ['16-bit addressing', [0x67, 0x8b, 0x07, NOP], 3],
    ['HLT alone', [], 1],
    ['REP with no repetition', [0xf3, 0xaa], 2],
    ['REP with many', [0xb1, 100, 0xbf, ...le32(AT.data), 0xf3, 0xaa], 4],
  ])('%s: each instruction once', (_, program, count) => {
    t.execute(...program);
    const before = t.processor.instructions;

    t.execute(...program);

    expect(t.processor.instructions - before).toBe(count);
  });
  it('an instruction that faults is none', () => {
    const before = t.processor.instructions;
    t.execute(NOP, 0x0f, 0x0b);
    // NOP, and HLT of the handler.
    expect(t.processor.instructions - before).toBe(2);
  });
  it('an instruction that faults behind a 16-bit effective address is none either', () => {
    t.enablePaging();
    t.view.setUint32(t.entryAt(0x6000), 0, true);
    t.cpu.setRegister(EBX, 0x6000);
    const before = t.processor.instructions;
    expect(t.execute(NOP, 0x67, 0x8b, 0x07).exception?.vector).toBe(PF);
    expect(t.processor.instructions - before).toBe(2);
  });
});

describe('external interrupts', () => {
  it('are taken only while IF is set', () => {
    request();
    expect(t.execute(NOP, NOP).exception).toBeUndefined();
    t.reset();
    enableInterrupts();
    request();
    expect(t.execute(NOP).exception).toEqual({ vector: VECTOR, code: undefined, eip: AT.code });
  });
  it('that a device raises while the program runs are taken before the next instruction', () => {
    enableInterrupts();
    t.bus.onAccess = () => request();
    expect(t.execute(NOP, ...TELL, NOP).exception).toEqual({ vector: VECTOR, code: undefined, eip: AT.code + 3 });
  });
  it("that a device's memory raises are taken within the run", () => {
    enableInterrupts();
    t.bus.onAccess = () => request();
    const program = [0xa1, ...le32(0xa000_0000), ...Array<number>(200).fill(INC_EBX)];

    const { exception } = t.execute(...program);

    expect(exception?.vector).toBe(VECTOR);
    expect(t.register(EBX)).toBeLessThanOrEqual(RUN_LIMIT);
    expect(t.register(EBX)).toBe(exception!.eip - AT.code - 5);
  });
  it('wait for the instruction behind STI', () => {
    request();
    expect(t.execute(CLI, STI, INC_EAX, NOP).exception).toEqual({ vector: VECTOR, code: undefined, eip: AT.code + 3 });
    expect(t.register(EAX)).toBe(1);
  });
  it('are not taken between STI and CLI', () => {
    request();
    expect(t.execute(STI, CLI, NOP).exception).toBeUndefined();
  });
  it('come right behind a second STI: only the one that sets IF holds them back', () => {
    enableInterrupts();
    t.bus.onAccess = () => request();
    expect(t.execute(...TELL, STI, NOP).exception?.eip).toBe(AT.code + 2);
  });
  it('find HLT executed behind STI, even when one is requested just after the budget ended between the two', () => {
    // NOPs put STI at the end of a run, where the budget is looked at; whatever the budget, HLT is reached first.
    for (const budget of [1, RUN_LIMIT - 1, RUN_LIMIT]) {
      t.reset();
      const count = RUN_LIMIT - 1;
      t.put(AT.code, ...Array<number>(count).fill(NOP), STI, HLT, NOP);
      t.cpu.set('eip', AT.code);
      t.processor.run(budget);
      request();

      for (let i = 0; i < 200; i++) t.processor.run(budget);

      expect(t.u32(t.register(ESP))).toBe(AT.code + count + 2);
    }
  });
  it('wait for the instruction behind MOV SS', () => {
    const stack = [0xb8, ...le32(SELECTOR.data)];
    enableInterrupts();
    t.put(AT.code, ...stack, 0x8e, 0xd0, INC_EBX, NOP, HLT);
    t.cpu.set('eip', AT.code);
    t.processor.step();
    t.processor.step();
    request();
    t.processor.run(100);
    expect([t.register(EBX), t.u32(t.register(ESP))]).toEqual([1, AT.code + 8]);
  });
  it('that POPF and IRET allow are taken at once', () => {
    request();
    expect(t.execute(0x68, ...le32(EFLAGS.IF | 2), 0x9d, NOP, NOP).exception?.eip).toBe(AT.code + 6);

    t.reset();
    t.bus.onAcknowledge = () => t.processor.setInterruptRequest(false);
    request();
    const target = AT.code + 0x40;
    const frame = [0x68, ...le32(EFLAGS.IF | 2), 0x68, ...le32(SELECTOR.code), 0x68, ...le32(target)];
    expect(t.execute(...frame, IRET).exception?.eip).toBe(target);
  });
  it('that are withdrawn in time are not taken', () => {
    request();
    t.processor.setInterruptRequest(false);
    enableInterrupts();
    expect(t.execute(NOP).exception).toBeUndefined();
  });
  it('come between two repetitions with exact registers, and the rest is done after IRET', () => {
    enableInterrupts();
    t.gate(VECTOR, 0x3000);
    t.put(0x3000, INC_EBX, IRET);
    const count = 40_000;
    t.cpu.setRegister(ECX, count);
    t.cpu.setRegister(EDI, 0x2_0000);
    t.cpu.setRegister(EAX, 0x55);
    t.put(AT.code, 0xf3, 0xaa, HLT);
    t.cpu.set('eip', AT.code);
    let asked = 0;
    for (t.processor.run(10); t.cpu.get('halted') === 0; t.processor.run(10)) {
      request();
      asked++;
    }

    expect(asked).toBeGreaterThan(5);
    expect([t.register(EBX), t.register(ECX), t.register(EDI)]).toEqual([asked, 0, 0x2_0000 + count]);
    expect(t.ram.subarray(0x2_0000, 0x2_0000 + count).every((byte) => byte === 0x55)).toBe(true);
  });
});

describe('HLT', () => {
  it('ends the run, and stays', () => {
    t.put(AT.code, HLT, NOP);
    t.cpu.set('eip', AT.code);
    expect([t.processor.run(10), t.processor.run(10)]).toEqual(['halted', 'halted']);
    expect(t.cpu.get('eip')).toBe(AT.code + 1);
  });
  it('ends with an interrupt, whose handler returns behind it', () => {
    t.put(AT.code, STI, HLT, INC_EAX, CLI, HLT);
    t.gate(VECTOR, 0x3000);
    t.put(0x3000, INC_EBX, IRET);
    t.cpu.set('eip', AT.code);
    expect([t.processor.run(100), t.processor.canWake]).toEqual(['halted', true]);

    request();

    expect(t.processor.run(100)).toBe('halted');
    expect([t.register(EAX), t.register(EBX), t.processor.canWake]).toEqual([1, 1, false]);
  });
  it('with IF clear sleeps through requests', () => {
    t.put(AT.code, HLT, INC_EAX);
    t.cpu.set('eip', AT.code);
    t.processor.run(10);
    request();
    expect([t.processor.run(10), t.register(EAX)]).toEqual(['halted', 0]);
  });
  it('needs CPL 0', () => {
    t.enterUser();
    expect(t.execute().exception).toEqual({ vector: GP, code: 0, eip: AT.code });
  });
  it('that is single-stepped is left for the handler', () => {
    t.gate(DB, 0x3000);
    t.put(0x3000, INC_EBX, 0x81, 0x64, 0x24, 0x08, ...le32(~EFLAGS.TF), IRET); // AND [ESP+8],~TF
    t.cpu.eflags = t.cpu.eflags | EFLAGS.TF;
    t.put(AT.code, HLT, INC_EAX, HLT);
    t.cpu.set('eip', AT.code);

    t.processor.run(100);

    expect([t.register(EBX), t.register(EAX)]).toEqual([1, 1]);
  });
});

describe('attention', () => {
  it('comes after the current instruction', () => {
    t.bus.onAccess = () => t.processor.requestAttention();
    t.put(AT.code, NOP, ...TELL, INC_EAX, HLT);
    t.cpu.set('eip', AT.code);

    expect([t.processor.run(100), t.cpu.get('eip'), t.register(EAX)]).toEqual(['attention', AT.code + 3, 0]);
    expect([t.processor.run(100), t.register(EAX)]).toEqual(['halted', 1]);
  });
  it("that a device's memory asks for comes within the run, and no instruction is lost or counted twice", () => {
    t.bus.onAccess = () => t.processor.requestAttention();
    t.put(AT.code, 0xa1, ...le32(0xa000_0000), ...Array<number>(200).fill(INC_EBX), HLT);
    t.cpu.set('eip', AT.code);
    const before = t.processor.instructions;

    expect(t.processor.run(10_000)).toBe('attention');
    expect(t.register(EBX)).toBeLessThanOrEqual(RUN_LIMIT);
    expect(t.processor.instructions - before).toBe(t.register(EBX) + 1);

    expect(t.processor.run(10_000)).toBe('halted');
    expect(t.processor.instructions - before).toBe(202);
  });
});

describe('single steps', () => {
  /** Counts #DB in EBX, noting in ECX the EIP of the last one. */
  const counting = (): TestProcessor => t.put(0x3000, INC_EBX, 0x8b, 0x0c, 0x24, IRET).gate(DB, 0x3000);

  it('trap after each instruction, the one behind POPF first', () => {
    counting();
    // PUSH flags|TF ; POPF ; NOP ; NOP ; PUSH flags ; POPF ; NOP
    t.execute(0x68, ...le32(EFLAGS.TF | 2), 0x9d, NOP, NOP, 0x6a, 0x02, 0x9d, NOP);
    expect([t.register(EBX), t.register(ECX)]).toEqual([4, AT.code + 6 + 5]);
  });
  it('set BS in DR6', () => {
    counting();
    t.execute(0x68, ...le32(EFLAGS.TF | 2), 0x9d, 0x6a, 0x02, 0x9d, 0x0f, 0x21, 0xf2); // MOV EDX,DR6
    expect(t.register(EDX) & (1 << 14)).not.toBe(0);
  });
  it('do not trap behind MOV SS, but behind the instruction after it', () => {
    counting();
    t.cpu.setRegister(EDX, SELECTOR.data);
    t.execute(0x68, ...le32(EFLAGS.TF | 2), 0x9d, 0x8e, 0xd2, INC_EAX, 0x6a, 0x02, 0x9d);
    expect(t.register(EBX)).toBe(3);
  });
  it('trap after each repetition of a string instruction', () => {
    counting();
    t.cpu.setRegister(EDI, AT.data);
    t.put(0x3000, INC_EBX, IRET);
    t.execute(0xb9, ...le32(3), 0x68, ...le32(EFLAGS.TF | 2), 0x9d, 0xf3, 0xaa, 0x6a, 0x02, 0x9d);
    expect(t.register(EBX)).toBe(3 + 2);
  });
  it('do not follow an INT into its handler', () => {
    counting();
    t.gate(0x50, 0x3100);
    t.put(0x3100, NOP, NOP, IRET);
    t.execute(0x68, ...le32(EFLAGS.TF | 2), 0x9d, 0xcd, 0x50, 0x6a, 0x02, 0x9d);
    expect(t.register(EBX)).toBe(2);
  });
});

describe('exceptions while an event is being delivered', () => {
  const NOT_PRESENT = 0x6e;
  /** Lets delivery of `vector` fail: with #NP, or with #GP for a gate that is none. */
  const breakGate = (vector: number, type = NOT_PRESENT): void => void t.gate(vector, 0, type);

  it('a benign one: the second is delivered by itself, naming the gate', () => {
    breakGate(UD);
    expect(t.execute(0x0f, 0x0b).exception).toEqual({ vector: NP, code: UD * 8 + 2 + 1, eip: AT.code });
  });
  it('a software interrupt: likewise, without EXT', () => {
    breakGate(0x50);
    expect(t.execute(0xcd, 0x50).exception).toEqual({ vector: NP, code: 0x50 * 8 + 2, eip: AT.code });
  });
  it('an external interrupt: likewise, with EXT', () => {
    breakGate(VECTOR);
    enableInterrupts();
    request();
    expect(t.execute(NOP).exception).toEqual({ vector: NP, code: VECTOR * 8 + 2 + 1, eip: AT.code });
  });
  it('two contributory ones are a double fault', () => {
    breakGate(DE);
    expect(t.execute(0xf7, 0xf0).exception).toEqual({ vector: DF, code: 0, eip: AT.code });
  });
  it('a page fault within a contributory one is delivered by itself', () => {
    t.enablePaging();
    t.gate(DE, AT.handlers, 0xee, SELECTOR.code);
    t.view.setUint32(t.entryAt(AT.stack - 4), 0, true);
    t.cpu.setRegister(EAX, 0);
    // The stack's page is gone when #DE pushes its frame: #PF, whose frame meets the same page: double, then triple fault.
    expect(t.execute(0xf7, 0xf0).reason).toBe('triple-fault');
    expect([t.processor.delivered[DE], t.processor.delivered[PF], t.processor.delivered[DF]]).toEqual([1, 1, 1]);
  });
  it('a page fault within a contributory one finds its handler when that has a stack', () => {
    // The IDT spans two pages; the one with the gate of #DE is gone.
    t.enablePaging();
    t.ram.copyWithin(0x2_0ff8, AT.idt, AT.idt + 0x800);
    t.cpu.set('idtBase', 0x2_0ff8);
    t.view.setUint32(t.entryAt(0x2_0000), 0, true);

    const { exception } = t.execute(0xf7, 0xf0);

    expect(exception).toEqual({ vector: PF, code: 0, eip: AT.code });
    expect(t.cpu.get('cr2')).toBe(0x2_0ff8);
  });
  it.each([
    ['a page fault', PF],
    ['a contributory exception', GP],
  ])('%s within a page fault is a double fault', (_, second) => {
    t.enablePaging();
    if (second === GP) breakGate(PF, 0xe0);
    else {
      // The gate of #PF lies in a page that is gone.
      t.ram.copyWithin(0x2_1000 - PF * 8, AT.idt, AT.idt + PF * 8);
      t.cpu.set('idtBase', 0x2_1000 - PF * 8);
      t.view.setUint32(t.entryAt(0x2_1000), 0, true);
    }
    expect(t.execute(0xa1, ...le32(0x50_0000)).exception).toEqual({ vector: DF, code: 0, eip: AT.code });
  });
  it('one more within a double fault is the end', () => {
    breakGate(DE);
    breakGate(DF);
    expect(t.execute(0xf7, 0xf0).reason).toBe('triple-fault');
  });
  it('an IDT that ends before the vector is #GP', () => {
    t.cpu.set('idtLimit', 0x4f * 8 + 7);
    expect(t.execute(0xcd, 0x50).exception).toEqual({ vector: GP, code: 0x50 * 8 + 2, eip: AT.code });
  });
  it('without an IDT everything is the end', () => {
    t.cpu.set('idtLimit', 0);
    expect(t.execute(0x0f, 0x0b).reason).toBe('triple-fault');
  });
  it('leave no trace of the first attempt: registers and flags are those of the faulting instruction', () => {
    breakGate(UD);
    t.cpu.eflags = t.cpu.eflags | EFLAGS.IF;
    t.execute(0x0f, 0x0b);
    expect(t.register(ESP)).toBe(AT.stack - 16);
    expect(t.u32(AT.stack - 4) & EFLAGS.IF).toBe(EFLAGS.IF);
    expect(t.u32(AT.stack - 8)).toBe(SELECTOR.code);
  });
});

describe('the interpreter and the oracle', () => {
  const DEVICE = 0xa000_0000;
  const PAGE_END = AT.code + 0x1000;
  const COUNTER = AT.data + 0x800;
  const SKIPPING = 0x3800;
  const oracle = new TestProcessor({ engine: oracleEngine });
  const cramped = new TestProcessor({ code: { mapCount: 2, recordBytes: 150 * 32 } });

  /** mulberry32: whole numbers below `n`. */
  function seeded(seed: number): (n: number) => number {
    let state = seed >>> 0;
    return (n) => {
      state = (state + 0x6d2b79f5) >>> 0;
      let x = Math.imul(state ^ (state >>> 15), state | 1);
      x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
      return ((x ^ (x >>> 14)) >>> 0) % n;
    };
  }
  /** A program that crosses a page, jumps about, faults, traps, repeats, touches devices, changes itself, and goes round a few times. */
  function randomCode(seed: number): { at: number; bytes: number[] } {
    const random = seeded(seed);
    const at = PAGE_END - 60 - random(60);
    const bytes: number[] = [0xc7, 0x05, ...le32(COUNTER), ...le32(4 + random(4))];
    const top = bytes.length;
    const starts: number[] = [];
    const data = (): number => AT.data + random(0x100);
    const kinds: (() => number[])[] = [
      () => [0x40 + random(4)], // INC
      () => [0x01, 0xc0 | (random(4) << 3) | random(4)], // ADD
      () => [0x81, 0xc0 | random(4), ...le32(random(2 ** 31))], // ADD r,imm32
      () => [0xa3, ...le32(data())],
      () => [0x03, 0x05, ...le32(data())],
      () => [0x67, 0x03, 0x06, ...le32(AT.data + random(0x100)).slice(0, 2)], // ADD EAX,[disp16]
      () => [0x67, 0x8b, 0x4f, random(100)], // MOV ECX,[BX+disp8]
      () => [0xeb, 0x01, NOP], // JMP over a byte
      () => [0x85, 0xc0, 0x74 + random(2), 0x02, INC_EBX, INC_EBX], // TEST ; JZ or JNZ over two
      () => [0x0f, 0x0b], // UD2: the handler skips two bytes
      () => [0x31, 0xd2, 0xf7, 0xf2], // XOR EDX,EDX ; DIV EDX
      () => [0xcd, 0x50],
      () => [0xb9, ...le32(random(40)), 0xbf, ...le32(AT.data + 0x200), 0xf3, random(2) === 0 ? 0xaa : 0xab],
      () => [0xb9, ...le32(random(20)), 0xbf, ...le32(AT.data + 0x200), 0xf2, 0xae], // REPNE SCASB
      () => [0xa1, ...le32(DEVICE + random(16))],
      () => [0xa2, ...le32(DEVICE)],
      () => TELL,
      () => [0xa1, ...le32(0x50_0000)].concat([]), // #PF: absent
      () => [0xfe, 0x05, ...le32(at + (starts[random(starts.length)] ?? 0) + 2)], // changes an immediate of ADD r,imm32
      () => [0x50, 0x58], // PUSH ; POP
      () => [0xe8, 0, 0, 0, 0, 0x83, 0xc4, 0x04], // CALL +0 ; ADD ESP,4
    ];
    for (let i = 0; i < 60; i++) {
      const kind = random(kinds.length);
      // What changes itself needs something that may be changed.
      if (kind === 18 && starts.length === 0) continue;
      if (kind === 2) starts.push(bytes.length);
      bytes.push(...kinds[kind]!());
    }
    // DEC [COUNTER] ; JNZ top
    bytes.push(0xff, 0x0d, ...le32(COUNTER), 0x0f, 0x85, ...le32(top - (bytes.length + 12)), HLT);
    return { at, bytes };
  }
  /** Runs it in slices; attention is asked for at every seventh access. */
  function finish(on: TestProcessor, seed: number, budget: number): { instructions: number; state: unknown } {
    const { at, bytes } = randomCode(seed);
    on.reset();
    on.put(at, ...bytes);
    // Handlers: #UD, #DE skip the two bytes that faulted, #PF five; INT 50h counts.
    on.gate(UD, SKIPPING).put(SKIPPING, 0x83, 0x04, 0x24, 0x02, IRET);
    on.gate(DE, SKIPPING);
    on.gate(PF, SKIPPING + 0x20).put(SKIPPING + 0x20, 0x83, 0xc4, 0x04, 0x83, 0x04, 0x24, 0x05, IRET);
    on.gate(0x50, SKIPPING + 0x40).put(SKIPPING + 0x40, INC_EBX, IRET);
    on.enablePaging({ cr0: CR0.WP }).page(DEVICE, DEVICE, ALL);
    on.cpu.setRegister(EBX, AT.data);
    let accesses = 0;
    on.bus.onAccess = () => {
      if (++accesses % 7 === 0) on.processor.requestAttention();
    };
    const before = on.processor.instructions;
    on.cpu.set('eip', at);
    let slices = 0;
    while (on.cpu.get('halted') === 0 && slices++ < 100_000)
      if (on.processor.run(budget) === 'triple-fault') throw new Error(`seed ${seed}: triple fault`);
    const registers = Array.from({ length: 8 }, (_, i) => on.register(i));
    return {
      instructions: on.processor.instructions - before,
      state: [
        registers,
        on.cpu.eflags,
        on.cpu.get('eip'),
        on.bus.log.join(),
        Buffer.from(on.ram.subarray(0, 0x8000)).toString('base64'),
      ],
    };
  }

  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'agree on random program %i: the same count, whatever the budget and the room for decoded code',
    (seed) => {
      const expected = finish(oracle, seed, 1_000_000);

      for (const [on, budget] of [
        [t, 1_000_000],
        [t, 1 + (seed % 90)],
        [cramped, 300],
      ] as const) {
        const actual = finish(on, seed, budget);
        expect(actual.instructions).toBe(expected.instructions);
        expect(actual.state).toEqual(expected.state);
      }
    },
  );
});
