/**
 * Memory as the processor reaches it: segment checks, 32-bit paging with 4 KiB and 4 MiB pages, the TLB, and the slow path of
 * every access (SDM vol. 3, chapters 4 and 5). Handlers do the fast path themselves and come here when the TLB says no.
 */
import { EXCEPTION, SS } from '../isa/build.ts';
import { ATTRIBUTE, CR0, CR4, GUEST_FAULT, type Cpu } from './cpu.ts';
import { OFFSET, SEGMENT, SEGMENT_BYTES, TLB, segmentOffset } from './layout.ts';

/** Page-fault error code (SDM vol. 3, figure 4-12). */
const PF = { present: 1, write: 2, user: 4, reserved: 8 } as const;
/** Paging-structure entry bits (SDM vol. 3, tables 4-4 to 4-6). */
const PTE = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const;
const PAGES = 1 << 20;

/** Who is told when memory that holds decoded code is written. */
export interface CodeWatcher {
  /** Whether decoded code lies in this guest-physical page. */
  hasCode(address: number): boolean;
  /** Bytes were written: drop what was decoded from them. */
  written(address: number, length: number): void;
}

export class Mmu {
  private readonly cpu: Cpu;
  private readonly entries: Int32Array;
  /** Pages that have an entry, so that a flush need not look at a million of them. */
  private readonly filled = new Uint32Array(PAGES);
  private readonly isFilled = new Uint8Array(PAGES);
  private filledCount = 0;
  /** 4 MiB of linear addresses that a large page translates: the TLB holds them in parts, INVLPG forgets all of them. */
  private readonly isLarge = new Uint8Array(PAGES >> 10);
  code: CodeWatcher = { hasCode: () => false, written: () => {} };
  /** Told about every flush, so that the code TLB follows; a page number, or null for all. */
  onFlush: (linear: number | null) => void = () => {};
  /** Page walks, for --stats. */
  walks = 0;

  constructor(cpu: Cpu, tlbAddress: number) {
    this.cpu = cpu;
    this.entries = new Int32Array(cpu.memory.buffer, tlbAddress, PAGES);
    cpu.set('tlb', tlbAddress);
  }

  // --- TLB

  /** Forgets translations: those of global pages only when `all`. */
  flush(all: boolean): void {
    let kept = 0;
    for (let i = 0; i < this.filledCount; i++) {
      const page = this.filled[i]!;
      if (!all && (this.entries[page]! & TLB.global) !== 0) this.filled[kept++] = page;
      else {
        this.entries[page] = 0;
        this.isFilled[page] = 0;
      }
    }
    this.filledCount = kept;
    if (kept === 0) this.isLarge.fill(0);
    this.onFlush(null);
  }
  /** Forgets the page of a linear address, be it of 4 KiB or 4 MiB, and global or not. */
  invalidate(linear: number): void {
    const region = linear >>> 22;
    if (this.isLarge[region] === 0) this.entries[linear >>> 12] = 0;
    else {
      this.entries.fill(0, region << 10, (region + 1) << 10);
      this.isLarge[region] = 0;
    }
    this.onFlush(linear);
  }
  /** Code was decoded from a guest-physical page: writes to it must come here from now on. */
  protectCode(physicalPage: number): void {
    const host = this.cpu.physical.hostPage(physicalPage);
    for (let i = 0; i < this.filledCount; i++) {
      const page = this.filled[i]!,
        entry = this.entries[page]!;
      if (entry !== 0 && ((entry & ~0xfff) + (page << 12)) >>> 0 === host)
        this.entries[page] = entry & ~(TLB.supervisorWrite | TLB.userWrite);
    }
  }
  private fill(linear: number, physical: number, rights: number): void {
    const host = this.cpu.physical.hostPage(physical);
    if (host === 0) return;
    let allowed = rights;
    if (!this.cpu.physical.isWritable(physical) || this.code.hasCode(physical))
      allowed &= ~(TLB.supervisorWrite | TLB.userWrite);
    const page = linear >>> 12;
    this.entries[page] = (host - (page << 12)) | allowed;
    if (this.isFilled[page] === 0) {
      this.isFilled[page] = 1;
      this.filled[this.filledCount++] = page;
    }
  }

  // --- translation

