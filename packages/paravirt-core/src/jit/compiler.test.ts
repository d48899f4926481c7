/** When code is compiled, what it is worth, and when it is forgotten. */
import { describe, expect, it, vi } from 'vitest';
import { JUMP, OFFSET } from '../core/layout.ts';
import { AT, FLAT, PTE, SELECTOR, TestProcessor, le32 } from '../core/test-processor.ts';
import { DS, ES } from '../isa/build.ts';
import { decoder } from '../core/processor.ts';
import { compilingEngine, type CompilingEngine, type CompilingOptions } from './compiler.ts';
import { GatheringTranslator } from './gathering-translator.ts';
import { DirectTranslator, type Translated, type TranslationRequest } from './translator.ts';

const ECX = 1,
  EAX = 0;
/** mov ecx, n; add eax, 3; dec ecx; jnz to the addition. */
const loop = (rounds: number): number[] => [0xb9, ...le32(rounds), 0x83, 0xc0, 0x03, 0x49, 0x75, 0xfa];

function compiling(options: CompilingOptions = {}): { t: TestProcessor; engine: CompilingEngine } {
  let engine: CompilingEngine | undefined;
  const t = new TestProcessor({ engine: (parts) => (engine = compilingEngine(parts, options)) });
  return { t, engine: engine! };
}

/** What it has translated comes when it is opened. */
class LateTranslator extends DirectTranslator {
  isOpen = false;
  asked = 0;
  constructor() {
    super(decoder());
  }
  override request(request: TranslationRequest): void {
    this.asked++;
    super.request(request);
  }
  override take(): Translated | undefined {
    return this.isOpen ? super.take() : undefined;
  }
}

/** What was asked of it comes as one module when it is opened. */
class TogetherTranslator extends DirectTranslator {
  private readonly asked: TranslationRequest[] = [];
  override request(request: TranslationRequest): void {
    this.asked.push(request);
  }
  open(): void {
    this.translate(this.asked);
  }
}

