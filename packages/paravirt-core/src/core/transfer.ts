/** Far transfers, gates, interrupt delivery and return (SDM vol. 3, chapters 5.8 and 6; vol. 2: CALL JMP RET IRET INT SYSENTER). */
import { CS, ECX, EDX, EFLAGS, ESP, EXCEPTION, SS } from '../isa/build.ts';
import { ATTRIBUTE, dplOf, type Cpu } from './cpu.ts';
import { TR } from './layout.ts';
import type { Mmu } from './mmu.ts';
import { rplOf, type Descriptor, type Segmentation } from './segmentation.ts';

/** Why an event is delivered: software interrupts check the gate's DPL, external ones set EXT, faults push RF. */
export type EventKind = 'fault' | 'trap' | 'software' | 'external';

/** A stack being pushed to or popped from, before it is committed. */
class Stack {
  esp: number;
  private readonly mmu: Mmu;
  private readonly base: number;
  private readonly limit: number;
  private readonly attributes: number;
  private readonly mask: number;
  private readonly user: boolean;
  private readonly overflow: () => never;

  constructor(
    mmu: Mmu,
    part: { base: number; limit: number; attributes: number },
    esp: number,
    user: boolean,
    overflow: () => never,
  ) {
    this.mmu = mmu;
    this.base = part.base;
    this.limit = part.limit;
    this.attributes = part.attributes;
    this.mask = (part.attributes & ATTRIBUTE.big) !== 0 ? 0xffffffff : 0xffff;
    this.esp = esp;
    this.user = user;
    this.overflow = overflow;
  }
  private at(offset: number, bytes: number): number {
    const last = offset + bytes - 1;
    const down = (this.attributes & (ATTRIBUTE.code | ATTRIBUTE.expandDown)) === ATTRIBUTE.expandDown;
    const inside = down ? offset > this.limit && last <= this.mask : last <= this.limit;
    if (!inside) this.overflow();
    return (this.base + offset) >>> 0;
  }
  private moved(by: number): number {
    return ((this.esp & ~this.mask) | ((this.esp + by) & this.mask)) >>> 0;
  }
  push(bytes: 2 | 4, value: number): void {
    const next = this.moved(-bytes);
    this.mmu.writeLinear(this.at((next & this.mask) >>> 0, bytes), bytes, value, this.user);
    this.esp = next;
  }
  pop(bytes: 2 | 4): number {
    const value = this.mmu.readLinear(this.at((this.esp & this.mask) >>> 0, bytes), bytes, this.user);
    this.esp = this.moved(bytes);
    return value;
  }
  skip(bytes: number): void {
    this.esp = this.moved(bytes);
  }
}

export class Transfers {
  /** A software interrupt was executed: it cleared TF, so no single-step trap follows it. */
  interrupted = false;
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly segments: Segmentation;

