/** What runs is what lies in memory: every way in which code that was decoded can change under the processor. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CS, DS, EAX, EBX, ECX, EDI, ES, ESI, EXCEPTION } from '../isa/build.ts';
import { RamWindow } from '../machine/guest-memory.ts';
import { ATTRIBUTE, CR4 } from './cpu.ts';
import { RECORD_BYTES } from './interpreter/record.ts';
import { AT, FLAT, PTE, SELECTOR, TestProcessor, dataSegment, le32 } from './test-processor.ts';

const ALL = PTE.P | PTE.W | PTE.U;
const HLT = 0xf4,
  NOP = 0x90,
  RET = 0xc3;
/** MOV EAX,n (five bytes; the value is at 1) and friends. */
const MOV_EAX = (n: number): number[] => [0xb8, ...le32(n)];
const MOV_BYTE = (at: number, value: number): number[] => [0xc6, 0x05, ...le32(at), value];
const JMP = (from: number, to: number): number[] => [0xe9, ...le32(to - from - 5)];
const CALL = (from: number, to: number): number[] => [0xe8, ...le32(to - from - 5)];
const INVLPG = (at: number): number[] => [0x0f, 0x01, 0x3d, ...le32(at)];
/** A function that returns a number, in a page of its own. */
const FUNCTION = 0x2_0000;
const ALIAS = 0x60_0000;
const SMALL_CODE = FLAT.code & ~ATTRIBUTE.big;

const t = new TestProcessor();
beforeEach(() => t.reset());

/** Programs are put together at `AT.code`, each part knowing where it lies. */
function program(...parts: readonly (readonly number[] | ((at: number) => readonly number[]))[]): number[] {
  const bytes: number[] = [];
  for (const part of parts) bytes.push(...(typeof part === 'function' ? part(AT.code + bytes.length) : part));
  return bytes;
}
const callFunction = (at: number): number[] => CALL(at, FUNCTION);
/** ADD EBX,EAX */
const SUM = [0x01, 0xc3];

