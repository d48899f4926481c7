/**
 * Memory as the processor reaches it: segment checks, the TLB, and the slow path of every access (SDM vol. 3, chapters 4 and 5).
 * Handlers do the fast path themselves and come here when the TLB says no; `paging.ts` has the page walk.
 */
import { EXCEPTION, SS } from '../isa/build.ts';
import { AddressSpaces } from './address-spaces.ts';
import { ATTRIBUTE, CR0, GUEST_FAULT, type Cpu } from './cpu.ts';
import { OFFSET, SEGMENT, SEGMENT_BYTES, TLB, segmentOffset } from './layout.ts';
import { FilledPages } from './filled-pages.ts';
import { PageWalker } from './paging.ts';
import { NOBODY, type CodeWatcher, type DataWatcher, type TranslationWatcher } from './watchers.ts';

const PAGES = 1 << 20;
const READS = TLB.supervisorRead | TLB.userRead,
  WRITES = TLB.supervisorWrite | TLB.userWrite;
/** Bits of a TLB entry by which code is another one, or another one's: where it lies, and who may execute it. */
const WHAT_IS_EXECUTED = ~0xfff | READS | TLB.noExecute;
/** `Mmu.look`, `how`: bytes of the window in bits 7:0, how many of them lie before the address in bits 15:8, and these. */
export const LOOK = { write: 1 << 16, needsWrite: 1 << 17 } as const;
/** What became of translations. Counts since power-on. */
export interface TranslationCounts {
  /** The TLB was flushed: with global pages, without them, and by INVLPG (one page, or what of a large one is known). */
  readonly flushes: { whole: number; nonGlobal: number; page: number };
  /** Translations that loads of CR3 have kept. */
  kept: number;
  /**
   * Translations that loads of CR3 have not kept, since entries of page tables had been written that they came from, and how many loads
   * found such. A store to a page table is a store like any other: nobody sees it when it is made.
   */
  readonly written: { entries: number; batches: number };
  /** Accessed and dirty bits that page walks have set. */
  marked: number;
}

export class Mmu {
  private readonly cpu: Cpu;
  private readonly entries: Int32Array;
  /**
   * Pages that have an entry, so that a flush need not look at a million of them: global ones, of which a kernel has thousands, apart from
   * those that a load of CR3 forgets, unless they are in `spaces`. A page that was of another kind before is in both.
   */
  private readonly local = new FilledPages();
  private readonly global = new FilledPages();
  /** Translations that outlive a load of CR3 though they are not global. */
  private readonly spaces: AddressSpaces;
  /**
   * Guest-physical page of each entry, for those who have to know which page it is and not only where it lies. Other threads may read it.
   */
  readonly frames = new Uint32Array(new SharedArrayBuffer(PAGES * 4));
  /** 4 MiB of linear addresses with a large page in them: the TLB holds those in parts, INVLPG forgets all of them. */
  private readonly isLarge = new Uint8Array(PAGES >> 10);
  private anyLarge = false;
  readonly walker: PageWalker;
  code: CodeWatcher = { hasCode: () => false, written: () => {} };
  codeTlb: TranslationWatcher = NOBODY;
  /** Set while some data is watched. */
  watch: DataWatcher | undefined;
  /** Page walks, for --stats. */
  walks = 0;
  readonly counts: TranslationCounts = {
    flushes: { whole: 0, nonGlobal: 0, page: 0 },
    kept: 0,
    written: { entries: 0, batches: 0 },
    marked: 0,
  };

  constructor(cpu: Cpu, tlbAddress: number) {
    this.cpu = cpu;
    this.entries = new Int32Array(cpu.memory.buffer, tlbAddress, PAGES);
    cpu.set('tlb', tlbAddress);
    this.walker = new PageWalker(cpu, {
      read32: (address) => cpu.bus.memoryRead(address, 4),
      set32: (address, bits) => this.setPhysical32(address, bits),
    });
    this.spaces = new AddressSpaces(cpu, {
      entries: this.entries,
      frames: this.frames,
      restricted: (page, frame, entry) => this.restricted(page << 12, frame * 4096, entry),
      foundLarge: (page) => this.foundLarge(page << 12),
      dropped: (page) => this.local.add(page),
    });
  }

