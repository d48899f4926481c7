/**
 * Translations that outlive a load of CR3. It forgets all pages that are not global (SDM vol. 3, 4.10.4.1), and systems load it with each
 * switch between processes, after which every page would be walked to once more. Here each translation is kept with the paging-structure
 * entries that it came from. When CR3 names the address space again, those of its translations are back at once whose entries are in memory
 * what they were: what a walk would find now, as processors may look up pages ahead of their use, if only they are marked as accessed
 * (4.10.2.3). So it does not matter who has written to page tables meanwhile, by which address, or how often, and nobody has to tell.
 */
import type { Cpu } from './cpu.ts';
import { OFFSET, TLB } from './layout.ts';
import { NumberList } from './number-list.ts';
import type { PageWalker } from './paging.ts';

/** Address spaces that are remembered; the one that was used longest ago goes. */
const MOST_SPACES = 8;
/**
 * Translations of one: all are looked at with each load of CR3, for some nanoseconds each, and most programs use fewer. When they are more
 * the older half goes, so that what is used no more is forgotten some time.
 */
const MOST_RECORDS = 1024;
/** Words of a record: the page, its TLB entry and guest-physical page, and where in linear memory its two entries lie and what they were. */
const AT = {
  page: 0,
  entry: 1,
  frame: 2,
  directoryAt: 3,
  directory: 4,
  directoryHigh: 5,
  tableAt: 6,
  table: 7,
  tableHigh: 8,
  isLarge: 9,
} as const;
const WORDS = 10;
const PAGES = 1 << 20;
/** Halves of the page-directory-pointer entries. */
const POINTER_WORDS = 8;
/** The root of an address space that has none yet. */
const NO_ROOT = -1;

/** Code of an address space that is not in use: what `CodeTlb` knows of pages that are not global. */
export interface KeptCode {
  /** The number that jumps carry, 0 = none, and when it was the last one: see `CodeTlb`. */
  number: number;
  epoch: number;
  /** By fours: index of the code TLB entry's tag, tag, map, guest-physical page. */
  readonly entries: NumberList;
  /** By twos: pages that jumps may lead to, and their guest-physical pages. */
  readonly executed: NumberList;
}

class AddressSpace {
  root = NO_ROOT;
  readonly pointers = new Int32Array(POINTER_WORDS);
  readonly records = new Int32Array(MOST_RECORDS * WORDS);
  count = 0;
  readonly code: KeptCode = { number: 0, epoch: 0, entries: new NumberList(), executed: new NumberList() };

  forget(): void {
    this.root = NO_ROOT;
    this.count = 0;
    this.code.number = 0;
    this.code.entries.clear();
    this.code.executed.clear();
  }
}

/** The TLB, and what else decides of its entries. */
export interface TranslationTables {
  readonly entries: Int32Array;
  /** Guest-physical page of each entry. */
  readonly frames: Uint32Array;
  /** An entry that page tables give, as it may be in the TLB now. */
  restricted(page: number, frame: number, entry: number): number;
  /** A page is part of a large one. */
  foundLarge(page: number): void;
  /** A page goes on having an entry, and is kept no longer. */
  dropped(page: number): void;
}

export class AddressSpaces {
  private readonly cpu: Cpu;
  private readonly tables: TranslationTables;
  /** The page-directory-pointer entries that the processor has loaded. */
  private readonly pointers: Int32Array;
  /** The one that is in use, then the others, the latest first. */
  private readonly spaces: AddressSpace[] = [new AddressSpace()];
  /** By page, where the space in use has its record, if there is one. */
  private readonly places = new Uint16Array(PAGES);

  constructor(cpu: Cpu, tables: TranslationTables) {
    this.cpu = cpu;
    this.tables = tables;
    const at = (cpu.base + OFFSET.pdpte) >> 2;
    this.pointers = cpu.i32.subarray(at, at + POINTER_WORDS);
  }

  private get current(): AddressSpace {
    return this.spaces[0]!;
  }
  /** Code of the address space in use, for whoever takes it out of its tables and puts it back. */
  get code(): KeptCode {
    return this.current.code;
  }
  /** Pages of the address space in use that are kept, perhaps with no entry any more. */
  *pages(): Generator<number> {
    const { records, count } = this.current;
    for (let i = 0; i < count; i++) yield records[i * WORDS + AT.page]!;
  }