describe('code that was rewritten runs as it is now', () => {
  beforeEach(() => t.put(FUNCTION, ...MOV_EAX(1), RET));
  /** Calls the function, changes it, and calls it again: 0x21 when the second call saw the change to 0x20. */
  function sumOver(change: readonly number[]): number {
    t.execute(...program(callFunction, SUM, change, callFunction, SUM));
    return t.register(EBX);
  }

  it.each([
    ['a byte', MOV_BYTE(FUNCTION + 1, 0x20)],
    ['a word', [0x66, 0xc7, 0x05, ...le32(FUNCTION + 1), 0x20, 0]],
    ['a doubleword', [0xc7, 0x05, ...le32(FUNCTION + 1), ...le32(0x20)]],
    ['a read and a write in one instruction', [0x80, 0x35, ...le32(FUNCTION + 1), 0x21]],
    ['XCHG', [0xb1, 0x20, 0x86, 0x0d, ...le32(FUNCTION + 1)]],
    ['PUSH', [0x89, 0xe5, 0xbc, ...le32(FUNCTION + 5), 0x6a, 0x20, 0x89, 0xec]],
  ])('by %s', (what, change) => {
    // PUSH 20h below FUNCTION+5 writes the whole immediate.
    expect([what, sumOver(change)]).toEqual([what, 0x21]);
  });
  it('by the last byte of a wider store that begins in the page before', () => {
    t.put(FUNCTION, 0xb0, 1, RET); // MOV AL,1
    t.execute(...program(callFunction, SUM, [0xc7, 0x05, ...le32(FUNCTION - 2), 0, 0, 0xb0, 0x20], callFunction, SUM));
    expect(t.register(EBX)).toBe(0x21);
  });
  it('by MOVQ and MOVUPS', () => {
    t.cr4(CR4.OSFXSR);
    t.put(AT.data, ...MOV_EAX(0x20), RET, NOP, NOP);
    const movq = [0x0f, 0x6f, 0x05, ...le32(AT.data), 0x0f, 0x7f, 0x05, ...le32(FUNCTION)];
    expect(sumOver(movq)).toBe(0x21);

    t.put(AT.data, ...MOV_EAX(0x40), RET).cpu.setRegister(EBX, 0);
    const movups = [0x0f, 0x10, 0x05, ...le32(AT.data), 0x0f, 0x11, 0x05, ...le32(FUNCTION)];
    expect(sumOver(movups)).toBe(0x60);
  });
  it.each([
    ['REP MOVSB', 0xa4, 1],
    ['REP MOVSD', 0xa5, 4],
  ])('by %s over the whole page', (_, opcode, bytes) => {
    t.put(AT.data, ...MOV_EAX(0x20), RET);
    const load = [0xbe, ...le32(AT.data), 0xbf, ...le32(FUNCTION), 0xb9, ...le32(4096 / bytes)];
    expect(sumOver([...load, 0xf3, opcode])).toBe(0x21);
  });
  it('by REP STOSB', () => {
    t.put(FUNCTION + 16, RET);
    // NOPs for all of MOV EAX,1 and RET; EAX keeps what STOSB used.
    expect(sumOver([0xb8, ...le32(NOP), 0xbf, ...le32(FUNCTION), 0xb9, ...le32(16), 0xf3, 0xaa])).toBe(NOP + 1);
  });
  it('by an alias: the same frame at another linear address', () => {
    t.page(ALIAS, FUNCTION, ALL).enablePaging();
    expect(sumOver(MOV_BYTE(ALIAS + 1, 0x20))).toBe(0x21);
  });
  it('by an alias whose page was writable before the code was decoded', () => {
    t.page(ALIAS, FUNCTION, ALL).enablePaging();
    t.execute(...program(MOV_BYTE(ALIAS + 100, 0), callFunction, SUM, MOV_BYTE(ALIAS + 1, 0x20), callFunction, SUM));
    expect(t.register(EBX)).toBe(0x21);
  });
  it('by a device, through the board', () => {
    const memory = new RamWindow(t.ram, (address, length) => t.processor.code.written(address, length));
    t.bus.onAccess = () => memory.write(FUNCTION, Uint8Array.from(MOV_EAX(0x20)));
    expect(sumOver([0xe6, 0x80])).toBe(0x21); // OUT 80h,AL starts the transfer
  });
  it('by a device that wrote to a view, in a range that begins and ends in other pages', () => {
    const memory = new RamWindow(t.ram, (address, length) => t.processor.code.written(address, length));
    t.bus.onAccess = () => {
      memory.view(FUNCTION + 1, 1)[0] = 0x20;
      memory.written(FUNCTION - 0x1800, 0x3000);
    };
    expect(sumOver([0xe6, 0x80])).toBe(0x21);
  });
  it('by the accessed bit of a descriptor that lies among it', () => {
    // The access byte of a descriptor is the immediate of MOV AL,92h: loading it sets bit 0.
    const descriptor = AT.gdt + SELECTOR.free;
    t.descriptor(SELECTOR.free, 0, 0xfffff, 0xc092);
    t.put(descriptor + 4, 0xb0).put(descriptor + 6, RET);
    const call = (at: number): number[] => CALL(at, descriptor + 4);
    // MOV EBX,EAX ; MOV ECX,selector ; MOV FS,ECX
    const loadFs = [0x89, 0xc3, 0xb9, ...le32(SELECTOR.free), 0x8e, 0xe1];

    t.execute(...program(call, loadFs, call));

    expect([t.register(EBX) & 0xff, t.register(EAX) & 0xff]).toEqual([0x92, 0x93]);
  });
  it('but not for the accessed bit of a page-table entry beside it', () => {
    t.enablePaging();
    const entry = t.page(ALIAS, AT.data, ALL).entryAt(ALIAS);
    // The entry itself never runs, but bytes behind it in its page do: setting A there drops nothing.
    t.put(entry + 4, RET);
    const before = t.processor.code.counts.invalidations;
    t.execute(
      ...program(
        (at) => CALL(at, entry + 4),
        [0xa1, ...le32(ALIAS)],
        (at) => CALL(at, entry + 4),
      ),
    );
    expect(t.entry(ALIAS) & PTE.A).toBe(PTE.A);
    expect(t.processor.code.counts.invalidations).toBe(before);
  });
});