  // --- TLB

  /** Forgets translations: those of global pages, and what is kept of other address spaces, only when `all`. */
  flush(all: boolean): void {
    this.counts.flushes[all ? 'whole' : 'nonGlobal']++;
    const { global, entries } = this;
    this.leaveSpace();
    this.spaces.forget(all);
    if (all) {
      for (let i = 0; i < global.count; i++) entries[global.pages[i]!] = 0;
      global.clear();
      this.forgetLarge();
    }
    this.codeTlb.flush(all);
  }
  /** All that is not global goes from the TLB. */
  private leaveSpace(): void {
    const { local, entries } = this;
    this.spaces.leave();
    for (let i = 0; i < local.count; i++) {
      const page = local.pages[i]!;
      if ((entries[page]! & TLB.global) === 0) entries[page] = 0;
    }
    local.clear();
    this.forgetLarge();
  }
  private forgetLarge(): void {
    if (this.global.count > 0 || !this.anyLarge) return;
    this.isLarge.fill(0);
    this.anyLarge = false;
  }
  private foundLarge(linear: number): void {
    this.isLarge[linear >>> 22] = 1;
    this.anyLarge = true;
  }
  /** Forgets the page of a linear address, be it a large one or not, and global or not. */
  invalidate(linear: number): void {
    this.counts.flushes.page++;
    this.drop(linear);
  }
  private drop(linear: number): void {
    const region = linear >>> 22;
    if (this.isLarge[region] === 0) {
      this.entries[linear >>> 12] = 0;
      this.codeTlb.invalidate(linear >>> 12, 1);
    } else {
      // The whole region, though with PAE a page is half of it: more may always be forgotten.
      this.entries.fill(0, region << 10, (region + 1) << 10);
      this.isLarge[region] = 0;
      this.codeTlb.invalidate(region << 10, 1 << 10);
    }
  }
  /**
   * Loads CR3 as MOV to it and task switches do: with PAE the four page-directory-pointer entries come along, and #GP(0) when
   * they have reserved bits set. Global pages stay known, and of others what would be found again.
   */
  loadPageTables(cr3: number): void {
    const { cpu, walker } = this,
      isPaged = (cpu.get('cr0') & CR0.PG) !== 0;
    if (isPaged && walker.isPae && !walker.loadPointers(cr3)) cpu.raise(EXCEPTION.GP, 0);
    cpu.set('cr3', cr3);
    this.renew();
  }
  /** Forgets translations as `flush(false)` does, but for those that would be found again. */
  renew(): void {
    const { cpu, walker, spaces, codeTlb } = this;
    if ((cpu.get('cr0') & CR0.PG) === 0) return this.flush(false);
    this.counts.flushes.nonGlobal++;
    codeTlb.leaveSpace(spaces.code);
    this.leaveSpace();
    const { kept, written } = spaces.enter(walker.root, walker.isPae);
    this.counts.kept += kept;
    this.counts.written.entries += written;
    if (written > 0) this.counts.written.batches++;
    codeTlb.enterSpace(spaces.code);
  }
  /** The guest-physical page that the TLB has for a linear one which is not global; -1 when it has none. */
  localFrame(page: number): number {
    const entry = this.entries[page]!;
    return entry === 0 || (entry & TLB.global) !== 0 ? -1 : this.frames[page]!;
  }
  /** Whether the TLB has the page of a linear address as a global one. */
  isGlobal(linear: number): boolean {
    return (this.entries[linear >>> 12]! & TLB.global) !== 0;
  }
  /** Has the next access to a page walk the tables: its rights in the TLB are to be other ones. */
  forget(linear: number): void {
    this.entries[linear >>> 12] = 0;
  }
  /** Code was decoded from a guest-physical page: writes to it must come here from now on. */
  protectCode(physicalPage: number): void {
    const host = this.cpu.physical.hostPage(physicalPage);
    for (const { pages, count } of [this.local, this.global])
      for (let i = 0; i < count; i++) this.protect(pages[i]!, host);
    for (const page of this.keptPages()) this.protect(page, host);
  }
  /** Pages that the next load of CR3 may find again. Some may have no entry by now. */
  keptPages(): Iterable<number> {
    return this.spaces.pages();
  }
  /** Takes the right to write from a linear page, if it is the page at `host` of linear memory. */
  private protect(page: number, host: number): void {
    const entry = this.entries[page]!;
    if (entry !== 0 && ((entry & ~0xfff) + (page << 12)) >>> 0 === host) this.entries[page] = entry & ~WRITES;
  }
  /** A TLB entry as it may be now: code is written to only by way of the code cache, and what is watched is not reached at all. */
  private restricted(linear: number, physical: number, entry: number): number {
    if ((entry & WRITES) !== 0 && this.code.hasCode(physical)) entry &= ~WRITES;
    return this.watch === undefined ? entry : entry & (this.watch.rightsOf(linear) | TLB.noExecute | ~0xfff);
  }
  /** `isWalked`: the last walk has found it. */
  private fill(linear: number, physical: number, rights: number, isWalked: boolean): void {
    const host = this.cpu.physical.hostPage(physical),
      page = linear >>> 12,
      before = this.entries[page]!;
    if (host === 0) {
      if (before !== 0) this.codeTlb.invalidate(page, 1);
      this.entries[page] = 0;
      return;
    }
    const given = this.cpu.physical.isWritable(physical) ? rights : rights & ~WRITES,
      frame = physical >>> 12;
    const entry = this.restricted(linear, physical, (host - (page << 12)) | given);
    if (before !== 0 && ((before ^ entry) & WHAT_IS_EXECUTED) !== 0) this.codeTlb.invalidate(page, 1);
    this.entries[page] = entry;
    this.frames[page] = frame;
    if ((entry & TLB.global) !== 0) {
      this.global.add(page);
      this.codeTlb.madeGlobal(page);
    } else if (!isWalked || !this.spaces.note(page, entry, frame, this.walker)) this.local.add(page);
  }

