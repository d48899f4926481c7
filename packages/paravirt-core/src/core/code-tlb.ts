/**
 * Which page of decoded code a linear page is, and where jumps between compiled code lead: two tables in linear memory that the dispatch
 * loop and `chain` read (interpreter/chain.ts). What one forgets the other must not know either.
 */
import type { KeptCode } from './address-spaces.ts';
import type { Cpu } from './cpu.ts';
import { CODE_KEY, CODE_TLB_ENTRIES, JUMP, JUMP_BYTES } from './layout.ts';
import { NumberList } from './number-list.ts';
import type { TranslationWatcher } from './watchers.ts';

/** Numbers of jumps leave room for a mode of COMPILED. */
const JUMP_STEP = 4;
/** Pages of the address space in use, and global ones. A page may be both in turn. */
const KIND = { local: 1, global: 2 } as const;

/** What one kind of pages has, global ones or those of the address space: so that flushes look at nothing else. */
class Used {
  readonly bit: number;
  /** Code TLB entries, by the index of each one's tag. Some may be empty by now, or of the other kind. */
  readonly slots = new NumberList();
  /** Pages that jumps may be known to lead to. */
  readonly pages = new NumberList();

  constructor(bit: number) {
    this.bit = bit;
  }
}

/** Where pages are that an address space comes back with. */
export interface CodePlaces {
  /** The guest-physical page of a linear one that is not global, if code of it may be known; -1 otherwise. */
  frameOf(page: number): number;
  /** The map of 32-bit code of a guest-physical page; 0 for none. */
  mapOf(frame: number): number;
}

export class CodeTlb implements TranslationWatcher {
  private readonly cpu: Cpu;
  private readonly i32: Int32Array;
  /** Where the tables lie. */
  private readonly plan: { readonly codeTlb: number; readonly jumps: number };
  private readonly places: CodePlaces;
  private readonly local = new Used(KIND.local);
  private readonly global = new Used(KIND.global);
  /** By the place of an entry, KIND: in which of the lists it is. */
  private readonly listed = new Uint8Array(CODE_TLB_ENTRIES);
  /** By the place of an entry: whether its page is global, so that it outlives a load of CR3. */
  private readonly isGlobal = new Uint8Array(CODE_TLB_ENTRIES);
  private readonly jumpsAt: number;
  private jumpNumber = 0;
  /** How often all jumps were forgotten, those of address spaces that are not in use with them. */
  private epoch = 0;
  /** By linear page, KIND: as what it had an entry since jumps into it were forgotten. */
  private readonly executed = new Uint8Array(1 << 20);

  constructor(cpu: Cpu, plan: { readonly codeTlb: number; readonly jumps: number }, places: CodePlaces) {
    this.cpu = cpu;
    this.i32 = cpu.i32;
    this.plan = plan;
    this.places = places;
    cpu.set('codeTlb', plan.codeTlb);
    this.jumpsAt = cpu.base >> 2;
    this.i32[this.jumpsAt + JUMP.cache / 4] = plan.jumps;
    this.forgetJumps(true);
  }

