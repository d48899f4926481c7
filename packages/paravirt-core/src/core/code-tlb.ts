/**
 * Which page of decoded code a linear page is, and where jumps between compiled code lead: two tables in linear memory that the dispatch
 * loop and `chain` read (interpreter/chain.ts). What one forgets the other must not know either.
 */
import type { KeptCode } from './address-spaces.ts';
import type { Cpu } from './cpu.ts';
import { CODE_KEY, CODE_TLB_ENTRIES, JUMP, JUMP_BYTES } from './layout.ts';

/** Numbers of jumps leave room for a mode of COMPILED. */
const JUMP_STEP = 4;
/** A page had an entry since jumps into it were forgotten, as one of the address space and as a global one. */
const EXECUTED = { local: 1, global: 2 } as const;

export class CodeTlb {
  private readonly cpu: Cpu;
  private readonly i32: Int32Array;
  /** Where the tables lie. */
  private readonly plan: { readonly codeTlb: number; readonly jumps: number };
  /** Entries that are not empty: the index of each one's tag. */
  private readonly slots = new Uint32Array(CODE_TLB_ENTRIES);
  private used = 0;
  /** By the place of the entry: whether its page is global, so that it outlives a load of CR3. */
  private readonly isGlobal = new Uint8Array(CODE_TLB_ENTRIES);
  private readonly jumpsAt: number;
  private jumpNumber = 0;
  /** How often all jumps were forgotten, those of address spaces that are not in use with them. */
  private epoch = 0;
  /** By linear page, EXECUTED: whether jumps may be known that lead there. */
  private readonly executed = new Uint8Array(1 << 20);
  /** Pages that are in it. */
  private executedPages: number[] = [];

  constructor(cpu: Cpu, plan: { readonly codeTlb: number; readonly jumps: number }) {
    this.cpu = cpu;
    this.i32 = cpu.i32;
    this.plan = plan;
    cpu.set('codeTlb', plan.codeTlb);
    this.jumpsAt = cpu.base >> 2;
    this.i32[this.jumpsAt + JUMP.cache / 4] = plan.jumps;
    this.forgetJumps(true);
  }

  /** The map of the page of a linear address, in the mode that the processor is in. */
  enter(linear: number, map: number, isGlobal: boolean): void {
    const slot = (this.plan.codeTlb >> 2) + (((linear >>> 12) & (CODE_TLB_ENTRIES - 1)) << 1);
    if (this.i32[slot] === 0) this.slots[this.used++] = slot;
    this.noteExecuted(linear >>> 12, isGlobal);
    this.isGlobal[this.placeOf(slot)] = isGlobal ? 1 : 0;
    this.i32[slot] = (linear & ~0xfff) | this.cpu.get('codeKey');
    this.i32[slot + 1] = map;
  }
  private noteExecuted(page: number, isGlobal: boolean): void {
    const before = this.executed[page]!;
    if (before === 0) this.executedPages.push(page);
    this.executed[page] = before | (isGlobal ? EXECUTED.global : EXECUTED.local);
  }
  /** The data TLB has a page as a global one from now on, and so will `chain` when it notes a jump into it. */
  madeGlobal(page: number): void {
    if (this.executed[page] !== 0) this.executed[page]! |= EXECUTED.global;
  }
  /** Forgets pages: global ones only when `all`. */
  flush(all: boolean): void {
    this.keep((slot) => !all && this.isGlobal[this.placeOf(slot)] !== 0);
    this.forgetJumps(all);
    this.keepExecuted(all ? 0 : EXECUTED.global);
  }
  /** Forgets which pages were executed, but for those of some kinds. */
  private keepExecuted(kinds: number): void {
    const { executed } = this;
    this.executedPages = this.executedPages.filter((page) => (executed[page]! &= kinds) !== 0);
  }
  /**
   * An address space is left: what is known of its pages, and of no global ones, goes into `kept`. `frameOf` has the guest-physical page of
   * one of them, or -1.
   */
  leaveSpace(kept: KeptCode, frameOf: (page: number) => number): void {
    const { executed, i32 } = this;
    kept.number = i32[this.jumpsAt + JUMP.local / 4]!;
    kept.epoch = this.epoch;
    kept.entries.length = kept.executed.length = 0;
    for (const page of this.executedPages)
      if ((executed[page]! & EXECUTED.local) !== 0) kept.executed.push(page, frameOf(page));
    this.keepExecuted(EXECUTED.global);
    this.keep((slot) => {
      if (this.isGlobal[this.placeOf(slot)] !== 0) return true;
      const tag = i32[slot]!;
      if ((tag & CODE_KEY.big) !== 0) kept.entries.push(slot, tag, i32[slot + 1]!, frameOf(tag >>> 12));
      return false;
    });
  }
  /** An address space is entered. Of `kept` holds what lies in the same pages as before; `mapOf` has the map of a guest-physical one. */
  enterSpace(kept: KeptCode, frameOf: (page: number) => number, mapOf: (frame: number) => number): void {
    const { i32 } = this,
      { executed, entries } = kept;
    let holds = kept.number !== 0 && kept.epoch === this.epoch;
    for (let i = 0; i < executed.length; i += 2) {
      const page = executed[i]!,
        frame = executed[i + 1]!;
      if (frame >= 0 && frameOf(page) === frame) this.noteExecuted(page, false);
      else holds = false;
    }
    i32[this.jumpsAt + JUMP.local / 4] = holds ? kept.number : this.nextNumber();
    for (let i = 0; i < entries.length; i += 4) {
      const [slot, tag, map, frame] = [entries[i]!, entries[i + 1]!, entries[i + 2]!, entries[i + 3]!];
      if (i32[slot] !== 0 || frame < 0 || frameOf(tag >>> 12) !== frame || mapOf(frame) !== map) continue;
      this.slots[this.used++] = slot;
      this.isGlobal[this.placeOf(slot)] = 0;
      i32[slot] = tag;
      i32[slot + 1] = map;
    }
  }
  /** Forgets `pages` linear pages. */
  invalidate(page: number, pages: number): void {
    // Most of them are data.
    let found = 0;
    for (let i = page; i < page + pages; i++) found |= this.executed[i]!;
    if (found === 0) return;
    this.keep((slot) => ((this.i32[slot]! >>> 12) - page) >>> 0 >= pages);
    this.forgetJumps((found & EXECUTED.global) !== 0);
  }
  /** Forgets pages whose maps will serve others. */
  forgetMaps(maps: readonly number[]): void {
    this.keep((slot) => !maps.includes(this.i32[slot + 1]!));
    this.forgetJumps(true);
  }
  /** No jump into a page that is not global is known any more, or into `all`. */
  forgetJumps(all: boolean): void {
    this.i32[this.jumpsAt + JUMP.local / 4] = this.nextNumber();
    if (all) this.epoch++;
    if (all) this.i32[this.jumpsAt + JUMP.global / 4] = this.nextNumber();
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

  private placeOf(slot: number): number {
    return (slot - (this.plan.codeTlb >> 2)) >> 1;
  }
  /** Empties all entries but those to keep. Few are in use, and filling shared memory is slow. */
  private keep(isKept: (slot: number) => boolean): void {
    let kept = 0;
    for (let i = 0; i < this.used; i++) {
      const slot = this.slots[i]!;
      if (isKept(slot)) this.slots[kept++] = slot;
      else this.i32[slot] = 0;
    }
    this.used = kept;
  }
}
