/**
 * Debug registers and what they watch for (SDM vol. 3, 17.2 and 17.3), and beside them the watch list of a debugger outside of the
 * guest, which the guest cannot see. Nothing here costs anything while nothing is watched: pages with a data breakpoint have no right
 * in the TLB, so that their accesses come to `core/mmu.ts` and from there to `accessed`; pages with an instruction breakpoint are in
 * no code TLB, so that each of their instructions comes to `core/code-cache.ts` and from there to `check`.
 */
import { EXCEPTION } from '../isa/build.ts';
import { BREAKPOINT, CR4, STOP, type Cpu } from './cpu.ts';
import { OFFSET, TLB } from './layout.ts';
import type { Mmu } from './mmu.ts';

/** DR6: general detect, single step, task switch. Bits 3:0 name the breakpoint. */
export const DR6 = { BD: 1 << 13, BS: 1 << 14, BT: 1 << 15, fixed: 0xffff0ff0 | 0, writable: 0xe00f } as const;
/** DR7: general detect enable; bits 7:0 enable breakpoints, two each: for this task, for all. */
export const DR7 = { GD: 1 << 13, fixed: 0x400, writable: ~0xdc00, local: 0x155 } as const;
const BREAKPOINTS = 4;
/** R/W field of a breakpoint. */
const WHEN = { execute: 0, write: 1, port: 2, access: 3 } as const;
/** LEN field to bytes; 10B is undefined in processors without 64-bit mode, and 8 in all others. */
const LENGTHS = [1, 2, 8, 4] as const;
/** The longest range that a debugger may watch, in bytes. */
export const LONGEST_WATCH = 1 << 16;

/** What a debugger watches: linear addresses. */
export interface Watch {
  readonly address: number;
  readonly bytes: number;
  readonly kind: 'write' | 'read' | 'access';
}
/** Why a run ended with 'breakpoint'. */
export type DebuggerStop =
  { readonly kind: 'code'; readonly address: number } | { readonly kind: 'watch'; readonly watch: Watch };

interface Range {
  readonly address: number;
  readonly bytes: number;
  readonly reads: boolean;
  readonly writes: boolean;
  /** Bits of DR6; 0 for a debugger's. */
  readonly bits: number;
  readonly watch?: Watch;
}

const overlap = (a: number, aBytes: number, b: number, bBytes: number): boolean =>
  (a - b) >>> 0 < bBytes || (b - a) >>> 0 < aBytes;

export class DebugRegisters {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly at: number;
  /** Breakpoints and watches of a debugger. Call `refresh` after a change. */
  readonly codeStops = new Set<number>();
  readonly watches = new Set<Watch>();
  /** What the debugger's list met since the caller cleared it. */
  stop: DebuggerStop | undefined;
  /** DR6 bits of the instruction breakpoint that BREAKPOINT was raised for. */
  matched = 0;
  private ranges: readonly Range[] = [];
  private ports: readonly Range[] = [];
  private dataPages = new Map<number, number>();
  private codePages = new Set<number>();
  /** The instruction at this address is let through once, whatever the debugger says: it goes on from there. */
  passing = -1;

