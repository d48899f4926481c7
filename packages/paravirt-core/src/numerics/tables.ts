/**
 * Writes `assembly/tables.ts`: constants and series of the transcendental instructions to 128 bits. Run as
 * `node src/numerics/tables.ts`; a test compares the file with `tablesSource`.
 */
import { writeFileSync } from 'node:fs';
import { reals } from './reference.ts';

const WORKING_BITS = 320;
const r = reals(WORKING_BITS);
const WORD = (1n << 64n) - 1n;

/** High and low word of a value that `scale` bits of fraction follow, rounded to nearest. */
const words = (value: bigint, scale: number): string => {
  const fixed = (value + (1n << BigInt(WORKING_BITS - scale - 1))) >> BigInt(WORKING_BITS - scale);
  const hex = (word: bigint): string => `0x${word.toString(16).padStart(16, '0')}`;
  return `${hex((fixed >> 64n) & WORD)}, ${hex(fixed & WORD)}`;
};

const factorial = (n: number): bigint => (n <= 1 ? 1n : BigInt(n) * factorial(n - 1));

/** A function that evaluates a series of `count` coefficients by Horner's rule, highest first. */
const series = (name: string, comment: string, count: number, scale: number, at: (k: number) => bigint): string => {
  const steps = Array.from({ length: count }, (_, k) => count - 1 - k).map((k) =>
    k === count - 1 ? `  first(${words(at(k), scale)});` : `  next(${words(at(k), scale)});`,
  );
  return `/** ${comment} */\nexport function ${name}(): void {\n${steps.join('\n')}\n}\n`;
};

const constant = (name: string, comment: string, value: bigint, scale: number): string => {
  const [high, low] = words(value, scale).split(', ');
  return `/** ${comment} */\nexport const ${name}_HIGH: u64 = ${high!};\nexport const ${name}_LOW: u64 = ${low!};\n`;
};

/** Steps of the table of arcus tangents: atan(k / ATAN_STEPS). */
const ATAN_STEPS = 8;

const arctangents = (): string => {
  const rows = Array.from({ length: ATAN_STEPS }, (_, i) => {
    const [high, low] = words(r.atan((r.one * BigInt(i + 1)) / BigInt(ATAN_STEPS)), 127).split(', ');
    return `    case ${i + 1}:\n      tableLow = ${low!};\n      return ${high!};`;
  });
  return [
    '/** Low word of the last `arctangent`. */',
    'export let tableLow: u64 = 0;',
    '',
    `/** atan(k / ${ATAN_STEPS}) in units of 2^-127: the high word, and the low one in \`tableLow\`. */`,
    'export function arctangent(k: i32): u64 {',
    '  switch (k) {',
    ...rows,
    '    default:',
    '      tableLow = 0;',
    '      return 0;',
    '  }',
    '}',
    '',
  ].join('\n');
};

/** The text of `assembly/tables.ts`. */
export function tablesSource(): string {
  return [
    '/** Constants and series to 128 bits: written by `../tables.ts`, not by hand. Scale: units of 2^-127 or 2^-128. */',
    "import { first, next } from './fixed';",
    '',
    constant('PI', 'pi, in units of 2^-126.', r.pi, 126),
    constant('LN2', 'ln 2, in units of 2^-128.', r.ln2, 128),
    constant('TWO_LOG2E', '2 / ln 2, in units of 2^-126.', r.div(2n * r.one, r.ln2), 126),
    arctangents(),
    series(
      'sineTail',
      '(1 - sin(x) / x) / t, with t = x^2; units of 2^-128.',
      11,
      128,
      (k) => r.one / factorial(2 * k + 3),
    ),
    series(
      'cosineTail',
      '(1 - cos(x)) / t, with t = x^2; units of 2^-128.',
      12,
      128,
      (k) => r.one / factorial(2 * k + 2),
    ),
    series('exponential', '(e^t - 1) / t; units of 2^-127.', 24, 127, (k) => r.one / factorial(k + 1)),
    series('logarithm', 'atanh(x) / x, with t = x^2; units of 2^-127.', 17, 127, (k) => r.one / BigInt(2 * k + 1)),
    series(
      'arctangentTail',
      '(1 - atan(x) / x) / t, with t = x^2; units of 2^-128.',
      10,
      128,
      (k) => r.one / BigInt(2 * k + 3),
    ),
  ].join('\n');
}

if (import.meta.main) writeFileSync(new URL('./assembly/tables.ts', import.meta.url), tablesSource());