  // --- translation

  /** Sets bits of a paging-structure entry in one access, so that nothing which others write meanwhile is lost. */
  private setPhysical32(address: number, bits: number): void {
    this.counts.marked++;
    const host = this.cpu.physical.hostPage(address);
    if (host === 0) this.cpu.bus.memoryWrite(address, 4, (this.cpu.bus.memoryRead(address, 4) | bits) >>> 0);
    else if (this.cpu.physical.isWritable(address)) {
      Atomics.or(this.cpu.i32, (host + (address & 0xfff)) >>> 2, bits);
      if (this.code.hasCode(address)) this.code.written(address, 4);
    }
  }
  /** Records #PF. The entry that was used, if there was one, is forgotten (SDM vol. 3, 4.10.4.1). */
  private pageFault(linear: number, code: number): number {
    if (this.entries[linear >>> 12] !== 0) this.drop(linear);
    this.cpu.set('cr2', linear);
    this.cpu.setFault(EXCEPTION.PF, code);
    return -1;
  }

  /**
   * Linear to guest-physical for one access, with rights checked, accessed and dirty bits set, and the TLB filled.
   * What comes out has passed the A20 gate, and may lie above 4 GiB. Returns -1 after recording #PF.
   */
  translate(linear: number, write: boolean, user: boolean, fetch = false): number {
    const { cpu, walker } = this;
    linear >>>= 0;
    if ((cpu.get('cr0') & CR0.PG) === 0) {
      const physical = (linear & cpu.physical.addressMask) >>> 0;
      this.fill(linear, physical, READS | WRITES, false);
      return physical;
    }
    this.walks++;
    if (!walker.walk(linear, write, user, fetch)) return this.pageFault(linear, walker.errorCode);
    if (walker.large) this.foundLarge(linear);
    const { physical } = walker;
    this.fill(linear, physical, walker.rights, true);
    return physical;
  }

  /** Where the next instruction byte lies, as `translate`, by the TLB if that knows the page. */
  translateFetch(linear: number, user: boolean): number {
    const entry = this.entries[linear >>> 12]!;
    if ((entry & (user ? TLB.userRead : TLB.supervisorRead)) !== 0 && (entry & TLB.noExecute) === 0)
      return this.frames[linear >>> 12]! * 4096 + (linear & 0xfff);
    return this.translate(linear, false, user, true);
  }