  constructor(cpu: Cpu, mmu: Mmu) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.at = (cpu.base + OFFSET.dr) >> 2;
  }

  private get dr6(): number {
    return this.cpu.i32[this.at + 6]!;
  }
  private get dr7(): number {
    return this.cpu.i32[this.at + 7]!;
  }
  /** MOV from and to a debug register: DR4 and DR5 are DR6 and DR7 unless CR4.DE; DR7.GD makes both #DB. */
  read(n: number): number {
    return this.cpu.i32[this.at + this.reached(n)]!;
  }
  write(n: number, value: number): void {
    const to = this.reached(n);
    const stored =
      to === 6 ? (value & DR6.writable) | DR6.fixed : to === 7 ? (value & DR7.writable) | DR7.fixed : value;
    this.cpu.i32[this.at + to] = stored;
    if (to !== 6) this.refresh();
  }
  private reached(n: number): number {
    const { cpu } = this,
      aliased = n === 4 || n === 5;
    if (aliased && (cpu.get('cr4') & CR4.DE) !== 0) cpu.raise(EXCEPTION.UD);
    if ((this.dr7 & DR7.GD) !== 0) {
      this.note(DR6.BD);
      cpu.raise(EXCEPTION.DB);
    }
    return aliased ? n + 2 : n;
  }
  /** Sets bits of DR6: they stay until software clears them. */
  note(bits: number): void {
    this.cpu.i32[this.at + 6] = this.dr6 | bits;
  }
  /** #DB is being delivered: its handler may use the debug registers. */
  entered(): void {
    this.cpu.i32[this.at + 7] = this.dr7 & ~DR7.GD;
  }
  /** A hardware task switch ends local breakpoints, and traps when the new task's T bit is set (17.3.1.5). */
  taskSwitched(traps: boolean): void {
    const { cpu } = this;
    if ((this.dr7 & DR7.local) !== 0) {
      cpu.i32[this.at + 7] = this.dr7 & ~DR7.local;
      this.refresh();
    }
    if (!traps) return;
    cpu.set('debugTraps', cpu.get('debugTraps') | DR6.BT);
    cpu.set('exit', 1);
  }

  private isEnabled(n: number): boolean {
    return (this.dr7 & (3 << (2 * n))) !== 0;
  }
  private when(n: number): number {
    return (this.dr7 >>> (16 + 4 * n)) & 3;
  }
  /** Finds out anew what is watched: DR0..DR7 or the debugger's list changed, or the whole state did. */
  refresh(): void {
    const { cpu, mmu } = this;
    const ranges: Range[] = [],
      ports: Range[] = [],
      codePages = new Set<number>(),
      dataPages = new Map<number, number>();
    for (let n = 0; n < BREAKPOINTS; n++) {
      if (!this.isEnabled(n)) continue;
      const when = this.when(n),
        bytes = LENGTHS[(this.dr7 >>> (18 + 4 * n)) & 3]!,
        linear = cpu.i32[this.at + n]! >>> 0,
        address = (linear & -bytes) >>> 0;
      const range = { address, bytes, reads: when === WHEN.access, writes: true, bits: 1 << n };
      if (when === WHEN.execute) codePages.add(linear >>> 12);
      else if (when === WHEN.port) ports.push(range);
      else ranges.push(range);
    }
    for (const address of this.codeStops) codePages.add(address >>> 12);
    for (const watch of this.watches) {
      const { address, bytes, kind } = watch;
      ranges.push({ address, bytes, reads: kind !== 'write', writes: kind !== 'read', bits: 0, watch });
    }
    for (const { address, bytes, reads } of ranges) {
      const rights = reads ? TLB.global : TLB.global | TLB.supervisorRead | TLB.userRead;
      for (let page = address >>> 12; page <= (address + bytes - 1) >>> 12; page++)
        dataPages.set(page % (1 << 20), (dataPages.get(page) ?? -1) & rights);
    }
    const stale = [...this.dataPages.keys(), ...dataPages.keys()];
    const codeChanged = codePages.size + this.codePages.size > 0;
    this.ranges = ranges;
    this.ports = ports;
    this.dataPages = dataPages;
    this.codePages = codePages;
    mmu.watch = ranges.length === 0 ? undefined : this;
    for (const page of stale) mmu.forget(page * 4096);
    if (stale.length === 0 && !codeChanged) return;
    // Nothing that was found in the TLBs goes on unseen.
    mmu.codeTlb.flush(true);
    cpu.set('exit', 1);
  }

  // --- data and ports: traps behind the instruction

  /** What the TLB may allow of a page, as TLB bits. */
  rightsOf(linear: number): number {
    return this.dataPages.get(linear >>> 12) ?? -1;
  }
  /** A data access, of any page that has no right in the TLB. */
  accessed(linear: number, bytes: number, write: boolean): void {
    for (const range of this.ranges) {
      const meant = write ? range.writes : range.reads;
      if (meant && overlap(linear >>> 0, bytes, range.address, range.bytes)) this.met(range);
    }
  }
  get watchesPorts(): boolean {
    return this.ports.length > 0;
  }
  portAccessed(port: number, bytes: number): void {
    if (this.ports.length === 0 || (this.cpu.get('cr4') & CR4.DE) === 0) return;
    for (const range of this.ports) if (overlap(port, bytes, range.address, range.bytes)) this.met(range);
  }
  private met({ bits, watch }: Range): void {
    const { cpu } = this;
    if (watch !== undefined) this.stop ??= { kind: 'watch', watch };
    else cpu.set('debugTraps', cpu.get('debugTraps') | bits);
    cpu.set('exit', 1);
  }

  // --- instructions: faults before anything of the instruction, fetching it included

  get watchesCode(): boolean {
    return this.codePages.size > 0;
  }
  /** Whether code of this page has to ask `check` before each instruction. */
  hasCode(linear: number): boolean {
    return this.codePages.size > 0 && this.codePages.has(linear >>> 12);
  }
  /** Raises BREAKPOINT or STOP when there is one at a linear address; the debugger's comes first. */
  check(linear: number, guests: boolean): void {
    if (this.codeStops.has(linear) && this.passing !== linear) {
      this.stop = { kind: 'code', address: linear };
      this.cpu.raise(STOP);
    }
    if (!guests) return;
    let matched = 0,
      enabled = false;
    for (let n = 0; n < BREAKPOINTS; n++) {
      if (this.when(n) !== WHEN.execute || this.cpu.i32[this.at + n]! >>> 0 !== linear) continue;
      matched |= 1 << n;
      enabled ||= this.isEnabled(n);
    }
    if (!enabled) return;
    this.matched = matched;
    this.cpu.raise(BREAKPOINT);
  }
}
