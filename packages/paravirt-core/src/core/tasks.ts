/** Tasks switched in hardware: task-state segments, task gates, nesting (SDM vol. 3, chapter 8; 7 in older editions). */
import { CS, DS, EFLAGS, ES, EXCEPTION, FS, GS, SS } from '../isa/build.ts';
import { ATTRIBUTE, CR0, GUEST_FAULT, dplOf, type Cpu } from './cpu.ts';
import type { Landing } from './landing.ts';
import { LDTR, TR } from './layout.ts';
import type { Mmu } from './mmu.ts';
import { rplOf, type Descriptor, type Segmentation } from './segmentation.ts';
import { Stack } from './stack.ts';

/** Why a task begins: a jump leaves no way back, a call or an event links back, IRET takes that link. */
export type TaskCause = 'jump' | 'call' | 'return';

/** Descriptor types (SDM vol. 3, table 3-2), as the low five bits of a descriptor's attributes. */
const TYPE = { tss16: 1, tss32: 9, busy: 2, taskGate: 5 } as const;
/** By type, those that lead to another task. */
const TASKS = (1 << 1) | (1 << 3) | (1 << 5) | (1 << 9) | (1 << 11);
/** Segment registers in the order of a TSS. */
const IN_ORDER = [ES, CS, SS, DS, FS, GS] as const;
const REGISTERS = 8;
/** Where a TSS keeps what (SDM vol. 3, figures 8-2 and 8-10), and the limit that the one to be must have. */
const WIDE = { bytes: 4, eip: 32, flags: 36, registers: 40, segments: 72, count: 6, ldt: 96, limit: 103 } as const;
const NARROW = { bytes: 2, eip: 14, flags: 16, registers: 18, segments: 34, count: 4, ldt: 42, limit: 43 } as const;
const LINK = 0,
  ROOT = 28,
  TRAP = 100;
/** What the upper halves of general registers become that a 16-bit TSS does not hold: the manual leaves it open, processors set them. */
const UPPER_HALF = 0xffff0000;

const lastSaved = (wide: boolean): number => {
  const at = wide ? WIDE : NARROW;
  return at.segments + at.count * at.bytes - 1;
};

/** What a TSS says of the task to be. */
interface Image {
  readonly root: number;
  readonly eip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  /** ES CS SS DS FS GS. */
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly trap: boolean;
}

export class Tasks {
  /** Told of each switch: local breakpoints end, and with `traps` #DB is due before the task's first instruction (17.3.1.5). */
  onSwitch: (traps: boolean) => void = () => {};
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly segments: Segmentation;
  private readonly landing: Landing;

