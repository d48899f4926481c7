/** Tables as scripts/kallsyms.c writes them, in memory that has other things in it as well. */
import { describe, expect, test } from 'vitest';
import { findKallsyms } from './kallsyms.ts';

const COUNT = 1500;
const BASE = 0xc100_0000;
const nameOf = (n: number): string => (n === 7 ? 'x'.repeat(200) : `do_${n}`);

/** `do_` and the type are one token, so that names are compressed as the kernel's are. */
function tables({ behind = false, base = BASE } = {}): Uint8Array {
  const token = (code: number): string =>
    code === 1 ? 'Tdo_' : code < 0x20 ? `unused${code}` : String.fromCharCode(code);
  const texts = Array.from({ length: 256 }, (_, code) => token(code));
  const align = (parts: number[]): void => {
    while (parts.length % 4 !== 0) parts.push(0);
  };
  const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
  const names: number[] = [],
    markers: number[] = [];
  for (let n = 0; n < COUNT; n++) {
    if (n % 256 === 0) markers.push(...u32(names.length));
    const name = nameOf(n),
      codes = name.startsWith('do_') ? [1, ...Buffer.from(name.slice(3))] : [...Buffer.from(`t${name}`)];
    names.push(...(codes.length < 0x80 ? [codes.length] : [(codes.length & 0x7f) | 0x80, codes.length >> 7]), ...codes);
  }
  align(names);
  const tokenBytes: number[] = [],
    index: number[] = [];
  for (const text of texts) {
    index.push(tokenBytes.length & 0xff, tokenBytes.length >> 8);
    tokenBytes.push(...Buffer.from(text, 'latin1'), 0);
  }
  align(tokenBytes);
  const offsets = Array.from({ length: COUNT }, (_, n) => u32(n * 64)).flat();
  const place = [...offsets, ...u32(base)];
  return Uint8Array.from([
    ...(behind ? [] : place),
    ...[...u32(COUNT), ...names, ...markers, ...tokenBytes, ...index],
    ...(behind ? place : []),
  ]);
}
function ram(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(1 << 20).fill(0x2a, 0, 5000);
  let at = 0x1000;
  for (const part of parts) {
    bytes.set(part, at);
    at += (part.length + 0xfff) & ~0xfff;
  }
  return bytes;
}

describe('the kernel’s own symbols', () => {
  test.each([
    ['before the names', false],
    ['behind the tokens', true],
  ])('are found with their addresses %s', (_, behind) => {
    const symbols = findKallsyms(ram(tables({ behind })), [BASE + 100]);

    expect(symbols?.names).toEqual(Array.from({ length: COUNT }, (_each, n) => nameOf(n)));
    expect([...symbols!.addresses.slice(0, 3)]).toEqual([BASE, BASE + 64, BASE + 128]);
  });
  test('of a copy that has not been moved to where it runs are passed over', () => {
    const moved = 0xc400_0000;

    const symbols = findKallsyms(ram(tables(), tables({ base: moved })), [moved + 100, moved + 200]);

    expect(symbols?.addresses[0]).toBe(moved);
  });
  test('are not made up where there are none', () => {
    expect(findKallsyms(ram(), [])).toBeUndefined();
    expect(findKallsyms(ram(tables()), [0x8000])).toBeUndefined();
    expect(findKallsyms(tables().subarray(0, -100), [])).toBeUndefined();
  });
  test('that are damaged throw nothing', () => {
    const whole = ram(tables());
    let x = 12345;
    for (let round = 0; round < 60; round++) {
      const bytes = whole.slice();
      for (let n = 0; n < 40; n++) {
        x = (Math.imul(x, 1103515245) + 12345) & 0x7fff_ffff;
        bytes[0x1000 + (x % 40_000)] = x >>> 16;
      }
      const found = findKallsyms(bytes, []);
      expect(found === undefined || found.names.length === found.addresses.length).toBe(true);
    }
  });
});
