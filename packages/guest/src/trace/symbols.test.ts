/** Names of addresses: from files as linkers and kernels write them, and from files that are none. */
import { describe, expect, it } from 'vitest';
import { addressOf, functionOf, nameOf, parseSymbols } from './symbols.ts';
import { planTrace } from './trace-plan.ts';

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const MAP = text('c0100000 T startup\nc0100040 t helper\n00000000 A zero\nc0200000 D jiffies\n');

/** An ELF file with a symbol table and nothing else: header, three section headers, symbols, names. */
function elf(symbols: readonly (readonly [name: string, value: number, type: number])[]): Uint8Array {
  const names = `\0${symbols.map(([name]) => name).join('\0')}\0`,
    tableAt = 52,
    symbolsAt = tableAt + 3 * 40,
    namesAt = symbolsAt + symbols.length * 16;
  const bytes = new Uint8Array(namesAt + names.length),
    data = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  data.setUint32(32, tableAt, true);
  data.setUint16(46, 40, true);
  data.setUint16(48, 3, true);
  const section = (n: number, type: number, at: number, size: number, link: number): void => {
    for (const [i, value] of [
      [4, type],
      [16, at],
      [20, size],
      [24, link],
    ] as const)
      data.setUint32(tableAt + n * 40 + i, value, true);
  };
  section(1, 2, symbolsAt, symbols.length * 16, 2);
  section(2, 3, namesAt, names.length, 0);
  let nameAt = 1;
  symbols.forEach(([name, value, type], i) => {
    data.setUint32(symbolsAt + i * 16, nameAt, true);
    data.setUint32(symbolsAt + i * 16 + 4, value, true);
    data.setUint8(symbolsAt + i * 16 + 12, type);
    data.setUint16(symbolsAt + i * 16 + 14, 1, true);
    nameAt += name.length + 1;
  });
  bytes.set(text(names), namesAt);
  return bytes;
}

describe('symbols', () => {
  it('of a System.map are found by name and by address', () => {
    const symbols = parseSymbols(MAP, 'map');
    expect([addressOf(symbols, 'helper'), addressOf(symbols, 'help')]).toEqual([0xc010_0040, undefined]);
    expect([nameOf(symbols, 0xc010_0040), nameOf(symbols, 0xc010_0053), nameOf(symbols, 0xc010_003f)]).toEqual([
      'helper',
      'helper+13',
      'startup+3f',
    ]);
  });
  it('name the function around an address, unless it is far away', () => {
    const symbols = parseSymbols(MAP, 'map');
    const at = [0xc010_0053, 0xc010_003f, 0xc020_0000, 0xc030_0000, 0x8000];
    expect(at.map((address) => functionOf(symbols, address))).toEqual([
      'helper',
      'startup',
      'jiffies',
      undefined,
      'zero',
    ]);
  });
  it('of an ELF file are those that have an address', () => {
    const symbols = parseSymbols(
      elf([
        ['main', 0x10_0020, 2],
        ['file.c', 0, 4],
        ['data', 0x20_0000, 1],
      ]),
      'elf',
    );
    expect(symbols.names).toEqual(['main', 'data']);
    expect(nameOf(symbols, 0x10_001f)).toBeUndefined();
    expect(nameOf(symbols, 0x10_0021)).toBe('main+1');
  });
  it('are refused, naming the file, when there are none', () => {
    expect(() => parseSymbols(text('hello'), 'x')).toThrow(/^x: .*System\.map/);
    expect(() => parseSymbols(new Uint8Array(0), 'x')).toThrow(/^x: /);
  });
  it('of a damaged file throw nothing else, and cost no time', () => {
    const seed = (Date.now() % 0x7fff_ffff) + 1;
    let x = seed;
    const whole = elf([
      ['main', 1, 2],
      ['data', 2, 1],
    ]);
    for (let round = 0; round < 2000; round++) {
      const bytes = whole.slice(0, round % 4 === 0 ? x % whole.length : whole.length);
      for (let n = 0; n < 3; n++) {
        x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
        const at = 4 + (x % Math.max(1, bytes.length - 4));
        if (at < bytes.length) bytes[at] = x >>> 16;
      }
      try {
        parseSymbols(bytes, 'x');
      } catch (error) {
        expect((error as { code?: string }).code, `seed ${seed}`).toBe('symbols.bad-file');
      }
    }
  });
});

describe('the start of a trace', () => {
  it('is a number of instructions or an address', () => {
    expect(planTrace({}).from).toEqual({ kind: 'begin' });
    expect(planTrace({ from: '12' }).from).toEqual({ kind: 'count', instructions: 12 });
    expect(planTrace({ from: '0x7c00' }).from).toEqual({ kind: 'address', linear: 0x7c00 });
  });
  it('that is a name needs symbols', () => {
    expect(() => planTrace({ from: 'main' })).toThrow(/--trace-symbols/);
    expect(() => planTrace({ symbols: '/nonexistent' })).toThrow(/--trace-symbols \/nonexistent/);
  });
});
