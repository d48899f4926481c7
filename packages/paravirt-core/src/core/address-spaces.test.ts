/** What outlives a load of CR3: what page tables say still, and nothing else. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CR4 } from './cpu.ts';
import { OFFSET, TLB } from './layout.ts';
import { playSpaces } from './random-spaces.ts';
import { AT, PTE, TestProcessor } from './test-processor.ts';

const ALL = PTE.P | PTE.W | PTE.U;
/** Two pages, and a frame for each; the second space has the first page elsewhere. */
const PAGE = 0x50_0000,
  NEXT = 0x50_1000,
  FRAME = 0x3_0000,
  OTHER = 0x3_1000;
const SECOND = 0x20_0000;
const LARGE = 0x80_0000;

const t = new TestProcessor();
const { mmu } = t.processor;
const entryOf = (linear: number): number => t.cpu.i32[(t.cpu.get('tlb') >> 2) + (linear >>> 12)]!;
const load = (root: number): void => mmu.loadPageTables(root);
/** There and back again. */
const away = (): void => {
  load(SECOND);
  load(AT.directory);
};
const touch = (linear: number, write = false): number => mmu.translate(linear, write, false);
/** Page walks that something takes. */
const walksOf = (done: () => void): number => {
  const before = mmu.walks;
  done();
  return mmu.walks - before;
};
/** A root that maps what the first one does, but for the region of PAGE. */
function secondRoot(root = SECOND): void {
  for (let i = 0; i < 1024; i++) t.view.setUint32(root + i * 4, t.u32(AT.directory + i * 4), true);
  const table = root + 0x1000;
  t.view.setUint32(root + (PAGE >>> 22) * 4, table | ALL, true);
  t.view.setUint32(table + ((PAGE >>> 12) & 0x3ff) * 4, OTHER | ALL, true);
}
beforeEach(() => {
  t.reset();
  t.page(PAGE, FRAME, ALL).page(NEXT, FRAME + 0x1000, ALL);
  t.largePage(LARGE, 0x40_0000, ALL).enablePaging({ cr4: CR4.PGE | CR4.PSE });
  secondRoot();
});

