/** Memory as a program sees it: segments, pages, the TLB, and accesses that are split or belong to a device. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CS, DS, EAX, EBX, ECX, EDI, ES, ESI, EXCEPTION, SS } from '../isa/build.ts';
import { ATTRIBUTE, CR0, CR4 } from './cpu.ts';
import { OFFSET, TLB } from './layout.ts';
import { AT, FLAT, PTE, RAM_BYTES, TestProcessor, dataSegment, le32 } from './test-processor.ts';

const { GP, PF } = EXCEPTION;
const HLT = 0xf4;
/** Page-fault error code bits. */
const CODE = { present: 1, write: 2, user: 4, reserved: 8 } as const;
/** A linear page that the tests map as they need. */
const PAGE = 0x50_0000;
const FRAME = 0x6000;
const ALL = PTE.P | PTE.W | PTE.U;
const READ_EAX = (at: number): number[] => [0xa1, ...le32(at)];
const WRITE_EAX = (at: number): number[] => [0xa3, ...le32(at)];
const INVLPG = (at: number): number[] => [0x0f, 0x01, 0x3d, ...le32(at)];
const RELOAD_CR3 = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
const TOGGLE_PGE = [0x0f, 0x20, 0xe0, 0x34, 0x80, 0x0f, 0x22, 0xe0, 0x34, 0x80, 0x0f, 0x22, 0xe0];
const DEVICE = 0xa000_0000;

const t = new TestProcessor();
beforeEach(() => t.reset());

/** What the TLB allows for a linear page. */
const cached = (linear: number): number =>
  t.cpu.i32[(t.cpu.get('tlb') >> 2) + (linear >>> 12)]! &
  (TLB.supervisorRead | TLB.supervisorWrite | TLB.userRead | TLB.userWrite);
const vectorOf = (program: readonly number[]): number | undefined => t.execute(...program).exception?.vector;

describe('accessed and dirty bits', () => {
  it('a read sets A in both entries and D in none', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();

    t.execute(...READ_EAX(PAGE));

    expect(t.entry(PAGE) & (PTE.A | PTE.D)).toBe(PTE.A);
    expect(t.u32(AT.directory + (PAGE >>> 22) * 4) & (PTE.A | PTE.D)).toBe(PTE.A);
  });
  it('a write sets A and D of the page, and only A of the directory entry', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();

    t.execute(...WRITE_EAX(PAGE));

    expect(t.entry(PAGE) & (PTE.A | PTE.D)).toBe(PTE.A | PTE.D);
    expect(t.u32(AT.directory + (PAGE >>> 22) * 4) & (PTE.A | PTE.D)).toBe(PTE.A);
  });
  it('a refused access sets neither of them in the page entry', () => {
    t.page(PAGE, FRAME, PTE.P | PTE.U).enablePaging({ cr0: CR0.WP });

    expect(vectorOf(WRITE_EAX(PAGE))).toBe(PF);

    expect(t.entry(PAGE) & (PTE.A | PTE.D)).toBe(0);
  });
  it('the TLB lets writes pass only once the page is dirty', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();

    t.execute(...READ_EAX(PAGE));
    expect(cached(PAGE)).toBe(TLB.supervisorRead | TLB.userRead);

    t.execute(...WRITE_EAX(PAGE));
    expect(cached(PAGE)).toBe(TLB.supervisorRead | TLB.supervisorWrite | TLB.userRead | TLB.userWrite);
  });
  it('a dirty bit that the system cleared is set again after INVLPG', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();
    t.execute(...WRITE_EAX(PAGE));
    t.page(PAGE, FRAME, ALL);

    t.execute(...INVLPG(PAGE), ...WRITE_EAX(PAGE));

    expect(t.entry(PAGE) & PTE.D).toBe(PTE.D);
  });
});

