/** The decoder on bytes that nobody chose: prefixes, ends, lengths, and what is no instruction (SDM vol. 2, chapter 2). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CS, DS, EBP, ES, ESP, FS, SS } from './build.ts';
import { Decoder, MAX_LENGTH, popMovesFirst, type Instruction, type NoInstruction } from './decode.ts';
import { allRows } from './instructions/index.ts';

const decoder = new Decoder(allRows);
const SEED = { seed: 7, numRuns: 3000 };
/** Bytes that often begin something: prefixes and the two-byte escape among noise. */
const byte = fc.oneof(fc.nat(255), fc.constantFrom(0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x64, 0x0f));
const code = fc
  .array(byte, { minLength: MAX_LENGTH + 1, maxLength: MAX_LENGTH + 1 })
  .map((bytes) => Uint8Array.from(bytes));

const decode = (bytes: readonly number[], big = true): Instruction | NoInstruction =>
  decoder.decode(Uint8Array.from(bytes), 0, bytes.length, big);
function decoded(bytes: readonly number[], big = true): Instruction {
  const insn = decode(bytes, big);
  if (typeof insn === 'string') throw new Error(`${bytes.map((b) => b.toString(16)).join(' ')}: ${insn}`);
  return insn;
}
const named = (bytes: readonly number[], big = true): string => {
  const insn = decode(bytes, big);
  return typeof insn === 'string' ? insn : insn.form.row.mnemonic;
};

describe('any bytes', () => {
  it('give an answer, never an error, and never more than 15 bytes', () => {
    fc.assert(
      fc.property(code, fc.boolean(), (bytes, big) => {
        const insn = decoder.decode(bytes, 0, bytes.length, big);
        if (typeof insn !== 'string') expect(insn.length).toBeLessThanOrEqual(MAX_LENGTH);
        else expect(['undefined', 'too-long']).toContain(insn); // 16 bytes are always enough to know
      }),
      SEED,
    );
  });
  it('that are cut short ask for more until the last one is there, and what follows does not matter', () => {
    fc.assert(
      fc.property(code, code, fc.boolean(), (bytes, noise, big) => {
        const insn = decoder.decode(bytes, 0, bytes.length, big);
        if (typeof insn === 'string') return;
        for (let end = 0; end < insn.length; end++) expect(decoder.decode(bytes, 0, end, big)).toBe('need-more');
        const other = bytes.slice();
        other.set(noise.subarray(insn.length), insn.length);
        expect(decoder.decode(other, 0, other.length, big)).toEqual(insn);
      }),
      SEED,
    );
  });
  it('mean the same wherever they lie', () => {
    fc.assert(
      fc.property(code, fc.nat(40), fc.boolean(), (bytes, at, big) => {
        const shifted = new Uint8Array(64);
        shifted.set(bytes, at);
        expect(decoder.decode(shifted, at, at + bytes.length, big)).toEqual(
          decoder.decode(bytes, 0, bytes.length, big),
        );
      }),
      SEED,
    );
  });
});

describe('prefixes', () => {
  it.each([
    [[0x8b, 0x03], true, 32, 32],
    [[0x66, 0x8b, 0x03], true, 16, 32],
    [[0x67, 0x8b, 0x03], true, 32, 16],
    [[0x8b, 0x03], false, 16, 16],
    [[0x66, 0x8b, 0x03], false, 32, 16],
    [[0x66, 0x66, 0x67, 0x67, 0x8b, 0x03], false, 32, 32],
  ] as const)(
    '66h and 67h turn the sizes over, however often they come: %j with D=%s',
    (bytes, big, size, addressSize) => {
      const insn = decoded(bytes, big);
      expect([insn.form.size, insn.memory!.addressSize]).toEqual([size, addressSize]);
    },
  );
  it('the last segment override counts', () => {
    expect(decoded([0x2e, 0x64, 0x8b, 0x03]).memory!.segment).toBe(FS);
    expect(decoded([0x64, 0x2e, 0x8b, 0x03]).memory!.segment).toBe(CS);
    expect(decoded([0x26, 0xa4]).segment).toBe(ES);
  });
  it('the stack segment is the default of EBP and ESP as base', () => {
    expect(
      [decoded([0x8b, 0x45, 0]), decoded([0x8b, 0x04, 0x24]), decoded([0x8b, 0x03])].map((i) => i.memory!.segment),
    ).toEqual([SS, SS, DS]);
    expect(decoded([0x8b, 0x46, 0], false).memory!.segment).toBe(SS);
    // An index of EBP is none.
    expect(decoded([0x8b, 0x04, 0x2b]).memory!.segment).toBe(DS);
  });
  it('LOCK is for instructions that change memory, and otherwise undefined', () => {
    expect(named([0xf0, 0x01, 0x03])).toBe('add');
    expect(named([0xf0, 0x01, 0xc3])).toBe('undefined');
    expect(named([0xf0, 0x8b, 0x03])).toBe('undefined');
    expect(named([0xf0, 0x90])).toBe('undefined');
  });
  it('REP and REPNE repeat string instructions and are ignored elsewhere', () => {
    const how = (bytes: readonly number[]): string => decoded(bytes).form.repeat;
    expect([how([0xa4]), how([0xf3, 0xa4]), how([0xf2, 0xa4])]).toEqual(['none', 'repe', 'repe']);
    expect([how([0xf3, 0xa6]), how([0xf2, 0xa6]), how([0xf3, 0x40])]).toEqual(['repe', 'repne', 'none']);
    expect(how([0xf3, 0xf2, 0xa6])).toBe('repne');
  });
  it('fifteen of them are too many, fourteen with one byte of opcode are not', () => {
    expect(named([...Array<number>(14).fill(0x2e), 0x40])).toBe('inc');
    expect(named([...Array<number>(15).fill(0x2e), 0x90])).toBe('too-long');
    expect(named([...Array<number>(13).fill(0x2e), 0xb0, 1])).toBe('mov');
    expect(named([...Array<number>(14).fill(0x2e), 0xb0, 1])).toBe('too-long');
  });
});

