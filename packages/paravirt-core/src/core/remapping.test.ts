/** What firmware does: code in ROM, memory that appears and goes while it executes, paging structures where no memory is. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EAX, EBX, EXCEPTION } from '../isa/build.ts';
import { CR4 } from './cpu.ts';
import { AT, PTE, RAM_BYTES, TestProcessor, le32 } from './test-processor.ts';

const ALL = PTE.P | PTE.W | PTE.U;
const HLT = 0xf4,
  RET = 0xc3;
const MOV_EAX = (n: number): number[] => [0xb8, ...le32(n)];
const MOV_EBX = (n: number): number[] => [0xbb, ...le32(n)];
const READ_EAX = (at: number): number[] => [0xa1, ...le32(at)];
const WRITE_EAX = (at: number): number[] => [0xa3, ...le32(at)];
const CALL = (at: number): number[] => [0xba, ...le32(at), 0xff, 0xd2]; // MOV EDX,at; CALL EDX
const OUT = [0xe6, 0x80];
const INVLPG = (at: number): number[] => [0x0f, 0x01, 0x3d, ...le32(at)];
const RELOAD_CR3 = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
/** A guest-physical page beyond RAM, and two pages of RAM that are shown there in turn. */
const ROM = 0xffff_f000,
  FIRST = 0x3_0000,
  SECOND = 0x3_1000;
const PAGE = 0x40_0000;

const t = new TestProcessor();
const { code, mmu } = t.processor;
const show = (address: number, from: number, writable = false): void => {
  t.physical.map(address, t.physical.hostPage(from), 4096, writable);
  code.forgetRange(address, 4096);
};
beforeEach(() => {
  t.physical.unmap(RAM_BYTES, 2 ** 32 - RAM_BYTES);
  t.reset();
});

describe('memory that becomes other memory', () => {
  it('under the code that does it: the next instruction is the new one', () => {
    t.put(FIRST, ...OUT, ...MOV_EBX(1), HLT).put(SECOND, ...OUT, ...MOV_EBX(2), HLT);
    show(ROM, FIRST);
    t.bus.onAccess = () => show(ROM, SECOND);

    t.execute(...CALL(ROM));

    expect(t.register(EBX)).toBe(2);
  });
  it('under the code that does it by writing to a device, within a run', () => {
    t.put(FIRST, ...WRITE_EAX(0xa_0000_00), ...MOV_EBX(1), HLT).put(
      SECOND,
      ...WRITE_EAX(0xa_0000_00),
      ...MOV_EBX(2),
      HLT,
    );
    show(ROM, FIRST);
    t.bus.onAccess = () => show(ROM, SECOND);

    t.execute(...CALL(ROM));

    expect(t.register(EBX)).toBe(2);
  });
  it('by becoming none: all ones are no instruction', () => {
    t.put(FIRST, ...OUT, ...MOV_EBX(1), HLT);
    show(ROM, FIRST);
    t.bus.onAccess = () => {
      if (t.physical.hostPage(ROM) === 0) return;
      t.physical.unmap(ROM, 4096);
      code.forgetRange(ROM, 4096);
    };
    expect(t.execute(...CALL(ROM)).exception).toMatchObject({ vector: EXCEPTION.UD, eip: ROM + 2 });
  });
  it('elsewhere: code that was decoded there before is read anew', () => {
    t.put(FIRST, ...MOV_EBX(1), RET).put(SECOND, ...MOV_EBX(2), RET);
    show(ROM, FIRST);
    t.execute(...CALL(ROM));
    const old = t.register(EBX);
    show(ROM, SECOND);
    t.execute(...CALL(ROM));

    expect([old, t.register(EBX)]).toEqual([1, 2]);
  });
  it('leaves code elsewhere decoded', () => {
    t.put(FIRST, ...MOV_EBX(1), RET).put(SECOND, ...MOV_EBX(2), RET);
    t.execute(...CALL(SECOND));
    const { decoded, flushes } = code.counts;
    show(ROM, FIRST);
    t.run(AT.code);

    expect([code.counts.decoded, code.counts.flushes]).toEqual([decoded, flushes]);
  });
  it('and may be written from now on, or no more', () => {
    show(ROM, FIRST);
    t.execute(...MOV_EAX(7), ...WRITE_EAX(ROM));
    const asRom = t.u32(FIRST);
    show(ROM, FIRST, true);
    t.execute(...MOV_EAX(8), ...WRITE_EAX(ROM));
    const asRam = t.u32(FIRST);
    show(ROM, FIRST);
    t.execute(...MOV_EAX(9), ...WRITE_EAX(ROM));

    expect([asRom, asRam, t.u32(FIRST)]).toEqual([0, 8, 8]);
  });
});

