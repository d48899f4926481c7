/** Every form, encoded and decoded again: the same form and the same parts. */
import { describe, expect, it } from 'vitest';
import { Decoder, type Instruction, type MemoryOperand } from './decode.ts';
import { defaultSegment, encode, type Choice } from './encode.ts';
import { allRows } from './instructions/index.ts';
import type { Form } from './model.ts';

const decoder = new Decoder(allRows);
const at = (parts: Partial<MemoryOperand>): MemoryOperand => {
  const whole = { base: -1, index: -1, scale: 0, displacement: 0, addressSize: 32 as 16 | 32, ...parts };
  return { segment: defaultSegment(whole.base), ...whole };
};
const PAIRS_16 = [
  [3, 6],
  [3, 7],
  [5, 6],
  [5, 7],
  [6, -1],
  [7, -1],
  [5, -1],
  [3, -1],
] as const;
/** Addresses of every shape: each ModRM and SIB form, displacements of each width, overrides. */
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
  ...PAIRS_16.flatMap(([base, index]) =>
    [0, 0x7f, -0x80, 0x80, -0x8000, 0x7fff].map((displacement) => at({ addressSize: 16, base, index, displacement })),
  ),
];
const MOFFS = [at({ displacement: 0x1234 }), at({ displacement: 0x4321, addressSize: 16, segment: 0 })];

const has = (form: Form, ...kinds: string[]): boolean => form.row.operands.some((o) => kinds.includes(o.kind));

function choices(form: Form): Choice[] {
  const memories = has(form, 'moffs') ? MOFFS : form.memory ? ADDRESSES : [undefined];
  const usable = memories.filter(
    (m) => m === undefined || form.row.addressSized !== true || m.addressSize === form.addressSize,
  );
  const signed = has(form, 'simm', 'rel') || ['id', 'iv'].includes(form.row.parsed.immediates[0] ?? '');
  return usable.flatMap((memory, n) =>
    [0, 1, 2, 3, 4, 5, 6, 7]
      .filter((r) => memory === undefined || r === n % 8)
      .map((r): Choice => ({
        reg: has(form, 'sreg') ? [0, 2, 3][r % 3]! : has(form, 'creg') ? [0, 2, 3, 4][r % 4]! : r,
        rm: (r * 3 + 1) & 7,
        ...(memory === undefined ? {} : { memory }),
        immediate: signed && r % 2 === 1 ? -3 : 0x12,
        immediate2: 0x21,
        lock: form.row.lock === true && form.memory && n % 3 === 0,
      })),
  );
}

/** Of a choice, what decoding must give back. */
function expected(form: Form, choice: Choice, bytes: Uint8Array): Partial<Instruction> {
  const { row } = form,
    { modrm, immediates, plusRegister } = row.parsed;
  const cut = form.size === 16 && !has(form, 'rel') && (has(form, 'simm') || immediates[0] === 'iv');
  return {
    form,
    length: bytes.length,
    lock: choice.lock ?? false,
    ...(plusRegister || modrm.kind === 'any' ? { reg: choice.reg! } : {}),
    ...(modrm.kind !== 'none' && modrm.kind !== 'exact' && choice.memory === undefined ? { rm: choice.rm! } : {}),
    ...(choice.memory === undefined ? {} : { memory: choice.memory }),
    ...(immediates.length === 0 || immediates[0] === 'mo'
      ? {}
      : { immediate: cut ? choice.immediate! & 0xffff : choice.immediate! }),
  };
}
const same = (a: unknown, b: unknown): boolean =>
  a === b || (typeof b === 'object' && JSON.stringify(a) === JSON.stringify({ ...(a as object), ...b }));

describe('encode', () => {
  it.each([true, false])('gives bytes that decode to the same form and parts, CS.D = %s', (big) => {
    const wrong: string[] = [];
    let count = 0;
    for (const form of decoder.table.forms)
      for (const choice of choices(form)) {
        count++;
        const bytes = encode(form, { ...choice, big });
        const insn = decoder.decode(bytes, 0, bytes.length, big);
        const wanted = expected(form, choice, bytes);
        const differing =
          typeof insn === 'string'
            ? [insn]
            : Object.entries(wanted)
                .filter(([key, value]) => !same(insn[key as keyof Instruction], value))
                .map(([key]) => key);
        if (differing.length > 0)
          wrong.push(
            `${form.row.mnemonic} ${form.row.encoding}: ${differing.join()} of ${Buffer.from(bytes).toString('hex')}`,
          );
      }
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(count).toBeGreaterThan(10_000);
  });

  it('refuses what the form cannot take', () => {
    const form = decoder.table.forms.find((f) => f.row.encoding === '8D /r' && f.addressSize === 32)!;

    expect(() => encode(form)).toThrow('needs a memory operand');
    expect(() => encode(form, { memory: at({ index: 4, base: 0 }) })).toThrow('ESP cannot be an index');
    expect(() => encode(form, { memory: at({ addressSize: 16, base: 3 }) })).toThrow('another form');
  });
});
