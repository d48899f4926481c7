/**
 * The page walk: a linear address through the paging structures in guest memory, with rights, accessed and dirty bits
 * (SDM vol. 3, 4.3 32-bit paging, 4.4 PAE paging, 4.6 access rights, 4.7 page faults, 4.8 accessed and dirty flags).
 */
import { CR0, CR4, EFER, type Cpu } from './cpu.ts';
import { OFFSET, TLB } from './layout.ts';

/** Page-fault error code (SDM vol. 3, figure 4-12). */
const PF = { present: 1, write: 2, user: 4, reserved: 8, fetch: 16 } as const;
/** Paging-structure entry bits (SDM vol. 3, tables 4-4 to 4-6 and 4-8 to 4-11); NX is in the high half. */
const PTE = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100, NX: 0x8000_0000 | 0 } as const;
/** Width of a physical address (CPUID.80000008h): what lies above 4 GiB is open bus. */
export const PHYSICAL_BITS = 36;
/** Bits of an entry's high half that hold no address. Bit 63 is NX, or reserved while EFER.NXE is clear. */
const RESERVED_HIGH = ~((1 << (PHYSICAL_BITS - 32)) - 1) & 0x7fff_ffff;
/** Bits of a page-directory-pointer entry that have to be 0 (SDM vol. 3, table 4-8). */
const POINTER_RESERVED = { low: 0x1e6, high: ~((1 << (PHYSICAL_BITS - 32)) - 1) } as const;
const POINTERS = 4;

/** Paging structures where no RAM is, and how RAM is marked. Addresses may lie above 4 GiB, where all bits read as ones. */
export interface EntryMemory {
  /** Reads from a device, or from nowhere. */
  read32(address: number): number;
  /** Sets bits of an entry in one access, as a locked instruction does; memory that cannot be written ignores it. */
  set32(address: number, bits: number): void;
}

export class PageWalker {
  private readonly cpu: Cpu;
  private readonly memory: EntryMemory;
  /** Bits of a 4 MiB entry that have to be 0: 21:17 with PSE-36 and 36 address bits, 21:13 without (SDM vol. 3, table 4-4). */
  largeReserved = 0x003e_0000;
  /** What the last walk that succeeded found: the guest-physical address, the TLB's rights, whether the page is a large one. */
  physical = 0;
  rights = 0;
  large = false;
  /** Guest-physical addresses of the two entries that it came by, which are one for a large page, and what they are since. */
  directoryAt = 0;
  directory = 0;
  directoryHigh = 0;
  tableAt = 0;
  table = 0;
  tableHigh = 0;
  /** The error code of the last walk that failed. */
  errorCode = 0;

  constructor(cpu: Cpu, memory: EntryMemory) {
    this.cpu = cpu;
    this.memory = memory;
  }

  /** Whether CR4.PAE decides how structures look. */
  get isPae(): boolean {
    return (this.cpu.get('cr4') & CR4.PAE) !== 0;
  }
  /** The address of the outermost structure: CR3 without what is not part of it. */
  get root(): number {
    return (this.cpu.get('cr3') & (this.isPae ? ~0x1f : ~0xfff)) >>> 0;
  }

  /**
   * Reads the four page-directory-pointer entries that `cr3` names into the processor. False, with nothing changed, when a
   * present one has reserved bits set: the instruction that loads them is #GP(0) (SDM vol. 3, 4.4.1).
   */
  loadPointers(cr3: number): boolean {
    const { cpu } = this;
    const words = Array.from({ length: POINTERS * 2 }, (_, i) => this.read(this.wired(((cr3 & ~0x1f) + i * 4) >>> 0)));
    for (let i = 0; i < words.length; i += 2) {
      const low = words[i]!,
        high = words[i + 1]!;
      if ((low & PTE.P) !== 0 && ((low & POINTER_RESERVED.low) !== 0 || (high & POINTER_RESERVED.high) !== 0))
        return false;
    }
    cpu.i32.set(words, (cpu.base + OFFSET.pdpte) >> 2);
    return true;
  }

  /** Walks for one access. False with `errorCode` set when it faults; nothing was marked then. */
  walk(linear: number, write: boolean, user: boolean, fetch: boolean): boolean {
    return this.isPae ? this.walkPae(linear, write, user, fetch) : this.walk32(linear, write, user);
  }

  private fail(write: boolean, user: boolean, more: number): boolean {
    this.errorCode = (write ? PF.write : 0) | (user ? PF.user : 0) | more;
    return false;
  }
  /** An entry, or half of one. */
  private read(address: number): number {
    const { physical, i32 } = this.cpu;
    const host = physical.hostPage(address);
    return host === 0 ? this.memory.read32(address) : i32[(host + (address & 0xfff)) >>> 2]!;
  }
  /** An address as the address lines carry it. */
  private wired(address: number): number {
    return (address & this.cpu.physical.addressMask) >>> 0;
  }
  /** The same for an address in two halves, which may lie above 4 GiB. */
  private joined(low: number, high: number): number {
    return high === 0 ? this.wired(low) : this.wired(low) + high * 2 ** 32;
  }

