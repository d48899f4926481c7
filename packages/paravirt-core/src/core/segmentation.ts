/** Descriptors and segment registers (SDM vol. 3, chapters 3 and 5). */
import { EXCEPTION, SS } from '../isa/build.ts';
import { ATTRIBUTE, dplOf, type Cpu } from './cpu.ts';
import { LDTR, TR } from './layout.ts';
import type { Mmu } from './mmu.ts';

/** A descriptor as loaded, with its base, byte limit and attributes taken apart. */
export interface Descriptor {
  readonly selector: number;
  /** Linear address of the descriptor itself. */
  readonly at: number;
  readonly low: number;
  readonly high: number;
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
}

const isNull = (selector: number): boolean => (selector & ~3) === 0;
export const rplOf = (selector: number): number => selector & 3;
/** The error code that names a selector (SDM vol. 3, 6.13). */
export const selectorError = (selector: number, external = 0): number => (selector & 0xfffc) | external;

export class Segmentation {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  /** The EXT bit of error codes while an event is being delivered. */
  external = 0;

  constructor(cpu: Cpu, mmu: Mmu) {
    this.cpu = cpu;
    this.mmu = mmu;
  }

  /** #GP, #NP, #SS or #TS with the selector. */
  fail(vector: number, selector: number): never {
    return this.cpu.raise(vector, selectorError(selector, this.external));
  }

  /** Reads a descriptor; `vector` with the selector when it lies outside of its table. Null selectors are the caller's. */
  read(selector: number, vector: number = EXCEPTION.GP): Descriptor {
    return this.tryRead(selector) ?? this.fail(vector, selector);
  }
  /** Undefined when the selector lies outside of its table. */
  tryRead(selector: number): Descriptor | undefined {
    const { cpu } = this;
    const local = (selector & 4) !== 0;
    const offset = selector & 0xfff8;
    const limit = local ? cpu.segment(LDTR, 'limit') : cpu.get('gdtLimit');
    if (offset + 7 > limit || (local && cpu.segment(LDTR, 'attributes') === 0)) return undefined;
    const at = ((local ? cpu.segment(LDTR, 'base') : cpu.get('gdtBase')) + offset) >>> 0;
    const low = this.mmu.readLinear(at, 4, false),
      high = this.mmu.readLinear((at + 4) >>> 0, 4, false);
    const attributes = (high >>> 8) & 0xf0ff;
    const raw = (low & 0xffff) | (high & 0xf0000);
    return {
      selector,
      at,
      low,
      high,
      attributes,
      base: ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0,
      limit: (attributes & ATTRIBUTE.granular) !== 0 ? ((raw << 12) | 0xfff) >>> 0 : raw,
    };
  }
  /** Sets the accessed bit in the table. That may fault: call it for all descriptors before the first register changes. */
  touch(d: Descriptor): void {
    if ((d.attributes & ATTRIBUTE.accessed) === 0)
      this.mmu.writeLinear((d.at + 5) >>> 0, 1, ((d.high >>> 8) & 0xff) | ATTRIBUTE.accessed, false);
  }
  /** Puts a checked descriptor into a register. */
  commit(index: number, d: Descriptor, selector = d.selector): void {
    this.touch(d);
    this.cpu.setSegment(index, selector, d.base, d.limit, d.attributes | ATTRIBUTE.accessed);
  }
  makeNull(index: number, selector: number): void {
    this.cpu.setSegment(index, selector, 0, 0, 0);
  }