describe('an address space that is entered again', () => {
  it('has its translations, and its rights, without a walk', () => {
    touch(PAGE, true);
    touch(NEXT);
    const [first, second] = [entryOf(PAGE), entryOf(NEXT)];
    load(SECOND);
    expect([entryOf(PAGE), entryOf(NEXT)]).toEqual([0, 0]);
    expect(touch(PAGE)).toBe(OTHER);

    expect(walksOf(() => load(AT.directory))).toBe(0);

    expect([entryOf(PAGE), entryOf(NEXT)]).toEqual([first, second]);
    expect(first & TLB.supervisorWrite).toBe(TLB.supervisorWrite);
    expect(second & TLB.supervisorWrite).toBe(0);
    expect([mmu.localFrame(PAGE >>> 12), mmu.localFrame(NEXT >>> 12)]).toEqual([FRAME >>> 12, (FRAME >>> 12) + 1]);
  });
  it('is the one that is in use, when CR3 names that: a flush', () => {
    touch(PAGE);
    touch(NEXT);
    t.page(PAGE, OTHER, ALL | PTE.A);

    load(AT.directory);

    expect([entryOf(PAGE), entryOf(NEXT) !== 0]).toEqual([0, true]);
    expect(touch(PAGE)).toBe(OTHER);
  });
  it('is the one that is in use, when it is renewed: what is global stays', () => {
    t.page(NEXT, FRAME + 0x1000, ALL | PTE.G);
    touch(PAGE);
    touch(NEXT);
    mmu.renew();
    expect([entryOf(PAGE) !== 0, entryOf(NEXT) !== 0]).toEqual([true, true]);
    t.page(PAGE, OTHER, ALL | PTE.A).page(NEXT, OTHER, ALL | PTE.A);

    mmu.renew();

    expect([entryOf(PAGE), mmu.isGlobal(NEXT)]).toEqual([0, true]);
    expect(touch(PAGE)).toBe(OTHER);
  });
  const table = (): number => t.entryAt(PAGE),
    directory = (): number => AT.directory + (PAGE >>> 22) * 4;
  const change = (at: number, to: (entry: number) => number): void => t.view.setUint32(at, to(t.u32(at)) >>> 0, true);
  it.each<[string, () => void]>([
    ['points elsewhere', () => change(table(), (e) => (e & 0xfff) | OTHER)],
    ['is absent', () => change(table(), (e) => e & ~PTE.P)],
    ['may not be written any more', () => change(table(), (e) => e & ~PTE.W)],
    ['may be used by users no more', () => change(table(), (e) => e & ~PTE.U)],
    ['is not marked as accessed any more', () => change(table(), (e) => e & ~PTE.A)],
    ['is not marked as dirty any more', () => change(table(), (e) => e & ~PTE.D)],
    ['has another table', () => change(directory(), (e) => (e & 0xfff) | (SECOND + 0x1000))],
    ['has no table', () => change(directory(), (e) => e & ~PTE.P)],
    ['has a table that is read-only', () => change(directory(), (e) => e & ~PTE.W)],
  ])('has nothing of a page that %s', (_, changed) => {
    touch(PAGE, true);
    load(SECOND);
    changed();
    load(AT.directory);

    expect(entryOf(PAGE)).toBe(0);
  });
  it('has what was written meanwhile, and written back', () => {
    touch(PAGE);
    load(SECOND);
    change(table(), (e) => (e & 0xfff) | OTHER);
    change(table(), (e) => (e & 0xfff) | FRAME);
    load(AT.directory);

    expect(entryOf(PAGE)).not.toBe(0);
    expect(touch(PAGE)).toBe(FRAME);
  });
  it('has parts of large pages, which INVLPG forgets as a whole', () => {
    touch(LARGE + 0x3000, true);
    touch(LARGE);
    away();
    expect([entryOf(LARGE) !== 0, entryOf(LARGE + 0x3000) !== 0]).toEqual([true, true]);

    mmu.invalidate(LARGE + 0x3f_f000);

    expect([entryOf(LARGE), entryOf(LARGE + 0x3000)]).toEqual([0, 0]);
    change(AT.directory + (LARGE >>> 22) * 4, (e) => e & ~PTE.D);
    away();
    expect(entryOf(LARGE + 0x3000)).toBe(0);
  });
  it('has nothing behind a flush of all', () => {
    touch(PAGE);
    load(SECOND);
    mmu.flush(true);
    load(AT.directory);
    expect(entryOf(PAGE)).toBe(0);
  });
  it('does not take a page from those that are global', () => {
    touch(PAGE);
    load(SECOND);
    t.view.setUint32(SECOND + 0x1000 + ((PAGE >>> 12) & 0x3ff) * 4, OTHER | ALL | PTE.G, true);
    mmu.invalidate(PAGE);
    touch(PAGE);
    const global = entryOf(PAGE);
    load(AT.directory);

    expect(global & TLB.global).toBe(TLB.global);
    expect(entryOf(PAGE)).toBe(global);
  });
  it('is forgotten where eight others were used since', () => {
    touch(PAGE);
    const roots = Array.from({ length: 8 }, (_, i) => SECOND + 0x10_0000 + i * 0x2000);
    for (const root of roots) secondRoot(root);
    for (const root of roots.slice(0, 7)) load(root);
    load(AT.directory);
    expect(entryOf(PAGE)).not.toBe(0);

    for (const root of roots) load(root);
    load(AT.directory);
    expect(entryOf(PAGE)).toBe(0);
  });
  it('has the pages that were found last, when there were too many', () => {
    const pages = 1200,
      at = (n: number): number => LARGE + n * 4096;
    const table = SECOND + 0x10_0000;
    for (let n = 0; n < pages; n++) t.view.setUint32(table + n * 4, FRAME | ALL, true);
    t.view.setUint32(AT.directory + (LARGE >>> 22) * 4, table | ALL, true);
    t.view.setUint32(AT.directory + (LARGE >>> 22) * 4 + 4, (table + 4096) | ALL, true);
    for (let n = 0; n < pages; n++) touch(at(n));
    expect(entryOf(at(0))).not.toBe(0);
    load(SECOND);
    const left = Array.from({ length: pages }, (_, n) => entryOf(at(n)));
    expect(left.every((entry) => entry === 0)).toBe(true);

    load(AT.directory);

    const kept = Array.from({ length: pages }, (_, n) => entryOf(at(n)) !== 0);
    expect(kept.indexOf(true)).toBeGreaterThan(0);
    expect(kept.slice(kept.indexOf(true)).every(Boolean)).toBe(true);
    expect(kept.filter(Boolean).length).toBeGreaterThanOrEqual(512);
  });
});

describe('a page of code', () => {
  it('is not written to behind the back of what was decoded, however long it was away', () => {
    touch(PAGE, true);
    expect(entryOf(PAGE) & TLB.supervisorWrite).not.toBe(0);
    load(SECOND);
    t.put(FRAME, 0xf4);
    t.run(FRAME);
    load(AT.directory);

    expect(entryOf(PAGE)).not.toBe(0);
    expect(entryOf(PAGE) & (TLB.supervisorWrite | TLB.userWrite)).toBe(0);
  });
});

