/**
 * Random systems with several address spaces, and what a processor may make of them: whatever is done to page tables, by whatever way, an
 * access finds what some walk would have found since the page was last forgotten (SDM vol. 3, 4.10.2 and 4.10.4), and what the TLB
 * holds right behind a load of CR3 is what page tables say then. Tests share it: the interpreter's and compiled code's.
 */
import { EAX, EDX } from '../isa/build.ts';
import { CR0, CR4, EFER } from './cpu.ts';
import { OFFSET, TLB } from './layout.ts';
import { AT, PTE, le32, numbers, type TestProcessor } from './test-processor.ts';

/** Where each space has its root, and behind it the structures that are its own; all of it below the identity's 256 KiB. */
const ROOTS = 0x2_4000,
  SPACES = 3,
  SPACE_BYTES = 0x3000;
/** Pages that are mapped at random, and what they are mapped to: each to its own frame where a large page maps them. */
const LINEAR = 0x43_0000,
  PAGES = 6,
  FRAMES = 0x3_0000,
  FRAME_COUNT = PAGES;
const HIGH_NX = 0x8000_0000 | 0;
/** Where programs lie, in the identity: CR3 from EAX, then three calls of EDX; EAX from EDX; EAX to EDX; INVLPG of EDX. */
const PROGRAM = { visit: 0x2000, read: 0x2100, write: 0x2200, invalidate: 0x2300 } as const;
const HLT = 0xf4;
const CALLS = [0xb9, 3, 0, 0, 0, 0xff, 0xd2, 0x49, 0x75, 0xfb, HLT];
/** Offsets in a frame: code that puts its mark into EAX, the mark, and a place to write to. */
const IN_FRAME = { code: 0, mark: 0x10, scratch: 0x800 } as const;

/** What a walk finds: `frame` -1 when nothing is mapped. */
interface Found {
  readonly frame: number;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly isGlobal: boolean;
  /** Both entries are marked as accessed, the page as dirty. */
  readonly accessed: boolean;
  readonly dirty: boolean;
}
export interface SpacesOptions {
  readonly pae: boolean;
  readonly steps: number;
}
/** What was seen, for tests that want to have seen enough. */
export interface SpacesSeen {
  loads: number;
  /** Translations that a load of CR3 has left in the TLB. */
  kept: number;
  stale: number;
  faults: number;
}

class RandomSpaces {
  private readonly t: TestProcessor;
  private readonly pae: boolean;
  private readonly random: (below: number) => number;
  /** Global pages are global. */
  private readonly pge: boolean;
  private current = 0;
  /** What the code of each frame answers, and its data. */
  private readonly marks: number[] = [];
  private lastMark = 0;
  /** What each page may be found as. */
  private possible: Found[][] = [];
  readonly seen: SpacesSeen = { loads: 0, kept: 0, stale: 0, faults: 0 };