  /** The map of the page of a linear address, in the mode that the processor is in. */
  enter(linear: number, map: number, isGlobal: boolean): void {
    this.fill(this.slotOf(linear >>> 12), (linear & ~0xfff) | this.cpu.get('codeKey'), map, isGlobal);
    this.noteExecuted(linear >>> 12, isGlobal ? this.global : this.local);
  }
  private fill(slot: number, tag: number, map: number, isGlobal: boolean): void {
    const place = this.placeOf(slot),
      { slots, bit } = isGlobal ? this.global : this.local;
    if ((this.listed[place]! & bit) === 0) {
      this.listed[place]! |= bit;
      slots.push(slot);
    }
    this.isGlobal[place] = isGlobal ? 1 : 0;
    this.i32[slot] = tag;
    this.i32[slot + 1] = map;
  }
  private noteExecuted(page: number, { bit, pages }: Used): void {
    if ((this.executed[page]! & bit) !== 0) return;
    this.executed[page]! |= bit;
    pages.push(page);
  }
  /** The data TLB has a page as a global one from now on, and so will `chain` when it notes a jump into it. */
  madeGlobal(page: number): void {
    if (this.executed[page] !== 0) this.noteExecuted(page, this.global);
  }
  /** Forgets pages: global ones only when `all`. */
  flush(all: boolean): void {
    this.empty(this.local);
    if (all) this.empty(this.global);
    this.forgetJumps(all);
  }
  private empty(used: Used): void {
    const { pages, bit } = used,
      { words, count } = pages;
    this.keep(used, () => false);
    for (let i = 0; i < count; i++) this.executed[words[i]!]! &= ~bit;
    pages.clear();
  }
  leaveSpace(kept: KeptCode): void {
    const { i32, local, places } = this,
      { pages, slots } = local;
    kept.number = i32[this.jumpsAt + JUMP.local / 4]!;
    kept.epoch = this.epoch;
    const { executed, entries } = kept;
    executed.clear();
    for (let i = 0; i < pages.count; i++) {
      const page = pages.words[i]!;
      executed.push(page);
      executed.push(places.frameOf(page));
    }
    entries.clear();
    for (let i = 0; i < slots.count; i++) {
      const slot = slots.words[i]!,
        tag = i32[slot]!;
      if (this.isGlobal[this.placeOf(slot)] !== 0 || (tag & CODE_KEY.big) === 0) continue;
      entries.push(slot);
      entries.push(tag);
      entries.push(i32[slot + 1]!);
      entries.push(places.frameOf(tag >>> 12));
    }
    this.empty(local);
  }
  /** Code of 16 bits is not kept. */
  enterSpace(kept: KeptCode): void {
    const { i32, places } = this,
      { words: executed, count: executions } = kept.executed,
      { words: entries, count } = kept.entries;
    let holds = kept.number !== 0 && kept.epoch === this.epoch;
    for (let i = 0; i < executions; i += 2) {
      const page = executed[i]!,
        frame = executed[i + 1]!;
      if (frame >= 0 && places.frameOf(page) === frame) this.noteExecuted(page, this.local);
      else holds = false;
    }
    i32[this.jumpsAt + JUMP.local / 4] = holds ? kept.number : this.nextNumber();
    for (let i = 0; i < count; i += 4) {
      const slot = entries[i]!,
        tag = entries[i + 1]!,
        map = entries[i + 2]!,
        frame = entries[i + 3]!;
      const isFree = i32[slot] === 0;
      if (isFree && frame >= 0 && places.frameOf(tag >>> 12) === frame && places.mapOf(frame) === map)
        this.fill(slot, tag, map, false);
    }
  }
  /** Forgets `pages` linear pages. */
  invalidate(page: number, pages: number): void {
    // Most of them are data.
    let found = 0;
    for (let i = page; i < page + pages; i++) found |= this.executed[i]!;
    if (found === 0) return;
    const slot = this.slotOf(page);
    if (pages > 1) this.keepThose((each) => ((this.i32[each]! >>> 12) - page) >>> 0 >= pages);
    else if (this.i32[slot]! >>> 12 === page) this.i32[slot] = 0;
    this.forgetJumps((found & KIND.global) !== 0);
  }
  /** Forgets pages whose maps will serve others. */
  forgetMaps(maps: readonly number[]): void {
    this.keepThose((slot) => !maps.includes(this.i32[slot + 1]!));
    this.forgetJumps(true);
  }
  /** No jump into a page that is not global is known any more, or into `all`. */
  forgetJumps(all: boolean): void {
    this.i32[this.jumpsAt + JUMP.local / 4] = this.nextNumber();
    if (!all) return;
    this.epoch++;
    this.i32[this.jumpsAt + JUMP.global / 4] = this.nextNumber();
  }
  /** Entries with other numbers do not hold; before one comes again they are all gone. */
  private nextNumber(): number {
    this.jumpNumber = (this.jumpNumber + JUMP_STEP) | 0;
    if (this.jumpNumber === 0) {
      this.cpu.u8.fill(0, this.plan.jumps, this.plan.jumps + JUMP_BYTES);
      this.epoch++;
      this.jumpNumber = JUMP_STEP;
    }
    return this.jumpNumber;
  }

  private slotOf(page: number): number {
    return (this.plan.codeTlb >> 2) + ((page & (CODE_TLB_ENTRIES - 1)) << 1);
  }
  private placeOf(slot: number): number {
    return (slot - (this.plan.codeTlb >> 2)) >> 1;
  }
  /** Empties all entries but those to keep. */
  private keepThose(isKept: (slot: number) => boolean): void {
    this.keep(this.local, isKept);
    this.keep(this.global, isKept);
  }
  /** The same with entries of one kind. Few are in use, and filling shared memory is slow. */
  private keep({ slots, bit }: Used, isKept: (slot: number) => boolean): void {
    const { i32, listed } = this,
      { words, count } = slots;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const slot = words[i]!,
        place = this.placeOf(slot),
        isOther = (bit === KIND.global) !== (this.isGlobal[place] !== 0);
      if (i32[slot] !== 0 && !isOther && isKept(slot)) words[kept++] = slot;
      else {
        if (!isOther) i32[slot] = 0;
        listed[place]! &= ~bit;
      }
    }
    slots.count = kept;
  }
}