  // --- linear accesses of 1, 2, 4 bytes; throw GUEST_FAULT

  private must(linear: number, write: boolean, user: boolean): number {
    const physical = this.translate(linear, write, user);
    if (physical < 0) throw GUEST_FAULT;
    return physical;
  }
  readLinear(linear: number, bytes: 1 | 2 | 4, user: boolean): number {
    linear >>>= 0;
    const host = this.known(linear, bytes, user ? TLB.userRead : TLB.supervisorRead);
    if (host !== 0) return this.readHost(host, bytes);
    this.watch?.accessed(linear, bytes, false);
    if ((linear & 0xfff) + bytes <= 4096) return this.readPhysical(this.must(linear, false, user), bytes);
    // Both pages are translated before any byte is read: it may be a device's.
    const first = this.must(linear, false, user),
      second = this.must((linear + bytes - 1) & ~0xfff, false, user);
    const inFirst = 4096 - (linear & 0xfff);
    let value = 0;
    for (let i = 0; i < bytes; i++)
      value |= this.readPhysical(i < inFirst ? first + i : second + i - inFirst, 1) << (8 * i);
    return value >>> 0;
  }
  writeLinear(linear: number, bytes: 1 | 2 | 4, value: number, user: boolean): void {
    linear >>>= 0;
    // The right to write is there for plain memory only: no device, no decoded code.
    const host = this.known(linear, bytes, user ? TLB.userWrite : TLB.supervisorWrite);
    if (host !== 0) return this.writeHost(host, bytes, value);
    this.watch?.accessed(linear, bytes, true);
    if ((linear & 0xfff) + bytes <= 4096) return this.writePhysical(this.must(linear, true, user), bytes, value);
    const last = (linear + bytes - 1) >>> 0;
    const first = this.must(linear, true, user),
      second = this.must(last & ~0xfff, true, user);
    const inFirst = 4096 - (linear & 0xfff);
    for (let i = 0; i < bytes; i++)
      this.writePhysical(i < inFirst ? first + i : second + i - inFirst, 1, (value >>> (8 * i)) & 0xff);
  }
  /** Where an access within one page goes, if the TLB allows it; 0 otherwise. */
  private known(linear: number, bytes: number, right: number): number {
    const entry = this.entries[linear >>> 12]!;
    return (entry & right) === 0 || (linear & 0xfff) + bytes > 4096 ? 0 : ((entry & ~0xfff) + linear) >>> 0;
  }
  private readHost(at: number, bytes: 1 | 2 | 4): number {
    const { data } = this.cpu;
    return bytes === 4 ? data.getUint32(at, true) : bytes === 2 ? data.getUint16(at, true) : data.getUint8(at);
  }
  private writeHost(at: number, bytes: 1 | 2 | 4, value: number): void {
    const { data } = this.cpu;
    if (bytes === 4) data.setUint32(at, value, true);
    else if (bytes === 2) data.setUint16(at, value, true);
    else data.setUint8(at, value);
  }
  readPhysical(address: number, bytes: 1 | 2 | 4): number {
    const host = this.cpu.physical.hostPage(address);
    if (host === 0) return this.cpu.bus.memoryRead(address, bytes) >>> 0;
    return this.readHost(host + (address & 0xfff), bytes);
  }
  writePhysical(address: number, bytes: 1 | 2 | 4, value: number): void {
    const host = this.cpu.physical.hostPage(address);
    if (host === 0) return this.cpu.bus.memoryWrite(address, bytes, value >>> 0);
    if (!this.cpu.physical.isWritable(address)) return;
    this.writeHost(host + (address & 0xfff), bytes, value);
    if (this.code.hasCode(address)) this.code.written(address, bytes);
  }

  /**
   * For compiled code: the TLB entry of a linear address, if a window around it lies within one page of plain memory that may be accessed
   * now. 0 = let the interpreter do this instruction, which finds out why, or does what has to be done. `how` is a LOOK. A page is
   * marked dirty only when the access at the address itself is a write.
   */
  look(linear: number, how: number): number {
    linear >>>= 0;
    const first = (linear - ((how >> 8) & 0xff)) & 0xfff,
      write = (how & LOOK.write) !== 0;
    if (first + (how & 0xff) > 4096) return 0;
    const user = this.isUser,
      read = user ? TLB.userRead : TLB.supervisorRead,
      bit = (how & LOOK.needsWrite) !== 0 ? read << 1 : read;
    if (this.translate(linear, write, user) < 0) {
      this.cpu.set('fault', 0);
      return 0;
    }
    // Accessed and dirty bits may lie in a page of code.
    const entry = this.entries[linear >>> 12]!;
    return (entry & bit) === 0 || this.cpu.get('exit') !== 0 ? 0 : entry;
  }

