/** Random programs repeat by seed, run natively to their end, and shrink to the instructions that make two engines differ. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BASE_CODE_ADDRESS } from './base-case.ts';
import { EFLAGS, EFLAGS_STATUS, TRAP, type CpuResult } from './case.ts';
import { HostCpu } from './host/host-cpu.ts';
import { littleEndian } from './operands.ts';
import {
  describeProgram,
  isWellDefined,
  programCase,
  programDifferences,
  randomProgram,
  type Instruction,
  type InstructionTemplate,
  type RandomProgram,
} from './random-program.ts';
import { Random } from './random.ts';
import { shrink, shrinkNumbers } from './shrink.ts';

const host = HostCpu.available();

/** Any register but esp. */
const register = (random: Random): number => random.pick([0, 1, 2, 3, 5, 6, 7]);
const modrm = (random: Random): number => 0xc0 | (register(random) << 3) | register(random);
const atData = (address: number, reg: number): number[] => [0x05 | (reg << 3), ...littleEndian(address, 4)];

const TEMPLATES: readonly InstructionTemplate[] = [
  ...[0x01, 0x29, 0x31, 0x21, 0x09].map((opcode) => ({
    name: `alu ${opcode.toString(16)} r32, r32`,
    weight: 2,
    writesFlags: EFLAGS_STATUS,
    undefinedFlags: opcode === 0x01 || opcode === 0x29 ? 0 : EFLAGS.AF,
    encode: ({ random }: { random: Random }) => Uint8Array.of(opcode, modrm(random)),
  })),
  {
    name: 'adc r32, [data]',
    readsFlags: EFLAGS.CF,
    writesFlags: EFLAGS_STATUS,
    encode: ({ random, dataAddress }) => Uint8Array.from([0x13, ...atData(dataAddress(4), register(random))]),
  },
  {
    name: 'mov [data], r32',
    weight: 2,
    encode: ({ random, dataAddress }) => Uint8Array.from([0x89, ...atData(dataAddress(4), register(random))]),
  },
  {
    name: 'imul r32, r32',
    writesFlags: EFLAGS_STATUS,
    undefinedFlags: EFLAGS_STATUS & ~(EFLAGS.CF | EFLAGS.OF),
    encode: ({ random }) => Uint8Array.of(0x0f, 0xaf, modrm(random)),
  },
  {
    name: 'cmovz r32, r32',
    readsFlags: EFLAGS.ZF,
    encode: ({ random }) => Uint8Array.of(0x0f, 0x44, modrm(random)),
  },
  {
    name: 'paddd xmm, [data]',
    encode: ({ random, dataAddress }) =>
      Uint8Array.from([0x66, 0x0f, 0xfe, ...atData(dataAddress(16, 16, true), random.below(8))]),
  },
  { name: 'fadd st, st(1)', undefinedStatus: 0x4500, encode: () => Uint8Array.of(0xd8, 0xc1) },
];

const program = (seed: number, length = 60): RandomProgram => randomProgram(new Random(seed), seed, TEMPLATES, length);

describe('a random program', () => {
  it('is the same for the same seed, of the length wanted, and reads no undefined flag', () => {
    const made = program(7);

    expect(program(7)).toEqual(made);
    expect(describeProgram(program(8), program(8).instructions)).not.toBe(describeProgram(made, made.instructions));
    expect(made.instructions).toHaveLength(60);
    expect(isWellDefined(made.instructions)).toBe(true);
  });

  it('fits into the code pages, however long it should be', () => {
    const code = programCase(program(1, 100_000)).code;

    expect(code.length).toBeGreaterThan(6000);
    expect(code.length).toBeLessThanOrEqual(0x2000 - 0x800);
  });
});

describe('on the host CPU', () => {
  let cpu: HostCpu;

  beforeAll(async () => {
    if (host.ok) cpu = await HostCpu.start();
  });
  afterAll(() => (host.ok ? cpu.close() : undefined));
  beforeEach((context) => context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`));

  /** An engine with a bug: its imul does nothing. */
  async function broken(of: RandomProgram, instructions: readonly Instruction[]): Promise<CpuResult | undefined> {
    const nops = (i: Instruction): Instruction =>
      i.template.name.startsWith('imul') ? { ...i, bytes: Uint8Array.of(0x90, 0x90, 0x90) } : i;
    const code = programCase(of, instructions.map(nops));
    return (await cpu.run([code]))[0];
  }

  async function differ(of: RandomProgram, instructions: readonly Instruction[]): Promise<string[]> {
    const [expected] = await cpu.run([programCase(of, instructions)]);
    const actual = await broken(of, instructions);
    if (expected === undefined || actual === undefined) throw new Error('no result');
    return programDifferences(of, instructions, expected, actual).filter((line) => !line.startsWith('memory 0x2'));
  }

  it('random programs run to their end and give the same result twice', async () => {
    const programs = Array.from({ length: 200 }, (_, seed) => program(seed));
    const cases = programs.map((p) => programCase(p));

    const first = await cpu.run(cases);
    const second = await cpu.run(cases);

    expect(second).toEqual(first);
    expect(first.map((r) => [r.trap, r.eip])).toEqual(cases.map((c) => [TRAP.BP, BASE_CODE_ADDRESS + c.code.length]));
  });

  it('a difference between two engines shrinks to the instruction that they disagree on', async () => {
    const failing = program(3, 120);
    expect(await differ(failing, failing.instructions)).not.toEqual([]);

    const small = await shrink(
      failing.instructions,
      async (some) => isWellDefined(some) && (await differ(failing, some)).length > 0,
    );

    expect(small.map(({ template }) => template.name)).toEqual(['imul r32, r32']);
  });
});

describe('shrinking', () => {
  it('finds two items that fail only together, in their order', async () => {
    const items = Array.from({ length: 100 }, (_, i) => i);
    let asked = 0;

    const small = await shrink(items, (some) => {
      asked++;
      return some.includes(13) && some.includes(77);
    });

    expect(small).toEqual([13, 77]);
    expect(asked).toBeLessThan(120);
  });

  it('keeps all that is needed and nothing when nothing is', async () => {
    expect(await shrink([1, 2, 3], (some) => some.length === 3)).toEqual([1, 2, 3]);
    expect(await shrink([1, 2, 3], () => true)).toEqual([]);
  });

  it('makes numbers as simple as the failure allows', async () => {
    expect(await shrinkNumbers([0xdeadbeef, 77, 5], ([a = 0, , c = 0]) => (a & 0xff) === 0xef && c > 0)).toEqual([
      0xef, 0, 1,
    ]);
  });
});