  /** The last walk has led to this entry. False when it is not kept, and whoever fills the TLB has to remember the page. */
  note(page: number, entry: number, frame: number, walker: PageWalker): boolean {
    const { cpu, current: space } = this,
      root = walker.root;
    if (space.root !== root) {
      // Somebody has changed CR3 in passing.
      if (space.root !== NO_ROOT) return false;
      this.adopt(space, root);
    }
    const directory = cpu.physical.hostPage(walker.directoryAt),
      table = cpu.physical.hostPage(walker.tableAt);
    if (directory === 0 || table === 0) return false;
    const { records } = space;
    let place = this.places[page]!;
    if (place >= space.count || records[place * WORDS + AT.page] !== page) {
      if (space.count === MOST_RECORDS) this.shed(space);
      place = space.count++;
      this.places[page] = place;
    }
    const at = place * WORDS;
    records[at + AT.page] = page;
    records[at + AT.entry] = entry;
    records[at + AT.frame] = frame;
    records[at + AT.directoryAt] = (directory + (walker.directoryAt & 0xfff)) >>> 2;
    records[at + AT.directory] = walker.directory;
    records[at + AT.directoryHigh] = walker.directoryHigh;
    records[at + AT.tableAt] = (table + (walker.tableAt & 0xfff)) >>> 2;
    records[at + AT.table] = walker.table;
    records[at + AT.tableHigh] = walker.tableHigh;
    records[at + AT.isLarge] = walker.large ? 1 : 0;
    return true;
  }
  private adopt(space: AddressSpace, root: number): void {
    space.root = root;
    space.pointers.set(this.pointers);
  }
  /** Makes room: the older half of the records goes. */
  private shed(space: AddressSpace): void {
    const { records } = space,
      half = MOST_RECORDS / 2;
    for (let i = 0; i < half; i++) this.tables.dropped(records[i * WORDS + AT.page]!);
    records.copyWithin(0, half * WORDS);
    space.count = MOST_RECORDS - half;
    for (let i = 0; i < space.count; i++) this.places[records[i * WORDS + AT.page]!] = i;
  }

  /** Takes the space in use out of the TLB. Pages that have become global stay. */
  leave(): void {
    const { entries } = this.tables,
      { records, count } = this.current;
    for (let at = 0, end = count * WORDS; at < end; at += WORDS) {
      const page = records[at + AT.page]!;
      if ((entries[page]! & TLB.global) === 0) entries[page] = 0;
    }
  }
  /** Forgets the space in use, which has been left, or all of them. */
  forget(all: boolean): void {
    if (!all) return this.current.forget();
    for (const space of this.spaces) space.forget();
  }
  /**
   * CR3 has been loaded, `root` by the walker's reckoning, and the space in use has been left: the one that it names is in use, with what holds
   * of it in the TLB. `isPae`: with entries of 64 bits, and the pointer entries that go with CR3. Answers how many translations hold, and of
   * how many an entry was written.
   */
  enter(root: number, isPae: boolean): { readonly kept: number; readonly written: number } {
    const { spaces } = this,
      space = this.spaceOf(root);
    for (let n = spaces.indexOf(space); n > 0; n--) spaces[n] = spaces[n - 1]!;
    spaces[0] = space;
    const { pointers } = this;
    // Without PAE they mean nothing, and are what they were.
    if (isPae && space.pointers.some((word, i) => word !== pointers[i])) space.forget();
    this.adopt(space, root);
    const before = space.count;
    this.restore(space, isPae);
    return { kept: space.count, written: before - space.count };
  }
  /** The space with a root, or one that has none. */
  private spaceOf(root: number): AddressSpace {
    const { spaces } = this;
    let free: AddressSpace | undefined;
    for (const space of spaces) {
      if (space.root === root) return space;
      if (space.root === NO_ROOT) free = space;
    }
    if (free === undefined && spaces.length < MOST_SPACES) spaces.push((free = new AddressSpace()));
    const space = free ?? spaces.at(-1)!;
    space.forget();
    return space;
  }
  private restore(space: AddressSpace, isPae: boolean): void {
    const { places, tables } = this,
      { i32 } = this.cpu,
      { entries, frames } = tables,
      { records } = space,
      end = space.count * WORDS;
    let to = 0;
    for (let at = 0; at < end; at += WORDS) {
      const directoryAt = records[at + AT.directoryAt]!,
        tableAt = records[at + AT.tableAt]!;
      const holds =
        i32[tableAt] === records[at + AT.table] &&
        i32[directoryAt] === records[at + AT.directory] &&
        (!isPae ||
          (i32[tableAt + 1] === records[at + AT.tableHigh] && i32[directoryAt + 1] === records[at + AT.directoryHigh]));
      const page = records[at + AT.page]!;
      // What is global by now stays until it is forgotten by itself.
      if (!holds || (entries[page]! & TLB.global) !== 0) continue;
      const frame = records[at + AT.frame]!;
      // In this order: threads that translate read both.
      frames[page] = frame;
      entries[page] = tables.restricted(page, frame, records[at + AT.entry]!);
      if (records[at + AT.isLarge] !== 0) tables.foundLarge(page);
      places[page] = to / WORDS;
      if (to !== at) records.copyWithin(to, at, at + WORDS);
      to += WORDS;
    }
    space.count = to / WORDS;
  }
}