  // --- segments

  /** The linear address of an access, or GUEST_FAULT with #GP(0) or #SS(0) (SDM vol. 3, 5.3 and 5.4). */
  private checkSegment(segmentAddress: number, offset: number, bytes: number, write: boolean): number {
    const at = segmentAddress >> 2,
      { i32 } = this.cpu;
    const attributes = i32[at + SEGMENT.attributes / 4]!,
      limit = i32[at + SEGMENT.limit / 4]! >>> 0,
      base = i32[at + SEGMENT.base / 4]!;
    const index = (segmentAddress - this.cpu.base - OFFSET.segments) / SEGMENT_BYTES;
    const last = offset + bytes - 1;
    const isCode = (attributes & ATTRIBUTE.code) !== 0;
    const readable = !isCode || (attributes & ATTRIBUTE.readable) !== 0,
      writable = !isCode && (attributes & ATTRIBUTE.writable) !== 0;
    // Real mode ignores the type, not the limit.
    let ok =
      !this.cpu.isProtected ||
      ((attributes & ATTRIBUTE.present) !== 0 && (attributes & ATTRIBUTE.s) !== 0 && (write ? writable : readable));
    if (!isCode && (attributes & ATTRIBUTE.expandDown) !== 0)
      ok &&= offset > limit && last <= ((attributes & ATTRIBUTE.big) !== 0 ? 0xffffffff : 0xffff);
    else ok &&= last <= limit;
    if (!ok) this.cpu.raise(index === SS ? EXCEPTION.SS : EXCEPTION.GP, 0);
    return (base + offset) >>> 0;
  }
  private get isUser(): boolean {
    return this.cpu.get('cpl') === 3;
  }
  private alignmentChecked(linear: number, bytes: number): void {
    const aligned = (linear & (Math.min(bytes, 8) - 1)) === 0;
    if (!aligned && this.alignmentChecking) this.cpu.raise(EXCEPTION.AC, 0);
  }
  /** CR0.AM, EFLAGS.AC and CPL 3 together (SDM vol. 3, 6.15, #AC). The fast path is closed for user accesses then. */
  private get alignmentChecking(): boolean {
    return this.isUser && (this.cpu.get('cr0') & CR0.AM) !== 0 && (this.cpu.get('systemFlags') & (1 << 18)) !== 0;
  }

  // --- services of the handlers: segment register's address, offset, bytes (1, 2, 4, 8, 16)

  /** Returns the value; 8 and 16 bytes are left in `scratch`. */
  readMemory(segmentAddress: number, offset: number, bytes: number): number {
    const linear = this.checkSegment(segmentAddress, offset >>> 0, bytes, false),
      user = this.isUser;
    this.alignmentChecked(linear, bytes);
    if (bytes <= 4) return this.readLinear(linear, bytes as 4, user);
    // Both pages are translated before any byte of a device is read.
    this.must(linear, false, user);
    this.must((linear + bytes - 1) & ~0xfff, false, user);
    const at = this.cpu.base + OFFSET.scratch;
    for (let i = 0; i < bytes; i += 4)
      this.cpu.data.setUint32(at + i, this.readLinear((linear + i) >>> 0, 4, user), true);
    return 0;
  }
  /** Reads what the same instruction will write: rights to write come first. */
  readForUpdate(segmentAddress: number, offset: number, bytes: number): number {
    this.probeWrite(segmentAddress, offset, bytes);
    return this.readMemory(segmentAddress, offset, bytes);
  }
  probeWrite(segmentAddress: number, offset: number, bytes: number): number {
    const linear = this.checkSegment(segmentAddress, offset >>> 0, bytes, true),
      user = this.isUser;
    this.alignmentChecked(linear, bytes);
    this.must(linear, true, user);
    if ((linear & 0xfff) + bytes > 4096) this.must((linear + bytes - 1) & ~0xfff, true, user);
    return 0;
  }
  /** Writes `value`, or for 8 and 16 bytes what lies in `scratch`. */
  writeMemory(segmentAddress: number, offset: number, bytes: number, value: number): number {
    const linear = this.checkSegment(segmentAddress, offset >>> 0, bytes, true),
      user = this.isUser;
    this.alignmentChecked(linear, bytes);
    if (bytes <= 4) this.writeLinear(linear, bytes as 4, value, user);
    else {
      this.must(linear, true, user);
      this.must((linear + bytes - 1) & ~0xfff, true, user);
      const at = this.cpu.base + OFFSET.scratch;
      for (let i = 0; i < bytes; i += 4)
        this.writeLinear((linear + i) >>> 0, 4, this.cpu.data.getUint32(at + i, true), user);
    }
    return 0;
  }