describe('a run that changes itself', () => {
  it('sees the change in the very next instruction', () => {
    t.execute(...program((at) => [...MOV_BYTE(at + 8, 0x20), ...MOV_EAX(1)]));
    expect(t.register(EAX)).toBe(0x20);
  });
  it('sees a change of length: what was the middle of an instruction becomes one', () => {
    // MOV EAX,40404040h becomes NOP and four INC EAX.
    t.execute(...program((at) => [0x31, 0xc0, ...MOV_BYTE(at + 9, NOP), ...MOV_EAX(0x40404040)]));
    expect(t.register(EAX)).toBe(4);
  });
  it('sees changes that were made before, in a loop, every time', () => {
    // Adds 1, 2, .. 10: the loop increments its own immediate.
    t.execute(
      ...program(
        [0xb9, ...le32(10)],
        (at) => [0x81, 0xc3, ...le32(1), 0xfe, 0x05, ...le32(at + 2), 0xe2, 0xf2], // ADD EBX,1 ; INC [its 1] ; LOOP
      ),
    );
    expect(t.register(EBX)).toBe(55);
  });
  it('sees a change made through an alias by an instruction of 16-bit addressing', () => {
    t.page(ALIAS, AT.code, ALL).enablePaging();
    t.cpu.setSegment(DS, SELECTOR.data, ALIAS, 0xffffffff, FLAT.data);
    // 67h MOV BYTE [000Ah],20h (16-bit displacement: six bytes with the prefix) ; MOV EAX,1
    t.execute(0x67, 0xc6, 0x06, 0x07, 0x00, 0x20, ...MOV_EAX(1));
    expect(t.register(EAX)).toBe(0x20);
  });
  it('goes on in a run that was joined from elsewhere, as that is now', () => {
    // The tail is decoded first; later the head runs into it, having changed it.
    const tail = AT.code + 0x40;
    t.put(tail, ...MOV_EAX(1), HLT);
    t.run(tail);
    t.put(tail - 7, ...MOV_BYTE(tail + 1, 0x20));

    t.run(tail - 7);

    expect(t.register(EAX)).toBe(0x20);
  });
  it('REP MOVSB that overwrites itself goes on behind itself', () => {
    // ESI, EDI and ECX make the move replace REP MOVSB and what follows by MOV EAX,20h ; HLT.
    t.put(AT.data, NOP, NOP, ...MOV_EAX(0x20), HLT);
    t.cpu.setRegister(ESI, AT.data);
    t.cpu.setRegister(EDI, AT.code);
    t.cpu.setRegister(ECX, 8);
    t.execute(0xf3, 0xa4, ...MOV_EAX(1));
    expect(t.register(EAX)).toBe(0x20);
  });
});

describe('pages that plain data shares', () => {
  it('stay decoded while only bytes are written that never ran', () => {
    t.execute(NOP);
    const { counts } = t.processor.code;
    const before = counts.invalidations;

    t.execute(...MOV_BYTE(AT.code + 0x800, 1), ...MOV_BYTE(AT.code + 0xfff, 1));

    // Putting the program there was the one change.
    expect(counts.invalidations).toBe(before + 1);
  });
  it('become plain memory again once their code was overwritten', () => {
    t.put(FUNCTION, RET);
    t.execute(...program(callFunction, MOV_BYTE(FUNCTION, NOP)));
    expect(t.processor.code.hasCode(FUNCTION)).toBe(false);
  });
});