  constructor(t: TestProcessor, seed: number, pae: boolean) {
    this.t = t;
    this.pae = pae;
    this.random = numbers(seed);
    this.pge = this.random(4) > 0;
    const { cpu } = t;
    t.reset();
    t.put(PROGRAM.visit, 0x0f, 0x22, 0xd8, ...CALLS).put(PROGRAM.read, 0x8b, 0x02, HLT);
    t.put(PROGRAM.write, 0x89, 0x02, HLT).put(PROGRAM.invalidate, 0x0f, 0x01, 0x3a, HLT);
    for (let frame = 0; frame < FRAME_COUNT; frame++) this.mark(frame);
    // The identity is everybody's, global or not: one table, at random.
    const low = this.random(2) === 0 ? PTE.P | PTE.W : PTE.P | PTE.W | PTE.G;
    for (let i = 0; i < 64; i++) this.put(AT.tables, i, i * 4096, low, 0);
    for (let space = 0; space < SPACES; space++) {
      const root = rootOf(space);
      if (pae) this.put(root, 0, root + 0x1000, PTE.P, 0);
      this.put(this.directoryOf(space), 0, AT.tables, PTE.P | PTE.W, 0);
      this.put(this.directoryOf(space), this.directoryIndex, this.tableOf(space), PTE.P | PTE.W, 0);
      for (let page = 0; page < PAGES; page++) this.map(space, page);
    }
    cpu.set('cr4', (this.pge ? CR4.PGE : 0) | (pae ? CR4.PAE : CR4.PSE));
    cpu.set('cr3', rootOf(0));
    cpu.set('efer', pae ? EFER.NXE : 0);
    if (pae) t.processor.mmu.walker.loadPointers(rootOf(0));
    cpu.set('cr0', (cpu.get('cr0') | CR0.PG | CR0.WP) >>> 0);
    cpu.refreshMode();
    t.processor.mmu.flush(true);
    this.possible = Array.from({ length: PAGES }, (_, page) => [this.walk(page)]);
  }
  private get directoryIndex(): number {
    return this.pae ? LINEAR >>> 21 : LINEAR >>> 22;
  }
  private indexOf(page: number): number {
    return ((LINEAR >>> 12) & (this.pae ? 0x1ff : 0x3ff)) + page;
  }
  private directoryOf(space: number): number {
    return this.pae ? rootOf(space) + 0x1000 : rootOf(space);
  }
  private tableOf(space: number): number {
    return this.directoryOf(space) + 0x1000;
  }
  /** Writes an entry, as a device or another alias would. */
  private put(table: number, index: number, address: number, bits: number, high: number): void {
    const at = table + index * (this.pae ? 8 : 4);
    this.t.view.setUint32(at, address | bits, true);
    if (this.pae) this.t.view.setInt32(at + 4, high, true);
  }
  private read(table: number, index: number): { readonly low: number; readonly high: number } {
    const at = table + index * (this.pae ? 8 : 4);
    return { low: this.t.u32(at), high: this.pae ? this.t.view.getInt32(at + 4, true) : 0 };
  }
  /** Writes code and data of its own to a frame, as a device would. */
  private mark(frame: number): void {
    const at = FRAMES + frame * 4096,
      mark = ++this.lastMark;
    this.marks[frame] = mark;
    this.t.put(at + IN_FRAME.code, 0xb8, ...le32(mark), 0xc3).put(at + IN_FRAME.mark, ...le32(mark));
  }
  private map(space: number, page: number): void {
    const { random } = this;
    const bits =
      (random(6) === 0 ? 0 : PTE.P) |
      (random(3) === 0 ? 0 : PTE.W) |
      (random(4) === 0 ? PTE.G : 0) |
      (random(2) === 0 ? PTE.A : 0) |
      (random(4) === 0 ? PTE.A | PTE.D : 0);
    const high = random(4) === 0 ? HIGH_NX : 0;
    this.put(this.tableOf(space), this.indexOf(page), FRAMES + random(FRAME_COUNT) * 4096, bits, high);
  }
  /** What page tables say of a page of the space in use; nothing is marked. */
  private walk(page: number): Found {
    const { pae, t } = this,
      root = t.cpu.get('cr3');
    // Pointers are the processor's own: they change with CR3 alone.
    const directory = pae ? t.cpu.i32[(t.cpu.base + PDPTE) >> 2]! & ~0xfff : root;
    const pde = this.read(directory, this.directoryIndex),
      isLarge = (pde.low & PTE.PS) !== 0,
      pte = isLarge ? pde : this.read(pde.low & ~0xfff, this.indexOf(page));
    const both = pde.low & pte.low;
    return {
      frame: (both & PTE.P) === 0 ? -1 : isLarge ? page : ((pte.low & ~0xfff) - FRAMES) / 4096,
      writable: (both & PTE.W) !== 0,
      executable: ((pde.high | pte.high) & HIGH_NX) === 0,
      isGlobal: this.pge && (pte.low & PTE.G) !== 0,
      accessed: (both & PTE.A) !== 0,
      dirty: (pte.low & PTE.D) !== 0,
    };
  }
  /** Page tables have changed: what is found from now on. */
  private look(): void {
    this.possible.forEach((found, page) => found.push(this.walk(page)));
  }

