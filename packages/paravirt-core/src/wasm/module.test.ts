/** The assembler against the engine that reads its modules: whatever it lays out validates and does what it says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Code, ModuleBuilder, signedLeb, unsignedLeb } from './module.ts';

const SEED = { seed: 20_250_101 };
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
type Numeric = (...args: (number | bigint)[]) => number | bigint | undefined;

function instantiate(module: ModuleBuilder, env: Record<string, unknown> = {}): Record<string, Numeric> {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory, ...env } });
  return instance.exports as Record<string, Numeric>;
}
/** One function `run` of this code. */
const compile = (signature: string, code: Code, locals: readonly ('i' | 'l' | 'f' | 'd' | 'v')[] = []): Numeric => {
  const module = new ModuleBuilder();
  module.function(signature, locals, code, 'run');
  return instantiate(module)['run']!;
};

/** LEB128 as the specification reads it (core specification 2.0, 5.2.2). */
const readUnsigned = (bytes: readonly number[]): bigint =>
  bytes.reduceRight((all, byte) => (all << 7n) | BigInt(byte & 0x7f), 0n);
const readSigned = (bytes: readonly number[]): bigint => BigInt.asIntN(7 * bytes.length, readUnsigned(bytes));
const continues = (bytes: readonly number[]): boolean =>
  bytes.every((byte, i) => byte >= 0x80 === i < bytes.length - 1);

describe('LEB128', () => {
  it('of an unsigned number reads back as the number modulo 2^32, in the fewest bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }), (n) => {
        const bytes = unsignedLeb(n);
        expect([readUnsigned(bytes), continues(bytes)]).toEqual([BigInt(n >>> 0), true]);
        expect(bytes.length).toBe(Math.max(1, Math.ceil((32 - Math.clz32(n)) / 7)));
      }),
      SEED,
    );
  });
  it('of a signed number of 64 bits reads back, in the fewest bytes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (n) => {
        const bytes = signedLeb(n);
        expect([readSigned(bytes), continues(bytes)]).toEqual([n, true]);
        if (bytes.length > 1) expect(BigInt.asIntN(7 * (bytes.length - 1), n)).not.toBe(n);
      }),
      SEED,
    );
  });
  it.each([
    [0, [0]],
    [63, [63]],
    [64, [0xc0, 0]],
    [-1, [0x7f]],
    [-64, [0x40]],
    [-65, [0xbf, 0x7f]],
    [624485, [0xe5, 0x8e, 0x26]],
  ])('of %i is what the specification says', (n, bytes) => {
    expect(signedLeb(n)).toEqual(bytes);
  });
});

describe('constants', () => {
  it('of 32 and 64 bits arrive as they were', () => {
    fc.assert(
      fc.property(fc.integer(), fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (i, l) => {
        expect([compile(':i', new Code().i32(i))(), compile(':l', new Code().i64(l))()]).toEqual([i, l]);
      }),
      { ...SEED, numRuns: 30 },
    );
  });
  it('of 128 bits lie with their low byte first', () => {
    compile(':', new Code().i32(0).v128(0x0f0e0d0c_0b0a0908_07060504_03020100n).memory('v128.store'))();
    expect([...new Uint8Array(memory.buffer, 0, 16)]).toEqual([...Array(16).keys()]);
  });
});

