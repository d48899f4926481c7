/** IA32_TSC_DEADLINE as the processor has it (SDM vol. 3, 11.5.4.1): what the bus hears, and when the counter gets there. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, ECX, EDX, EXCEPTION } from '../isa/build.ts';
import { oracleEngine } from './oracle.ts';
import { TestProcessor, le32 } from './test-processor.ts';

const TSC = 0x10,
  TSC_DEADLINE = 0x6e0;
const GP = EXCEPTION.GP;
const mov = (register: number, n: number): number[] => [0xb8 + register, ...le32(n)];
const RDMSR = [0x0f, 0x32],
  WRMSR = [0x0f, 0x30];
const write = (msr: number, value: bigint): number[] => [
  ...mov(ECX, msr),
  ...mov(EAX, Number(value & 0xffff_ffffn)),
  ...mov(EDX, Number(value >> 32n)),
  ...WRMSR,
];
const deadline = (value: bigint): number[] => write(TSC_DEADLINE, value);
const moveTo = (value: bigint): number[] => write(TSC, value);

describe.each([
  ['interpreter', {}],
  ['oracle', { engine: oracleEngine as never }],
])('on the %s', (_, how) => {
  const t = new TestProcessor(how);
  beforeEach(() => {
    t.reset();
    t.bus.time = 1000;
  });
  /** When the bus heard that the counter is there: the last time. */
  const reached = (...program: readonly number[]): string => {
    t.reset();
    t.bus.time = 1000;
    t.execute(...program);
    return t.bus.log.at(-1)!.replace(/.* at /, '');
  };

  it('is written by halves and read back', () => {
    t.execute(...deadline(0x1234_5678_9abc_def0n), ...mov(EAX, 0), ...mov(EDX, 0), ...RDMSR);
    expect([t.register(EDX), t.register(EAX)]).toEqual([0x1234_5678, 0x9abc_def0]);
    expect(t.bus.log).toEqual(['deadline 12345678:9abcdef0 at null']);
  });
  it('is reached when the counter, which is the time, shows it', () => {
    expect(reached(...deadline(5000n))).toBe('5000');
    expect(reached(...deadline(0x1f_ffff_ffff_ffffn))).toBe(String(2 ** 53 - 1));
    expect(reached(...deadline(0x20_0000_0000_0000n))).toBe('null');
    expect(reached(...deadline(3n))).toBe('3');
  });
  it('is reached by a counter that was moved when that shows it', () => {
    expect(reached(...moveTo(10_000n), ...deadline(14_000n))).toBe('5000');
    expect(reached(...moveTo(10_000n), ...deadline(9_000n))).toBe('1000');
    expect(reached(...moveTo(0n), ...deadline(5_000n))).toBe('6000');
    // 300 before it wraps: all deadlines before are past, and the counter gets to no small one before it has wrapped.
    expect(reached(...moveTo(2n ** 64n - 300n), ...deadline(2n ** 64n - 1n))).toBe('1299');
    expect(reached(...moveTo(2n ** 64n - 300n), ...deadline(7n))).toBe('1000');
    expect(reached(...moveTo(7n), ...deadline(2n ** 64n - 1n))).toBe('null');
    expect(reached(...moveTo(1001n), ...deadline(2n ** 53n))).toBe(String(2 ** 53 - 1));
    expect(reached(...moveTo(1000n), ...deadline(2n ** 53n))).toBe('null');
  });
  it('moves in time when the counter is moved while it is armed', () => {
    t.execute(...deadline(50_000n), ...moveTo(45_000n), ...moveTo(60_000n), ...moveTo(1000n));
    expect(t.bus.log.map((line) => line.replace(/.* at /, ''))).toEqual(['50000', '6000', '1000', '50000']);
    t.bus.deadline = 0n;
    t.bus.log.length = 0;
    t.execute(...moveTo(5n));
    expect(t.bus.log).toEqual([]);
  });
  it('is privileged', () => {
    t.enterUser();
    expect(t.execute(...deadline(5n)).exception).toMatchObject({ vector: GP, code: 0 });
    t.reset();
    t.enterUser();
    expect(t.execute(...mov(ECX, TSC_DEADLINE), ...RDMSR).exception).toMatchObject({ vector: GP, code: 0 });
    expect(t.bus.log).toEqual([]);
  });
  it('is not there where the processor is made without', () => {
    const without = new TestProcessor({ ...how, without: ['TSC_DEADLINE'] });
    expect(without.execute(...deadline(5n)).exception).toMatchObject({ vector: GP, code: 0 });
    without.reset();
    expect(without.execute(...mov(ECX, TSC_DEADLINE), ...RDMSR).exception).toMatchObject({ vector: GP, code: 0 });
    expect(without.bus.log).toEqual([]);
  });
});