  constructor(cpu: Cpu, mmu: Mmu, segments: Segmentation, landing: Landing) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.segments = segments;
    this.landing = landing;
  }

  /** Whether a system descriptor leads to another task: a TSS, busy or not, or a task gate. */
  isTask(d: Descriptor): boolean {
    return (d.attributes & ATTRIBUTE.s) === 0 && ((TASKS >> (d.attributes & 0xf)) & 1) !== 0;
  }
  /** Far JMP or CALL to a TSS or a task gate. Faults after the switch belong to the new task: see `enter`. */
  transfer(d: Descriptor, cause: 'jump' | 'call'): void {
    const { cpu, segments } = this;
    if (Math.max(cpu.get('cpl'), rplOf(d.selector)) > dplOf(d.attributes)) segments.fail(EXCEPTION.GP, d.selector);
    if ((d.attributes & 0x1f) !== TYPE.taskGate) return this.enter(this.available(d), cause);
    if ((d.attributes & ATTRIBUTE.present) === 0) segments.fail(EXCEPTION.NP, d.selector);
    this.enter(this.fromGate(d.low >>> 16), cause);
  }
  /** An event by way of a task gate of the IDT; the error code, if there is one, goes to the new task's stack. */
  interrupt(selector: number, errorCode: number, fault: boolean): void {
    this.enter(this.fromGate(selector), 'call', fault);
    if (errorCode < 0) return;
    const { cpu } = this;
    const stack = Stack.current(cpu, this.mmu, () => cpu.raise(EXCEPTION.SS, this.segments.external));
    // A stack without room is the new task's fault as well; delivery looks at EIP there.
    stack.push((cpu.segment(TR, 'attributes') & 8) !== 0 ? 4 : 2, errorCode);
    stack.commit(cpu);
  }
  /** IRET with NT set: back to the task that the link names. */
  return(): void {
    const { cpu, segments } = this;
    const selector = this.mmu.readLinear(cpu.segment(TR, 'base') + LINK, 2, false);
    if ((selector & 4) !== 0) segments.fail(EXCEPTION.TS, selector);
    const d = segments.read(selector, EXCEPTION.TS),
      type = d.attributes & 0x1f;
    if (type !== (TYPE.tss16 | TYPE.busy) && type !== (TYPE.tss32 | TYPE.busy)) segments.fail(EXCEPTION.TS, selector);
    this.enter(d, 'return');
  }

  private fromGate(selector: number): Descriptor {
    if ((selector & 4) !== 0) this.segments.fail(EXCEPTION.GP, selector);
    return this.available(this.segments.read(selector));
  }
  private available(d: Descriptor): Descriptor {
    const type = d.attributes & 0x1f;
    if ((d.selector & 4) !== 0 || (type !== TYPE.tss16 && type !== TYPE.tss32))
      this.segments.fail(EXCEPTION.GP, d.selector);
    return d;
  }

  /**
   * The switch itself (SDM vol. 3, 8.3). What can fail before the new task is committed leaves everything as it was. What
   * fails behind that throws as well, but in the new task: its EIP and selectors are in place, so that its handlers see it there.
   */
  private enter(d: Descriptor, cause: TaskCause, fault = false): void {
    const { cpu, mmu, segments } = this;
    const wide = (d.attributes & 8) !== 0,
      selector = d.selector;
    if ((d.attributes & ATTRIBUTE.present) === 0) segments.fail(EXCEPTION.NP, selector);
    if (d.limit < (wide ? WIDE : NARROW).limit) segments.fail(EXCEPTION.TS, selector);
    const old = { base: cpu.segment(TR, 'base'), wide: (cpu.segment(TR, 'attributes') & 8) !== 0 };
    // Of the old one no more than what is saved.
    if (cpu.segment(TR, 'limit') < lastSaved(old.wide)) segments.fail(EXCEPTION.TS, cpu.segment(TR, 'selector'));
    const next = this.read(d, wide);
    this.probe(old, d, cause);

    this.save(old, (cause === 'return' ? cpu.eflags & ~EFLAGS.NT : cpu.eflags | (fault ? EFLAGS.RF : 0)) >>> 0);
    if (cause === 'call') mmu.writeLinear(d.base + LINK, 2, cpu.segment(TR, 'selector'), false);
    else this.mark(this.ownDescriptor(), false);
    if (cause !== 'return') this.mark(d.at, true);

    cpu.setSegment(TR, selector, d.base, d.limit, d.attributes | TYPE.busy);
    cpu.set('cr0', cpu.get('cr0') | CR0.TS);
    this.landing.at(next.eip, () => this.load(next, wide, cause === 'call'));
    this.onSwitch(next.trap);
  }

  private read(d: Descriptor, wide: boolean): Image {
    const at = wide ? WIDE : NARROW;
    const take = (offset: number, bytes: 2 | 4): number => this.mmu.readLinear((d.base + offset) >>> 0, bytes, false);
    const upper = wide ? 0 : UPPER_HALF;
    return {
      root: wide ? take(ROOT, 4) : 0,
      eip: take(at.eip, at.bytes),
      flags: take(at.flags, at.bytes),
      registers: Array.from({ length: REGISTERS }, (_, i) => take(at.registers + i * at.bytes, at.bytes) | upper),
      selectors: IN_ORDER.map((_, i) => (i < at.count ? take(at.segments + i * at.bytes, 2) : 0)),
      ldt: take(at.ldt, 2),
      trap: wide && (take(TRAP, 2) & 1) !== 0,
    };
  }
  /** Whatever will be written must be there, before anything is. */
  private probe(old: { base: number; wide: boolean }, d: Descriptor, cause: TaskCause): void {
    const probe = (address: number): void => {
      if (this.mmu.translate(address, true, false) < 0) throw GUEST_FAULT;
    };
    probe(old.base + (old.wide ? WIDE : NARROW).eip);
    probe(old.base + lastSaved(old.wide));
    if (cause === 'call') {
      probe(d.base + LINK);
      probe(d.base + LINK + 1);
    } else probe(this.ownDescriptor() + 5);
    if (cause !== 'return') probe(d.at + 5);
  }
  private ownDescriptor(): number {
    return (this.cpu.get('gdtBase') + (this.cpu.segment(TR, 'selector') & 0xfff8)) >>> 0;
  }
  /** Sets or clears the busy bit of the TSS descriptor at a linear address. */
  private mark(at: number, busy: boolean): void {
    const access = (at + 5) >>> 0,
      old = this.mmu.readLinear(access, 1, false);
    this.mmu.writeLinear(access, 1, busy ? old | TYPE.busy : old & ~TYPE.busy, false);
  }
  private save(old: { base: number; wide: boolean }, flags: number): void {
    const { cpu, mmu } = this,
      at = old.wide ? WIDE : NARROW;
    const put = (offset: number, bytes: 2 | 4, value: number): void =>
      mmu.writeLinear((old.base + offset) >>> 0, bytes, bytes === 2 ? value & 0xffff : value, false);
    put(at.eip, at.bytes, cpu.get('eip'));
    put(at.flags, at.bytes, flags);
    for (let i = 0; i < REGISTERS; i++) put(at.registers + i * at.bytes, at.bytes, cpu.getRegister(i));
    for (let i = 0; i < at.count; i++) put(at.segments + i * at.bytes, 2, cpu.segment(IN_ORDER[i]!, 'selector'));
  }

  /** The new task's registers; then its segments, checked one after the other in its own context. */
  private load(next: Image, wide: boolean, nested: boolean): void {
    const { cpu, segments } = this;
    cpu.eflags = next.flags | (nested ? EFLAGS.NT : 0);
    cpu.set('eip', next.eip);
    next.registers.forEach((value, i) => cpu.setRegister(i, value));
    const virtual = cpu.isVirtual8086;
    cpu.set('cpl', virtual ? 3 : rplOf(next.selectors[CS]!));
    // Unusable until they have been checked: whoever handles a fault finds the selectors, as processors leave them.
    next.selectors.forEach((selector, i) => cpu.setSegment(IN_ORDER[i]!, selector, 0, 0, 0));
    cpu.setSegment(LDTR, next.ldt, 0, 0, 0);
    cpu.refreshMode();
    if (wide && (cpu.get('cr0') & CR0.PG) !== 0) this.mmu.loadPageTables(next.root);
    if ((next.ldt & 0xfffc) !== 0) this.loadLdt(next.ldt);
    if (virtual) next.selectors.forEach((selector, i) => cpu.setVirtualSegment(IN_ORDER[i]!, selector));
    else {
      this.loadCode(next.selectors[CS]!);
      segments.commit(SS, segments.readStack(next.selectors[SS]!, cpu.get('cpl'), EXCEPTION.TS));
      for (const index of [ES, DS, FS, GS]) this.loadData(index, next.selectors[index]!);
    }
    if (next.eip > cpu.segment(CS, 'limit')) cpu.raise(EXCEPTION.GP, segments.external);
  }
  private loadLdt(selector: number): void {
    const { segments } = this;
    if ((selector & 4) !== 0) segments.fail(EXCEPTION.TS, selector);
    const d = segments.read(selector, EXCEPTION.TS);
    if ((d.attributes & 0x9f) !== 0x82) segments.fail(EXCEPTION.TS, selector);
    this.cpu.setSegment(LDTR, selector, d.base, d.limit, d.attributes);
  }
  private loadCode(selector: number): void {
    const { segments } = this;
    if ((selector & 0xfffc) === 0) segments.fail(EXCEPTION.TS, selector);
    const d = segments.read(selector, EXCEPTION.TS),
      a = d.attributes,
      isCode = (a & ATTRIBUTE.s) !== 0 && (a & ATTRIBUTE.code) !== 0;
    const legal = (a & ATTRIBUTE.conforming) !== 0 ? dplOf(a) <= rplOf(selector) : dplOf(a) === rplOf(selector);
    if (!isCode || !legal) segments.fail(EXCEPTION.TS, selector);
    if ((a & ATTRIBUTE.present) === 0) segments.fail(EXCEPTION.NP, selector);
    segments.commit(CS, d);
  }
  /** The rules of MOV to a segment register, with #TS where that says #GP. */
  private loadData(index: number, selector: number): void {
    const { cpu } = this;
    try {
      this.segments.load(index, selector);
    } catch (error) {
      if (error === GUEST_FAULT && cpu.get('faultVector') === EXCEPTION.GP) cpu.set('faultVector', EXCEPTION.TS);
      throw error;
    }
  }
}
