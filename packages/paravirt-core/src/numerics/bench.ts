/**
 * Nanoseconds per operation, called from JavaScript and from another WebAssembly module, as the interpreter does.
 * `node src/numerics/bench.ts [MILLISECONDS_PER_ROW]`.
 */
import asc from 'assemblyscript/asc';
import { ensureNumerics } from './build.ts';
import { instantiateNumerics, type Numerics } from './numerics.ts';

const CW = 0x37f;
const MXCSR = 0x1f80;
const [A, B, D] = [0x100, 0x110, 0x120];
/** A slot with a value below 1, for F2XM1. */
const HALF = 0x130;
const CALLS = 10_000;

type Row = readonly [name: string, parameters: string, call: string, run: (n: Numerics) => unknown];
const binary = (name: 'f80_add' | 'f80_mul' | 'f80_div' | 'f80_atan' | 'f80_yl2x'): Row => [
  ...([name, '(d: i32, a: i32, b: i32, cw: i32): i32', `${name}(${D}, ${A}, ${B}, ${CW})`] as const),
  (n) => n[name](D, A, B, CW),
];
const unary = (name: 'f80_sqrt' | 'f80_rndint' | 'f80_to_f64' | 'f80_sin' | 'f80_2xm1'): Row => [
  ...([name, '(d: i32, a: i32, cw: i32): i32', `${name}(${D}, ${name === 'f80_2xm1' ? HALF : A}, ${CW})`] as const),
  (n) => n[name](D, name === 'f80_2xm1' ? HALF : A, CW),
];
const X = 0x3ff3c0ca428c59fbn;
const Y = 0x3ff921fb54442d18n;
const sse = (name: 'f64_add' | 'f64_mul' | 'f64_div', mxcsr: number): Row => [
  `${name}${mxcsr === MXCSR ? '' : ' rounding up'}`,
  '(a: i64, b: i64, mxcsr: i32): i64',
  `${name}(${X}, ${Y}, ${mxcsr})`,
  (n) => n[name](X, Y, mxcsr),
];
const rows: readonly Row[] = [
  ...[binary('f80_add'), binary('f80_mul'), binary('f80_div'), unary('f80_sqrt'), unary('f80_rndint')],
  unary('f80_to_f64'),
  [
    'f80_from_f64',
    '(d: i32, v: i64, cw: i32): i32',
    `f80_from_f64(${D}, ${X}, ${CW})`,
    (n) => n.f80_from_f64(D, X, CW),
  ],
  ['f80_compare', '(a: i32, b: i32, q: i32): i32', `f80_compare(${A}, ${B}, 0)`, (n) => n.f80_compare(A, B, 0)],
  ...[unary('f80_sin'), unary('f80_2xm1'), binary('f80_atan'), binary('f80_yl2x')],
  ...[sse('f64_add', MXCSR), sse('f64_mul', MXCSR), sse('f64_div', MXCSR)],
  ...[sse('f64_add', MXCSR | 0x4000), sse('f64_mul', MXCSR | 0x4000), sse('f64_div', MXCSR | 0x4000)],
];

/** A module whose one function makes so many calls of an imported one. */
async function loopModule([name, parameters, call]: Row): Promise<WebAssembly.Module> {
  const imported = name.split(' ')[0]!;
  const source =
    `@external("numerics", "${imported}") declare function ${imported}${parameters};\n` +
    `export function loop(n: i32): void { for (; n > 0; n--) ${call}; }`;
  let bytes: Uint8Array | undefined;
  const { error } = await asc.main(['loop.ts', '-o', 'loop.wasm', '--runtime', 'stub', '-O3'], {
    readFile: (file) => (file === 'loop.ts' ? source : null),
    writeFile: (_, contents) => {
      bytes = contents as unknown as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error !== null || bytes === undefined) throw new Error(`cannot compile the loop of ${name}`, { cause: error });
  return new WebAssembly.Module(Uint8Array.from(bytes));
}

/** Nanoseconds for one of CALLS calls: the best round of those that fit into the time. */
function measure(milliseconds: number, round: () => void): number {
  let best = Infinity;
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    const start = performance.now();
    round();
    best = Math.min(best, performance.now() - start);
  }
  return (best * 1e6) / CALLS;
}

await ensureNumerics();
const milliseconds = Number(process.argv[2] ?? 300);
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const numerics = instantiateNumerics(memory);
numerics.f80_from_f64(A, X, CW);
numerics.f80_constant(B, 3, CW);
numerics.f80_constant(HALF, 5, CW);
process.stdout.write('operation                 from JavaScript   from WebAssembly\n');
for (const row of rows) {
  const instance = new WebAssembly.Instance(await loopModule(row), { numerics: numerics as never });
  const loop = instance.exports['loop'] as (n: number) => void;
  const [name, , , run] = row;
  const js = measure(milliseconds, () => {
    for (let i = 0; i < CALLS; i++) run(numerics);
  });
  const wasm = measure(milliseconds, () => loop(CALLS));
  process.stdout.write(`${name.padEnd(26)}${js.toFixed(1).padStart(10)} ns${wasm.toFixed(1).padStart(16)} ns\n`);
}