  step(): void {
    const { random } = this,
      page = random(PAGES);
    switch (random(10)) {
      case 0:
      case 1:
        this.map(random(SPACES), random(PAGES));
        return this.look();
      case 2:
        this.changeDirectory();
        return this.look();
      case 3:
        this.run(PROGRAM.invalidate, page, 0);
        this.possible[page] = [this.walk(page)];
        return;
      case 4:
        return this.access(page, false);
      case 5:
        return this.access(page, true);
      case 6:
        return this.mark(random(FRAME_COUNT));
      default:
        return this.visit(random(3) === 0 ? this.current : random(SPACES), page);
    }
  }
  private changeDirectory(): void {
    const { random, pae } = this,
      space = random(SPACES);
    const entry = this.read(this.directoryOf(space), this.directoryIndex);
    if (pae && random(3) === 0)
      return this.put(rootOf(space), 0, this.directoryOf(random(3) === 0 ? random(SPACES) : space), PTE.P, 0);
    const isLarge = random(4) === 0,
      table = random(3) === 0 || (entry.low & PTE.PS) !== 0 ? this.tableOf(random(SPACES)) : entry.low & ~0xfff;
    const bits = (random(8) === 0 ? 0 : PTE.P) | (random(4) === 0 ? 0 : PTE.W) | (random(2) === 0 ? PTE.A : 0);
    const large = PTE.PS | (random(2) === 0 ? PTE.A | PTE.D : 0) | (random(4) === 0 ? PTE.G : 0);
    const high = random(6) === 0 ? HIGH_NX : 0;
    this.put(this.directoryOf(space), this.directoryIndex, isLarge ? 0 : table, isLarge ? bits | large : bits, high);
  }
  /** Runs a program; whether it ended by itself. */
  private run(program: number, page: number, eax: number, offset = 0): boolean {
    const { cpu } = this.t;
    cpu.setRegister(EDX, LINEAR + page * 4096 + offset);
    cpu.setRegister(EAX, eax);
    cpu.setRegister(4, AT.stack);
    const { exception } = this.t.run(program);
    // A fault has walked, whatever it found.
    if (exception !== undefined) this.seen.faults++;
    if (exception !== undefined && exception.vector !== 14) throw new Error(`vector ${exception.vector}`);
    cpu.set('halted', 0);
    return exception === undefined;
  }
  /** Loads CR3 and calls code in a page three times. */
  private visit(space: number, page: number): void {
    this.current = space;
    // Global translations stay, whatever tables say by now; the identity's are the same in all.
    const before = this.possible.map((found) => found.filter(({ isGlobal }) => isGlobal));
    const load = this.t.processor.mmu.loadPageTables.bind(this.t.processor.mmu);
    this.t.processor.mmu.loadPageTables = (cr3) => {
      load(cr3);
      this.seen.loads++;
      this.possible = before.map((found, n) => [...found, this.walk(n)]);
      this.inspect();
    };
    let ended: boolean;
    try {
      ended = this.run(PROGRAM.visit, page, rootOf(space));
    } finally {
      this.t.processor.mmu.loadPageTables = load;
    }
    const found = this.possible[page]!;
    if (!ended)
      this.expect(
        found.some(({ frame, executable }) => frame < 0 || !executable),
        page,
        'fault of a fetch',
      );
    else {
      const mark = this.t.register(EAX);
      this.expect(
        found.some(({ frame, executable }) => frame >= 0 && executable && this.marks[frame] === mark),
        page,
        `code of ${mark.toString(16)}`,
      );
      this.expectMarked(page, false);
    }
  }
  private access(page: number, write: boolean): void {
    const stamp = 1 + this.random(0xffff_fff),
      found = this.possible[page]!;
    for (let frame = 0; frame < FRAME_COUNT; frame++)
      this.t.view.setUint32(FRAMES + frame * 4096 + IN_FRAME.scratch, 0, true);
    const ended = write
      ? this.run(PROGRAM.write, page, stamp, IN_FRAME.scratch)
      : this.run(PROGRAM.read, page, 0, IN_FRAME.mark);
    const may = found.filter(({ frame, writable }) => frame >= 0 && (writable || !write));
    if (!ended) return this.expect(may.length < found.length, page, 'fault');
    const got = write
      ? Array.from({ length: FRAME_COUNT }, (_, n) => n).filter(
          (n) => this.t.u32(FRAMES + n * 4096 + IN_FRAME.scratch) === stamp,
        )
      : [this.marks.indexOf(this.t.register(EAX))];
    this.expect(got.length === 1 && may.some(({ frame }) => frame === got[0]), page, `frame ${got.join()}`);
    if (got[0] !== found.at(-1)!.frame) this.seen.stale++;
    this.expectMarked(page, write);
  }
  /** Where nothing has changed since the page was forgotten, an access has left its marks. */
  private expectMarked(page: number, write: boolean): void {
    if (this.possible[page]!.length > 1) return;
    const { accessed, dirty } = this.walk(page);
    this.expect(accessed && (dirty || !write), page, 'marks');
  }
  /** Right behind a load of CR3: what is not global in the TLB is what page tables say. */
  private inspect(): void {
    const { cpu, physical } = this.t;
    for (let page = 0; page < PAGES; page++) {
      const linear = LINEAR + page * 4096,
        entry = cpu.i32[(cpu.get('tlb') >> 2) + (linear >>> 12)]!;
      if (entry === 0 || (entry & TLB.global) !== 0) continue;
      this.seen.kept++;
      const { frame, writable, executable, isGlobal, accessed, dirty } = this.walk(page),
        host = ((entry & ~0xfff) + linear) >>> 0;
      const holds =
        frame >= 0 &&
        accessed &&
        !isGlobal &&
        host === physical.hostPage(FRAMES + frame * 4096) &&
        this.t.processor.mmu.localFrame(linear >>> 12) === FRAMES / 4096 + frame &&
        ((entry & TLB.supervisorWrite) === 0 || (writable && dirty)) &&
        (entry & (TLB.userRead | TLB.userWrite)) === 0 &&
        executable === ((entry & TLB.noExecute) === 0);
      this.expect(holds, page, `kept ${(entry >>> 0).toString(16)}`);
    }
  }
  private expect(holds: boolean, page: number, what: string): void {
    if (!holds) throw new Error(`${what} of page ${page}, which may be ${JSON.stringify(this.possible[page])}`);
  }
}
const rootOf = (space: number): number => ROOTS + space * SPACE_BYTES;
const PDPTE = OFFSET.pdpte;

/** Plays one such system. Throws an Error that says what no processor does. */
export function playSpaces(t: TestProcessor, seed: number, { pae, steps }: SpacesOptions): SpacesSeen {
  const spaces = new RandomSpaces(t, seed, pae);
  for (let step = 0; step < steps; step++) {
    try {
      spaces.step();
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step}: ${(error as Error).message}`, { cause: error });
    }
  }
  return spaces.seen;
}