  private walk32(linear: number, write: boolean, user: boolean): boolean {
    const { cpu } = this;
    const directoryAt = this.wired((cpu.get('cr3') & ~0xfff) + ((linear >>> 22) << 2));
    const pde = this.read(directoryAt);
    if ((pde & PTE.P) === 0) return this.fail(write, user, 0);
    const large = (pde & PTE.PS) !== 0 && (cpu.get('cr4') & CR4.PSE) !== 0;
    if (large && (pde & this.largeReserved) !== 0) return this.fail(write, user, PF.present | PF.reserved);
    const entryAt = large ? directoryAt : this.wired((pde & ~0xfff) + (((linear >>> 12) & 0x3ff) << 2));
    const entry = large ? pde : this.read(entryAt);
    if ((entry & PTE.P) === 0) return this.fail(write, user, 0);
    if (!this.allowed(large ? pde : pde & entry, write, user)) return this.fail(write, user, PF.present);
    this.mark(directoryAt, pde, entryAt, entry, write);
    this.directoryHigh = this.tableHigh = 0;
    this.large = large;
    // PSE-36 has bits 35:32 of a large page in bits 16:13.
    this.physical = large
      ? this.joined((entry & 0xffc00000) | (linear & 0x3fffff), (entry >>> 13) & 0xf)
      : this.wired((entry & ~0xfff) | (linear & 0xfff));
    return true;
  }

  private walkPae(linear: number, write: boolean, user: boolean, fetch: boolean): boolean {
    const { cpu } = this;
    const noExecute = (cpu.get('efer') & EFER.NXE) !== 0;
    const reserved = noExecute ? RESERVED_HIGH : RESERVED_HIGH | PTE.NX;
    const how = fetch && noExecute ? PF.fetch : 0;
    const pointerAt = (cpu.base + OFFSET.pdpte + (linear >>> 30) * 8) >> 2;
    const pointer = cpu.i32[pointerAt]!;
    if ((pointer & PTE.P) === 0) return this.fail(write, user, how);
    const directory = this.joined((pointer & ~0xfff) | (((linear >>> 21) & 0x1ff) << 3), cpu.i32[pointerAt + 1]!);
    const pde = this.read(directory),
      pdeHigh = this.read(directory + 4);
    if ((pde & PTE.P) === 0) return this.fail(write, user, how);
    const large = (pde & PTE.PS) !== 0;
    if ((pdeHigh & reserved) !== 0 || (large && (pde & 0x001f_e000) !== 0))
      return this.fail(write, user, how | PF.present | PF.reserved);
    let entryAt = directory,
      entry = pde,
      high = pdeHigh;
    if (!large) {
      entryAt = this.joined((pde & ~0xfff) | (((linear >>> 12) & 0x1ff) << 3), pdeHigh & 0x7fff_ffff);
      entry = this.read(entryAt);
      high = this.read(entryAt + 4);
      if ((entry & PTE.P) === 0) return this.fail(write, user, how);
      if ((high & reserved) !== 0) return this.fail(write, user, how | PF.present | PF.reserved);
    }
    const closed = ((pdeHigh | high) & PTE.NX) !== 0;
    if (!this.allowed(pde & entry, write, user) || (fetch && closed)) return this.fail(write, user, how | PF.present);
    this.mark(directory, pde, entryAt, entry, write);
    this.directoryHigh = pdeHigh;
    this.tableHigh = high;
    if (closed) this.rights |= TLB.noExecute;
    this.large = large;
    const frame = large ? (entry & 0xffe0_0000) | (linear & 0x1f_ffff) : (entry & ~0xfff) | (linear & 0xfff);
    this.physical = this.joined(frame, high & 0x7fff_ffff);
    return true;
  }

  /** SDM vol. 3, 4.6: `both` holds what every level grants. Leaves in `rights` what the TLB may let pass, dirty bits left aside. */
  private allowed(both: number, write: boolean, user: boolean): boolean {
    let rights: number = TLB.supervisorRead;
    if ((both & PTE.U) !== 0) rights |= (both & PTE.W) !== 0 ? TLB.userRead | TLB.userWrite : TLB.userRead;
    if ((both & PTE.W) !== 0 || (this.cpu.get('cr0') & CR0.WP) === 0) rights |= TLB.supervisorWrite;
    this.rights = rights;
    const needed = (user ? TLB.userRead : TLB.supervisorRead) << (write ? 1 : 0);
    return (rights & needed) !== 0;
  }
  /** Sets A and D where they are missing. A page that is not dirty must be walked to again by the first write. */
  private mark(directoryAt: number, pde: number, entryAt: number, entry: number, write: boolean): void {
    const { cpu, memory } = this;
    const marks = PTE.A | (write ? PTE.D : 0),
      isLarge = entryAt === directoryAt;
    if (!isLarge && (pde & PTE.A) === 0) memory.set32(directoryAt, PTE.A);
    if ((entry & marks) !== marks) memory.set32(entryAt, marks);
    if (!write && (entry & PTE.D) === 0) this.rights &= ~(TLB.supervisorWrite | TLB.userWrite);
    if ((entry & PTE.G) !== 0 && (cpu.get('cr4') & CR4.PGE) !== 0) this.rights |= TLB.global;
    this.directoryAt = directoryAt;
    this.directory = pde | (isLarge ? marks : PTE.A);
    this.tableAt = entryAt;
    this.table = entry | marks;
  }
}
