/** Stacks of far transfers and event delivery: bounds as the segment has them, ESP committed by the caller (SDM vol. 3, 5.3, 6.12). */
import { ESP, SS } from '../isa/build.ts';
import { ATTRIBUTE, type Cpu } from './cpu.ts';
import type { Mmu } from './mmu.ts';

/** A stack being pushed to or popped from, before it is committed. */
export class Stack {
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
  /** The stack that SS:ESP name now; `overflow` raises what a push or pop out of bounds is. */
  static current(cpu: Cpu, mmu: Mmu, overflow: () => never): Stack {
    const part = {
      base: cpu.segment(SS, 'base'),
      limit: cpu.segment(SS, 'limit'),
      attributes: cpu.segment(SS, 'attributes'),
    };
    return new Stack(mmu, part, cpu.getRegister(ESP), cpu.get('cpl') === 3, overflow);
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
  commit(cpu: Cpu): void {
    cpu.setRegister(ESP, this.esp);
  }
  skip(bytes: number): void {
    this.esp = this.moved(bytes);
  }
}
