import { describe, expect, it } from 'vitest';
import { conditionFlags, family, m16, parseEncoding, r, r32_m8, rmv, row, rw, w } from './dsl.ts';
import type { Encoding } from './model.ts';

const none: Encoding = {
  mandatory: null,
  map: 0,
  opcode: -1,
  plusRegister: false,
  modrm: { kind: 'none' },
  immediates: [],
};

describe('an encoding of the manual', () => {
  it.each<[string, Partial<Encoding>]>([
    ['F4', { opcode: 0xf4 }],
    ['B8+r iv', { opcode: 0xb8, plusRegister: true, immediates: ['iv'] }],
    ['83 /0 ib', { opcode: 0x83, modrm: { kind: 'digit', digit: 0 }, immediates: ['ib'] }],
    ['0F AF /r', { map: 1, opcode: 0xaf, modrm: { kind: 'any' } }],
    ['NP 0F 58 /r', { mandatory: 'none', map: 1, opcode: 0x58, modrm: { kind: 'any' } }],
    ['66 0F 38 00 /r', { mandatory: 0x66, map: 2, opcode: 0, modrm: { kind: 'any' } }],
    ['66 0F 3A 0F /r ib', { mandatory: 0x66, map: 3, opcode: 0x0f, modrm: { kind: 'any' }, immediates: ['ib'] }],
    ['F3 90', { mandatory: 0xf3, opcode: 0x90 }],
    ['D9 C0+i', { opcode: 0xd9, modrm: { kind: 'exact', first: 0xc0, last: 0xc7 } }],
    ['D9 E8', { opcode: 0xd9, modrm: { kind: 'exact', first: 0xe8, last: 0xe8 } }],
    ['0F AE F8+r', { map: 1, opcode: 0xae, modrm: { kind: 'exact', first: 0xf8, last: 0xff } }],
    ['C8 iw ib', { opcode: 0xc8, immediates: ['iw', 'ib'] }],
  ])('%s', (text, parts) => {
    expect(parseEncoding(text)).toEqual({ ...none, ...parts });
  });
  it.each(['', 'G4', '/r', '0F', 'D9 C0 C1', '83 /8 ib', '83 ix', 'f4'])('%j is a bug, told with its text', (text) => {
    expect(() => parseEncoding(text)).toThrow(`encoding '${text}'`);
  });
});

describe('a row', () => {
  const nothing = (): void => {};
  it('keeps operands in order with how they are used', () => {
    const made = row('adc', '11 /r', [rw(rmv), r(rmv)], nothing, { flags: 'r=c' });
    expect(made.operands.map((o) => [o.text, o.access])).toEqual([
      ['r/m16/32', 'rw'],
      ['r/m16/32', 'r'],
    ]);
    expect([made.flags, made.parsed.opcode]).toEqual(['r=c', 0x11]);
  });
  it('leaves the operand constants alone', () => {
    expect([w(m16).access, m16.access]).toEqual(['w', 'none']);
    expect([r32_m8.size, r32_m8.memorySize]).toEqual([32, 8]);
  });
  it('gets the traits of its family where it says nothing itself', () => {
    const rows = family(
      'test',
      [row('a', '90', [], nothing), row('b', '91', [], nothing, { flags: 'w=c', cpl0: false })],
      { flags: 'w=z', cpl0: true },
    );
    expect(rows.map((each) => [each.family, each.flags, each.cpl0])).toEqual([
      ['test', 'w=z', true],
      ['test', 'w=c', false],
    ]);
  });
});

it('condition codes read the flags of table B-10, and their negations the same', () => {
  expect(Array.from({ length: 16 }, (_, code) => conditionFlags(code))).toEqual(
    ['o', 'c', 'z', 'cz', 's', 'p', 'os', 'osz'].flatMap((flags) => [`r=${flags}`, `r=${flags}`]),
  );
});
