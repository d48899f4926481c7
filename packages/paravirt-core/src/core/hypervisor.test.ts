/** A processor under a hypervisor, and one without: VMCALL, CPUID's leaves, registers. On the interpreter and on the oracle. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EDX, ESI, EXCEPTION } from '../isa/build.ts';
import type { Hypervisor } from './hypervisor.ts';
import { oracleEngine } from './oracle.ts';
import { AT, TestProcessor, le32 } from './test-processor.ts';

const mov = (register: number, n: number): number[] => [0xb8 + register, ...le32(n)];
const VMCALL = [0x0f, 0x01, 0xc1],
  VMMCALL = [0x0f, 0x01, 0xd9],
  RDMSR = [0x0f, 0x32],
  WRMSR = [0x0f, 0x30],
  CPUID = [0x0f, 0xa2];
const UD = EXCEPTION.UD,
  GP = EXCEPTION.GP;
const HYPERVISOR_BIT = 0x8000_0000;

/** Writes down what it is asked. Its one register is 1234h, which takes even values. */
class WrittenDown implements Hypervisor {
  readonly log: unknown[] = [];
  answer = 0;
  leaf(n: number): readonly [number, number, number, number] | undefined {
    return n === 0x4000_0000 ? [0x4000_0000, 1, 2, 3] : undefined;
  }
  readMsr(n: number): bigint | undefined {
    return n === 0x1234 ? 0x1_0000_0002n : undefined;
  }
  writeMsr(n: number, value: bigint, timestampOffset: bigint): boolean {
    if (n !== 0x1234 || (value & 1n) !== 0n) return false;
    this.log.push([value, timestampOffset]);
    return true;
  }
  timestampMoved(timestampOffset: bigint): void {
    this.log.push(timestampOffset);
  }
  hypercall(registers: readonly number[], cpl: number): number {
    this.log.push([[EAX, EBX, ECX, EDX, ESI].map((n) => registers[n]), cpl]);
    return this.answer;
  }
}
const hypervisor = new WrittenDown();

describe.each([
  ['interpreter', {}],
  ['oracle', { engine: oracleEngine as never }],
])('on the %s', (_, how) => {
  const under = new TestProcessor({ ...how, hypervisor }),
    alone = new TestProcessor(how);
  beforeEach(() => {
    under.reset();
    alone.reset();
    hypervisor.log.length = 0;
  });

  it.each([
    ['VMCALL', VMCALL],
    ['VMMCALL', VMMCALL],
  ])('%s hands over registers and the privilege level, and changes EAX alone', (_name, code) => {
    hypervisor.answer = -1000;
    const given = [...mov(EAX, 5), ...mov(EBX, 0xffff_ffff), ...mov(ECX, 2), ...mov(EDX, 3), ...mov(ESI, 4)];

    expect(under.execute(...given, ...code).exception).toBeUndefined();

    expect(hypervisor.log).toEqual([[[5, 0xffff_ffff, 2, 3, 4], 0]]);
    expect([EAX, EBX, ECX, EDX, ESI].map((n) => under.register(n))).toEqual([0xffff_fc18, 0xffff_ffff, 2, 3, 4]);
  });
  it('is asked above CPL 0 as well, and told so', () => {
    under.enterUser();
    under.execute(...mov(EAX, 1), ...VMCALL);
    expect(hypervisor.log).toMatchObject([[{ 0: 1 }, 3]]);
  });
  it.each([
    ['VMCALL', VMCALL],
    ['VMMCALL', VMMCALL],
  ])('%s is undefined where there is nobody to call, at any privilege', (_name, code) => {
    expect(alone.execute(...code).exception).toMatchObject({ vector: UD, eip: AT.code });
    alone.reset();
    alone.enterUser();
    expect(alone.execute(...code).exception).toMatchObject({ vector: UD });
  });

  it('has leaves of its own and a bit that says so', () => {
    under.execute(...mov(EAX, 1), ...CPUID);
    expect(under.register(ECX) & HYPERVISOR_BIT).not.toBe(0);
    under.reset();
    under.execute(...mov(EAX, 0x4000_0000), ...CPUID);
    expect([EAX, EBX, ECX, EDX].map((n) => under.register(n))).toEqual([0x4000_0000, 1, 2, 3]);

    alone.execute(...mov(EAX, 1), ...CPUID);
    expect(alone.register(ECX) & HYPERVISOR_BIT).toBe(0);
  });
  it('has registers of its own, which are #GP without it', () => {
    under.execute(...mov(ECX, 0x1234), ...RDMSR);
    expect([under.register(EDX), under.register(EAX)]).toEqual([1, 2]);
    under.reset();
    under.execute(...mov(ECX, 0x1234), ...mov(EAX, 6), ...mov(EDX, 7), ...WRMSR);
    expect(hypervisor.log).toEqual([[0x7_0000_0006n, 0n]]);

    for (const [t, n, value] of [
      [under, 0x1234, 1],
      [under, 0x1235, 0],
      [alone, 0x1234, 0],
    ] as const) {
      t.reset();
      expect(t.execute(...mov(ECX, n), ...mov(EAX, value), ...WRMSR).exception).toMatchObject({ vector: GP, code: 0 });
    }
    alone.reset();
    expect(alone.execute(...mov(ECX, 0x1234), ...RDMSR).exception).toMatchObject({ vector: GP, code: 0 });
  });
  it('hears of a time stamp counter that is moved', () => {
    under.execute(...mov(ECX, 0x10), ...mov(EAX, 500), ...mov(EDX, 0), ...WRMSR);
    expect(hypervisor.log).toEqual([500n]);
  });
});