describe('page protection', () => {
  const cases: readonly [
    what: string,
    bits: number,
    user: boolean,
    write: boolean,
    wp: boolean,
    code: number | undefined,
  ][] = [
    ['an absent page, read by the system', 0, false, false, true, 0],
    ['an absent page, written by a user', 0, true, true, true, CODE.write | CODE.user],
    ["the system's page, read by a user", PTE.P | PTE.W, true, false, true, CODE.present | CODE.user],
    ["the system's page, written by a user", PTE.P | PTE.W, true, true, true, CODE.present | CODE.user | CODE.write],
    ['a read-only page, read by a user', PTE.P | PTE.U, true, false, true, undefined],
    ['a read-only page, written by a user', PTE.P | PTE.U, true, true, false, CODE.present | CODE.user | CODE.write],
    ['a read-only page, written by the system with WP', PTE.P, false, true, true, CODE.present | CODE.write],
    ['a read-only page, written by the system without WP', PTE.P, false, true, false, undefined],
  ];
  it.each(cases)('%s', (_, bits, user, write, wp, code) => {
    t.page(PAGE, FRAME, bits).enablePaging({ cr0: wp ? CR0.WP : 0 });
    if (user) t.enterUser();
    // HLT is not for users: the #GP that it gives is the end of a program that went well.
    const end = t.execute(...(write ? WRITE_EAX(PAGE + 8) : READ_EAX(PAGE + 8))).exception;

    if (code === undefined) expect(end?.vector).toBe(user ? GP : undefined);
    else expect(end).toEqual({ vector: PF, code, eip: AT.code });
    if (code !== undefined) expect(t.cpu.get('cr2')).toBe(PAGE + 8);
  });

  it('the rights of a page are those that directory and table both give', () => {
    t.page(PAGE, FRAME, ALL).enablePaging({ cr0: CR0.WP });
    const directoryAt = AT.directory + (PAGE >>> 22) * 4;
    t.view.setUint32(directoryAt, t.u32(directoryAt) & ~PTE.W, true);

    expect(vectorOf(WRITE_EAX(PAGE))).toBe(PF);
  });
  it('without WP the system writes to a read-only page of users, and users still may not', () => {
    t.page(PAGE, FRAME, PTE.P | PTE.U).enablePaging();
    expect(vectorOf(WRITE_EAX(PAGE))).toBeUndefined();
    expect(cached(PAGE) & TLB.userWrite).toBe(0);

    t.enterUser();
    expect(vectorOf(WRITE_EAX(PAGE))).toBe(PF);
  });
  it('setting WP takes effect on pages that the TLB knows as writable', () => {
    t.page(PAGE, FRAME, PTE.P).enablePaging();
    // MOV EDX,CR0 ; OR EDX,10000h ; MOV CR0,EDX
    const setWp = [0x0f, 0x20, 0xc2, 0x81, 0xca, ...le32(CR0.WP), 0x0f, 0x22, 0xc2];

    expect(vectorOf([...WRITE_EAX(PAGE), ...setWp, ...WRITE_EAX(PAGE)])).toBe(PF);
  });
  it('an instruction that reads and writes is refused as a write', () => {
    t.page(PAGE, FRAME, PTE.P | PTE.U)
      .enablePaging()
      .enterUser();

    // ADD [PAGE],EAX
    expect(t.execute(0x01, 0x05, ...le32(PAGE)).exception?.code).toBe(CODE.present | CODE.user | CODE.write);
  });
  it('fetching from an absent page names that page', () => {
    t.enablePaging();

    // JMP PAGE
    const end = t.execute(0xe9, ...le32(PAGE - (AT.code + 5))).exception;

    expect(end).toEqual({ vector: PF, code: 0, eip: PAGE });
    expect(t.cpu.get('cr2')).toBe(PAGE);
  });
});