describe('compiled code', () => {
  it('comes where control has landed often, and counts its instructions', () => {
    const { t, engine } = compiling({ hotLandings: 100 });

    t.execute(...loop(99));
    expect(engine.counts.regions).toBe(0);
    const before = t.processor.instructions;
    t.execute(...loop(1000));

    expect(engine.counts.regions).toBe(1);
    expect(t.register(EAX)).toBe(1099 * 3);
    expect(t.processor.instructions - before).toBe(1 + 3 * 1000 + 1);
  });

  it('keeps to its budget by the loop', () => {
    const { t, engine } = compiling({ hotLandings: 1 });
    t.put(AT.code, ...loop(1e6), 0xf4);
    t.run(AT.code, 1000);
    const rounds = 1e6 - t.register(ECX);

    expect(engine.counts.regions).toBeGreaterThan(0);
    expect(rounds).toBeGreaterThan(300);
    expect(rounds).toBeLessThan(400);
  });

  it('is left before a page fault, with everything as it was', () => {
    const { t } = compiling({ hotLandings: 1 });
    t.enablePaging().page(0x39000, 0x39000, 0);
    // mov esi, 38000h; again: add eax, [esi]; add esi, 4; jmp again.
    const outcome = t.execute(0xbe, ...le32(0x38000), 0x03, 0x06, 0x83, 0xc6, 0x04, 0xeb, 0xf9);

    expect(outcome.exception).toEqual({ vector: 14, code: 0, eip: AT.code + 5 });
    expect(t.register(6)).toBe(0x39000);
  });

  it('is forgotten when its bytes are written, by whomever', () => {
    const { t, engine } = compiling({ hotLandings: 1 });
    t.execute(...loop(50));
    const { dropped } = engine.counts;
    t.put(AT.code + 7, 0x05);
    t.run(AT.code);

    expect(engine.counts.dropped).toBeGreaterThan(dropped);
    expect(t.register(EAX)).toBe(50 * 3 + 50 * 5);
  });

  it('that patches what it is about to execute executes what it has written', () => {
    const { t, engine } = compiling({ hotLandings: 1 });
    // mov ecx, 20; again: inc byte [imm of add]; add eax, 0; dec ecx; jnz again.
    const patched = AT.code + 5 + 6 + 2;
    t.execute(0xb9, ...le32(20), 0xfe, 0x05, ...le32(patched), 0x83, 0xc0, 0x00, 0x49, 0x75, 0xf4);

    expect(engine.counts.regions).toBeGreaterThan(0);
    expect(t.register(EAX)).toBe((20 * 21) / 2);
  });

  it('goes over to another page only while that is the page it was made from', () => {
    const { t, engine } = compiling({ hotLandings: 1 });
    const first = 0x20000,
      second = 0x21000,
      other = 0x22000;
    t.enablePaging();
    // again: call second; dec ecx; jnz again; hlt. There: add eax, n; ret.
    t.put(first, 0xe8, ...le32(second - first - 5), 0x49, 0x75, 0xf8, 0xf4);
    t.put(second, 0x83, 0xc0, 0x01, 0xc3);
    t.put(other, 0x83, 0xc0, 0x10, 0xc3);
    t.cpu.setRegister(ECX, 100);
    t.run(first);
    expect(t.register(EAX)).toBe(100);
    expect(engine.counts.regions).toBeGreaterThan(0);

    t.page(second, other, PTE.P | PTE.W | PTE.U);
    t.processor.mmu.invalidate(second);
    t.cpu.setRegister(ECX, 100);
    t.run(first);

    expect(t.register(EAX)).toBe(100 + 1600);
  });

  it('holds instructions that reach into the next page, until that page changes or is another one', () => {
    const { t, engine } = compiling({ hotLandings: 5 });
    const second = 0x21000,
      other = 0x22000;
    t.enablePaging();
    // again: add eax, n, of which n lies in the next page; dec ecx; jnz again; hlt.
    const at = second - 2;
    t.put(at, 0x83, 0xc0, 0x01, 0x49, 0x75, 0xfa, 0xf4);
    t.put(other, 0x10, 0x49, 0x75, 0xfa, 0xf4);
    const rounds = (): number => {
      t.cpu.setRegister(EAX, 0);
      t.cpu.setRegister(ECX, 100);
      const { crossings } = t.processor.code.counts;
      t.run(at);
      expect(t.register(EAX) % 100).toBe(0);
      return t.processor.code.counts.crossings - crossings;
    };
    rounds();
    expect(engine.counts.regions).toBeGreaterThan(0);
    expect(rounds()).toBeLessThan(10);
    expect(t.register(EAX)).toBe(100);

    t.put(second, 0x05);
    rounds();
    expect(t.register(EAX)).toBe(500);

    t.page(second, other, PTE.P | PTE.W | PTE.U);
    t.processor.mmu.invalidate(second);
    rounds();
    expect(t.register(EAX)).toBe(1600);
    t.page(second, second, PTE.P | PTE.W | PTE.U);
    t.processor.mmu.invalidate(second);
    rounds();
    expect(t.register(EAX)).toBe(500);
  });

  it('goes on behind an instruction that may transfer and does not', () => {
    const { t, engine } = compiling({ hotLandings: 1 });
    // again: add eax, 1; into; dec ecx; jnz again.
    t.execute(0xb9, ...le32(20), 0x83, 0xc0, 0x01, 0xce, 0x49, 0x75, 0xf9);

    expect(engine.counts.regions).toBeGreaterThan(0);
    expect(t.register(EAX)).toBe(20);
  });

  it('takes in what it calls once control has come by often, and is then left less', () => {
    const { t, engine } = compiling({ hotLandings: 1, hotEntries: 10 });
    // again: call f; dec ecx; jnz again; hlt. f: add eax, 1; ret.
    t.put(0x20000, 0xe8, ...le32(0x100 - 5), 0x49, 0x75, 0xf8, 0xf4);
    t.put(0x20100, 0x83, 0xc0, 0x01, 0xc3);
    t.cpu.setRegister(ECX, 2000);
    t.run(0x20000);

    expect(t.register(EAX)).toBe(2000);
    // The narrow ones of the loop were replaced.
    expect(engine.counts.dropped).toBeGreaterThan(0);
  });
  it('is led to by the same jumps when it takes the place of narrower code', () => {
    const { t, engine } = compiling({ hotLandings: 1, hotEntries: 10 });
    const { cpu } = t.processor;
    const known = (): number => cpu.i32[(cpu.base + JUMP.global) >> 2]!;
    t.put(0x20000, 0xe8, ...le32(0x100 - 5), 0x49, 0x75, 0xf8, 0xf4);
    t.put(0x20100, 0x83, 0xc0, 0x01, 0xc3);
    t.cpu.setRegister(ECX, 5);
    t.run(0x20000);
    const { dropped } = engine.counts,
      before = known();
    t.cpu.setRegister(ECX, 2000);
    t.run(0x20000);

    expect(engine.counts.dropped).toBeGreaterThan(dropped);
    expect(known()).toBe(before);
    expect(t.register(EAX)).toBe(2005);
  });

  it('looks up one window of memory for accesses around one address, at the edge of a page too', () => {
    const { t, engine } = compiling({ hotLandings: 1 });
    t.enablePaging().page(0x39000, 0x39000, 0);
    // again: mov eax, [esi]; mov [esi+8], eax; mov edx, [esi-4]; add esi, 4; jmp again. The store is what faults.
    t.put(0x38ff0, ...le32(7), ...le32(8), ...le32(9), ...le32(10));
    const outcome = t.execute(
      ...[0xbe, ...le32(0x38100), 0x8b, 0x06, 0x89, 0x46, 0x08, 0x8b, 0x56, 0xfc, 0x83, 0xc6, 0x04, 0xeb, 0xf3],
    );

    expect(engine.counts.regions).toBeGreaterThan(0);
    expect(outcome.exception).toEqual({ vector: 14, code: 2, eip: AT.code + 7 });
    expect(t.register(6)).toBe(0x38ff8);
    expect(t.register(EAX)).toBe(0);
  });

  it('is kept in bounds: the oldest goes', () => {
    const { t, engine } = compiling({ hotLandings: 1, mostBytes: 4096 });
    for (let n = 0; n < 40; n++) {
      t.put(0x20000 + n * 64, ...loop(5), 0xf4);
      t.run(0x20000 + n * 64);
    }

    expect(engine.counts.regions).toBeGreaterThan(30);
    expect(engine.counts.regions - engine.counts.dropped).toBeLessThan(8);
    expect(t.register(EAX)).toBe(40 * 15);
  });

  it('is taken into use by the region, within the time for a look, however many come at once', () => {
    const many = 40,
      translator = new TogetherTranslator(decoder()),
      { t, engine } = compiling({ hotLandings: 1, translator });
    for (let n = 0; n < many; n++) {
      t.put(0x20000 + n * 64, ...loop(2), 0xf4);
      t.run(0x20000 + n * 64);
    }
    // A millisecond goes by between any two looks at the clock.
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => ++now);
    translator.open();
    const taken: number[] = [];
    for (let before = engine.counts.regions; before < many; before = engine.counts.regions) {
      t.execute(0x90);
      taken.push(engine.counts.regions - before);
    }
    clock.mockRestore();

    // Where it lands there is asked for too, which looks once more.
    expect(taken.slice(0, -1)).toEqual([6, ...Array<number>(11).fill(3)]);
    expect(engine.counts.longestMs).toBe(3);
  });

  it('of one privilege is not run at the other', () => {
    const { t, engine } = compiling({ hotLandings: 1 });
    t.enablePaging();
    t.execute(...loop(10));
    const { regions } = engine.counts;
    // A page that only the system may read.
    t.page(AT.data, AT.data, PTE.P | PTE.W);
    t.processor.mmu.flush(true);
    t.enterUser();
    const outcome = t.execute(...loop(10), 0xa1, ...le32(AT.data));

    expect(regions).toBeGreaterThan(0);
    expect(outcome.exception?.vector).toBe(14);
  });

  it.each([
    ['to a user', { vector: 14, code: 5 }],
    ['to the system', undefined],
  ])('that went %s leaves the interpreter with the rights of where it is', (_, fault) => {
    const { t, engine } = compiling({ hotLandings: 5 });
    const system = 0x20000,
      behindInterrupt = 0x20040,
      user = 0x21000,
      rare = 0x22000;
    t.enablePaging()
      .page(AT.data, AT.data, PTE.P | PTE.W)
      .gate(0x30, behindInterrupt);
    // again: mov eax, [data]; push 23h; push stack; push 2; push 1Bh; push user; iret
    t.put(system, 0xa1, ...le32(AT.data), 0x6a, 0x23, 0x68, ...le32(AT.stack), 0x6a, 2, 0x6a, 0x1b, 0x68, ...le32(user), 0xcf); // prettier-ignore
    if (fault !== undefined) {
      // add esp, 20; jmp again. There: dec ecx; jz rare; int 30h
      t.put(behindInterrupt, 0x83, 0xc4, 20, 0xeb, 0xbb);
      t.put(user, 0x49, 0x0f, 0x84, ...le32(rare - user - 7), 0xcd, 0x30);
    } else {
      // add esp, 20; dec ecx; jnz again; jmp rare. There: int 30h
      t.put(behindInterrupt, 0x83, 0xc4, 20, 0x49, 0x75, 0xba, 0xe9, ...le32(rare - behindInterrupt - 11));
      t.put(user, 0xcd, 0x30);
    }
    // mov eax, [data], many times; hlt
    t.put(rare, ...Array.from({ length: 50 }, () => [0xa1, ...le32(AT.data)]).flat(), 0xf4);
    // Data that both may use: IRET would take away the system's own.
    for (const index of [DS, ES]) t.cpu.setSegment(index, SELECTOR.userData, 0, 0xffffffff, FLAT.userData);
    t.cpu.setRegister(ECX, 200);
    const { mmu } = t.processor;
    let looks = 0;
    const handlerRead = mmu.handlerRead.bind(mmu);
    mmu.handlerRead = (...args) => {
      looks++;
      return handlerRead(...args);
    };
    const outcome = t.run(system);

    expect(engine.counts.regions).toBeGreaterThan(1);
    expect(outcome.exception).toEqual(fault === undefined ? undefined : { ...fault, eip: rare });
    expect(t.register(ECX)).toBe(0);
    // What the TLB knows is not asked for again.
    expect(looks).toBeLessThan(20);
  });

  it('is asked for once while it is waited for, however long', () => {
    const translator = new LateTranslator(),
      { t, engine } = compiling({ hotLandings: 100, translator });
    t.put(AT.code, ...loop(300_000), 0xf4);
    t.run(AT.code, 2_000_000);
    expect(translator.asked).toBe(1);

    translator.isOpen = true;
    t.run(AT.code);
    expect(engine.counts.regions).toBe(1);
  });

  it('is asked for again where what came was of code that had been there before', () => {
    const translator = new LateTranslator(),
      { t, engine } = compiling({ hotLandings: 100, translator });
    t.execute(...loop(150));
    t.put(AT.code, ...loop(150).with(7, 5));
    t.run(AT.code);
    expect(translator.asked).toBe(1);

    translator.isOpen = true;
    t.run(AT.code);
    expect(translator.asked).toBe(2);
    expect(engine.counts.regions).toBe(1);
    expect(t.register(EAX)).toBe(150 * 3 + 2 * 150 * 5);
  });
});

