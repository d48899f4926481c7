/** Delivery of interrupts and exceptions (SDM vol. 3, chapter 6; 20.1.4 and 20.3 for real-address and virtual-8086 mode). */
import { CS, EFLAGS, ESP, EXCEPTION, SS } from '../isa/build.ts';
import type { CodeSegments } from './code-segments.ts';
import { ATTRIBUTE, CR0, dplOf, type Cpu } from './cpu.ts';
import type { Mmu } from './mmu.ts';
import type { Descriptor, Segmentation } from './segmentation.ts';
import type { Stack } from './stack.ts';
import type { Tasks } from './tasks.ts';
import type { Virtual8086 } from './virtual-8086.ts';

/** Why an event is delivered: software interrupts check the gate's DPL, external ones set EXT, faults push RF. */
export type EventKind = 'fault' | 'trap' | 'software' | 'external';

/** Gate types of an IDT (SDM vol. 3, table 3-2); interrupt gates are even. */
const GATE = { task: 5, interrupt16: 6, trap16: 7, interrupt32: 14, trap32: 15 } as const;
const CLEARED = EFLAGS.TF | EFLAGS.NT | EFLAGS.RF | EFLAGS.VM;

export interface DeliveryParts {
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly segments: Segmentation;
  readonly codes: CodeSegments;
  readonly tasks: Tasks;
  readonly virtual: Virtual8086;
}

export class Delivery {
  /** Delivers between flat segments and returns 1, or has done nothing (`Engine.deliver`). */
  flat: (vector: number, flags: number, errorCode: number, isSoftware: number) => number = () => 0;
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly segments: Segmentation;
  private readonly codes: CodeSegments;
  private readonly tasks: Tasks;
  private readonly virtual: Virtual8086;

  constructor({ cpu, mmu, segments, codes, tasks, virtual }: DeliveryParts) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.segments = segments;
    this.codes = codes;
    this.tasks = tasks;
    this.virtual = virtual;
  }

  /**
   * Delivers an event through the IDT or, in real mode, the vector table. cpu.eip is what is pushed; an error code of -1 is none.
   * Throws GUEST_FAULT with the next fault recorded when delivery itself fails; what it found is as it was then, except behind a
   * switch of tasks.
   */
  deliver(vector: number, kind: EventKind, errorCode: number): void {
    const { cpu, mmu, segments } = this;
    if ((cpu.get('cr0') & CR0.PE) === 0) return this.deliverReal(vector);
    if (this.flat(vector, pushedFlags(cpu, kind), errorCode, kind === 'software' ? 1 : 0) !== 0) return;
    segments.external = kind === 'software' ? 0 : 1;
    const error = (vector * 8 + 2) | segments.external;
    if (vector * 8 + 7 > cpu.get('idtLimit')) cpu.raise(EXCEPTION.GP, error);
    const at = (cpu.get('idtBase') + vector * 8) >>> 0;
    const low = mmu.readLinear(at, 4, false),
      high = mmu.readLinear((at + 4) >>> 0, 4, false);
    const type = (high >>> 8) & 0x1f;
    const isGate = type === GATE.interrupt32 || type === GATE.trap32 || (type >= GATE.task && type <= GATE.trap16);
    if (!isGate) cpu.raise(EXCEPTION.GP, error);
    if (kind === 'software' && ((high >>> 13) & 3) < cpu.get('cpl')) cpu.raise(EXCEPTION.GP, error);
    if ((high & 0x8000) === 0) cpu.raise(EXCEPTION.NP, error);
    if (type === GATE.task) this.tasks.interrupt(low >>> 16, errorCode, kind === 'fault');
    else this.throughGate(type, low, high, kind, errorCode);
    segments.external = 0;
  }
  private throughGate(type: number, low: number, high: number, kind: EventKind, errorCode: number): void {
    const { cpu, segments, codes, virtual } = this;
    const bytes = type >= GATE.interrupt32 ? 4 : 2,
      selector = low >>> 16;
    const eip = bytes === 4 ? ((low & 0xffff) | (high & 0xffff0000)) >>> 0 : low & 0xffff;
    const code = codes.ofGate(selector),
      dpl = dplOf(code.attributes),
      cpl = cpu.get('cpl'),
      fromVirtual = cpu.isVirtual8086;
    codes.present(code);
    const inner = (code.attributes & ATTRIBUTE.conforming) === 0 && dpl < cpl;
    // Out of virtual-8086 mode there is one way, to ring 0.
    if (fromVirtual && (!inner || dpl !== 0)) segments.fail(EXCEPTION.GP, selector);
    const flags = pushedFlags(cpu, kind);
    let stack: Stack;
    let ss: Descriptor | undefined;
    if (inner) {
      ({ d: ss, stack } = codes.innerStack(dpl));
      if (fromVirtual) virtual.pushSegments((value) => stack.push(bytes, value));
      stack.push(bytes, cpu.segment(SS, 'selector'));
      stack.push(bytes, cpu.getRegister(ESP));
    } else stack = codes.stack();
    stack.push(bytes, flags);
    stack.push(bytes, cpu.segment(CS, 'selector'));
    stack.push(bytes, cpu.get('eip'));
    if (errorCode >= 0) stack.push(bytes, errorCode);
    codes.settle(code, eip, ss);
    const cleared = CLEARED | ((type & 1) === 0 ? EFLAGS.IF : 0);
    cpu.set('systemFlags', cpu.get('systemFlags') & ~cleared);
    if (ss !== undefined) {
      cpu.set('cpl', dpl);
      segments.commit(SS, ss);
    }
    if (fromVirtual) virtual.leave();
    stack.commit(cpu);
    codes.commit(code, inner ? dpl : cpl, eip);
  }
  private deliverReal(vector: number): void {
    const { cpu, mmu, codes } = this;
    if (vector * 4 + 3 > cpu.get('idtLimit')) cpu.raise(EXCEPTION.GP);
    const entry = mmu.readLinear((cpu.get('idtBase') + vector * 4) >>> 0, 4, false),
      stack = codes.stack();
    stack.push(2, cpu.eflags);
    stack.push(2, cpu.segment(CS, 'selector'));
    stack.push(2, cpu.get('eip'));
    codes.enterReal(entry >>> 16, entry & 0xffff);
    stack.commit(cpu);
    cpu.set('systemFlags', cpu.get('systemFlags') & ~(EFLAGS.TF | EFLAGS.IF | EFLAGS.AC | EFLAGS.RF));
  }
}

const pushedFlags = (cpu: Cpu, kind: EventKind): number => (cpu.eflags | (kind === 'fault' ? EFLAGS.RF : 0)) >>> 0;