describe('translations that are kept', () => {
  const OTHER = 0x7000;
  beforeEach(() => t.put(FRAME, ...le32(1)).put(OTHER, ...le32(2)));
  /** Reads the page, points it elsewhere, does `between`, and reads again: 1 is the old page, 2 the new one. */
  function seenAfter(between: readonly number[], bits: number = ALL): number {
    t.page(PAGE, FRAME, bits);
    const remap = [0xc7, 0x05, ...le32(t.entryAt(PAGE)), ...le32(OTHER | bits)];
    t.execute(...READ_EAX(PAGE), ...remap, 0x31, 0xc0, ...between, ...READ_EAX(PAGE));
    return t.register(EAX);
  }

  it('INVLPG forgets the page that it names', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();
    expect(seenAfter(INVLPG(PAGE + 0x123))).toBe(2);
  });
  it('INVLPG leaves other pages alone', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();
    expect(seenAfter(INVLPG(PAGE + 0x1000))).toBe(1);
  });
  it('INVLPG adds the base of the segment', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();
    t.cpu.setSegment(ES, 0x10, 0x1000, 0xffffffff, FLAT.data);
    expect(seenAfter([0x26, ...INVLPG(PAGE - 0x1000)])).toBe(2);
  });
  it('INVLPG forgets global pages too', () => {
    t.page(PAGE, FRAME, ALL | PTE.G).enablePaging({ cr4: CR4.PGE });
    expect(seenAfter(INVLPG(PAGE), ALL | PTE.G)).toBe(2);
  });
  it('loading CR3 forgets pages, but for global ones', () => {
    t.page(PAGE, FRAME, ALL).enablePaging({ cr4: CR4.PGE });
    expect(seenAfter(RELOAD_CR3)).toBe(2);
    t.processor.mmu.flush(true);
    expect(seenAfter(RELOAD_CR3, ALL | PTE.G)).toBe(1);
  });
  it('pages that are global at times, and at times not, are forgotten as what they were last', () => {
    t.page(PAGE, FRAME, ALL).enablePaging({ cr4: CR4.PGE });
    for (const bits of [ALL | PTE.G, ALL, ALL | PTE.G, ALL | PTE.G, ALL, ALL]) {
      expect(seenAfter(RELOAD_CR3, bits)).toBe((bits & PTE.G) === 0 ? 2 : 1);
      t.processor.mmu.invalidate(PAGE);
    }
    expect(seenAfter(TOGGLE_PGE, ALL | PTE.G)).toBe(2);
  });
  it('G means nothing while CR4.PGE is clear', () => {
    t.page(PAGE, FRAME, ALL | PTE.G).enablePaging();
    expect(seenAfter(RELOAD_CR3, ALL | PTE.G)).toBe(2);
  });
  it('changing CR4.PGE forgets global pages', () => {
    t.page(PAGE, FRAME, ALL | PTE.G).enablePaging({ cr4: CR4.PGE });
    expect(seenAfter(TOGGLE_PGE, ALL | PTE.G)).toBe(2);
  });
});

describe('pages of 4 MiB', () => {
  const LARGE = 0x80_0000;
  it('map 4 MiB at once, and carry A and D in the directory entry', () => {
    t.enablePaging({ cr4: CR4.PSE });
    t.largePage(LARGE, 0, ALL).put(0x3f_f000, ...le32(0x1234_5678));

    t.execute(...READ_EAX(LARGE + 0x3f_f000), ...WRITE_EAX(LARGE + 0x2_0000));

    expect(t.u32(0x2_0000)).toBe(0x1234_5678);
    expect(t.u32(AT.directory + (LARGE >>> 22) * 4) & (PTE.A | PTE.D)).toBe(PTE.A | PTE.D);
  });
  it('are page tables while CR4.PSE is clear', () => {
    t.enablePaging();
    t.page(PAGE, FRAME, ALL).put(FRAME, 7);
    const directoryAt = AT.directory + (PAGE >>> 22) * 4;
    t.view.setUint32(directoryAt, t.u32(directoryAt) | PTE.PS, true);

    t.execute(...READ_EAX(PAGE));

    expect(t.register(EAX)).toBe(7);
  });
  it.each([17, 21])('fault on reserved bit %i', (bit) => {
    t.enablePaging({ cr4: CR4.PSE });
    t.largePage(LARGE, 1 << bit, ALL);

    expect(t.execute(...READ_EAX(LARGE)).exception).toMatchObject({ vector: PF, code: CODE.present | CODE.reserved });
  });
  it('INVLPG with any address in them forgets all of them', () => {
    t.enablePaging({ cr4: CR4.PSE });
    t.largePage(LARGE, 0, ALL)
      .put(FRAME, 1)
      .put(0x40_0000 + FRAME, 2);
    const remap = [0xc7, 0x05, ...le32(AT.directory + (LARGE >>> 22) * 4), ...le32(0x40_0000 | ALL | PTE.PS)];

    t.execute(...READ_EAX(LARGE + FRAME), ...remap, ...INVLPG(LARGE + 0x10_0000), ...READ_EAX(LARGE + FRAME));

    expect(t.register(EAX)).toBe(2);
  });
});