describe('a breakpoint', () => {
  it('is met in an address space that is entered again too', () => {
    t.put(FRAME, 0x90, 0xf4);
    expect(t.run(PAGE)).toEqual({ reason: 'halted' });
    load(SECOND);
    t.processor.debug.write(0, PAGE);
    t.processor.debug.write(7, 0x402);
    load(AT.directory);

    expect(t.run(PAGE).exception?.vector).toBe(1);
  });
});

describe('watched data', () => {
  it('is watched in an address space that is entered again too', () => {
    touch(PAGE, true);
    load(SECOND);
    t.processor.debug.write(0, PAGE);
    t.processor.debug.write(7, 0x000f_0402);
    load(AT.directory);

    expect(entryOf(PAGE) & (TLB.supervisorRead | TLB.supervisorWrite)).toBe(0);
  });
});

describe('PAE', () => {
  const ROOT = 0x30_0000,
    PD = ROOT + 0x1000,
    TABLE = ROOT + 0x2000;
  /** A root with its directory and table for PAGE, and the identity by a page of 2 MiB. */
  const root = (n: number): number => ROOT + n * 0x2_0000;
  function build(n: number, frame: number): void {
    const by = n * 0x2_0000;
    t.view.setUint32(root(n), (PD + by) | PTE.P, true);
    t.view.setUint32(PD + by, ALL | PTE.PS, true);
    t.view.setUint32(PD + by + (PAGE >>> 21) * 8, (TABLE + by) | ALL, true);
    t.view.setUint32(TABLE + by + ((PAGE >>> 12) & 0x1ff) * 8, frame | ALL, true);
  }
  beforeEach(() => {
    build(0, FRAME);
    build(1, OTHER);
    t.cpu.set('cr3', root(0));
    t.cpu.set('cr4', CR4.PAE);
    t.cpu.set('efer', 0x800);
    mmu.walker.loadPointers(root(0));
    mmu.flush(true);
  });
  const entryAt = TABLE + ((PAGE >>> 12) & 0x1ff) * 8;
  it('keeps translations as well', () => {
    touch(PAGE, true);
    load(root(1));
    expect(touch(PAGE)).toBe(OTHER);

    expect(walksOf(() => load(root(0)))).toBe(0);

    expect(mmu.localFrame(PAGE >>> 12)).toBe(FRAME >>> 12);
    expect(touch(PAGE)).toBe(FRAME);
  });
  it.each<[string, () => void]>([
    ['may not be executed any more', () => t.view.setUint32(entryAt + 4, 0x8000_0000, true)],
    ['lies above 4 GiB', () => t.view.setUint32(entryAt + 4, 1, true)],
    ['has a table that may not be executed', () => t.view.setUint32(PD + (PAGE >>> 21) * 8 + 4, 0x8000_0000, true)],
    ['has another directory', () => t.view.setUint32(root(0), (PD + 0x2_0000) | PTE.P, true)],
  ])('but not of a page that %s', (_, changed) => {
    touch(PAGE);
    load(root(1));
    changed();
    load(root(0));
    expect(entryOf(PAGE)).toBe(0);
  });
  it('goes by the pointers that came with CR3', () => {
    touch(PAGE);
    t.view.setUint32(root(0), (PD + 0x2_0000) | PTE.P, true);
    expect(touch(PAGE)).toBe(FRAME);
    load(root(0));
    expect(touch(PAGE)).toBe(OTHER);
    expect(t.cpu.i32[(t.cpu.base + OFFSET.pdpte) >> 2]).toBe((PD + 0x2_0000) | PTE.P);
  });
});

describe('random systems', () => {
  it.each([false, true])('see what page tables say, or said since the page was forgotten; PAE: %s', (pae) => {
    const all = { loads: 0, kept: 0, stale: 0, faults: 0 };
    for (let seed = 1; seed <= 60; seed++) {
      const seen = playSpaces(t, seed, { pae, steps: 250 });
      for (const key of ['loads', 'kept', 'stale', 'faults'] as const) all[key] += seen[key];
    }
    // All of it has come about.
    expect(all.loads).toBeGreaterThan(3000);
    expect(all.kept).toBeGreaterThan(3000);
    expect(all.stale).toBeGreaterThan(20);
    expect(all.faults).toBeGreaterThan(500);
  });
});
