/**
 * Sums, products, quotients, roots, comparisons, loads and stores of x87 numbers where rounding and cancellation are decided: exponents a
 * few places apart, or as far as one operand hardly counts, significands at ties and one beside them, all ones, squares and their roots, and
 * operands near either end of the range of exponents. What has a way without its leaf (isa/x87-quick.ts) must end as the leaf does, interpreted and compiled.
 */
import { expect, it } from 'vitest';
import { FormTable, encode, families, type Form } from '@tomei/paravirt-core';
import { differencesFromHost, differencesFromOracle } from './agreement.ts';
import { cpuCase } from './base-case.ts';
import { MEMORY, type NamedCase } from './case.ts';
import { fxImage } from './fxsave.ts';
import { HostCpu } from './host/host-cpu.ts';
import { f80Bytes, littleEndian } from './operands.ts';
import { Random } from './random.ts';
import { formName } from './sources/from-table.ts';
import { undefinedConditions } from './sources/x87.ts';

const SEED = Number(process.env['TOMEI_SEED'] ?? 1);
const CASES = Number(process.env['TOMEI_ROUNDING'] ?? 20_000),
  COMPILED = CASES / 10;
const host = HostCpu.available();

const NAMES = /^f(i?(add|sub|mul|div)r?p?|u?comi?p{0,2}|icomp?|tst|i?ld|i?stp?|isttp|sqrt|rndint|chs|abs|xch)$/;
const forms = new FormTable(families.flat().filter(({ family }) => family.startsWith('x87'))).forms.filter(
  ({ row, addressSize, memory }) => NAMES.test(row.mnemonic) && (!memory || addressSize === 32),
);

const BIAS = 16383,
  TOP_BIT = 1n << 63n;
const EXPONENTS = [
  0,
  1,
  2,
  66,
  BIAS - 8001,
  BIAS - 8000,
  BIAS - 1030,
  BIAS - 1023,
  BIAS - 1022,
  BIAS - 127,
  BIAS - 126,
];
const LARGE = [BIAS + 31, BIAS + 63, BIAS + 127, BIAS + 1023, BIAS + 7999, BIAS + 8000, 0x7ffd, 0x7ffe, 0x7fff];
const APART = [0, 0, 0, 1, 1, 2, 3, 10, 11, 12, 31, 32, 33, 61, 62, 63, 64, 65, 66, 67, 130];
/** Ends of significands: what singles, doubles and sums one place further round. */
const ENDS = [0x400n, 0x3ffn, 0x401n, 0xc00n, 0xbffn, 0x80_0000_0000n, 0x7f_ffff_ffffn, 0x80_0000_0001n, 1n, 2n, 3n];

