/**
 * Which page of decoded code a linear page is, and where jumps between compiled code lead: two tables in linear memory that the dispatch
 * loop and `chain` read (interpreter/chain.ts). What one forgets the other must not know either.
 */
import type { Cpu } from './cpu.ts';
import { CODE_TLB_ENTRIES, JUMP, JUMP_BYTES } from './layout.ts';

/** Numbers of jumps leave room for a mode of COMPILED. */
const JUMP_STEP = 4;

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
  /** Linear pages that ever had an entry: jumps may be known that lead there. */
  private readonly wasExecuted = new Uint8Array(1 << 20);

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
    this.wasExecuted[linear >>> 12] = 1;
    this.isGlobal[this.placeOf(slot)] = isGlobal ? 1 : 0;
    this.i32[slot] = (linear & ~0xfff) | this.cpu.get('codeKey');
    this.i32[slot + 1] = map;
  }
  /** Forgets pages: global ones only when `all`. */
  flush(all: boolean): void {
    this.keep((slot) => !all && this.isGlobal[this.placeOf(slot)] !== 0);
    this.forgetJumps(all);
  }
  /** Forgets `pages` linear pages. */
  invalidate(page: number, pages: number): void {
    // Most of them are data.
    let executed = false;
    for (let i = page; i < page + pages; i++) executed ||= this.wasExecuted[i] !== 0;
    if (!executed) return;
    this.keep((slot) => ((this.i32[slot]! >>> 12) - page) >>> 0 >= pages);
    this.forgetJumps(true);
  }
  /** Forgets pages whose maps will serve others. */
  forgetMaps(maps: readonly number[]): void {
    this.keep((slot) => !maps.includes(this.i32[slot + 1]!));
    this.forgetJumps(true);
  }
  /** No jump into a page that is not global is known any more, or into `all`. */
  forgetJumps(all: boolean): void {
    this.i32[this.jumpsAt + JUMP.local / 4] = this.nextNumber();
    if (all) this.i32[this.jumpsAt + JUMP.global / 4] = this.nextNumber();
  }
  /** Entries with other numbers do not hold; before one comes again they are all gone. */
  private nextNumber(): number {
    this.jumpNumber = (this.jumpNumber + JUMP_STEP) | 0;
    if (this.jumpNumber === 0) {
      this.cpu.u8.fill(0, this.plan.jumps, this.plan.jumps + JUMP_BYTES);
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