  /** MOV, POP and L?S to ES, SS, DS, FS, GS (SDM vol. 2, MOV). */
  load(index: number, selector: number): void {
    const { cpu } = this;
    selector &= 0xffff;
    if (!cpu.isProtected) {
      cpu.setRealSegment(index, selector);
      return;
    }
    if (index === SS) return this.loadStack(selector, cpu.get('cpl'));
    if (isNull(selector)) return this.makeNull(index, selector);
    const d = this.read(selector);
    const code = (d.attributes & ATTRIBUTE.code) !== 0;
    if ((d.attributes & ATTRIBUTE.s) === 0 || (code && (d.attributes & ATTRIBUTE.readable) === 0))
      this.fail(EXCEPTION.GP, selector);
    const conforming = code && (d.attributes & ATTRIBUTE.conforming) !== 0;
    if (!conforming && (rplOf(selector) > dplOf(d.attributes) || cpu.get('cpl') > dplOf(d.attributes)))
      this.fail(EXCEPTION.GP, selector);
    if ((d.attributes & ATTRIBUTE.present) === 0) this.fail(EXCEPTION.NP, selector);
    this.commit(index, d);
  }
  /** Checks a descriptor for SS at a privilege level; `vector` is #TS when a TSS or a gate names it. */
  readStack(selector: number, cpl: number, vector: number = EXCEPTION.GP): Descriptor {
    if (isNull(selector)) {
      return vector === EXCEPTION.TS ? this.fail(vector, selector) : this.cpu.raise(vector, this.external);
    }
    const d = this.read(selector, vector),
      a = d.attributes;
    const writableData = (a & ATTRIBUTE.s) !== 0 && (a & ATTRIBUTE.code) === 0 && (a & ATTRIBUTE.writable) !== 0;
    if (rplOf(selector) !== cpl || dplOf(a) !== cpl || !writableData) this.fail(vector, selector);
    if ((a & ATTRIBUTE.present) === 0) this.fail(EXCEPTION.SS, selector);
    return d;
  }
  private loadStack(selector: number, cpl: number): void {
    this.commit(SS, this.readStack(selector, cpl));
  }

  /** Returning to an outer ring: data segments that it may not use become null (SDM vol. 2, RET). */
  dropInner(cpl: number): void {
    for (const index of [0, 3, 4, 5]) {
      const a = this.cpu.segment(index, 'attributes');
      const conformingCode = (a & ATTRIBUTE.code) !== 0 && (a & ATTRIBUTE.conforming) !== 0;
      if (a !== 0 && !conformingCode && dplOf(a) < cpl) this.makeNull(index, 0);
    }
  }

  loadLdt(selector: number): void {
    if (isNull(selector)) return this.makeNull(LDTR, selector);
    if ((selector & 4) !== 0) this.fail(EXCEPTION.GP, selector);
    const d = this.read(selector);
    if ((d.attributes & 0x1f) !== 2) this.fail(EXCEPTION.GP, selector);
    if ((d.attributes & ATTRIBUTE.present) === 0) this.fail(EXCEPTION.NP, selector);
    this.cpu.setSegment(LDTR, selector, d.base, d.limit, d.attributes);
  }
  loadTaskRegister(selector: number): void {
    if (isNull(selector)) this.cpu.raise(EXCEPTION.GP, 0);
    if ((selector & 4) !== 0) this.fail(EXCEPTION.GP, selector);
    const d = this.read(selector),
      type = d.attributes & 0x1f;
    if (type !== 9 && type !== 1) this.fail(EXCEPTION.GP, selector);
    if ((d.attributes & ATTRIBUTE.present) === 0) this.fail(EXCEPTION.NP, selector);
    this.mmu.writeLinear((d.at + 5) >>> 0, 1, ((d.high >>> 8) & 0xff) | 2, false);
    this.cpu.setSegment(TR, selector, d.base, d.limit, d.attributes | 2);
  }

  /** LAR (0), LSL (1), VERR (2), VERW (3): whether the descriptor may be looked at from here. */
  visible(kind: number, selector: number): boolean {
    if (!this.cpu.isProtected) return this.cpu.raise(EXCEPTION.UD);
    if (isNull(selector)) return false;
    const d = this.tryRead(selector);
    if (d === undefined) return false;
    const a = d.attributes,
      code = (a & ATTRIBUTE.code) !== 0,
      type = a & 0xf;
    const conforming = code && (a & ATTRIBUTE.conforming) !== 0;
    if ((a & ATTRIBUTE.s) === 0) {
      if (kind >= 2 || !(kind === 0 ? [1, 2, 3, 4, 5, 9, 11, 12] : [1, 2, 3, 9, 11]).includes(type)) return false;
      return Math.max(this.cpu.get('cpl'), rplOf(selector)) <= dplOf(a);
    }
    const reachable = conforming || Math.max(this.cpu.get('cpl'), rplOf(selector)) <= dplOf(a);
    if (kind === 2) return reachable && (!code || (a & ATTRIBUTE.readable) !== 0);
    if (kind === 3) return reachable && !code && (a & ATTRIBUTE.writable) !== 0;
    return reachable;
  }
  /** What LAR and LSL load. Of LAR's bits 16..19 the manual says nothing; processors give the limit's. */
  value(kind: number, selector: number): number {
    const d = isNull(selector) ? undefined : this.tryRead(selector);
    if (d === undefined) return 0;
    return kind === 0 ? d.high & 0x00ffff00 : d.limit;
  }
}