interface Number80 {
  readonly sign: 0 | 1;
  readonly exponent: number;
  readonly significand: bigint;
}
const pattern = (random: Random): bigint => (BigInt(random.u32()) << 32n) | BigInt(random.u32());
function significand(random: Random): bigint {
  const all = (1n << 64n) - 1n;
  const places = BigInt(random.below(64));
  const found = random.pick([
    TOP_BIT,
    all,
    all << places,
    TOP_BIT | (1n << places),
    all ^ (1n << places),
    pattern(random),
    pattern(random) << places,
    (pattern(random) & ~0xfffn) | random.pick(ENDS),
    (pattern(random) & ~0xff_ffff_ffffn) | random.pick(ENDS),
  ]);
  return BigInt.asUintN(64, random.oneIn(40) ? found : found | TOP_BIT);
}
/** With the top bit in its place. */
const normalized = (digits: bigint): bigint => digits << BigInt(64 - digits.toString(2).length);
/** The square of a number of 32 bits or fewer, or one beside it: what has a root that is exact, or nearly. */
function square(random: Random): bigint {
  const root = BigInt(random.u32() >>> random.below(31)) | 1n;
  return normalized(BigInt.asUintN(64, root * root + BigInt(random.pick([0, 0, 1, -1]))) || 1n);
}
/** About its root: of a square, one that divides it. */
const rootOf = (digits: bigint): bigint => normalized(BigInt(Math.round(Math.sqrt(Number(digits)))) || 1n);
const sign = (random: Random): 0 | 1 => (random.oneIn(2) ? 1 : 0);
function first(random: Random): Number80 {
  if (random.oneIn(20)) return { sign: sign(random), exponent: 0, significand: 0n };
  const exponent = random.oneIn(3) ? random.pick([...EXPONENTS, ...LARGE]) : BIAS + random.below(80) - 40;
  if (random.oneIn(6)) return { sign: random.oneIn(4) ? 1 : 0, exponent, significand: square(random) };
  return { sign: sign(random), exponent, significand: significand(random) };
}
/** Close to another number, or that number but for its last digits or its sign. */
function second(random: Random, { exponent, significand: digits }: Number80): Number80 {
  if (random.oneIn(12)) return first(random);
  const apart = random.pick(APART) * (random.oneIn(2) ? 1 : -1);
  const near = Math.min(Math.max(exponent + apart, 0), 0x7fff);
  if (random.oneIn(8)) return { sign: sign(random), exponent: near, significand: rootOf(digits) };
  const alike = BigInt.asUintN(64, digits + BigInt(random.below(5) - 2));
  return { sign: sign(random), exponent: near, significand: random.oneIn(3) ? alike : significand(random) };
}
/** What memory holds: an integer, or a float of about the size of a number. */
function inMemory(random: Random, { row }: Form, near: Number80): Uint8Array {
  const size = Number(row.operands[0]?.size ?? 80);
  if (/^fi/.test(row.mnemonic)) return littleEndian(pattern(random) >> BigInt(random.below(64)), 8);
  const { sign, exponent, significand } = second(random, near);
  if (size === 80) return f80Bytes(sign, exponent, significand);
  const [bias, fraction] = size === 32 ? [127, 23n] : [1023, 52n];
  const short = Math.min(Math.max(exponent - BIAS + bias, 0), 2 * bias + 1);
  const digits = (significand >> (63n - fraction)) & ((1n << fraction) - 1n);
  return littleEndian((BigInt(sign) << BigInt(size - 1)) | (BigInt(short) << fraction) | digits, size / 8);
}

const ADDRESS = MEMORY.data.address + 0x400;
function caseOf(seed: number): NamedCase {
  const random = new Random(seed);
  const form = random.pick(forms);
  const x = first(random),
    y = second(random, x);
  const memory = inMemory(random, form, x);
  // Mostly as programs have it.
  const control = random.oneIn(2) ? 0x340 : 0x40 | (random.below(16) << 8),
    masks = random.oneIn(8) ? random.below(0x40) : 0x3f;
  const at = { segment: 3, base: 7, index: -1, scale: 0, displacement: 0, addressSize: 32 } as const;
  return {
    ...cpuCase({
      code: encode(form, form.memory ? { memory: at } : { rm: 1 }),
      registers: { edi: ADDRESS },
      fx: fxImage({
        fcw: control | masks,
        fsw: random.oneIn(2) ? 0x220 : 0,
        top: 5,
        tags: 0x60,
        st: [x, y].map((each) => f80Bytes(each.sign, each.exponent, each.significand)),
      }),
      memory: [{ address: ADDRESS, bytes: memory }],
    }),
    name: `seed ${seed}: ${formName(form)}, control ${(control | masks).toString(16)}`,
    undefinedFlags: 0,
    undefinedStatus: undefinedConditions(form.row),
  };
}
const cases = Array.from({ length: CASES }, (_, i) => caseOf(SEED * 1_000_000 + i));

it('of all kinds round as their leaves do', { timeout: 300_000 }, async () => {
  expect(await differencesFromOracle(cases, COMPILED)).toEqual([]);
});

it('round as on the processor of this machine', { timeout: 300_000 }, async (context) => {
  context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`);

  expect(await differencesFromHost(cases)).toEqual([]);
});