describe('numbers', () => {
  /** again: mulss xmm0, xmm1; dec ecx; jnz again. */
  const LOOP = [0xf3, 0x0f, 0x59, 0xc1, 0x49, 0x75, 0xf9];
  function multiplying(
    first: number,
    factor: number,
  ): ReturnType<typeof compiling> & { run: (rounds: number) => number } {
    const found = compiling({ hotLandings: 4 }),
      { t } = found,
      { cpu } = t;
    // SSE as a system enables it; PE is masked, and has been raised.
    t.cr4(0x600).cpu.set('mxcsr', 0x1fa0);
    t.put(AT.code, ...LOOP, 0xf4);
    const xmm = (n: number): number => cpu.base + OFFSET.xmm + n * 16;
    cpu.data.setFloat32(xmm(0), first, true);
    cpu.data.setFloat32(xmm(1), factor, true);
    return {
      ...found,
      run: (rounds) => {
        cpu.setRegister(ECX, rounds);
        t.run(AT.code, 1e6);
        return cpu.data.getFloat32(xmm(0), true);
      },
    };
  }

  it('that are plain are computed where code is compiled', () => {
    const { run, engine } = multiplying(1, -1);

    expect(run(2001)).toBe(-1);
    expect(engine.counts.regions).toBe(1);
  });

  it('that are not get code that looks at each of them', () => {
    const tiny = Math.fround(2 ** -100);
    const { run, engine } = multiplying(tiny, -1);

    expect(run(100)).toBe(tiny);
    expect(engine.counts.regions).toBe(1);
    expect(run(2001)).toBe(-tiny);
    expect(run(100)).toBe(-tiny);
    expect(engine.counts.regions).toBe(2);
  });

  it('that leave what is plain on their way are right all along', () => {
    const { run } = multiplying(1, 0.5);

    expect(run(60)).toBe(2 ** -60);
    expect(run(60)).toBe(2 ** -120);
  });

  it('that are odd in a region of several entries have each of them made anew', () => {
    // Two loops, one after the other: mulss xmm0, xmm1; dec ecx; jnz / mulss xmm0, xmm1; dec edx; jnz.
    const SECOND = LOOP.with(4, 0x4a),
      EDX = 2;
    const translator = new GatheringTranslator(2),
      { t, engine } = compiling({ hotLandings: 4, translator }),
      { cpu } = t;
    t.cr4(0x600).cpu.set('mxcsr', 0x1fa0);
    t.put(AT.code, ...LOOP, ...SECOND, 0xf4);
    const tiny = Math.fround(2 ** -100),
      xmm = (n: number): number => cpu.base + OFFSET.xmm + n * 16;
    cpu.data.setFloat32(xmm(0), 1, true);
    cpu.data.setFloat32(xmm(1), -1, true);
    const run = (rounds: number): number => {
      cpu.setRegister(ECX, rounds);
      cpu.setRegister(EDX, rounds);
      t.run(AT.code, 1e6);
      return cpu.data.getFloat32(xmm(0), true);
    };

    for (let n = 0; n < 30 && translator.joined === 0; n++) run(7);
    expect([translator.joined, engine.counts.regions]).toEqual([1, 1]);
    cpu.data.setFloat32(xmm(0), tiny, true);
    for (let n = 0; n < 1000 && translator.joined === 1; n++) expect(run(2)).toBe(tiny);
    expect(run(101)).toBe(tiny);
    expect(translator.joined).toBe(2);
    expect(run(2)).toBe(tiny);
  });
});
