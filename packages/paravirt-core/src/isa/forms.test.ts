import { describe, expect, it } from 'vitest';
import { imm8, m32, r, rel, rm8, rmreg32, rmv, row, rv, rw, w } from './dsl.ts';
import { FormTable, canBeMemory, canBeRegister, elementSizeOf, isSized, usesRm } from './forms.ts';
import type { Form, Row } from './model.ts';

const nothing = (): void => {};
const add = row('add', '01 /r', [rw(rmv), r(rv)], nothing);
const byte = row('add', '80 /0 ib', [rw(rm8), r(imm8)], nothing);
const load = row('lddqu', '0F F0 /r', [r(m32)], nothing);
const registers = row('mov', '0F 20 /r', [w(rmreg32)], nothing);
const move = row('movs', 'A5', [], nothing, { repeat: 'rep', addressSized: true, operandSized: true });
const moveBytes = row('movs', 'A4', [], nothing, { repeat: 'rep', addressSized: true });
const compare = row('cmps', 'A6', [], nothing, { repeat: 'repz', addressSized: true });
const jump = row('jmp', 'EB cb', [r(rel)], nothing);
const ROWS = [add, byte, load, registers, move, moveBytes, compare, jump];
const table = new FormTable(ROWS);
const of = (which: Row): Form[] => table.forms.filter((form) => form.row === which);

describe('the forms of a row', () => {
  it.each([
    ['operand size and register or memory', add, 4],
    ['register or memory alone', byte, 2],
    ['memory alone', load, 1],
    ['registers alone', registers, 1],
    ['both sizes and with or without REP', move, 8],
    ['address size and REP', moveBytes, 4],
    ['address size, REPE and REPNE', compare, 6],
    ['operand size', jump, 2],
  ])('vary by %s', (_, which, count) => {
    expect(of(which)).toHaveLength(count);
  });
  it('are numbered by position and all different', () => {
    table.forms.forEach((form, i) => expect(form.index).toBe(i));
    const keys = table.forms.map((f) => `${ROWS.indexOf(f.row)} ${f.size} ${f.addressSize} ${f.memory} ${f.repeat}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
  it('are the same every time: handlers are numbered by them', () => {
    expect(new FormTable(ROWS).forms.map((f) => [f.row.encoding, f.size])).toEqual(
      table.forms.map((f) => [f.row.encoding, f.size]),
    );
  });
});

describe('finding a form', () => {
  it('finds every form by what it is', () => {
    for (const f of table.forms) expect(table.find(f.row, f.size, f.addressSize, f.memory, f.repeat)).toBe(f);
  });
  it('ignores what does not matter to the row', () => {
    expect(table.find(byte, 16, 16, false, 'repne')).toBe(table.find(byte, 32, 32, false, 'none'));
    expect(table.find(moveBytes, 16, 32, false, 'none')).toBe(table.find(moveBytes, 32, 32, false, 'none'));
  });
  it('takes REPNE for REP where a row knows only that', () => {
    expect(table.find(move, 32, 32, false, 'repne')).toBe(table.find(move, 32, 32, false, 'repe'));
    expect(table.find(compare, 32, 32, false, 'repne')).not.toBe(table.find(compare, 32, 32, false, 'repe'));
  });
  it('tells a bug: a form that cannot be, a row of another table', () => {
    expect(() => table.find(load, 32, 32, false, 'none')).toThrow(/lddqu/);
    expect(() => new FormTable([add]).find(byte, 32, 32, false, 'none')).toThrow(/add/);
  });
});

it('tells what ModRM.rm of a row may be', () => {
  expect(ROWS.map(canBeMemory)).toEqual([true, true, true, false, false, false, false, false]);
  expect([canBeRegister(add), canBeRegister(load), canBeRegister(registers)]).toEqual([true, false, true]);
  expect([isSized(add), isSized(byte), isSized(jump), isSized(move)]).toEqual([true, false, true, true]);
  expect([usesRm(rmv), usesRm(rv), usesRm(m32), usesRm(rmreg32), usesRm(imm8)]).toEqual([
    true,
    false,
    true,
    true,
    false,
  ]);
});
it('tells the element of a string instruction', () => {
  expect([elementSizeOf(of(moveBytes)[0]!), ...of(move).map(elementSizeOf).toSorted()]).toEqual([
    8, 16, 16, 16, 16, 32, 32, 32, 32,
  ]);
});