describe('an instruction that crosses a page', () => {
  const SECOND = FUNCTION + 0x1000;
  const START = SECOND - 3;
  /** MOV EAX,00CCBBAAh: three bytes in the first page, two in the second, and a RET. */
  const crossing = (a: number, b: number, c: number): number[] => [0xb8, a, b, c, 0, RET];
  const call = (at: number): number[] => CALL(at, START);
  function second(change: readonly number[]): number {
    t.execute(...program(call, call, change, call));
    return t.register(EAX);
  }

  it.each([
    ['first', MOV_BYTE(START + 1, 0x20), 0x030220],
    ['second', MOV_BYTE(SECOND, 0x20), 0x200201],
  ])('runs anew when its part in the %s page was rewritten', (_, change, value) => {
    t.put(START, ...crossing(1, 2, 3));
    expect(second(change)).toBe(value);
  });
  it('runs anew when both parts were rewritten by one store', () => {
    t.put(START, ...crossing(1, 2, 3));
    expect(second([0xc7, 0x05, ...le32(START + 1), 4, 5, 6, 0])).toBe(0x060504);
  });
  it.each([
    ['first', FUNCTION, 0x030220],
    ['second', SECOND, 0x200201],
  ])('runs anew when the %s page was mapped elsewhere', (_, page, value) => {
    const other = 0x3_0000;
    t.enablePaging();
    t.put(START, ...crossing(1, 2, 3));
    t.ram.copyWithin(other, page, page + 0x1000);
    t.put(page === FUNCTION ? other + 0xffe : other, 0x20);
    const remap = [0xc7, 0x05, ...le32(t.entryAt(page)), ...le32(other | ALL), ...INVLPG(page)];

    expect(second(remap)).toBe(value);
  });
  it('faults at the second page, with the registers as before it, when that is gone', () => {
    t.enablePaging();
    t.put(START, ...crossing(1, 2, 3));
    const remove = [0xc7, 0x05, ...le32(t.entryAt(SECOND)), ...le32(0), ...INVLPG(SECOND)];

    const { exception } = t.execute(...program(call, remove, [0x31, 0xc0], call));

    expect(exception).toEqual({ vector: EXCEPTION.PF, code: 0, eip: START });
    expect([t.cpu.get('cr2'), t.register(EAX)]).toEqual([SECOND, 0]);
  });
  it('is read by its mode: 16-bit code after 32-bit code', () => {
    // 32-bit: MOV EAX,imm32 ; RET. 16-bit: MOV AX,imm16 (done in the first page), then ADD AL,[BX+SI] and what follows.
    t.put(START, 0xb8, 1, 2, 3, 0, HLT);
    t.run(START);
    expect(t.register(EAX)).toBe(0x030201);

    t.put(SECOND, HLT);
    t.cpu.setSegment(CS, SELECTOR.code, 0, 0xffffffff, SMALL_CODE);
    t.cpu.setRegister(EAX, 0);
    t.run(START);
    expect(t.register(EAX)).toBe(0x0201);
  });
});

describe('16-bit and 32-bit code in one page', () => {
  it('keep their own readings of the same bytes, and lose both when one is rewritten', () => {
    // 32-bit: MOV EAX,90900001h ; HLT. 16-bit: MOV AX,1 ; NOP ; NOP ; HLT.
    t.put(FUNCTION, 0xb8, 1, 0, NOP, NOP, HLT);
    const seen = (attributes: number): number => {
      t.cpu.setSegment(CS, SELECTOR.code, 0, 0xffffffff, attributes);
      t.cpu.setRegister(EAX, 0);
      t.run(FUNCTION);
      return t.register(EAX);
    };
    const all = (): number[] => [seen(FLAT.code), seen(SMALL_CODE), seen(FLAT.code), seen(SMALL_CODE)];

    expect(all()).toEqual([0x90900001, 1, 0x90900001, 1]);
    t.put(FUNCTION + 1, 2);
    expect(all()).toEqual([0x90900002, 2, 0x90900002, 2]);
  });
  it('switch by far jumps within the page', () => {
    t.descriptor(SELECTOR.free, 0, 0xfffff, SMALL_CODE);
    // JMP 30h:small ; small: MOV AX,1 ; 66h JMP 08h:big ; big: MOV EAX,20h would be 16-bit otherwise
    const small = AT.code + 7,
      big = small + 3 + 8;
    t.execute(
      ...[0xea, ...le32(small), SELECTOR.free, 0],
      ...[0xb8, 1, 0, 0x66, 0xea, ...le32(big), SELECTOR.code, 0],
      ...MOV_EAX(0x1_0020),
    );
    expect(t.register(EAX)).toBe(0x1_0020);
  });
});