describe('pages with decoded code', () => {
  const allowsWrites = (linear: number): boolean => (cached(linear) & (TLB.supervisorWrite | TLB.userWrite)) !== 0;
  it('lose their right to be written when code is decoded from them, under every linear address', () => {
    t.page(PAGE, AT.code, ALL)
      .page(PAGE + 0x1000, AT.code, ALL)
      .enablePaging();
    t.put(AT.data, ...WRITE_EAX(PAGE + 0xf00), ...WRITE_EAX(PAGE + 0x1f00), HLT);
    t.run(AT.data);
    expect([allowsWrites(PAGE), allowsWrites(PAGE + 0x1000)]).toEqual([true, true]);

    t.execute(0x90);

    expect([allowsWrites(PAGE), allowsWrites(PAGE + 0x1000)]).toEqual([false, false]);
  });
  it('never get it again while the code is known', () => {
    t.page(PAGE, AT.code, ALL).enablePaging();

    // Writes behind the code, first through one address, then through the other.
    t.execute(...WRITE_EAX(PAGE + 0xf00), ...WRITE_EAX(AT.code + 0xf00));

    expect([allowsWrites(PAGE), allowsWrites(AT.code)]).toEqual([false, false]);
  });
});

describe('accesses that cross a page', () => {
  const EDGE = PAGE + 0xffe;
  /** The two pages lie in frames that are not neighbours. */
  const both = (first: number, second: number): TestProcessor =>
    t
      .page(PAGE, FRAME, first)
      .page(PAGE + 0x1000, 0x5000, second)
      .enablePaging({ cr0: CR0.WP });

  it.each([
    ['2', [0x66, 0xa1, ...le32(PAGE + 0xfff)], 0xfff, 2],
    ['4', READ_EAX(EDGE), 0xffe, 4],
  ] as const)('read %s bytes from both frames', (_, program, offset, bytes) => {
    both(ALL, ALL);
    const inFirst = 0x1000 - offset;
    t.put(FRAME + offset, ...[1, 2, 3, 4].slice(0, inFirst)).put(0x5000, ...[1, 2, 3, 4].slice(inFirst));

    t.execute(...program);

    expect(t.register(EAX)).toBe(bytes === 2 ? 0x0201 : 0x04030201);
  });
  it('write 4 bytes into both frames', () => {
    both(ALL, ALL);
    t.cpu.setRegister(EAX, 0x04030201);

    t.execute(...WRITE_EAX(EDGE));

    expect([...t.ram.subarray(FRAME + 0xffe, FRAME + 0x1000)]).toEqual([1, 2]);
    expect([...t.ram.subarray(0x5000, 0x5002)]).toEqual([3, 4]);
  });
  it.each([
    ['the first page', 0, ALL, EDGE],
    ['the second page', ALL, 0, PAGE + 0x1000],
    ['both pages: the first is named', 0, 0, EDGE],
  ])('fault with nothing written when %s may not be', (_, first, second, named) => {
    both(first, second);
    t.cpu.setRegister(EAX, 0xffff_ffff);

    const { exception } = t.execute(...WRITE_EAX(EDGE));

    expect(exception?.vector).toBe(PF);
    expect(t.cpu.get('cr2')).toBe(named);
    expect([t.u32(FRAME + 0xffc), t.u32(0x5000)]).toEqual([0, 0]);
  });
  it.each([
    ['MOVQ [m],MM0 (8 bytes)', [0x0f, 0x7f, 0x05], 8, 0],
    ['MOVUPS [m],XMM0 (16 bytes)', [0x0f, 0x11, 0x05], 16, 0],
  ])('%s writes nothing when its second page may not be written', (_, opcode, bytes) => {
    both(ALL, PTE.P);
    t.cr4(CR4.OSFXSR);
    t.cpu.u8.fill(0xaa, t.cpu.base + OFFSET.xmm, t.cpu.base + OFFSET.xmm + 16);
    t.cpu.u8.fill(0xaa, t.cpu.base + OFFSET.fpr, t.cpu.base + OFFSET.fpr + 16);

    expect(vectorOf([...opcode, ...le32(PAGE + 0x1000 - bytes / 2)])).toBe(PF);

    expect(t.cpu.get('cr2')).toBe(PAGE + 0x1000);
    expect(t.ram.subarray(FRAME + 0x1000 - bytes, FRAME + 0x1000).every((byte) => byte === 0)).toBe(true);
  });
  it('go through 16 bytes as one value', () => {
    both(ALL, ALL);
    t.cr4(CR4.OSFXSR);
    const bytes = Array.from({ length: 16 }, (_, i) => i + 1);
    t.put(FRAME + 0xff9, ...bytes.slice(0, 7)).put(0x5000, ...bytes.slice(7));

    // MOVUPS XMM0,[PAGE+ff9] ; MOVUPS [PAGE+ffb],XMM0
    t.execute(0x0f, 0x10, 0x05, ...le32(PAGE + 0xff9), 0x0f, 0x11, 0x05, ...le32(PAGE + 0xffb));

    expect([...t.ram.subarray(FRAME + 0xffb, FRAME + 0x1000)]).toEqual(bytes.slice(0, 5));
    expect([...t.ram.subarray(0x5000, 0x500b)]).toEqual(bytes.slice(5));
  });
  it('read no device before the other page is known to be there', () => {
    t.page(PAGE, DEVICE, ALL)
      .page(PAGE + 0x1000, 0, 0)
      .enablePaging();

    expect(vectorOf(READ_EAX(EDGE))).toBe(PF);

    expect(t.bus.log).toEqual([]);
  });
});