describe('memory instructions', () => {
  const data = new DataView(memory.buffer);
  it.each([
    ['i32.load', ':i', -2122153084],
    ['i32.load8_s', ':i', -124],
    ['i32.load8_u', ':i', 0x84],
    ['i32.load16_s', ':i', -31868],
    ['i32.load16_u', ':i', 0x8384],
    ['i64.load', ':l', -0x77787970_7e7d7c7cn],
  ])('%s reads at address plus offset, aligned or not', (name, signature, value) => {
    [0x84, 0x83, 0x82, 0x81, 0x8f, 0x86, 0x87, 0x88].forEach((byte, i) => data.setUint8(301 + i, byte));
    expect(compile(signature, new Code().i32(1).memory(name, 300))()).toBe(value);
  });
  it.each([
    ['i32.store8', [0x44, 0xff]],
    ['i32.store16', [0x44, 0x33, 0xff]],
    ['i32.store', [0x44, 0x33, 0x22, 0x11, 0xff]],
  ])('%s writes no more than it should', (name, bytes) => {
    for (let i = 0; i < 8; i++) data.setUint8(401 + i, 0xff);
    compile(':', new Code().i32(401).i32(0x11223344).memory(name))();
    expect(bytes.map((_, i) => data.getUint8(401 + i))).toEqual(bytes);
  });
  it.each([
    ['v128.load', 0x1f1e1d1c_1b1a1918n, 0x17161514_13121110n],
    ['v128.load64_zero', 0n, 0x17161514_13121110n],
    ['v128.load32_zero', 0n, 0x13121110n],
  ])('%s fills the rest with zeros', (name, high, low) => {
    for (let i = 0; i < 16; i++) data.setUint8(500 + i, 0x10 + i);
    const lane = (n: number): Numeric => compile(':l', new Code().i32(500).memory(name).op('i64x2.extract_lane', n));
    expect([lane(1)(), lane(0)()]).toEqual([high, low]);
  });
  it('an unknown name is a bug, told at once', () => {
    expect(() => new Code().memory('i32.load7')).toThrow(/i32.load7/);
    expect(() => new Code().op('i32.cube')).toThrow(/i32.cube/);
  });
});

describe('control', () => {
  it('blocks, loops and branches: a sum from 1 to n', () => {
    const sum = new Code().block().loop().get(0).op('i32.eqz').brIf(1);
    sum.get(1).get(0).op('i32.add').set(1).get(0).i32(1).op('i32.sub').set(0).br(0).end().end().get(1);
    expect(compile('i:i', sum, ['i'])(100)).toBe(5050);
  });
  it('if and else, tee, select, return', () => {
    const larger = new Code().get(0).get(1).get(0).get(1).op('i32.gt_s').select();
    expect(compile('ii:i', larger)(3, 7)).toBe(7);
    const early = new Code().get(0).tee(1).if().i32(1).return().else().i32(2).return().end().unreachable();
    const run = compile('i:i', early, ['i']);
    expect([run(5), run(0)]).toEqual([1, 2]);
  });
  it('br_table: one of many, or the last', () => {
    const code = new Code().block().block().block().get(0).brTable([0, 1], 2).end();
    code.i32(10).return().end().i32(20).return().end().i32(30);
    const run = compile('i:i', code);
    expect([0, 1, 2, -1].map((n) => run(n))).toEqual([10, 20, 30, 30]);
  });
  it('calls by index and through the table', () => {
    const module = new ModuleBuilder();
    const type = module.type('i:i');
    const double = module.function('i:i', [], new Code().get(0).get(0).op('i32.add'));
    const square = module.function('i:i', [], new Code().get(0).get(0).op('i32.mul'));
    module.table([square, double]);
    module.function('ii:i', [], new Code().get(0).call(double).get(1).callIndirect(type), 'run');
    const { run } = instantiate(module);
    expect([run!(5, 0), run!(5, 1)]).toEqual([100, 20]);
  });
});