describe('the limit of CS', () => {
  /** A code segment over the same linear addresses that ends early. */
  const LIMITED = SELECTOR.free;
  const CODE32 = FLAT.code & ~ATTRIBUTE.granular;
  const jumpTo = (selector: number, offset: number): number[] => [0xea, ...le32(offset), selector, 0];

  it('inside a page ends execution exactly there', () => {
    t.descriptor(LIMITED, 0, FUNCTION + 2, CODE32);
    t.put(FUNCTION, 0x40, 0x40, 0x40, 0x40, HLT); // INC EAX

    const { exception } = t.execute(...jumpTo(LIMITED, FUNCTION));

    expect(exception).toEqual({ vector: EXCEPTION.GP, code: 0, eip: FUNCTION + 3 });
    expect(t.register(EAX)).toBe(3);
  });
  it('inside a page holds although the page has run under a segment without that limit', () => {
    t.descriptor(LIMITED, 0, FUNCTION + 2, CODE32);
    t.put(FUNCTION, 0x40, 0x40, 0x40, 0x40, RET);

    const { exception } = t.execute(...program(callFunction, [0x31, 0xc0], jumpTo(LIMITED, FUNCTION)));

    expect(exception).toEqual({ vector: EXCEPTION.GP, code: 0, eip: FUNCTION + 3 });
    expect(t.register(EAX)).toBe(3);
  });
  it('at the end of a page holds although the next page has run under another segment', () => {
    t.descriptor(LIMITED, 0, FUNCTION + 0xfff, CODE32);
    t.put(FUNCTION + 0xfff, 0x40, 0x40, RET);

    const { exception } = t.execute(
      ...program((at) => CALL(at, FUNCTION + 0xfff), [0x31, 0xc0], jumpTo(LIMITED, FUNCTION + 0xfff)),
    );

    expect(exception).toEqual({ vector: EXCEPTION.GP, code: 0, eip: FUNCTION + 0x1000 });
    expect(t.register(EAX)).toBe(1);
  });
  it('inside an instruction is #GP before it does anything', () => {
    t.descriptor(LIMITED, 0, FUNCTION + 3, CODE32);
    t.put(FUNCTION, ...MOV_EAX(0x20), RET);

    const { exception } = t.execute(...program(callFunction, [0x31, 0xc0], jumpTo(LIMITED, FUNCTION)));

    expect(exception).toEqual({ vector: EXCEPTION.GP, code: 0, eip: FUNCTION });
    expect(t.register(EAX)).toBe(0);
  });
  it.each([
    ['an instruction that crosses a page', FUNCTION + 0xffd],
    ['an instruction within a page', FUNCTION + 0x100],
  ])('ends at the last byte of %s without a fault', (_, at) => {
    t.descriptor(LIMITED, 0, at + 5, CODE32);
    t.put(at, ...MOV_EAX(0x20), HLT);

    expect(t.execute(...program(jumpTo(LIMITED, at))).exception).toBeUndefined();

    expect(t.register(EAX)).toBe(0x20);
  });
  it('is seen by a base that is not a multiple of a page', () => {
    t.descriptor(LIMITED, FUNCTION + 0x10, 2, CODE32);
    t.put(FUNCTION + 0x10, 0x40, 0x40, 0x40, 0x40, RET);

    const { exception } = t.execute(...program((at) => CALL(at, FUNCTION + 0x10), [0x31, 0xc0], jumpTo(LIMITED, 0)));

    expect(exception).toEqual({ vector: EXCEPTION.GP, code: 0, eip: 3 });
    expect(t.register(EAX)).toBe(3);
  });
});

