/** Every form, encoded and decoded again: the same form and the same parts. */
import { describe, expect, it } from 'vitest';
import { Decoder, type MemoryOperand } from './decode.ts';
import { defaultSegment, encode, type Choice } from './encode.ts';
import { allRows } from './instructions/index.ts';
import type { Form } from './model.ts';

const decoder = new Decoder(allRows);
const at = (parts: Partial<MemoryOperand>): MemoryOperand => {
  const whole = { base: -1, index: -1, scale: 0, displacement: 0, addressSize: 32 as 16 | 32, ...parts };
  return { segment: defaultSegment(whole.base), ...whole };
};
/** Addresses of every shape: each ModRM and SIB form, displacements of each width, an override. */
const ADDRESSES: readonly MemoryOperand[] = [
  at({ displacement: 0x12345678 }),
  at({ displacement: -4, index: 6, scale: 3 }),
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((base) =>
    [0, 5, -128, 128, -0x70000000].flatMap((displacement) => [
      at({ base, displacement }),
      at({ base, index: (base + 5) % 8 === 4 ? 3 : (base + 5) % 8, scale: base & 3, displacement }),
    ]),
  ),
  at({ base: 3, segment: 4 }),
  at({ base: 5, displacement: 8, segment: 3 }),
  at({ addressSize: 16, displacement: 0x8123 }),
  ...[
    [3, 6],
    [3, 7],
    [5, 6],
    [5, 7],
    [6, -1],
    [7, -1],
    [5, -1],
    [3, -1],
  ].flatMap(([base, index]) =>
    [0, 0x7f, -0x80, 0x80, -0x8000, 0x7fff].map((displacement) =>
      at({ addressSize: 16, base: base!, index: index!, displacement }),
    ),
  ),
];

function choices(form: Form): Choice[] {
  const { row } = form;
  const offsets = row.operands.some((o) => o.kind === 'moffs');
  const moffs = [at({ displacement: 0x1234 }), at({ displacement: 0x4321, addressSize: 16, segment: 0 })];
  const memories = form.memory
    ? ADDRESSES.filter((m) => row.addressSized !== true || m.addressSize === form.addressSize)
    : offsets
      ? moffs
      : [undefined];
  const signed =
    row.operands.some((o) => o.kind === 'simm' || o.kind === 'rel') ||
    row.parsed.immediates[0] === 'id' ||
    row.parsed.immediates[0] === 'iv';
  return memories.flatMap((memory, n) =>
    [0, 1, 2, 3, 4, 5, 6, 7]
      .filter((r) => memory === undefined || r === n % 8)
      .map((r): Choice => ({
        reg: row.operands.some((o) => o.kind === 'sreg')
          ? [0, 2, 3][r % 3]!
          : row.operands.some((o) => o.kind === 'creg')
            ? [0, 2, 3, 4][r % 4]!
            : r,
        rm: (r * 3 + 1) & 7,
        ...(memory === undefined ? {} : { memory }),
        immediate: signed && r % 2 === 1 ? -3 : 0x12,
        immediate2: 0x21,
        lock: row.lock === true && form.memory && n % 3 === 0,
      })),
  );
}

describe('encode', () => {
  it.each([true, false])('gives bytes that decode to the same form and parts, CS.D = %s', (big) => {
    let count = 0;
    for (const form of decoder.table.forms)
      for (const choice of choices(form)) {
        const what = `${form.row.mnemonic} ${form.row.encoding} ${form.size} ${JSON.stringify(choice)}`;
        const bytes = encode(form, { ...choice, big });
        const insn = decoder.decode(bytes, 0, bytes.length, big);
        if (typeof insn === 'string') throw new Error(`${what}: ${insn} of ${Buffer.from(bytes).toString('hex')}`);
        expect(insn.length, what).toBe(bytes.length);
        expect(insn.form, what).toBe(form);
        const { row } = form,
          { modrm } = row.parsed;
        if (row.parsed.plusRegister || modrm.kind === 'any') expect(insn.reg, what).toBe(choice.reg);
        if (modrm.kind !== 'none' && modrm.kind !== 'exact' && choice.memory === undefined)
          expect(insn.rm, what).toBe(choice.rm);
        if (choice.memory !== undefined && !row.operands.some((o) => o.kind === 'moffs')) {
          const stack = row.mnemonic === 'pop' && choice.memory.base === 4 ? 0 : 0;
          expect(insn.memory, what).toEqual({ ...choice.memory, displacement: choice.memory.displacement + stack });
        }
        const simm16 = form.size === 16 && row.operands.some((o) => o.kind === 'simm');
        const width =
          row.parsed.immediates[0] === 'iv' &&
          form.size === 16 &&
          !row.operands.some((o) => o.kind === 'rel' || o.kind === 'simm');
        if (row.parsed.immediates.length > 0 && row.parsed.immediates[0] !== 'mo') {
          expect(insn.immediate, what).toBe(simm16 || width ? choice.immediate! & 0xffff : choice.immediate);
        }
        expect(insn.lock, what).toBe(choice.lock);
        count++;
      }
    expect(count).toBeGreaterThan(10_000);
  });
});