  // --- the same for handlers, which look at the recorded fault themselves: unwinding from a page fault costs more than delivering it

  /** `readMemory`, or 0 with a fault recorded. */
  handlerRead(segmentAddress: number, offset: number, bytes: number): number {
    const linear = this.within(segmentAddress, offset, bytes, false);
    if (linear < 0) return this.readMemory(segmentAddress, offset, bytes);
    this.watch?.accessed(linear, bytes, false);
    const physical = this.translate(linear, false, this.isUser);
    return physical < 0 ? 0 : this.readPhysical(physical, bytes as 4);
  }
  /** `readForUpdate`, likewise. */
  handlerUpdate(segmentAddress: number, offset: number, bytes: number): number {
    const linear = this.within(segmentAddress, offset, bytes, true);
    if (linear >= 0 && this.translate(linear, true, this.isUser) < 0) return 0;
    return this.readForUpdate(segmentAddress, offset, bytes);
  }
  /** `writeMemory`, likewise. */
  handlerWrite(segmentAddress: number, offset: number, bytes: number, value: number): number {
    const linear = this.within(segmentAddress, offset, bytes, true);
    if (linear < 0) return this.writeMemory(segmentAddress, offset, bytes, value);
    this.watch?.accessed(linear, bytes, true);
    const physical = this.translate(linear, true, this.isUser);
    if (physical >= 0) this.writePhysical(physical, bytes as 4, value);
    return 0;
  }
  /** The linear address of an access of up to 4 bytes within one page that the TLB does not allow; -1 for all others. */
  private within(segmentAddress: number, offset: number, bytes: number, write: boolean): number {
    if (bytes > 4) return -1;
    const linear = this.checkSegment(segmentAddress, offset >>> 0, bytes, write);
    this.alignmentChecked(linear, bytes);
    const bit = (this.isUser ? TLB.userRead : TLB.supervisorRead) << (write ? 1 : 0);
    return (linear & 0xfff) + bytes > 4096 || (this.entries[linear >>> 12]! & bit) !== 0 ? -1 : linear;
  }

  /** Where a linear address lies in linear memory if the TLB allows executing it now; 0 otherwise. */
  executableHost(linear: number): number {
    const entry = this.entries[linear >>> 12]!;
    return (entry & this.cpu.get('accessRead')) === 0 || (entry & TLB.noExecute) !== 0
      ? 0
      : ((entry & ~0xfff) + linear) >>> 0;
  }
  /** Where `bytes` at an offset lie in linear memory if they can be reached at once (one page, memory, rights); 0 otherwise. */
  hostOf(segment: number, offset: number, write: boolean): number {
    const { cpu } = this;
    const at = cpu.base + segmentOffset(segment);
    if (offset >>> 0 >= cpu.i32[(at + (write ? SEGMENT.writeBound : SEGMENT.readBound)) >> 2]! >>> 0) return 0;
    const linear = (cpu.i32[(at + SEGMENT.base) >> 2]! + offset) >>> 0;
    const entry = this.entries[linear >>> 12]!,
      bit = cpu.get('accessRead') << (write ? 1 : 0);
    return (entry & bit) === 0 ? 0 : ((entry & ~0xfff) + linear) >>> 0;
  }
}