describe('operands', () => {
  it('immediates are extended as their row says, within the operand size', () => {
    expect(decoded([0x83, 0xc0, 0xff]).immediate).toBe(-1);
    expect(decoded([0x66, 0x83, 0xc0, 0xff]).immediate).toBe(0xffff);
    expect(decoded([0x04, 0xff]).immediate).toBe(0xff);
    expect(decoded([0xc2, 0xff, 0xff]).immediate).toBe(0xffff);
    expect(decoded([0xeb, 0xfe]).immediate).toBe(-2);
    expect(decoded([0x66, 0xe9, 0xfe, 0xff]).immediate).toBe(-2);
  });
  it('two immediates come in order', () => {
    const enter = decoded([0xc8, 0x34, 0x12, 0x05]);
    expect([enter.immediate, enter.immediate2]).toEqual([0x1234, 5]);
    const far = decoded([0x9a, 4, 3, 2, 1, 0x18, 0]);
    expect([far.immediate, far.immediate2, far.length]).toEqual([0x01020304, 0x18, 7]);
    expect(decoded([0x66, 0x9a, 4, 3, 0x18, 0]).length).toBe(6);
  });
  it('an offset of MOV is as wide as addresses are', () => {
    expect(decoded([0xa1, 4, 3, 2, 1]).memory).toMatchObject({
      base: -1,
      index: -1,
      displacement: 0x01020304,
      segment: DS,
    });
    expect(decoded([0x67, 0xa1, 0xff, 0xff]).memory).toMatchObject({ displacement: 0xffff, addressSize: 16 });
  });
  it('an index of ESP is none, whatever the scale', () => {
    expect(decoded([0x8b, 0x04, 0xe4]).memory).toMatchObject({ base: ESP, index: -1, scale: 0 });
  });
  it('base EBP without displacement is a displacement without base', () => {
    expect(decoded([0x8b, 0x05, 1, 0, 0, 0]).memory).toMatchObject({ base: -1, displacement: 1 });
    expect(decoded([0x8b, 0x04, 0x2d, 1, 0, 0, 0]).memory).toMatchObject({ base: -1, index: EBP, displacement: 1 });
  });
  it('POP to an address with ESP counts from where ESP will be', () => {
    const pop = decoded([0x8f, 0x44, 0x24, 0x08]);
    expect(pop.memory!.displacement).toBe(12);
    expect(popMovesFirst(pop.form.row, pop.memory!)).toBe(true);
    expect(decoded([0x66, 0x8f, 0x04, 0x24]).memory!.displacement).toBe(2);
    expect(decoded([0x8f, 0x40, 0x08]).memory!.displacement).toBe(8);
  });
});

describe('what is no instruction', () => {
  it.each([
    ['MOV to CS', [0x8e, 0xc8]],
    ['MOV from segment register 6', [0x8c, 0xf0]],
    ['MOV to CR1', [0x0f, 0x22, 0xc8]],
    ['MOV to CR5', [0x0f, 0x22, 0xe8]],
    ['LEA of a register', [0x8d, 0xc0]],
    ['LES of a register', [0xc4, 0xc0]],
    ['group 4 with /7', [0xfe, 0xf8]],
    ['group 9 of a register', [0x0f, 0xc7, 0xc8]],
    ['an opcode that was never given', [0x0f, 0x04]],
    ['FF /7', [0xff, 0xf8]],
  ])('%s', (_, bytes) => {
    expect(named(bytes)).toBe('undefined');
  });
  it('control and debug registers take ModRM as registers, whatever its mod says', () => {
    const insn = decoded([0x0f, 0x22, 0x03]);
    expect([insn.memory, insn.rm, insn.reg, insn.length]).toEqual([null, 3, 0, 3]);
  });
});

describe('mandatory prefixes', () => {
  it.each([
    [[0x0f, 0x58, 0xc1], 'addps'],
    [[0x66, 0x0f, 0x58, 0xc1], 'addpd'],
    [[0xf3, 0x0f, 0x58, 0xc1], 'addss'],
    [[0xf2, 0x0f, 0x58, 0xc1], 'addsd'],
    [[0x66, 0xf3, 0x0f, 0x58, 0xc1], 'addss'],
    [[0xf3, 0x90], 'pause'],
    [[0x90], 'xchg'], // XCHG EAX,EAX: that is NOP
  ])('%j is %s', (bytes, mnemonic) => {
    expect(named(bytes)).toBe(mnemonic);
  });
});