describe('paging structures', () => {
  it('in ROM translate, and cannot be marked', () => {
    t.page(PAGE, AT.data, ALL).enablePaging();
    const entryAt = t.entryAt(PAGE),
      table = entryAt & ~0xfff;
    t.physical.map(table, t.physical.hostPage(table), 4096, false);
    t.put(AT.data, ...le32(5));
    t.execute(...READ_EAX(PAGE), ...WRITE_EAX(PAGE + 8));
    t.physical.map(table, t.physical.hostPage(table), 4096, true);

    expect([t.register(EAX), t.u32(AT.data + 8), t.entry(PAGE)]).toEqual([5, 5, AT.data | ALL]);
  });
  it('in the memory of a device are read and marked there', () => {
    const device = 0xa000_0000;
    t.enablePaging();
    t.view.setUint32(AT.directory + (PAGE >>> 22) * 4, device | ALL, true);
    le32(AT.data | ALL).forEach((byte, i) => t.bus.answers.set(device + i, byte));

    t.execute(...READ_EAX(PAGE));

    expect(t.bus.log).toEqual(['read4 a0000000', 'read4 a0000000', 'write4 a0000000 00004027']);
  });
  it('where nothing answers are all ones: an open bus maps an open bus', () => {
    t.enablePaging();
    t.view.setUint32(AT.directory + (PAGE >>> 22) * 4, 0xf000_0000 | ALL, true);

    expect(t.execute(...READ_EAX(PAGE + 4)).exception).toBeUndefined();
    expect([t.register(EAX), t.bus.log.at(-1)]).toEqual([0xffff_ffff, 'read4 fffff004']);
  });
  it('of all ones are reserved with large pages', () => {
    t.enablePaging({ cr4: CR4.PSE });
    t.view.setUint32(AT.directory + (PAGE >>> 22) * 4, 0xffff_ffff, true);

    expect(t.execute(...READ_EAX(PAGE)).exception).toMatchObject({ vector: EXCEPTION.PF, code: 9 });
  });
  it('in no memory at all end in a triple fault, not in the host', () => {
    t.enablePaging();
    t.cpu.set('cr3', 0xf000_0000);
    t.cpu.set('cr4', CR4.PSE);
    mmu.flush(true);
    expect(t.run(AT.code).reason).toBe('triple-fault');
  });
});

describe('what the TLBs keep', () => {
  it('a page fault forgets the entry that it met', () => {
    const OTHER = 0x7000;
    t.put(OTHER, ...le32(2)).put(AT.data, ...le32(1));
    t.page(PAGE, AT.data, PTE.P | PTE.U)
      .enablePaging()
      .enterUser();
    // Reading fills the entry; writing faults; the handler maps another frame and needs no INVLPG.
    expect(t.execute(...READ_EAX(PAGE), ...WRITE_EAX(PAGE)).exception?.code).toBe(7);
    t.page(PAGE, OTHER, ALL);

    expect(mmu.readLinear(PAGE, 4, true)).toBe(2);
  });
  it('code runs on without a walk when CR3 is loaded; once its entry was written it walks, if its page is not global', () => {
    const walksOf = (bits: number, written: boolean): number => {
      t.reset();
      t.put(FIRST, RET);
      t.page(PAGE, FIRST, ALL | bits).enablePaging({ cr4: CR4.PGE, bits: ALL | PTE.G });
      t.put(AT.code, ...CALL(PAGE), ...RELOAD_CR3, ...CALL(PAGE), HLT);
      t.run(AT.code);
      // Not marked as accessed any more.
      if (written) t.page(PAGE, FIRST, ALL | bits);
      mmu.walks = 0;
      t.run(AT.code);
      return mmu.walks;
    };
    expect([walksOf(PTE.G, false), walksOf(0, false)]).toEqual([0, 0]);
    expect([walksOf(PTE.G, true), walksOf(0, true)]).toEqual([0, 1]);
  });
  it('INVLPG forgets code of global pages too, and only its own', () => {
    t.put(FIRST, ...MOV_EAX(1), RET).put(SECOND, ...MOV_EAX(2), RET);
    t.page(PAGE, FIRST, ALL | PTE.G).enablePaging({ cr4: CR4.PGE, bits: ALL | PTE.G });
    const remap = [0xc7, 0x05, ...le32(t.entryAt(PAGE)), ...le32(SECOND | ALL | PTE.G)];
    const sum = [0x01, 0xc3]; // ADD EBX,EAX
    t.put(AT.code, ...CALL(PAGE), ...remap, ...INVLPG(PAGE), ...CALL(PAGE), ...sum, HLT);

    t.run(AT.code);

    expect(t.register(EBX)).toBe(2);
  });
  it('dropping one page leaves the others where they are found', () => {
    t.put(FIRST, RET).put(SECOND, RET);
    t.put(AT.code, ...CALL(FIRST), ...CALL(SECOND), HLT);
    t.enablePaging();
    t.run(AT.code);
    t.put(SECOND, RET);
    const looked = vi.spyOn(mmu, 'translateFetch');
    t.run(AT.code);
    const pages = looked.mock.calls.map(([linear]) => linear & ~0xfff);
    looked.mockRestore();
    expect(pages).toEqual([SECOND]);
  });
});