describe('a base of CS within a page', () => {
  const BASED = SELECTOR.free;
  const BASE = FUNCTION + 0xc10;
  const jumpTo = (selector: number, offset: number): number[] => [0xea, ...le32(offset), selector, 0];
  beforeEach(() => t.descriptor(BASED, BASE, 0xffff, SMALL_CODE & ~ATTRIBUTE.granular));

  it('lets its first page be decoded once, and run in loops', () => {
    // MOV CX,100 ; INC AX ; LOOP -3 ; JMP $+1000h-5 (the next page) ; there: HLT
    t.put(BASE, 0xb9, 100, 0, 0x40, 0xe2, 0xfd, 0xe9, 0xf7, 0x0f).put(BASE + 0x1000, HLT);
    const before = t.processor.code.counts.decoded;
    t.execute(...jumpTo(BASED, 0));
    const { decoded } = t.processor.code.counts;
    expect(decoded - before).toBeGreaterThanOrEqual(6);
    t.cpu.setSegment(CS, SELECTOR.code, 0, 0xffffffff, FLAT.code);
    t.run(AT.code);

    expect([t.register(EAX), t.cpu.get('eip'), t.processor.code.counts.decoded]).toEqual([200, 0x1001, decoded]);
  });
  it('does not let a jump reach what lies before it', () => {
    // JMP -16 with 32-bit operands: EIP FFFFFFF6h is beyond the limit, though the byte lies in the page.
    t.put(BASE - 10, HLT).put(BASE, 0x66, 0xe9, ...le32(-16));
    expect(t.execute(...jumpTo(BASED, 0)).exception).toMatchObject({ vector: EXCEPTION.GP, eip: 0 });
  });
  it('wraps IP within the segment for 16-bit code', () => {
    // JMP -13: IP FFF6h, in the last page, of which CS has a part.
    t.put(BASE, 0xe9, ...le32(-13).slice(0, 2)).put(BASE + 0xfff6, 0x40, HLT);
    t.execute(...jumpTo(BASED, 0));
    expect([t.register(EAX), t.cpu.get('eip')]).toEqual([1, 0xfff8]);
  });
});

describe('the same frame under other addresses', () => {
  it('runs with EIP of where it is executed', () => {
    t.page(ALIAS, FUNCTION, ALL).enablePaging();
    // CALL +0 ; POP EAX ; RET
    t.put(FUNCTION, 0xe8, 0, 0, 0, 0, 0x58, RET);

    t.execute(...program(callFunction, [0x89, 0xc3], (at) => CALL(at, ALIAS)));

    expect([t.register(EBX), t.register(EAX)]).toEqual([FUNCTION + 5, ALIAS + 5]);
  });
  it('another frame at the same address runs after INVLPG, from the next instruction on', () => {
    // The page that is executing is itself mapped elsewhere.
    const other = 0x3_0000;
    t.enablePaging();
    const remap = [0xc7, 0x05, ...le32(t.entryAt(AT.code)), ...le32(other | ALL), ...INVLPG(AT.code)];
    t.put(other + remap.length, ...MOV_EAX(2), HLT);

    t.execute(...remap, ...MOV_EAX(1));

    expect(t.register(EAX)).toBe(2);
  });
  it('another frame runs after CR3 is loaded, even if the code was marked global while CR4.PGE is clear', () => {
    const other = 0x3_0000;
    t.enablePaging().page(FUNCTION, FUNCTION, ALL | PTE.G);
    t.put(FUNCTION, ...MOV_EAX(1), RET).put(other, ...MOV_EAX(0x20), RET);
    const remap = [0xc7, 0x05, ...le32(t.entryAt(FUNCTION)), ...le32(other | ALL | PTE.G)];
    const reload = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];

    t.execute(...program(callFunction, SUM, remap, reload, callFunction, SUM));

    expect(t.register(EBX)).toBe(1 + 0x20);
  });
  it('code that only the system may run is refused to users though it was run before', () => {
    t.enablePaging().page(FUNCTION, FUNCTION, PTE.P | PTE.W);
    t.put(FUNCTION, HLT);
    t.run(FUNCTION);
    t.enterUser();

    expect(t.run(FUNCTION).exception).toMatchObject({ vector: EXCEPTION.PF, code: 5 });
  });
});

