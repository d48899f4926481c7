/** Random programs of every row that computes: interpreter, oracle and, where there is one, the processor of this machine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CpuUnderTest } from './case.ts';
import { interpreterCpu, steppingCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { fuzz, type FuzzEngine } from './fuzzing.ts';
import { HostCpu } from './host/host-cpu.ts';
import { tableTemplates } from './templates.ts';

const templates = tableTemplates();
const PROGRAMS = { first: 1, count: 150, length: 50 };
const host = HostCpu.available();

/** An engine that has one bug: after code with this byte, ECX is off by one. */
const broken = (cpu: CpuUnderTest, byte: number): CpuUnderTest => ({
  run: async (cases) => {
    const results = await cpu.run(cases);
    return results.map((result, i) =>
      cases[i]!.code.includes(byte)
        ? { ...result, registers: { ...result.registers, ecx: (result.registers.ecx + 1) >>> 0 } }
        : result,
    );
  },
});

describe('random programs', () => {
  const oracle: FuzzEngine = { name: 'oracle', cpu: oracleCpu() };
  const interpreter: FuzzEngine = { name: 'interpreter', cpu: interpreterCpu() };
  let native: HostCpu | undefined;
  beforeAll(async () => {
    if (host.ok) native = await HostCpu.start();
  });
  afterAll(() => native?.close());

  it('are drawn from most of the table', () => {
    expect(templates.length).toBeGreaterThan(700);
  });

  it('give the same on the interpreter and the oracle', async () => {
    expect(await fuzz(templates, oracle, [interpreter], PROGRAMS)).toEqual([]);
  });

  it('give the same on the processor of this machine', async (context) => {
    context.skip(native === undefined, `no host CPU: ${host.why ?? ''}`);
    const stepping: FuzzEngine = { name: 'interpreter, stepping', cpu: steppingCpu() };

    const programs = { ...PROGRAMS, narrow: native!.identity.narrow };
    expect(await fuzz(templates, { name: 'host', cpu: native! }, [interpreter, stepping, oracle], programs)).toEqual(
      [],
    );
  });

  it('shrink to the instruction that an engine gets wrong', async () => {
    const wrong: FuzzEngine = { name: 'broken', cpu: broken(interpreterCpu(), 0x0f) };

    const [finding] = await fuzz(templates, oracle, [wrong], { ...PROGRAMS, count: 5 });

    expect(finding?.lines.every((line) => line.startsWith('ecx: '))).toBe(true);
    expect(finding?.program.trim().split('\n')).toHaveLength(2); // the state, and one instruction
  });
});
