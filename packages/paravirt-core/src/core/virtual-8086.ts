/**
 * Virtual-8086 mode with its extensions, and virtual interrupts of protected mode (SDM vol. 3, chapter 20: 20.2 the mode, 20.3
 * interrupts and VME, 20.4 PVI).
 */
import { CS, DS, EFLAGS, ES, ESP, EXCEPTION, FS, GS, SS } from '../isa/build.ts';
import type { CodeSegments } from './code-segments.ts';
import { CR4, type Cpu } from './cpu.ts';
import { TR } from './layout.ts';
import type { Mmu } from './mmu.ts';
import type { Segmentation } from './segmentation.ts';

const USER = 3;
const BOTH = EFLAGS.VIF | EFLAGS.VIP;
/** Offsets are words. */
const LIMIT = 0xffff;
/** Where a TSS says where its I/O permission bitmap begins; the bitmap of software interrupts ends there, 32 bytes long. */
const MAP_BASE = 102,
  REDIRECTION_BYTES = 32;

export class Virtual8086 {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly segments: Segmentation;
  private readonly codes: CodeSegments;

  constructor(cpu: Cpu, mmu: Mmu, segments: Segmentation, codes: CodeSegments) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.segments = segments;
    this.codes = codes;
  }

  private get extended(): boolean {
    return (this.cpu.get('cr4') & CR4.VME) !== 0;
  }
  /** IOPL 3: the guest of the mode may do with flags and interrupts what it likes. */
  private get trusted(): boolean {
    return (this.cpu.get('systemFlags') & EFLAGS.IOPL) === EFLAGS.IOPL;
  }
  private deny(): never {
    return this.cpu.raise(EXCEPTION.GP, 0);
  }
  private setFlags(set: number, clear: number): void {
    this.cpu.set('systemFlags', (this.cpu.get('systemFlags') & ~clear) | set);
  }

  /**
   * A virtual interrupt waits for a machine that would take it: #GP(0) at the beginning of its next instruction. That comes about
   * by IRET and task switches alone (SDM vol. 3, 20.3.3).
   */
  get interruptWaits(): boolean {
    const { cpu } = this,
      system = cpu.get('systemFlags');
    if ((system & BOTH) !== BOTH || this.trusted || cpu.get('cpl') !== USER) return false;
    return (cpu.get('cr4') & ((system & EFLAGS.VM) !== 0 ? CR4.VME : CR4.PVI)) !== 0;
  }
  /** CLI and STI where CPL is above IOPL: VIF with VME or PVI, #GP(0) without. */
  changeInterruptFlag(on: boolean): void {
    const { cpu } = this,
      cr4 = cpu.get('cr4');
    const mine = cpu.isVirtual8086 ? (cr4 & CR4.VME) !== 0 : cpu.get('cpl') === USER && (cr4 & CR4.PVI) !== 0;
    if (!mine) this.deny();
    if (!on) return this.setFlags(0, EFLAGS.VIF);
    if ((cpu.get('systemFlags') & EFLAGS.VIP) !== 0) this.deny();
    this.setFlags(EFLAGS.VIF, 0);
  }
  /** What PUSHF of the mode shows of the system's flags. */
  shownFlags(size: number): number {
    const system = this.cpu.get('systemFlags');
    if (this.trusted) return system & ~(EFLAGS.RF | EFLAGS.VM);
    if (!this.extended || size !== 16) this.deny();
    return this.imageOf(system);
  }
  /** FLAGS as the virtual machine sees them: IOPL 3, and VIF for IF. */
  private imageOf(system: number): number {
    const shown = (system | EFLAGS.IOPL) & ~EFLAGS.IF & 0xffff;
    return (system & EFLAGS.VIF) !== 0 ? shown | EFLAGS.IF : shown;
  }
  /** Before POPF and IRET of the mode change the other flags: IF of what was popped becomes VIF. */
  acceptFlags(flags: number, size: number): void {
    if (this.trusted) return;
    if (!this.extended || size !== 16) this.deny();
    const system = this.cpu.get('systemFlags');
    const interrupts = (flags & EFLAGS.IF) !== 0;
    if ((interrupts && (system & EFLAGS.VIP) !== 0) || (flags & EFLAGS.TF) !== 0) this.deny();
    if (interrupts) this.setFlags(EFLAGS.VIF, 0);
    else this.setFlags(0, EFLAGS.VIF);
  }
  /** IRET of the mode, before it reads its stack. */
  checkReturn(size: number): void {
    if (!this.trusted && (!this.extended || size !== 16)) this.deny();
  }

  /**
   * INT n. True when it was the virtual machine's own, through its vector table at 0, as the bitmap of the TSS says; false when it
   * goes through the IDT; #GP(0) when neither may be (SDM vol. 3, table 20-2).
   */
  interrupt(vector: number): boolean {
    if (this.extended && !this.isIntercepted(vector)) {
      this.redirect(vector);
      return true;
    }
    if (!this.trusted) this.deny();
    return false;
  }
  private isIntercepted(vector: number): boolean {
    const { cpu, mmu } = this,
      base = cpu.segment(TR, 'base'),
      limit = cpu.segment(TR, 'limit');
    if (limit < MAP_BASE + 1) this.deny();
    const at = mmu.readLinear((base + MAP_BASE) >>> 0, 2, false) - REDIRECTION_BYTES + (vector >> 3);
    if (at < 0 || at > limit) this.deny();
    return (mmu.readLinear((base + at) >>> 0, 1, false) & (1 << (vector & 7))) !== 0;
  }
  private redirect(vector: number): void {
    const { cpu, mmu, trusted } = this,
      stack = this.codes.stack();
    const entry = mmu.readLinear(vector * 4, 4, true);
    const flags = trusted ? cpu.eflags : this.imageOf(cpu.eflags);
    stack.push(2, flags & 0xffff);
    stack.push(2, cpu.segment(CS, 'selector'));
    stack.push(2, cpu.get('eip') & 0xffff);
    this.codes.enterReal(entry >>> 16, entry & 0xffff);
    stack.commit(cpu);
    this.setFlags(0, EFLAGS.TF | EFLAGS.RF | (trusted ? EFLAGS.IF : EFLAGS.VIF));
  }

  /**
   * IRET of CPL 0 with VM in the flags that it popped: the rest of the nine doublewords, and into the mode.
   */
  enter(eip: number, selector: number, flags: number, pop: () => number): void {
    const { cpu } = this;
    const esp = pop(),
      selectors = [SS, ES, DS, FS, GS].map((index) => [index, pop() & 0xffff] as const);
    if (eip > LIMIT) this.deny();
    cpu.eflags = flags;
    cpu.set('cpl', USER);
    cpu.setRegister(ESP, esp);
    for (const [index, value] of selectors) cpu.setVirtualSegment(index, value);
    cpu.setVirtualSegment(CS, selector);
    cpu.set('eip', eip);
  }
  /** Pushes what an event takes along out of the mode, before SS and ESP. */
  pushSegments(push: (value: number) => void): void {
    for (const index of [GS, FS, DS, ES]) push(this.cpu.segment(index, 'selector'));
  }
  /** Protected mode begins without data segments. */
  leave(): void {
    for (const index of [GS, FS, DS, ES]) this.segments.makeNull(index, 0);
  }
}
