/** Far transfers, gates, and returns (SDM vol. 3, chapter 5.8; vol. 2: CALL JMP RET IRET INT SYSENTER). */
import { CS, ECX, EDX, EFLAGS, ESP, EXCEPTION, SS } from '../isa/build.ts';
import { CodeSegments } from './code-segments.ts';
import { ATTRIBUTE, CR0, dplOf, type Cpu } from './cpu.ts';
import { Delivery, type EventKind } from './delivery.ts';
import { Landing } from './landing.ts';
import type { Mmu } from './mmu.ts';
import { rplOf, type Descriptor, type Segmentation } from './segmentation.ts';
import type { Stack } from './stack.ts';
import { Tasks } from './tasks.ts';
import { Virtual8086 } from './virtual-8086.ts';

export type { EventKind } from './delivery.ts';

/** How an INT was encoded: INT n is what virtual-8086 mode virtualizes; INT1 asks no gate for its DPL. */
export type InterruptForm = 'n' | '1' | '3';
const CALL_GATE = { narrow: 4, wide: 12 } as const;

export class Transfers {
  /** A software interrupt was executed, or another task begun: it cleared TF, so no single-step trap follows it. */
  interrupted = false;
  readonly tasks: Tasks;
  readonly virtual: Virtual8086;
  readonly landing: Landing;
  private readonly cpu: Cpu;
  private readonly segments: Segmentation;
  private readonly codes: CodeSegments;
  readonly delivery: Delivery;

  constructor(cpu: Cpu, mmu: Mmu, segments: Segmentation) {
    this.cpu = cpu;
    this.segments = segments;
    this.codes = new CodeSegments(cpu, mmu, segments);
    this.landing = new Landing(cpu);
    this.tasks = new Tasks(cpu, mmu, segments, this.landing);
    this.virtual = new Virtual8086(cpu, mmu, segments, this.codes);
    const { codes, tasks, virtual } = this;
    this.delivery = new Delivery({ cpu, mmu, segments, codes, tasks, virtual });
  }

  /** Delivers an event; see `Delivery.deliver`. */
  deliver(vector: number, kind: EventKind, errorCode: number): void {
    this.delivery.deliver(vector, kind, errorCode);
  }
  /** INT n, INT3, INTO, INT1. On entry cpu.eip is the return address. */
  softwareInterrupt(vector: number, form: InterruptForm): void {
    const done = form === 'n' && this.cpu.isVirtual8086 && this.virtual.interrupt(vector);
    if (!done) this.delivery.deliver(vector, form === '1' ? 'trap' : 'software', -1);
    this.interrupted = true;
  }

  private target(selector: number): Descriptor {
    if (this.codes.isNull(selector)) this.cpu.raise(EXCEPTION.GP, 0);
    return this.segments.read(selector);
  }
  private changeTask(d: Descriptor, cause: 'jump' | 'call'): void {
    this.tasks.transfer(d, cause);
    this.taskChanged();
  }
  private taskChanged(): void {
    this.interrupted = true;
    this.flagsChanged();
    this.checkVirtualInterrupt();
  }
  private checkVirtualInterrupt(): void {
    if (this.virtual.interruptWaits) this.landing.at(this.cpu.get('eip'), () => this.cpu.raise(EXCEPTION.GP, 0));
  }

  jumpFar(selector: number, offset: number): void {
    const { cpu, codes } = this;
    if (!cpu.isProtected) return codes.enterReal(selector, offset);
    const d = this.target(selector);
    if (codes.isCode(d)) {
      codes.checkDirect(d);
      codes.settle(d, offset);
      return codes.commit(d, cpu.get('cpl'), offset);
    }
    if (this.tasks.isTask(d)) return this.changeTask(d, 'jump');
    const gate = this.callGate(d);
    const code = codes.ofGate(gate.selector);
    const dpl = dplOf(code.attributes),
      conforming = (code.attributes & ATTRIBUTE.conforming) !== 0;
    if (conforming ? dpl > cpu.get('cpl') : dpl !== cpu.get('cpl')) this.segments.fail(EXCEPTION.GP, gate.selector);
    codes.present(code);
    codes.settle(code, gate.offset);
    codes.commit(code, cpu.get('cpl'), gate.offset);
  }