describe('when there is no more room', () => {
  /** A chain of functions in pages of their own, each adding its number to EAX, then a HLT. */
  function chain(on: TestProcessor, pages: number, length = 0): number {
    const at = (i: number): number => 0x4_0000 + i * 0x1000;
    for (let i = 0; i < pages; i++) {
      const body = [...Array<number>(length).fill(NOP), 0x05, ...le32(i + 1)];
      on.put(at(i), ...body, ...(i === pages - 1 ? [HLT] : JMP(at(i) + body.length, at(i + 1))));
    }
    on.cpu.setRegister(EAX, 0);
    on.run(at(0));
    return (pages * (pages + 1)) / 2;
  }

  it('of page maps, everything is forgotten while it runs, and execution goes on', () => {
    const small = new TestProcessor({ code: { mapCount: 3 } });

    const expected = chain(small, 20);

    expect(small.register(EAX)).toBe(expected);
    expect(small.processor.code.counts.flushes).toBeGreaterThan(3);
  });
  it('of records, likewise', () => {
    const small = new TestProcessor({ code: { recordBytes: 200 * RECORD_BYTES } });

    const expected = chain(small, 20, 50);

    expect(small.register(EAX)).toBe(expected);
    expect(small.processor.code.counts.flushes).toBeGreaterThan(3);
  });
  it('loops whose code does not fit together still come to their end', () => {
    const small = new TestProcessor({ code: { mapCount: 1, recordBytes: 140 * RECORD_BYTES } });
    small.put(FUNCTION, 0x40, RET);
    // MOV ECX,50 ; loop: CALL FUNCTION ; LOOP loop
    small.execute(0xb9, ...le32(50), ...CALL(AT.code + 5, FUNCTION), 0xe2, 0xf9);

    expect(small.register(EAX)).toBe(50);
    expect(small.processor.code.counts.flushes).toBeGreaterThanOrEqual(50);
  });
  it('maps of pages that were dropped serve others, clean', () => {
    const small = new TestProcessor({ code: { mapCount: 2 } });
    const places = [0x2_0000, 0x2_1000, 0x2_2000];
    // Each place in turn: run it, overwrite it, and see that the next one is not taken for it.
    const flushesBefore = small.processor.code.counts.flushes;
    for (const [i, at] of places.entries()) {
      small.put(at, ...MOV_EAX(i + 1), HLT);
      small.run(at);
      expect(small.register(EAX)).toBe(i + 1);
      small.put(at, ...MOV_EAX(i + 0x11), HLT);
      small.run(at);
      expect(small.register(EAX)).toBe(i + 0x11);
      small.put(at, 0);
    }
    expect(small.processor.code.counts.flushes).toBe(flushesBefore);
  });
  it('a page that drops itself while its map goes to another page runs on correctly', () => {
    const small = new TestProcessor({ code: { mapCount: 2 } });
    // The function overwrites a NOP of its caller by INC ECX, which frees the caller's map, and calls a third page, which takes it.
    const third = 0x2_1000;
    small.put(third, 0x43, RET); // INC EBX
    small.put(FUNCTION, ...MOV_BYTE(AT.code + 6, 0x41), ...CALL(FUNCTION + 7, third), RET);
    small.execute(...CALL(AT.code, FUNCTION), NOP, NOP, 0x43);

    expect([small.register(ECX), small.register(EBX)]).toEqual([1, 2]);
  });
});

describe('an instruction that is patched before each run', () => {
  it('is decoded anew, and in the end it alone', () => {
    const patched = new TestProcessor({}),
      { counts } = patched.processor.code,
      rest = Array.from({ length: 40 }, () => NOP);
    patched.put(FUNCTION, ...MOV_EAX(0), ...rest, HLT);
    let decoded = 0;
    for (let i = 1; i <= 200; i++) {
      if (i === 101) decoded = counts.decoded;
      patched.put(FUNCTION + 1, i);
      patched.run(FUNCTION);
      expect(patched.register(EAX)).toBe(i);
    }
    expect(counts.decoded - decoded).toBeLessThan(100 * 3);
  });
  it('leaves a page that runs no more to be plain memory', () => {
    const patched = new TestProcessor({}),
      { code } = patched.processor;
    patched.put(FUNCTION, ...MOV_EAX(0), HLT);
    for (let i = 1; i <= 100; i++) {
      patched.put(FUNCTION + 1, i);
      patched.run(FUNCTION);
    }
    expect(code.hasCode(FUNCTION)).toBe(true);
    for (let i = 0; i < 100; i++) patched.put(FUNCTION + 1, i);
    expect(code.hasCode(FUNCTION)).toBe(false);
  });
});

