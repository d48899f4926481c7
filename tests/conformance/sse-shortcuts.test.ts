/**
 * Comparisons and conversions of SSE where they have a way without their leaf (isa/sse-compare.ts, isa/sse-conversion.ts), and beside it: numbers
 * at the edges of integers and of formats, ties, equal ones, NaNs, infinities and denormals, under every kind of MXCSR. Arithmetic comes before some of them,
 * so that compiled code knows something of their operands, and after, so that it relies on what it takes results for. They must end as leaves do.
 */
import { expect, it } from 'vitest';
import { FormTable, encode, families, type Form } from '@tomei/paravirt-core';
import { differencesFromHost, differencesFromOracle } from './agreement.ts';
import { cpuCase } from './base-case.ts';
import { MEMORY, type NamedCase } from './case.ts';
import { FX_REGISTERS, fxImage } from './fxsave.ts';
import { HostCpu } from './host/host-cpu.ts';
import { F32_PATTERNS, F64_PATTERNS, littleEndian } from './operands.ts';
import { Random } from './random.ts';
import { formName } from './sources/from-table.ts';

const SEED = Number(process.env['TOMEI_SEED'] ?? 1);
const CASES = Number(process.env['TOMEI_SHORTCUTS'] ?? 16_000),
  COMPILED = CASES / 4;
const host = HostCpu.available();

const NAMES = /^(cmp[ps][sd]|u?comis[sd]|cvt.*)$/;
const forms = new FormTable(families.flat().filter(({ family }) => /^sse-(float|convert)$/.test(family))).forms.filter(
  ({ row, addressSize, memory }) => NAMES.test(row.mnemonic) && (!memory || addressSize === 32),
);

/** MXCSR (SDM vol. 1, 10.2.3): all masked, PE seen; and the two that make denormals zeros. */
const MASKED = 0x1f80,
  PE = 0x20,
  DAZ = 0x40,
  FTZ = 0x8000;
const anyMxcsr = (random: Random): number =>
  random.oneIn(2)
    ? MASKED | PE
    : random.pick([MASKED, MASKED | PE, MASKED & ~0x1000, random.u32() & MASKED]) |
      (random.below(4) << 13) |
      random.pick([0, 0, DAZ, DAZ | FTZ]) |
      random.pick([0, PE, random.below(0x40)]);

/** Numbers around the ends of integers, and of what a single can hold. */
const EDGES = [
  2 ** 31 - 1,
  2 ** 31,
  2 ** 31 - 0.5,
  2 ** 31 + 1,
  2 ** 31 - 128,
  2 ** 24 + 1,
  2 ** -126,
  2 ** -125,
  2 ** 128,
];
function ordinary(random: Random): number {
  const size = random.pick([
    0,
    random.below(100),
    random.below(100) + 0.5,
    random.u32() / 2 ** random.below(64),
    random.pick(EDGES),
    2 ** (random.below(90) - 45),
    Infinity,
  ]);
  return random.oneIn(2) ? -size : size;
}
/** The bits of a number; now and then any pattern. */
function number(random: Random, bits: 32 | 64): bigint {
  if (random.oneIn(8)) return bits === 32 ? BigInt(random.pick(F32_PATTERNS) >>> 0) : random.pick(F64_PATTERNS);
  const view = new DataView(new ArrayBuffer(8)),
    value = ordinary(random);
  if (bits === 32) view.setFloat32(4, value);
  else view.setFloat64(0, value);
  const found = view.getBigUint64(0);
  // One beside it.
  return random.oneIn(8) && value !== 0 ? found - 1n : found;
}
function vector(random: Random, bits: 32 | 64): bigint {
  let all = 0n;
  for (let at = 0; at < 128; at += bits) all |= BigInt.asUintN(bits, number(random, bits)) << BigInt(at);
  return all;
}
/** What a form's source has: singles, doubles, or integers. */
function operand(random: Random, { row }: Form): bigint {
  const from = /^cvtt?(pi|si|dq|ps|ss|pd|sd)2/.exec(row.mnemonic)?.[1] ?? row.mnemonic.slice(-2);
  if (from.endsWith('s')) return vector(random, 32);
  if (from.endsWith('d')) return vector(random, 64);
  return [0, 32, 64, 96].reduce((all, at) => all | (BigInt(random.u32() >>> random.below(32)) << BigInt(at)), 0n);
}

const ADDRESS = MEMORY.data.address + 0x400;
const CONTROL = 0x40;
/** Of XMM1 and XMM3, which instructions take, with XMM4 and XMM5: additions of one format. */
const ADDITIONS = [
  [0x0f, 0x58, 0xcc, 0x0f, 0x58, 0xdd],
  [0x66, 0x0f, 0x58, 0xcc, 0x66, 0x0f, 0x58, 0xdd],
  [0xf3, 0x0f, 0x58, 0xcc, 0xf3, 0x0f, 0x58, 0xdd],
  [0xf2, 0x0f, 0x58, 0xcc, 0xf2, 0x0f, 0x58, 0xdd],
];
/** XMM1 times itself, XMM6 and XMM7 added. */
const RELIANT = [
  [0x0f, 0x59, 0xc9, 0x0f, 0x58, 0xf7],
  [0x66, 0x0f, 0x59, 0xc9, 0x66, 0x0f, 0x58, 0xf7],
  [0xf3, 0x0f, 0x59, 0xc9],
  [0xf2, 0x0f, 0x59, 0xc9],
];
const LDMXCSR = [0x0f, 0xae, 0x57, CONTROL];

function caseOf(seed: number): NamedCase {
  const random = new Random(seed);
  const form = random.pick(forms);
  const at = { segment: 3, base: 7, index: -1, scale: 0, displacement: 0, addressSize: 32 } as const;
  const choice = { reg: 1, immediate: random.below(random.oneIn(8) ? 256 : 8) };
  const own = encode(form, form.memory ? { ...choice, memory: at } : { ...choice, rm: 3 });
  const before = random.oneIn(2) ? random.pick(ADDITIONS) : [],
    control = random.oneIn(10) ? LDMXCSR : [],
    after = random.oneIn(2) ? random.pick(RELIANT) : [];
  const x = operand(random, form),
    y = random.oneIn(4) ? x : operand(random, form);
  const plain = [4, 5, 6, 7].map(() => (random.oneIn(4) ? operand(random, form) : 0n));
  const mxcsr = anyMxcsr(random);
  return {
    ...cpuCase({
      code: Uint8Array.from([...before, ...control, ...own, ...after]),
      registers: { edi: ADDRESS, ebx: random.u32() >>> random.below(32) },
      fx: fxImage({
        mxcsr,
        xmm: [0n, x, 0n, y, ...plain].map((value) => littleEndian(value, 16)).slice(0, FX_REGISTERS),
      }),
      memory: [
        { address: ADDRESS, bytes: littleEndian(y, 16) },
        { address: ADDRESS + CONTROL, bytes: littleEndian(anyMxcsr(random), 4) },
      ],
    }),
    name: `seed ${seed}: ${formName(form)}, MXCSR ${mxcsr.toString(16)}`,
    undefinedFlags: 0,
  };
}
const cases = Array.from({ length: CASES }, (_, i) => caseOf(SEED * 1_000_000 + i));

it('end as their leaves do', { timeout: 300_000 }, async () => {
  expect(await differencesFromOracle(cases, COMPILED)).toEqual([]);
});

it('end as on the processor of this machine', { timeout: 300_000 }, async (context) => {
  context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`);

  expect(await differencesFromHost(cases)).toEqual([]);
});