  constructor(cpu: Cpu, mmu: Mmu, segments: Segmentation) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.segments = segments;
  }

  private stack(): Stack {
    const { cpu } = this;
    const part = {
      base: cpu.segment(SS, 'base'),
      limit: cpu.segment(SS, 'limit'),
      attributes: cpu.segment(SS, 'attributes'),
    };
    return new Stack(this.mmu, part, cpu.getRegister(ESP), cpu.get('cpl') === 3, () =>
      cpu.raise(EXCEPTION.SS, this.segments.external),
    );
  }
  private checkEip(eip: number, limit: number): void {
    if (eip >>> 0 > limit >>> 0) this.cpu.raise(EXCEPTION.GP, this.segments.external);
  }
  /** The last that can fault before registers change: EIP within its segment, accessed bits of what will be loaded. */
  private settle(code: Descriptor, eip: number, stack?: Descriptor): void {
    this.checkEip(eip, code.limit);
    this.segments.touch(code);
    if (stack !== undefined) this.segments.touch(stack);
  }
  /** CS with a privilege level in its RPL. */
  private commitCode(d: Descriptor, cpl: number, eip: number): void {
    this.cpu.set('cpl', cpl);
    this.segments.commit(CS, d, (d.selector & 0xfffc) | cpl);
    this.cpu.set('eip', eip);
  }
  private isNull(selector: number): boolean {
    return (selector & 0xfffc) === 0;
  }
  private present(d: Descriptor): void {
    if ((d.attributes & ATTRIBUTE.present) === 0) this.segments.fail(EXCEPTION.NP, d.selector);
  }
  /** A code segment that a direct far JMP or CALL may name (SDM vol. 3, 5.8.1). */
  private checkDirectCode(d: Descriptor): void {
    const cpl = this.cpu.get('cpl'),
      dpl = dplOf(d.attributes);
    const legal = (d.attributes & ATTRIBUTE.conforming) !== 0 ? dpl <= cpl : rplOf(d.selector) <= cpl && dpl === cpl;
    if (!legal) this.segments.fail(EXCEPTION.GP, d.selector);
    this.present(d);
  }
  private isCode(d: Descriptor): boolean {
    return (d.attributes & ATTRIBUTE.s) !== 0 && (d.attributes & ATTRIBUTE.code) !== 0;
  }
  private target(selector: number): Descriptor {
    if (this.isNull(selector)) this.cpu.raise(EXCEPTION.GP, 0);
    return this.segments.read(selector);
  }

  jumpFar(selector: number, offset: number): void {
    const { cpu } = this;
    if (!cpu.isProtected) return this.realJump(selector, offset);
    const d = this.target(selector);
    if (this.isCode(d)) {
      this.checkDirectCode(d);
      this.settle(d, offset);
      return this.commitCode(d, cpu.get('cpl'), offset);
    }
    const gate = this.callGate(d);
    const code = this.gateCode(gate.selector);
    const dpl = dplOf(code.attributes),
      conforming = (code.attributes & ATTRIBUTE.conforming) !== 0;
    if (conforming ? dpl > cpu.get('cpl') : dpl !== cpu.get('cpl')) this.segments.fail(EXCEPTION.GP, gate.selector);
    this.present(code);
    this.settle(code, gate.offset);
    this.commitCode(code, cpu.get('cpl'), gate.offset);
  }
  private realJump(selector: number, offset: number): void {
    this.checkEip(offset, this.cpu.get('codeLimit'));
    this.cpu.setSegment(CS, selector, selector << 4, this.cpu.segment(CS, 'limit'), this.cpu.segment(CS, 'attributes'));
    this.cpu.set('eip', offset);
  }

  /** The call gate that a system descriptor is; task gates and TSSs come with hardware tasks and raise #GP until then. */
  private callGate(d: Descriptor): { selector: number; offset: number; parameters: number; bytes: 2 | 4 } {
    const type = d.attributes & 0x1f;
    if (type !== 0x0c && type !== 0x04) this.segments.fail(EXCEPTION.GP, d.selector);
    if (Math.max(this.cpu.get('cpl'), rplOf(d.selector)) > dplOf(d.attributes))
      this.segments.fail(EXCEPTION.GP, d.selector);
    this.present(d);
    const big = type === 0x0c;
    return {
      selector: d.low >>> 16,
      offset: big ? ((d.low & 0xffff) | (d.high & 0xffff0000)) >>> 0 : d.low & 0xffff,
      parameters: d.high & 0x1f,
      bytes: big ? 4 : 2,
    };
  }
  private gateCode(selector: number): Descriptor {
    if (this.isNull(selector)) this.cpu.raise(EXCEPTION.GP, this.segments.external);
    const code = this.segments.read(selector);
    if (!this.isCode(code) || dplOf(code.attributes) > this.cpu.get('cpl')) this.segments.fail(EXCEPTION.GP, selector);
    return code;
  }
  /** SS:ESP of an inner ring, from the TSS (SDM vol. 3, 5.8.5). */
  private innerStack(cpl: number): { d: Descriptor; stack: Stack } {
    const { cpu, mmu } = this;
    const base = cpu.segment(TR, 'base'),
      limit = cpu.segment(TR, 'limit'),
      big = (cpu.segment(TR, 'attributes') & 8) !== 0;
    const at = big ? 4 + cpl * 8 : 2 + cpl * 4;
    if (at + (big ? 5 : 3) > limit) this.segments.fail(EXCEPTION.TS, cpu.segment(TR, 'selector'));
    const esp = mmu.readLinear((base + at) >>> 0, big ? 4 : 2, false);
    const selector = mmu.readLinear((base + at + (big ? 4 : 2)) >>> 0, 2, false);
    const d = this.segments.readStack(selector, cpl, EXCEPTION.TS);
    return { d, stack: new Stack(mmu, d, esp, cpl === 3, () => this.segments.fail(EXCEPTION.SS, selector)) };
  }

  /** `size` is the operand size of a direct call; a gate brings its own. On entry cpu.eip is the return address. */
  callFar(selector: number, offset: number, size: number): void {
    const { cpu } = this;
    const returnTo = cpu.get('eip'),
      oldCs = cpu.segment(CS, 'selector'),
      bytes = size === 16 ? 2 : 4;
    if (!cpu.isProtected) {
      const stack = this.stack();
      this.checkEip(offset, cpu.get('codeLimit'));
      stack.push(bytes, oldCs);
      stack.push(bytes, returnTo);
      cpu.setRegister(ESP, stack.esp);
      return this.realJump(selector, offset);
    }
    const d = this.target(selector);
    if (this.isCode(d)) {
      this.checkDirectCode(d);
      const stack = this.stack();
      stack.push(bytes, oldCs);
      stack.push(bytes, returnTo);
      this.settle(d, offset);
      cpu.setRegister(ESP, stack.esp);
      return this.commitCode(d, cpu.get('cpl'), offset);
    }
    const gate = this.callGate(d),
      code = this.gateCode(gate.selector);
    this.present(code);
    const dpl = dplOf(code.attributes),
      cpl = cpu.get('cpl');
    if ((code.attributes & ATTRIBUTE.conforming) !== 0 || dpl === cpl) {
      const stack = this.stack();
      stack.push(gate.bytes, oldCs);
      stack.push(gate.bytes, returnTo);
      this.settle(code, gate.offset);
      cpu.setRegister(ESP, stack.esp);
      return this.commitCode(code, cpl, gate.offset);
    }
    const outer = this.stack(),
      inner = this.innerStack(dpl);
    const oldSs = cpu.segment(SS, 'selector'),
      oldEsp = cpu.getRegister(ESP);
    const parameters = Array.from({ length: gate.parameters }, () => outer.pop(gate.bytes));
    inner.stack.push(gate.bytes, oldSs);
    inner.stack.push(gate.bytes, oldEsp);
    for (const parameter of parameters.reverse()) inner.stack.push(gate.bytes, parameter);
    inner.stack.push(gate.bytes, oldCs);
    inner.stack.push(gate.bytes, returnTo);
    this.settle(code, gate.offset, inner.d);
    this.segments.commit(SS, inner.d);
    cpu.setRegister(ESP, inner.stack.esp);
    this.commitCode(code, dpl, gate.offset);
  }

  returnFar(size: number, release: number): void {
    const { cpu } = this,
      bytes = size === 16 ? 2 : 4,
      stack = this.stack();
    const eip = stack.pop(bytes),
      selector = stack.pop(bytes) & 0xffff;
    if (!cpu.isProtected) {
      this.checkEip(eip, cpu.get('codeLimit'));
      stack.skip(release);
      cpu.setRegister(ESP, stack.esp);
      return this.realJump(selector, eip);
    }
    const code = this.returnCode(selector);
    if (rplOf(selector) === cpu.get('cpl')) {
      this.settle(code, eip);
      stack.skip(release);
      cpu.setRegister(ESP, stack.esp);
      return this.commitCode(code, cpu.get('cpl'), eip);
    }
    stack.skip(release);
    this.returnOutward(code, eip, stack, bytes, release);
  }
  private returnCode(selector: number): Descriptor {
    if (this.isNull(selector)) this.cpu.raise(EXCEPTION.GP, 0);
    const d = this.segments.read(selector),
      rpl = rplOf(selector),
      dpl = dplOf(d.attributes);
    const conforming = (d.attributes & ATTRIBUTE.conforming) !== 0;
    if (!this.isCode(d) || rpl < this.cpu.get('cpl') || (conforming ? dpl > rpl : dpl !== rpl))
      this.segments.fail(EXCEPTION.GP, selector);
    this.present(d);
    return d;
  }
  private returnOutward(code: Descriptor, eip: number, stack: Stack, bytes: 2 | 4, release: number): void {
    const { cpu } = this,
      cpl = rplOf(code.selector);
    const esp = stack.pop(bytes),
      ss = stack.pop(bytes) & 0xffff;
    const d = this.segments.readStack(ss, cpl);
    this.settle(code, eip, d);
    this.commitCode(code, cpl, eip);
    this.segments.commit(SS, d);
    const wide = (d.attributes & ATTRIBUTE.big) !== 0;
    cpu.setRegister(ESP, wide ? esp + release : (cpu.getRegister(ESP) & 0xffff0000) | ((esp + release) & 0xffff));
    this.segments.dropInner(cpl);
  }

  returnInterrupt(size: number): void {
    const { cpu } = this,
      bytes = size === 16 ? 2 : 4,
      system = cpu.get('systemFlags');
    // Nested tasks and virtual-8086 mode are not there yet.
    if (cpu.isProtected && (system & EFLAGS.NT) !== 0) this.cpu.raise(EXCEPTION.GP, 0);
    const stack = this.stack();
    const eip = stack.pop(bytes),
      selector = stack.pop(bytes) & 0xffff,
      flags = stack.pop(bytes);
    if (!cpu.isProtected) {
      this.checkEip(eip, cpu.get('codeLimit'));
      cpu.setRegister(ESP, stack.esp);
      this.realJump(selector, eip);
      return this.loadFlags(flags, bytes, 0);
    }
    const cpl = cpu.get('cpl');
    if (bytes === 4 && (flags & EFLAGS.VM) !== 0 && cpl === 0) this.cpu.raise(EXCEPTION.GP, 0);
    const code = this.returnCode(selector);
    if (rplOf(selector) === cpl) {
      this.settle(code, eip);
      cpu.setRegister(ESP, stack.esp);
      this.commitCode(code, cpl, eip);
    } else this.returnOutward(code, eip, stack, bytes, 0);
    this.loadFlags(flags, bytes, cpl);
  }
  /** EFLAGS from the stack as seen from a privilege level (SDM vol. 2, IRET and POPF). */
  private loadFlags(flags: number, bytes: 2 | 4, cpl: number): void {
    const { cpu } = this,
      system = cpu.get('systemFlags'),
      iopl = (system >> 12) & 3;
    let mask: number = EFLAGS.TF | EFLAGS.DF | EFLAGS.NT;
    if (bytes === 4) mask |= EFLAGS.RF | EFLAGS.AC | EFLAGS.ID;
    if (cpl <= iopl) mask |= EFLAGS.IF;
    if (cpl === 0) mask |= EFLAGS.IOPL;
    cpu.setStatusFlags(flags);
    cpu.set('systemFlags', (system & ~mask) | (flags & mask) | 2);
    this.flagsChanged();
  }
  /** IF, TF or AC may have changed: leave when that matters. */
  flagsChanged(): void {
    const { cpu } = this,
      system = cpu.get('systemFlags');
    const matters =
      ((system & EFLAGS.IF) !== 0 && cpu.get('interruptPending') !== 0) || (system & (EFLAGS.TF | EFLAGS.AC)) !== 0;
    if (matters) cpu.set('exit', 1);
    cpu.refreshMode();
  }

  /** SYSENTER and SYSEXIT (SDM vol. 2). */
  enterSystem(): void {
    const { cpu } = this,
      selector = cpu.get('sysenterCs');
    if (!cpu.isProtected || (selector & 0xfffc) === 0) cpu.raise(EXCEPTION.GP, 0);
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
    if (!cpu.isProtected || (selector & 0xfffc) === 0) cpu.raise(EXCEPTION.GP, 0);
    cpu.set('cpl', 3);
    cpu.setSegment(CS, (selector + 16) | 3, 0, 0xffffffff, 0xc0fb);
    cpu.setSegment(SS, (selector + 24) | 3, 0, 0xffffffff, 0xc0f3);
    cpu.setRegister(ESP, cpu.getRegister(ECX));
    cpu.set('eip', cpu.getRegister(EDX));
  }

  /**
   * Delivers an event through the IDT (SDM vol. 3, 6.12) or, in real mode, the vector table. cpu.eip is what is pushed.
   * Throws GUEST_FAULT with the next fault recorded when delivery itself fails.
   */
  deliver(vector: number, kind: EventKind, errorCode: number): void {
    const { cpu, mmu } = this;
    if (!cpu.isProtected) return this.deliverReal(vector);
    this.segments.external = kind === 'software' ? 0 : 1;
    const error = (vector * 8 + 2) | this.segments.external;
    if (vector * 8 + 7 > cpu.get('idtLimit')) cpu.raise(EXCEPTION.GP, error);
    const at = (cpu.get('idtBase') + vector * 8) >>> 0;
    const low = mmu.readLinear(at, 4, false),
      high = mmu.readLinear((at + 4) >>> 0, 4, false);
    const type = (high >>> 8) & 0x1f;
    // Task gates (type 5) come with hardware tasks.
    if (![6, 7, 14, 15].includes(type)) cpu.raise(EXCEPTION.GP, error);
    if (kind === 'software' && ((high >>> 13) & 3) < cpu.get('cpl')) cpu.raise(EXCEPTION.GP, error);
    if ((high & 0x8000) === 0) cpu.raise(EXCEPTION.NP, error);
    const bytes = type >= 14 ? 4 : 2,
      selector = low >>> 16;
    const eip = bytes === 4 ? ((low & 0xffff) | (high & 0xffff0000)) >>> 0 : low & 0xffff;
    const code = this.gateCode(selector),
      dpl = dplOf(code.attributes),
      cpl = cpu.get('cpl');
    this.present(code);
    const inner = (code.attributes & ATTRIBUTE.conforming) === 0 && dpl < cpl;
    const flags = (cpu.eflags | (kind === 'fault' ? EFLAGS.RF : 0)) >>> 0;
    let stack: Stack;
    let ss: Descriptor | undefined;
    if (inner) {
      ({ d: ss, stack } = this.innerStack(dpl));
      stack.push(bytes, cpu.segment(SS, 'selector'));
      stack.push(bytes, cpu.getRegister(ESP));
    } else stack = this.stack();
    stack.push(bytes, flags);
    stack.push(bytes, cpu.segment(CS, 'selector'));
    stack.push(bytes, cpu.get('eip'));
    if (errorCode >= 0) stack.push(bytes, errorCode);
    this.settle(code, eip, ss);
    if (ss !== undefined) {
      cpu.set('cpl', dpl);
      this.segments.commit(SS, ss);
    }
    cpu.setRegister(ESP, stack.esp);
    this.commitCode(code, inner ? dpl : cpl, eip);
    const cleared = EFLAGS.TF | EFLAGS.NT | EFLAGS.RF | EFLAGS.VM | ((type & 1) === 0 ? EFLAGS.IF : 0);
    cpu.set('systemFlags', cpu.get('systemFlags') & ~cleared);
    this.segments.external = 0;
  }
  private deliverReal(vector: number): void {
    const { cpu, mmu } = this;
    if (vector * 4 + 3 > cpu.get('idtLimit')) cpu.raise(EXCEPTION.GP);
    const entry = mmu.readLinear((cpu.get('idtBase') + vector * 4) >>> 0, 4, false),
      stack = this.stack();
    stack.push(2, cpu.eflags);
    stack.push(2, cpu.segment(CS, 'selector'));
    stack.push(2, cpu.get('eip'));
    cpu.setRegister(ESP, stack.esp);
    cpu.set('systemFlags', cpu.get('systemFlags') & ~(EFLAGS.TF | EFLAGS.IF | EFLAGS.AC));
    this.realJump(entry >>> 16, entry & 0xffff);
  }
}
