/**
 * Random programs of x87 and SSE arithmetic on mostly ordinary numbers, in every mode of rounding and precision: the oracle, which knows no
 * shortcuts, the interpreter, compiled code, and the processor of this machine where there is one. What `fuzzing.test.ts` tries with edge cases stays within one
 * instruction; here values that one has computed are what the next one gets, as in programs. Some have numbers alone that compiled code
 * takes for plain, up to the edges of that.
 */
import { expect, it } from 'vitest';
import { MEMORY } from './case.ts';
import { differences } from './compare.ts';
import { compiledCpu } from './engines/compiled.ts';
import { interpreterCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { FX_REGISTERS, fxImage } from './fxsave.ts';
import { HostCpu } from './host/host-cpu.ts';
import { F64_PATTERNS, F80_VALUES, f80Bytes, littleEndian } from './operands.ts';
import {
  describeProgram,
  programCase,
  programDifferences,
  randomProgram,
  type RandomProgram,
} from './random-program.ts';
import { Random } from './random.ts';
import { tableTemplates } from './templates.ts';

const PROGRAMS = Number(process.env['TOMEI_FLOATING'] ?? 400),
  LENGTH = 30;
const NUMBERS = 64;
const host = HostCpu.available();
const families = ['x87-load-store', 'x87-arith', 'x87-compare', 'sse-float', 'sse-convert', 'sse-move'];
const templates = tableTemplates(({ family }) => families.includes(family));

/** Ordinary numbers of all sizes, zeros among them, and now and then what is not ordinary. */
function extended(random: Random): Uint8Array {
  if (random.oneIn(12)) {
    const { sign, exponent, significand } = random.pick(F80_VALUES);
    return f80Bytes(sign, exponent, significand);
  }
  const short = random.oneIn(2) ? 0n : BigInt(random.u32());
  const significand = (1n << 63n) | (BigInt(random.u32()) << 31n) | short;
  return f80Bytes(random.oneIn(2) ? 1 : 0, 16383 + random.below(140) - 70, significand);
}
function double(random: Random): bigint {
  if (random.oneIn(10)) return random.oneIn(2) ? 0n : random.pick(F64_PATTERNS);
  const sign = BigInt(random.below(2)) << 63n,
    exponent = BigInt(1023 + random.below(60) - 30) << 52n;
  return sign | exponent | (BigInt(random.u32()) << 20n) | BigInt(random.oneIn(2) ? 0 : random.below(1 << 20));
}
function vector(random: Random): Uint8Array {
  const bytes = new Uint8Array(16),
    view = new DataView(bytes.buffer);
  const singles = random.oneIn(2);
  for (let i = 0; i < 2; i++) {
    if (!singles) view.setBigUint64(i * 8, double(random), true);
    else
      for (const at of [0, 4])
        view.setFloat32(i * 8 + at, random.oneIn(6) ? 0 : (random.u32() - 2 ** 31) / 2 ** random.below(40), true);
  }
  return bytes;
}

function floatingProgram(seed: number): RandomProgram {
  const random = new Random(seed);
  const program = randomProgram(random, seed, templates, LENGTH);
  // Mostly as programs have it; all exceptions are masked but for one program in eight.
  const masks = random.oneIn(8) ? random.below(0x40) : 0x3f;
  const control = random.oneIn(2) ? 0x340 : 0x40 | (random.below(16) << 8);
  const sse = random.oneIn(2) ? random.pick([0, 0x20]) : random.below(0x80) | (random.below(8) << 13);
  const fx = fxImage({
    fcw: control | masks,
    mxcsr: sse | (masks << 7),
    st: Array.from({ length: random.oneIn(3) ? FX_REGISTERS : 5 }, () => extended(random)),
    xmm: Array.from({ length: FX_REGISTERS }, () => vector(random)),
  });
  const memory = Array.from({ length: NUMBERS }, (_, i) => ({
    address: MEMORY.data.address + i * (MEMORY.data.size / NUMBERS),
    bytes: random.oneIn(4) ? littleEndian(BigInt(random.below(100) - 50), 16) : vector(random),
  }));
  return { ...program, fx, memory };
}

/** What moves the register stack, looks at all of its state or replaces it, among arithmetic: MMX, FXSAVE, FLDENV and their like. */
const stackFamilies = ['x87-control', 'x87-load-store', 'x87-arith', 'x87-compare', 'packed-integer'];
const stackTemplates = tableTemplates(
  ({ family, unit }) => stackFamilies.includes(family) && (family.startsWith('x87') || unit === 'mmx'),
);
function stackProgram(seed: number): RandomProgram {
  const random = new Random(seed);
  const program = randomProgram(random, seed, stackTemplates, LENGTH);
  const count = random.below(FX_REGISTERS + 1);
  const fx = fxImage({
    fcw: random.oneIn(4) ? 0x40 | random.below(0x1000) : 0x37f,
    fsw: random.pick([0, 0x20, 0x220, 0x4720]),
    ...(random.oneIn(2) ? {} : { top: random.below(8) }),
    st: Array.from({ length: count }, () => extended(random)),
  });
  const memory = Array.from({ length: NUMBERS }, (_, i) => ({
    address: MEMORY.data.address + i * (MEMORY.data.size / NUMBERS),
    bytes: vector(random),
  }));
  return { ...program, fx, memory };
}

/** What compiled code computes with plain numbers alone (jit/number-build.ts), and what moves them about. */
const PLAIN_FAMILIES = ['sse-float', 'sse-move', 'sse-convert', 'packed-shuffle'];
const isArithmetic = /^(add|sub|mul|div|sqrt|min|max)[ps][sd]$/,
  isMove =
    /^(mov(ap|up|s|hp|lp)[sd]|movq|movhlps|movlhps|unpck[lh]p[sd]|shufp[sd]|pshufd|punpckl?h?qdq|cvtsi2sd|cvtdq2pd|xorp[sd])$/;
const plainTemplates = {
  32: tableTemplates(({ family, mnemonic }) => isPlainRow(family, mnemonic, /p?d$/)),
  64: tableTemplates(({ family, mnemonic }) => isPlainRow(family, mnemonic, /[ps]s$/)),
};
function isPlainRow(family: string, mnemonic: string, other: RegExp): boolean {
  const isKnown = PLAIN_FAMILIES.includes(family) || mnemonic.startsWith('xorp');
  return isKnown && (isArithmetic.test(mnemonic) ? !other.test(mnemonic) : isMove.test(mnemonic));
}
/** Numbers that are plain, those at the edges of what is plain, and zeros of both signs. */
function plainNumber(random: Random, bits: 32 | 64): bigint {
  const { spread, bias, fraction } =
    bits === 32 ? { spread: 39, bias: 127, fraction: 23 } : { spread: 288, bias: 1023, fraction: 52 };
  const sign = BigInt(random.below(2)) << BigInt(bits - 1);
  if (random.oneIn(6)) return sign;
  const edge = random.oneIn(24) ? spread + 1 : random.pick([spread, spread - 1, spread >> 1]);
  const exponent = random.oneIn(3) ? (random.oneIn(2) ? edge : -edge) : random.below(9) - 4;
  const all = (1n << BigInt(fraction)) - 1n,
    digits = random.pick([0n, all, 1n, (BigInt(random.u32()) << 32n) | BigInt(random.u32())]) & all;
  return sign | (BigInt(bias + exponent) << BigInt(fraction)) | digits;
}
function plainVector(random: Random, bits: 32 | 64): Uint8Array {
  let all = 0n;
  for (let at = 0; at < 128; at += bits) all |= plainNumber(random, bits) << BigInt(at);
  return littleEndian(all, 16);
}
function plainProgram(seed: number): RandomProgram {
  const random = new Random(seed),
    bits = random.oneIn(2) ? 32 : 64;
  const program = randomProgram(random, seed, plainTemplates[bits], LENGTH);
  const fx = fxImage({
    // PE is set, and masked, as it is in programs that have computed anything; denormals are zeros in some, others raise what is tiny.
    mxcsr: random.pick([0x1fa0, 0x1fa0, 0x1fa0, 0x9fe0, 0x1020, 0x17a0, 0x3fa0, 0x1f80]),
    xmm: Array.from({ length: FX_REGISTERS }, () => plainVector(random, bits)),
  });
  const memory = Array.from({ length: NUMBERS }, (_, i) => ({
    address: MEMORY.data.address + i * (MEMORY.data.size / NUMBERS),
    bytes: plainVector(random, bits),
  }));
  return { ...program, fx, memory };
}

const programs = [
    ...Array.from({ length: PROGRAMS }, (_, i) => floatingProgram(i + 1)),
    ...Array.from({ length: 2 * PROGRAMS }, (_, i) => plainProgram(10_000 + i)),
    ...Array.from({ length: PROGRAMS }, (_, i) => stackProgram(20_000 + i)),
  ],
  cases = programs.map((each) => programCase(each));

/** What is different at the ends of programs, of the first few that have any. */
function wrongAmong(linesOf: (program: RandomProgram, i: number) => readonly string[]): string[] {
  const wrong = programs.flatMap((program, i) => {
    const lines = linesOf(program, i);
    return lines.length === 0 ? [] : [`${lines.join('; ')}\n${describeProgram(program, program.instructions)}`];
  });
  return wrong.slice(0, 3);
}

it(
  'end the same by leaves alone, interpreted and compiled, to the last bit and flag',
  { timeout: 300_000 },
  async () => {
    const wanted = await oracleCpu().run(cases);

    for (const cpu of [interpreterCpu(), compiledCpu(), compiledCpu({ isCareful: true })]) {
      const got = await cpu.run(cases);
      const defined = { undefinedFlags: 0, undefinedStatus: 0 };
      expect(wrongAmong((_, i) => differences({ ...cases[i]!, ...defined }, wanted[i]!, got[i]!))).toEqual([]);
    }
  },
);

it('end as on the processor of this machine', { timeout: 300_000 }, async (context) => {
  context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`);
  await using native = await HostCpu.start();
  const wanted = await native.run(cases),
    got = await compiledCpu().run(cases);

  const linesOf = (program: RandomProgram, i: number): string[] =>
    programDifferences(program, program.instructions, wanted[i]!, got[i]!);
  expect(wrongAmong(linesOf)).toEqual([]);
});