describe('a module', () => {
  it('numbers imported functions before its own, and shares types', () => {
    const module = new ModuleBuilder();
    const seen: number[] = [];
    const first = module.importFunction('first', 'i:i'),
      second = module.importFunction('second', 'i:i');
    expect([first, second, module.nextFunction(), module.type('i:i')]).toEqual([0, 1, 2, 0]);
    const own = module.function('i:i', [], new Code().get(0).call(first).call(second), 'run');
    const plus = (n: number) => (x: number) => (seen.push(n), x + n);

    const { run } = instantiate(module, { first: plus(1), second: plus(10) });

    expect([own, run!(100), seen]).toEqual([2, 111, [1, 10]]);
  });
  it('refuses imports behind functions, whose indices would move', () => {
    const module = new ModuleBuilder();
    module.function(':', [], new Code());
    expect(() => module.importFunction('late', ':')).toThrow();
  });
  it('reads globals that are given to it', () => {
    const module = new ModuleBuilder();
    module.importGlobal('a');
    const b = module.importGlobal('b');
    module.function(':i', [], new Code().globalGet(b), 'run');
    const value = (n: number): unknown => new WebAssembly.Global({ value: 'i32', mutable: false }, n);
    expect(instantiate(module, { a: value(1), b: value(2) })['run']!()).toBe(2);
  });
  it('groups locals of a type and keeps their numbers', () => {
    // Locals 1..7 of mixed types; each is set and read back.
    const code = new Code().i32(7).set(1).i32(8).set(2).i64(9n).set(3).i32(10).set(5).v128(11n).set(7);
    code.get(1).get(2).op('i32.mul').get(5).op('i32.mul').get(3).op('i32.wrap_i64').op('i32.mul');
    code.get(7).op('i32x4.extract_lane', 0).op('i32.mul').get(0).op('i32.add');
    expect(compile('i:i', code, ['i', 'i', 'l', 'd', 'i', 'f', 'v'])(1)).toBe(7 * 8 * 10 * 9 * 11 + 1);
  });
  it('may be large: thousands of functions, locals and bytes', () => {
    const module = new ModuleBuilder();
    const functions = Array.from({ length: 3000 }, (_, n) =>
      module.function(':i', Array<'i'>(200).fill('i'), new Code().i32(n)),
    );
    module.table(functions);
    module.function('i:i', [], new Code().get(0).callIndirect(module.type(':i')), 'run');
    const { run } = instantiate(module);
    expect([run!(0), run!(127), run!(128), run!(2999)]).toEqual([0, 127, 128, 2999]);
  });
  it('names what it exports in UTF-8', () => {
    const module = new ModuleBuilder();
    module.function(':i', [], new Code().i32(1), 'größe');
    expect(instantiate(module)['größe']!()).toBe(1);
  });
});

describe('branch hints', () => {
  /** Function index, and the offset of each hint with whether it says "likely" (branch hinting proposal). */
  const hintsOf = (bytes: Uint8Array<ArrayBuffer>): [index: number, hints: [offset: number, isLikely: boolean][]][] => {
    const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), 'metadata.code.branch_hint');
    const content = [...new Uint8Array(section!)];
    const next = (): number => {
      const end = content.findIndex((byte) => byte < 0x80);
      return Number(readUnsigned(content.splice(0, end + 1)));
    };
    return Array.from({ length: next() }, () => {
      const index = next();
      const hints = Array.from({ length: next() }, (): [number, boolean] => {
        const offset = next();
        expect(next()).toBe(1);
        return [offset, next() === 1];
      });
      return [index, hints];
    });
  };
  it('name the branches that are seldom or nearly always taken, counted from where the function declares its locals', () => {
    const inner = new Code().get(0).ifSeldom().i32(1).set(1).end();
    const code = new Code().get(0).ifSeldom();
    code.truncate(2);
    const late = code.length;
    code.if().end().block().get(0).brIfSeldom(0).get(0).brIfOften(0).end().append(inner).get(1);
    code.hintSeldom(late);
    const module = new ModuleBuilder();
    module.importFunction('other', 'i:');
    module.function('i:i', [], new Code().get(0));
    module.function('i:i', ['i', 'l'], code, 'run');
    const bytes = module.bytes();
    // Two groups of locals take five bytes.
    const head = 5,
      body = [0, 0, 0, 0, 0, ...code.bytes];
    const [only, ...others] = hintsOf(bytes);
    expect(others).toEqual([]);
    expect(only![0]).toBe(2);
    expect(only![1].map(([at]) => body[at])).toEqual([0x04, 0x0d, 0x0d, 0x04]);
    expect(only![1]).toEqual([
      [head + 2, false],
      [head + 9, false],
      [head + 13, true],
      [head + 18, false],
    ]);
    expect(instantiate(module, { other: () => undefined })['run']!(1)).toBe(1);
  });
});