describe('memory of devices', () => {
  it.each([
    ['1', [0xa0, ...le32(DEVICE + 4)], 0x44, ['read1 a0000004']],
    ['2', [0x66, 0xa1, ...le32(DEVICE + 4)], 0x5544, ['read2 a0000004']],
    ['4', [0xa1, ...le32(DEVICE + 4)], 0x77665544, ['read4 a0000004']],
  ] as const)('is read %s bytes wide in one access', (_, program, value, log) => {
    [0x44, 0x55, 0x66, 0x77].forEach((byte, i) => t.bus.answers.set(DEVICE + 4 + i, byte));

    t.execute(...program);

    expect(t.register(EAX)).toBe(value);
    expect(t.bus.log).toEqual(log);
  });
  it.each([
    ['1', [0xa2, ...le32(DEVICE)], ['write1 a0000000 81']],
    ['2', [0x66, 0xa3, ...le32(DEVICE)], ['write2 a0000000 9181']],
    ['4', [0xa3, ...le32(DEVICE)], ['write4 a0000000 b1a19181']],
  ] as const)('is written %s bytes wide in one access, unsigned', (_, program, log) => {
    t.cpu.setRegister(EAX, 0xb1a19181);

    t.execute(...program);

    expect(t.bus.log).toEqual(log);
  });
  it('is reached by 8 and 16 bytes as doublewords in rising order', () => {
    t.cr4(CR4.OSFXSR);
    // MOVQ MM0,[DEVICE] ; MOVUPS [DEVICE+20],XMM0
    t.execute(0x0f, 0x6f, 0x05, ...le32(DEVICE), 0x0f, 0x11, 0x05, ...le32(DEVICE + 0x20));

    expect(t.bus.log.map((line) => line.slice(0, 15).trim())).toEqual([
      'read4 a0000000',
      'read4 a0000004',
      'write4 a0000020',
      'write4 a0000024',
      'write4 a0000028',
      'write4 a000002c',
    ]);
  });
  it('is read and written once each by an instruction that does both', () => {
    t.bus.answers.set(DEVICE, 1);

    // ADD BYTE [DEVICE],5
    t.execute(0x80, 0x05, ...le32(DEVICE), 5);

    expect(t.bus.log).toEqual(['read1 a0000000', 'write1 a0000000 06']);
  });
  it('may hold page tables', () => {
    t.page(PAGE, FRAME, ALL).enablePaging();
    le32(FRAME | PTE.P).forEach((byte, i) => t.bus.answers.set(DEVICE + ((PAGE >>> 12) & 0x3ff) * 4 + i, byte));
    t.view.setUint32(AT.directory + (PAGE >>> 22) * 4, DEVICE | ALL, true);
    t.put(FRAME, 9);

    t.execute(...READ_EAX(PAGE));

    expect(t.register(EAX)).toBe(9);
    expect(t.bus.log.at(-1)).toBe(
      `write4 ${(DEVICE + ((PAGE >>> 12) & 0x3ff) * 4).toString(16)} ${(FRAME | PTE.P | PTE.A).toString(16).padStart(8, '0')}`,
    );
  });
  it('nothing happens to what was written beyond RAM', () => {
    t.execute(...WRITE_EAX(RAM_BYTES), ...READ_EAX(RAM_BYTES));

    expect(t.bus.log.map((line) => line.split(' ')[0])).toEqual(['write4', 'read4']);
    expect(t.register(EAX)).toBe(0xffff_ffff);
  });
  it('memory that cannot be written keeps its bytes, and no device hears of it', () => {
    t.physical.map(0x40_0000, t.physical.hostPage(0x40_0000), 4096, false);
    t.put(0x40_0000, ...le32(7));

    t.execute(...READ_EAX(0x40_0000), 0x40, ...WRITE_EAX(0x40_0000), 0x31, 0xc0, ...READ_EAX(0x40_0000));

    t.physical.map(0x40_0000, t.physical.hostPage(0x40_0000), 4096, true);
    expect(t.register(EAX)).toBe(7);
    expect(t.bus.log).toEqual([]);
  });
});