  private readPhysical32(address: number): number {
    const host = this.cpu.physical.hostPage(address);
    if (host !== 0) return this.cpu.i32[(host + (address & 0xfff)) >>> 2]! >>> 0;
    return this.cpu.bus.memoryRead(address, 4);
  }
  private writePhysical32(address: number, value: number): void {
    const host = this.cpu.physical.hostPage(address);
    if (host === 0) this.cpu.bus.memoryWrite(address, 4, value);
    else if (this.cpu.physical.isWritable(address)) {
      this.cpu.i32[(host + (address & 0xfff)) >>> 2] = value;
      if (this.code.hasCode(address)) this.code.written(address, 4);
    }
  }
  private pageFault(linear: number, code: number): number {
    this.cpu.set('cr2', linear);
    this.cpu.setFault(EXCEPTION.PF, code);
    return -1;
  }

  /**
   * Linear to guest-physical for one access, with rights checked, accessed and dirty bits set, and the TLB filled.
   * What comes out has passed the A20 gate. Returns -1 after recording #PF.
   */
  translate(linear: number, write: boolean, user: boolean): number {
    const { cpu } = this;
    linear >>>= 0;
    const cr0 = cpu.get('cr0');
    const lines = cpu.physical.addressMask;
    if ((cr0 & CR0.PG) === 0) {
      const physical = (linear & lines) >>> 0;
      this.fill(linear, physical, TLB.supervisorRead | TLB.supervisorWrite | TLB.userRead | TLB.userWrite);
      return physical;
    }
    this.walks++;
    const denied = (write ? PF.write : 0) | (user ? PF.user : 0);
    const directoryAt = (((cpu.get('cr3') & ~0xfff) + ((linear >>> 22) << 2)) & lines) >>> 0;
    const pde = this.readPhysical32(directoryAt);
    if ((pde & PTE.P) === 0) return this.pageFault(linear, denied);
    const cr4 = cpu.get('cr4'),
      large = (pde & PTE.PS) !== 0 && (cr4 & CR4.PSE) !== 0;
    // Bits 21:13 of a 4 MiB entry are reserved without PSE-36 (SDM vol. 3, table 4-4).
    if (large && (pde & 0x003fe000) !== 0) return this.pageFault(linear, denied | PF.present | PF.reserved);
    const entryAt = large ? directoryAt : (((pde & ~0xfff) + (((linear >>> 12) & 0x3ff) << 2)) & lines) >>> 0;
    const entry = large ? pde : this.readPhysical32(entryAt);
    if ((entry & PTE.P) === 0) return this.pageFault(linear, denied);
    const both = large ? pde : pde & entry;
    const userOk = (both & PTE.U) !== 0,
      writable = (both & PTE.W) !== 0,
      supervisorWrites = writable || (cr0 & CR0.WP) === 0;
    if ((user && !userOk) || (write && !(user ? writable : supervisorWrites)))
      return this.pageFault(linear, denied | PF.present);
    if (!large && (pde & PTE.A) === 0) this.writePhysical32(directoryAt, pde | PTE.A);
    const marks = PTE.A | (write ? PTE.D : 0);
    if ((entry & marks) !== marks) this.writePhysical32(entryAt, entry | marks);
    const dirty = write || (entry & PTE.D) !== 0;
    const frame = large ? (entry & 0xffc00000) | (linear & 0x3fffff) : (entry & ~0xfff) | (linear & 0xfff);
    const physical = (frame & lines) >>> 0;
    let rights = TLB.supervisorRead | (userOk ? TLB.userRead : 0);
    if (dirty && supervisorWrites) rights |= TLB.supervisorWrite;
    if (dirty && writable && userOk) rights |= TLB.userWrite;
    if ((entry & PTE.G) !== 0 && (cr4 & CR4.PGE) !== 0) rights |= TLB.global;
    if (large) this.isLarge[linear >>> 22] = 1;
    this.fill(linear, physical, rights);
    return physical;
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

  /** Where a linear address lies in linear memory if the TLB allows reading it now; 0 otherwise. */
  readableHost(linear: number): number {
    const entry = this.entries[linear >>> 12]!;
    return (entry & this.cpu.get('accessRead')) === 0 ? 0 : ((entry & ~0xfff) + linear) >>> 0;
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