describe('forgetting everything', () => {
  it('by a device, in the middle of a run that then changes itself, leaves nothing stale', () => {
    t.bus.onAccess = () => t.processor.code.flush();
    // OUT 80h,AL ; MOV BYTE [the 1],20h ; MOV EAX,1
    t.execute(0xe6, 0x80, ...MOV_BYTE(AT.code + 10, 0x20), ...MOV_EAX(1));
    expect(t.register(EAX)).toBe(0x20);
  });
});

describe('the A20 gate', () => {
  const MEGABYTE = 1 << 20;
  const close = (): void => {
    t.physical.addressMask = ~MEGABYTE >>> 0;
    t.processor.mmu.flush(true);
  };
  beforeEach(() => () => void (t.physical.addressMask = 0xffffffff));

  it('closed: code that is written a megabyte above runs as it is now', () => {
    close();
    t.put(FUNCTION, ...MOV_EAX(1), RET);
    t.execute(...program(callFunction, SUM, MOV_BYTE(MEGABYTE + FUNCTION + 1, 0x20), callFunction, SUM));
    expect(t.register(EBX)).toBe(0x21);
  });
  it('closed: page tables a megabyte above are those below', () => {
    t.page(ALIAS, FUNCTION, ALL).enablePaging();
    t.put(FUNCTION, 7);
    t.cpu.set('cr3', AT.directory + MEGABYTE);
    close();
    t.execute(0xa1, ...le32(ALIAS));
    expect(t.register(EAX)).toBe(7);
  });
  it('closed: a device below is reached from a megabyte above', () => {
    const device = 0xa000_0000;
    close();
    t.execute(0xa1, ...le32(device + MEGABYTE));
    expect(t.bus.log).toEqual(['read4 a0000000']);
  });
});

describe('code outside of memory', () => {
  it('runs from a device, one fetch after another', () => {
    const device = 0xa000_0000;
    [...MOV_EAX(0x20), HLT].forEach((byte, i) => t.bus.answers.set(device + i, byte));

    t.execute(...JMP(AT.code, device));

    expect(t.register(EAX)).toBe(0x20);
  });
  it('runs from memory that cannot be written', () => {
    const host = t.physical.hostPage(FUNCTION);
    t.put(FUNCTION, ...MOV_EAX(1), RET);
    t.physical.map(FUNCTION, host, 4096, false);

    t.execute(...program(callFunction, MOV_BYTE(FUNCTION + 1, 0x20), callFunction));

    t.physical.map(FUNCTION, host, 4096, true);
    expect(t.register(EAX)).toBe(1);
  });
});

describe('bytes that are no instruction', () => {
  it.each([
    ['an undefined opcode is #UD', [0x0f, 0x0b], EXCEPTION.UD],
    ['more than 15 bytes are #GP', [...Array<number>(15).fill(0x66), NOP], EXCEPTION.GP],
    ['LOCK before what cannot be locked is #UD', [0xf0, NOP], EXCEPTION.UD],
  ])('%s', (_, bytes, vector) => {
    expect(t.execute(NOP, ...bytes).exception).toMatchObject({ vector, eip: AT.code + 1 });
  });
  it.each([0xffe, 0xfff])('the same across a page, from offset %#x', (offset) => {
    const at = FUNCTION + offset;
    t.put(at, 0x0f, 0x0b);
    expect(t.run(at).exception).toMatchObject({ vector: EXCEPTION.UD, eip: at });
    t.put(at, ...Array<number>(16).fill(0x66));
    expect(t.run(at).exception).toMatchObject({ vector: EXCEPTION.GP, eip: at });
  });
  it('become one when they are rewritten', () => {
    t.put(FUNCTION, 0x0f, 0x0b, HLT);
    expect(t.run(FUNCTION).exception?.vector).toBe(EXCEPTION.UD);
    t.put(FUNCTION, NOP, NOP);
    expect(t.run(FUNCTION).exception).toBeUndefined();
  });
});

it('segments that data uses do not matter to code', () => {
  t.cpu.setSegment(DS, SELECTOR.data, 0x1000, 0x10, dataSegment());
  t.cpu.setSegment(ES, SELECTOR.data, 0x1000, 0x10, dataSegment());
  expect(t.execute(...MOV_EAX(7)).exception).toBeUndefined();
  expect(t.register(EAX)).toBe(7);
});