describe('segment limits', () => {
  const LIMIT = 0x7f;
  /** An access of `bytes` at an offset in DS or SS: the vector, or undefined when it went through. */
  function access(bytes: number, offset: number, write: boolean): number | undefined {
    const opcodes: Record<number, readonly [read: readonly number[], write: readonly number[]]> = {
      1: [
        [0x8a, 0x05],
        [0x88, 0x05],
      ],
      2: [
        [0x66, 0x8b, 0x05],
        [0x66, 0x89, 0x05],
      ],
      4: [
        [0x8b, 0x05],
        [0x89, 0x05],
      ],
      8: [
        [0x0f, 0x6f, 0x05],
        [0x0f, 0x7f, 0x05],
      ],
      16: [
        [0x0f, 0x10, 0x05],
        [0x0f, 0x11, 0x05],
      ],
    };
    return vectorOf([...opcodes[bytes]![write ? 1 : 0], ...le32(offset)]);
  }
  const WIDTHS = [1, 2, 4, 8, 16];

  it.each(WIDTHS)('accesses of %i bytes are allowed exactly up to the limit, from limit-15 on', (bytes) => {
    for (let offset = LIMIT - 16; offset <= LIMIT + 1; offset++)
      for (const write of [false, true]) {
        t.reset();
        t.cr4(CR4.OSFXSR);
        t.cpu.setSegment(DS, 0x10, AT.data, LIMIT, dataSegment());
        t.execute(0x8a, 0x05, ...le32(0)); // the page is in the TLB: the fast path decides
        const seen = access(bytes, offset, write);
        expect([offset, write, seen]).toEqual([offset, write, offset + bytes - 1 <= LIMIT ? undefined : GP]);
      }
  });
  it.each(WIDTHS)('a limit too small for %i bytes refuses them at every offset', (bytes) => {
    t.cr4(CR4.OSFXSR);
    t.cpu.setSegment(DS, 0x10, AT.data, bytes - 2, dataSegment());
    if (bytes > 1) expect(access(bytes, 0, false)).toBe(GP);
  });
  it.each(WIDTHS)('expand-down: accesses of %i bytes lie above the limit and below the end', (bytes) => {
    for (const [offset, legal] of [
      [LIMIT - bytes, false],
      [LIMIT, false],
      [LIMIT + 1, true],
      [0xffff - bytes + 1, true],
      [0xffff - bytes + 2, false],
    ] as const) {
      t.reset();
      t.cr4(CR4.OSFXSR);
      t.cpu.setSegment(DS, 0x10, 0x2_0000, LIMIT, dataSegment(ATTRIBUTE.expandDown) & ~ATTRIBUTE.big);
      expect([offset, access(bytes, offset, true)]).toEqual([offset, legal ? undefined : GP]);
    }
  });
  it('faults of the stack segment are #SS', () => {
    t.cpu.setSegment(SS, 0x10, 0, 0x7fff, dataSegment());
    t.gate(EXCEPTION.SS, AT.handlers + EXCEPTION.SS);

    // MOV EAX,SS:[8000]
    expect(vectorOf([0x36, ...READ_EAX(0x8000)])).toBe(EXCEPTION.SS);
  });
  it('data cannot be written through a code segment, nor read through one that is execute-only', () => {
    t.cpu.setSegment(DS, 0x10, 0, 0xffffffff, FLAT.code);
    expect(vectorOf(READ_EAX(AT.data))).toBeUndefined();
    expect(vectorOf(WRITE_EAX(AT.data))).toBe(GP);

    t.reset();
    t.cpu.setSegment(DS, 0x10, 0, 0xffffffff, FLAT.code & ~ATTRIBUTE.readable);
    expect(vectorOf(READ_EAX(AT.data))).toBe(GP);
  });
  it('nothing can be reached through a null segment', () => {
    t.cpu.setSegment(DS, 0, 0, 0, 0);
    expect(vectorOf(READ_EAX(0))).toBe(GP);
  });
  it('addresses wrap at 4 GiB: a base and an offset may meet beyond', () => {
    t.cpu.setSegment(DS, 0x10, 0xffff_f000, 0xffffffff, FLAT.data);
    t.put(AT.data, ...le32(0xcafe));

    t.execute(...READ_EAX(AT.data + 0x1000));

    expect(t.register(EAX)).toBe(0xcafe);
  });
  it('an access that wraps from the last byte of linear memory to the first reaches both', () => {
    t.page(0xffff_f000, FRAME, ALL).enablePaging();
    t.cpu.setSegment(DS, 0x10, 0xffff_f000, 0xffffffff, FLAT.data);
    t.put(FRAME + 0xffe, 1, 2).put(0, 3, 4);

    t.execute(...READ_EAX(0xffe));

    expect(t.register(EAX)).toBe(0x04030201);
  });
});