  /** The call gate that a system descriptor is. */
  private callGate(d: Descriptor): { selector: number; offset: number; parameters: number; bytes: 2 | 4 } {
    const type = d.attributes & 0x1f;
    if (type !== CALL_GATE.wide && type !== CALL_GATE.narrow) this.segments.fail(EXCEPTION.GP, d.selector);
    if (Math.max(this.cpu.get('cpl'), rplOf(d.selector)) > dplOf(d.attributes))
      this.segments.fail(EXCEPTION.GP, d.selector);
    this.codes.present(d);
    const big = type === CALL_GATE.wide;
    return {
      selector: d.low >>> 16,
      offset: big ? ((d.low & 0xffff) | (d.high & 0xffff0000)) >>> 0 : d.low & 0xffff,
      parameters: d.high & 0x1f,
      bytes: big ? 4 : 2,
    };
  }

  /** `size` is the operand size of a direct call; a gate brings its own. On entry cpu.eip is the return address. */
  callFar(selector: number, offset: number, size: number): void {
    const { cpu, codes } = this;
    const returnTo = cpu.get('eip'),
      oldCs = cpu.segment(CS, 'selector'),
      bytes = size === 16 ? 2 : 4;
    if (!cpu.isProtected) {
      const stack = codes.stack();
      codes.checkEip(offset, cpu.get('codeLimit'));
      stack.push(bytes, oldCs);
      stack.push(bytes, returnTo);
      stack.commit(cpu);
      return codes.enterReal(selector, offset);
    }
    const d = this.target(selector);
    if (codes.isCode(d)) {
      codes.checkDirect(d);
      const stack = codes.stack();
      stack.push(bytes, oldCs);
      stack.push(bytes, returnTo);
      codes.settle(d, offset);
      stack.commit(cpu);
      return codes.commit(d, cpu.get('cpl'), offset);
    }
    if (this.tasks.isTask(d)) return this.changeTask(d, 'call');
    const gate = this.callGate(d),
      code = codes.ofGate(gate.selector);
    codes.present(code);
    const dpl = dplOf(code.attributes),
      cpl = cpu.get('cpl');
    if ((code.attributes & ATTRIBUTE.conforming) !== 0 || dpl === cpl) {
      const stack = codes.stack();
      stack.push(gate.bytes, oldCs);
      stack.push(gate.bytes, returnTo);
      codes.settle(code, gate.offset);
      stack.commit(cpu);
      return codes.commit(code, cpl, gate.offset);
    }
    const outer = codes.stack(),
      inner = codes.innerStack(dpl);
    const oldSs = cpu.segment(SS, 'selector'),
      oldEsp = cpu.getRegister(ESP);
    const parameters = Array.from({ length: gate.parameters }, () => outer.pop(gate.bytes));
    inner.stack.push(gate.bytes, oldSs);
    inner.stack.push(gate.bytes, oldEsp);
    for (const parameter of parameters.reverse()) inner.stack.push(gate.bytes, parameter);
    inner.stack.push(gate.bytes, oldCs);
    inner.stack.push(gate.bytes, returnTo);
    codes.settle(code, gate.offset, inner.d);
    this.segments.commit(SS, inner.d);
    inner.stack.commit(cpu);
    codes.commit(code, dpl, gate.offset);
  }

  returnFar(size: number, release: number): void {
    const { cpu, codes } = this,
      bytes = size === 16 ? 2 : 4,
      stack = codes.stack();
    const eip = stack.pop(bytes),
      selector = stack.pop(bytes) & 0xffff;
    if (!cpu.isProtected) {
      codes.enterReal(selector, eip);
      stack.skip(release);
      return stack.commit(cpu);
    }
    const code = codes.ofReturn(selector);
    if (rplOf(selector) === cpu.get('cpl')) {
      codes.settle(code, eip);
      stack.skip(release);
      stack.commit(cpu);
      return codes.commit(code, cpu.get('cpl'), eip);
    }
    stack.skip(release);
    this.returnOutward(code, eip, stack, bytes, release);
  }
  private returnOutward(code: Descriptor, eip: number, stack: Stack, bytes: 2 | 4, release: number): void {
    const { cpu } = this,
      cpl = rplOf(code.selector);
    const esp = stack.pop(bytes),
      ss = stack.pop(bytes) & 0xffff;
    const d = this.segments.readStack(ss, cpl);
    this.codes.settle(code, eip, d);
    this.codes.commit(code, cpl, eip);
    this.segments.commit(SS, d);
    const wide = (d.attributes & ATTRIBUTE.big) !== 0;
    cpu.setRegister(ESP, wide ? esp + release : (cpu.getRegister(ESP) & 0xffff0000) | ((esp + release) & 0xffff));
    this.segments.dropInner(cpl);
  }

