/** When jumps between compiled code are forgotten: by the numbers that their entries have to carry. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CodeTlb } from './code-tlb.ts';
import { JUMP } from './layout.ts';
import { TestProcessor } from './test-processor.ts';

const MAP = 0x1000,
  USER = 0x0804_8000,
  KERNEL = 0xc010_0000;
const page = (linear: number): number => linear >>> 12;

describe('jumps', () => {
  let tlb: CodeTlb, numbers: () => { local: number; global: number };
  beforeEach(() => {
    const { cpu, code } = new TestProcessor().processor;
    tlb = new CodeTlb(cpu, code.plan, { frameOf: () => -1, mapOf: () => 0 });
    numbers = () => ({
      local: cpu.i32[(cpu.base + JUMP.local) >> 2]!,
      global: cpu.i32[(cpu.base + JUMP.global) >> 2]!,
    });
  });
  /** Which of both kinds is forgotten by what is done. */
  const forgotten = (done: () => void): { local: boolean; global: boolean } => {
    const before = numbers();
    done();
    const after = numbers();
    return { local: after.local !== before.local, global: after.global !== before.global };
  };

  it('stay where a page of data is invalidated', () => {
    tlb.enter(USER, MAP, false);
    tlb.enter(KERNEL, MAP, true);
    expect(forgotten(() => tlb.invalidate(page(USER) + 1, 8))).toEqual({ local: false, global: false });
  });
  it('into a global page outlive a load of CR3 and the invalidation of another page', () => {
    tlb.enter(USER, MAP, false);
    tlb.enter(KERNEL, MAP, true);
    expect(forgotten(() => tlb.flush(false))).toEqual({ local: true, global: false });
    tlb.enter(USER, MAP, false);
    expect(forgotten(() => tlb.invalidate(page(USER), 1))).toEqual({ local: true, global: false });
    expect(forgotten(() => tlb.invalidate(page(KERNEL), 1))).toEqual({ local: true, global: true });
  });
  it('into a page that became a global one are forgotten as such', () => {
    tlb.enter(USER, MAP, false);
    tlb.madeGlobal(page(USER));
    tlb.flush(false);
    expect(forgotten(() => tlb.invalidate(page(USER), 1))).toEqual({ local: true, global: true });
  });
  it('stay where what was code in another address space is data in this one', () => {
    tlb.enter(USER, MAP, false);
    tlb.flush(false);
    expect(forgotten(() => tlb.invalidate(page(USER), 1))).toEqual({ local: false, global: false });
    tlb.enter(KERNEL, MAP, true);
    tlb.flush(true);
    expect(forgotten(() => tlb.invalidate(page(KERNEL), 1))).toEqual({ local: false, global: false });
  });
});