describe('string instructions in bulk', () => {
  const REP_MOVSB = [0xf3, 0xa4],
    REP_STOSB = [0xf3, 0xaa];
  function start(count: number, from: number, to: number): void {
    t.cpu.setRegister(ECX, count);
    t.cpu.setRegister(ESI, from);
    t.cpu.setRegister(EDI, to);
  }
  it.each([
    ['REP STOSB stops at the limit of ES', REP_STOSB, ES],
    ['REP MOVSB stops at the limit of ES', REP_MOVSB, ES],
    ['REP MOVSB stops at the limit of DS', REP_MOVSB, DS],
  ])('%s', (_, program, segment) => {
    const limit = 0x9f;
    t.cpu.setSegment(segment, 0x10, segment === ES ? 0x6000 : 0x5000, limit, dataSegment());
    if (segment === DS) t.cpu.setSegment(ES, 0x10, 0x6000, 0xffff, dataSegment());
    t.ram.fill(0x11, 0x5000, 0x5200);
    t.cpu.setRegister(EAX, 0x11);
    start(0x200, segment === DS ? 0 : 0x5000, 0);

    const { exception } = t.execute(...program);

    expect(exception?.vector).toBe(GP);
    expect([t.register(ECX), t.register(EDI)]).toEqual([0x200 - limit - 1, limit + 1]);
    expect(t.ram.subarray(0x6000, 0x6200).lastIndexOf(0x11)).toBe(limit);
  });
  it.each([0, 1, 3, 4, 100, 0xfff, 0x1000, 0x1234])(
    'REP MOVSB of %i bytes over page boundaries copies them all',
    (count) => {
      const source = Uint8Array.from({ length: count + 2 }, (_, i) => (i * 7 + 1) & 0xff);
      t.ram.set(source, 0x2_0f00);
      start(count, 0x2_0f00, 0x3_0ff3);

      t.execute(...REP_MOVSB);

      expect([t.register(ECX), t.register(ESI), t.register(EDI)]).toEqual([0, 0x2_0f00 + count, 0x3_0ff3 + count]);
      expect(t.ram.slice(0x3_0ff3, 0x3_0ff3 + count)).toEqual(source.slice(0, count));
      expect(t.ram[0x3_0ff3 + count]).toBe(0);
    },
  );
  it.each([-5, -1, 1, 3, 40])('REP MOVSB onto itself, %i bytes away, does as single moves do', (distance) => {
    const from = 0x2_0400;
    for (let i = 0; i < 256; i++) t.ram[from + i] = i;
    const expected = t.ram.slice(from - 64, from + 512);
    for (let i = 0; i < 200; i++) expected[64 + i + distance] = expected[64 + i]!;
    start(200, from, from + distance);

    t.execute(...REP_MOVSB);

    expect(t.ram.slice(from - 64, from + 512)).toEqual(expected);
  });
  it('REP STOSD stores a value of 32 bits at an odd address', () => {
    t.cpu.setRegister(EAX, 0x84838281);
    start(20, 0, 0x2_0001);

    t.execute(0xf3, 0xab);

    expect(t.u32(0x2_0001 + 19 * 4)).toBe(0x84838281);
    expect([t.ram[0x2_0000], t.ram[0x2_0001 + 80]]).toEqual([0, 0]);
  });
  it('a page that may not be written ends it with exact counts', () => {
    t.page(PAGE, FRAME, ALL)
      .page(PAGE + 0x1000, 0x5000, PTE.P)
      .enablePaging({ cr0: CR0.WP });
    start(0x300, 0, PAGE + 0xf00);

    expect(vectorOf([0xf3, 0xab])).toBe(PF);

    expect([t.register(ECX), t.register(EDI), t.cpu.get('cr2')]).toEqual([0x300 - 0x40, PAGE + 0x1000, PAGE + 0x1000]);
  });
  it('DF makes it run downwards', () => {
    [1, 2, 3].forEach((byte, i) => (t.ram[0x2_0000 + i] = byte));
    start(20, 0x2_0002, 0x2_0102);

    t.execute(0xfd, ...REP_MOVSB, 0xfc);

    expect([...t.ram.subarray(0x2_0100, 0x2_0103)]).toEqual([1, 2, 3]);
    expect(t.register(EDI)).toBe(0x2_0102 - 20);
  });
});

describe('alignment checking', () => {
  const AC = 1 << 18;
  const flags = (): void => void (t.cpu.eflags = t.cpu.eflags | AC);
  it('is for CPL 3 with CR0.AM and EFLAGS.AC', () => {
    t.cpu.set('cr0', t.cpu.get('cr0') | CR0.AM);
    flags();
    t.enterUser();
    expect(vectorOf(READ_EAX(AT.data + 1))).toBe(EXCEPTION.AC);
    t.cpu.setSegment(CS, 0x1b, 0, 0xffffffff, FLAT.userCode);
  });
  it.each([
    ['CR0.AM is clear', 0, AC, true],
    ['EFLAGS.AC is clear', CR0.AM, 0, true],
    ['CPL is 0', CR0.AM, AC, false],
  ])('is off while %s', (_, cr0, eflags, user) => {
    t.cpu.set('cr0', t.cpu.get('cr0') | cr0);
    t.cpu.eflags = t.cpu.eflags | eflags;
    if (user) t.enterUser();
    t.cpu.refreshMode();
    t.cpu.setRegister(EBX, 0);
    expect(vectorOf(READ_EAX(AT.data + 1))).not.toBe(EXCEPTION.AC);
  });
});