  returnInterrupt(size: number): void {
    const { cpu, codes, virtual } = this,
      bytes = size === 16 ? 2 : 4,
      isVirtual = cpu.isVirtual8086;
    if (isVirtual) virtual.checkReturn(size);
    else if ((cpu.get('systemFlags') & EFLAGS.NT) !== 0 && cpu.isProtected) {
      this.tasks.return();
      return this.taskChanged();
    }
    const stack = codes.stack();
    const eip = stack.pop(bytes),
      selector = stack.pop(bytes) & 0xffff,
      flags = stack.pop(bytes);
    if (!cpu.isProtected) {
      codes.checkEip(eip, cpu.get('codeLimit'));
      if (isVirtual) virtual.acceptFlags(flags, size);
      codes.enterReal(selector, eip);
      stack.commit(cpu);
      return this.loadFlags(flags, bytes, cpu.get('cpl'));
    }
    const cpl = cpu.get('cpl');
    if (bytes === 4 && (flags & EFLAGS.VM) !== 0 && cpl === 0) {
      virtual.enter(eip, selector, flags, () => stack.pop(4));
      this.flagsChanged();
      return this.checkVirtualInterrupt();
    }
    const code = codes.ofReturn(selector);
    if (rplOf(selector) === cpl) {
      codes.settle(code, eip);
      stack.commit(cpu);
      codes.commit(code, cpl, eip);
    } else this.returnOutward(code, eip, stack, bytes, 0);
    this.loadFlags(flags, bytes, cpl);
    this.checkVirtualInterrupt();
  }
  /** EFLAGS from the stack as seen from a privilege level (SDM vol. 2, IRET). */
  private loadFlags(flags: number, bytes: 2 | 4, cpl: number): void {
    const { cpu } = this,
      system = cpu.get('systemFlags'),
      iopl = (system >> 12) & 3;
    let mask: number = EFLAGS.TF | EFLAGS.DF | EFLAGS.NT;
    if (bytes === 4) mask |= EFLAGS.RF | EFLAGS.AC | EFLAGS.ID;
    if (cpl <= iopl) mask |= EFLAGS.IF;
    if (cpl === 0) mask |= EFLAGS.IOPL;
    if (cpl === 0 && bytes === 4 && cpu.isProtected) mask |= EFLAGS.VIF | EFLAGS.VIP;
    cpu.setStatusFlags(flags);
    const next = (system & ~mask) | (flags & mask) | 2;
    cpu.set('systemFlags', next);
    // What CPL and CS decide was refreshed with them; AC is all that may be new.
    if (((system ^ next) & EFLAGS.AC) !== 0) cpu.refreshMode();
    this.leaveIfDue();
  }
  /** IF, TF or AC may have changed: leave when that matters. */
  flagsChanged(): void {
    this.leaveIfDue();
    this.cpu.refreshMode();
  }
  private leaveIfDue(): void {
    const { cpu } = this,
      system = cpu.get('systemFlags');
    const due =
      ((system & EFLAGS.IF) !== 0 && cpu.get('interruptPending') !== 0) || (system & (EFLAGS.TF | EFLAGS.AC)) !== 0;
    if (due) cpu.set('exit', 1);
  }

  /** SYSENTER and SYSEXIT (SDM vol. 2). */
  enterSystem(): void {
    const { cpu } = this,
      selector = cpu.get('sysenterCs');
    if ((cpu.get('cr0') & CR0.PE) === 0 || this.codes.isNull(selector)) cpu.raise(EXCEPTION.GP, 0);
    cpu.set('systemFlags', cpu.get('systemFlags') & ~(EFLAGS.VM | EFLAGS.IF));
    cpu.set('cpl', 0);
    cpu.setSegment(CS, selector & 0xfffc, 0, 0xffffffff, 0xc09b);
    cpu.setSegment(SS, (selector & 0xfffc) + 8, 0, 0xffffffff, 0xc093);
    cpu.setRegister(ESP, cpu.get('sysenterEsp'));
    cpu.set('eip', cpu.get('sysenterEip'));
  }
  exitSystem(): void {
    const { cpu } = this,
      selector = cpu.get('sysenterCs');
    if (!cpu.isProtected || this.codes.isNull(selector)) cpu.raise(EXCEPTION.GP, 0);
    cpu.set('cpl', 3);
    cpu.setSegment(CS, (selector + 16) | 3, 0, 0xffffffff, 0xc0fb);
    cpu.setSegment(SS, (selector + 24) | 3, 0, 0xffffffff, 0xc0f3);
    cpu.setRegister(ESP, cpu.getRegister(ECX));
    cpu.set('eip', cpu.getRegister(EDX));
  }
}
