/** What far transfers and event delivery share: code segments as targets, the stack of an inner ring (SDM vol. 3, 5.8). */
import { CS, ESP, EXCEPTION } from '../isa/build.ts';
import { ATTRIBUTE, dplOf, type Cpu } from './cpu.ts';
import { TR } from './layout.ts';
import type { Mmu } from './mmu.ts';
import { rplOf, type Descriptor, type Segmentation } from './segmentation.ts';
import { Stack } from './stack.ts';

const TSS_IS_32_BIT = 8;

export class CodeSegments {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly segments: Segmentation;

  constructor(cpu: Cpu, mmu: Mmu, segments: Segmentation) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.segments = segments;
  }

  /** The stack that SS and ESP name. */
  stack(): Stack {
    return Stack.current(this.cpu, this.mmu, () => this.cpu.raise(EXCEPTION.SS, this.segments.external));
  }
  /** SS:ESP of an inner ring, from the TSS (SDM vol. 3, 5.8.5). */
  innerStack(cpl: number): { d: Descriptor; stack: Stack } {
    const { cpu, mmu } = this;
    const base = cpu.segment(TR, 'base'),
      limit = cpu.segment(TR, 'limit'),
      big = (cpu.segment(TR, 'attributes') & TSS_IS_32_BIT) !== 0;
    const at = big ? 4 + cpl * 8 : 2 + cpl * 4;
    if (at + (big ? 5 : 3) > limit) this.segments.fail(EXCEPTION.TS, cpu.segment(TR, 'selector'));
    const esp = mmu.readLinear((base + at) >>> 0, big ? 4 : 2, false);
    const selector = mmu.readLinear((base + at + (big ? 4 : 2)) >>> 0, 2, false);
    const d = this.segments.readStack(selector, cpl, EXCEPTION.TS);
    // A 16-bit stack has SP alone: the rest of ESP stays what it was.
    const whole = (d.attributes & ATTRIBUTE.big) !== 0 ? esp : (cpu.getRegister(ESP) & 0xffff0000) | (esp & 0xffff);
    return { d, stack: new Stack(mmu, d, whole, cpl === 3, () => this.segments.fail(EXCEPTION.SS, selector)) };
  }

  isNull(selector: number): boolean {
    return (selector & 0xfffc) === 0;
  }
  isCode(d: Descriptor): boolean {
    return (d.attributes & ATTRIBUTE.s) !== 0 && (d.attributes & ATTRIBUTE.code) !== 0;
  }
  present(d: Descriptor): void {
    if ((d.attributes & ATTRIBUTE.present) === 0) this.segments.fail(EXCEPTION.NP, d.selector);
  }
  checkEip(eip: number, limit: number): void {
    if (eip >>> 0 > limit >>> 0) this.cpu.raise(EXCEPTION.GP, this.segments.external);
  }
  /** A code segment that a direct far JMP or CALL may name (SDM vol. 3, 5.8.1). */
  checkDirect(d: Descriptor): void {
    const cpl = this.cpu.get('cpl'),
      dpl = dplOf(d.attributes);
    const legal = (d.attributes & ATTRIBUTE.conforming) !== 0 ? dpl <= cpl : rplOf(d.selector) <= cpl && dpl === cpl;
    if (!legal) this.segments.fail(EXCEPTION.GP, d.selector);
    this.present(d);
  }
  /** The code segment that a gate names; whether it is present is checked later. */
  ofGate(selector: number): Descriptor {
    if (this.isNull(selector)) this.cpu.raise(EXCEPTION.GP, this.segments.external);
    const code = this.segments.read(selector);
    if (!this.isCode(code) || dplOf(code.attributes) > this.cpu.get('cpl')) this.segments.fail(EXCEPTION.GP, selector);
    return code;
  }
  /** The code segment that RETF and IRET find on the stack. */
  ofReturn(selector: number): Descriptor {
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
  /** The last that can fault before registers change: EIP within its segment, accessed bits of what will be loaded. */
  settle(code: Descriptor, eip: number, stack?: Descriptor): void {
    this.checkEip(eip, code.limit);
    this.segments.touch(code);
    if (stack !== undefined) this.segments.touch(stack);
  }
  /** CS with a privilege level in its RPL. */
  commit(d: Descriptor, cpl: number, eip: number): void {
    this.cpu.set('cpl', cpl);
    this.segments.commit(CS, d, (d.selector & 0xfffc) | cpl);
    this.cpu.set('eip', eip);
  }
  /** CS:EIP of real-address and virtual-8086 mode. */
  enterReal(selector: number, eip: number): void {
    this.checkEip(eip, this.cpu.get('codeLimit'));
    this.cpu.setRealSegment(CS, selector);
    this.cpu.set('eip', eip);
  }
}
