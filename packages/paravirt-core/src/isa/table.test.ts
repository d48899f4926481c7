/** The instruction table against itself: what rows claim, what they declare, and what stays undefined. */
import { describe, expect, it } from 'vitest';
import { claimKey, claimsOf } from './claims.ts';
import { Decoder } from './decode.ts';
import { encode } from './encode.ts';
import { FormTable, canBeMemory, canBeRegister } from './forms.ts';
import { allRows } from './instructions/index.ts';
import type { Row } from './model.ts';
import { TextBuild } from './text-build.ts';

const table = new FormTable(allRows);
const title = (row: Row): string => `${row.family}: ${row.mnemonic} ${row.encoding}`;

/** Every place that a row claims. Rows without a mandatory prefix leave prefixes open. */
function claims(row: Row): string[] {
  const only = (...kinds: string[]): boolean => row.operands.some((o) => kinds.includes(o.kind));
  const memory = only('creg', 'dreg') || canBeMemory(row) || !only('rmreg', 'mmreg', 'xmmreg', 'st');
  return claimsOf(row.parsed, { memory, register: canBeRegister(row) }).map(claimKey);
}

describe('the instruction table', () => {
  it('has no two rows that claim the same bytes with the same prefix', () => {
    const owners = new Map<string, Row>();
    const clashes: string[] = [];
    for (const row of allRows)
      for (const claim of claims(row)) {
        const other = owners.get(claim);
        if (other !== undefined && other !== row) clashes.push(`${claim}: ${title(other)} and ${title(row)}`);
        owners.set(claim, row);
      }
    expect(clashes.slice(0, 20)).toEqual([]);
  });

  it('lets no row hide behind another: each form decodes from its own encoding', () => {
    const decoder = new Decoder(allRows);
    for (const form of decoder.table.forms) {
      const addressSize = form.row.addressSized === true ? form.addressSize : 32;
      const memory = { segment: 3, base: -1, index: -1, scale: 0, displacement: 0x100, addressSize };
      const bytes = encode(
        form,
        form.memory || form.row.operands.some((o) => o.kind === 'moffs')
          ? { memory }
          : { reg: form.row.mnemonic === 'mov' ? 0 : 3 },
      );
      const insn = decoder.decode(bytes, 0, bytes.length, true);
      expect(typeof insn === 'string' ? insn : title(insn.form.row), title(form.row)).toBe(title(form.row));
    }
  });

  it('leaves bytes that no row claims undefined, however they go on', () => {
    const decoder = new Decoder(allRows);
    const claimed = new Set(
      allRows.flatMap((row) =>
        Array.from({ length: row.parsed.plusRegister ? 8 : 1 }, (_, i) => row.parsed.map * 256 + row.parsed.opcode + i),
      ),
    );
    const prefixes = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x0f]);
    let free = 0;
    for (let slot = 0; slot < 1024; slot++) {
      const opcode = slot & 0xff,
        map = slot >> 8;
      const escapes = map === 1 && (opcode === 0x38 || opcode === 0x3a);
      if (claimed.has(slot) || escapes || (map === 0 && prefixes.has(opcode))) continue;
      free++;
      const head = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][map]!;
      for (let next = 0; next < 256; next++) {
        const bytes = Uint8Array.from([...head, opcode, next, ...Array<number>(10).fill(0)]);
        expect(decoder.decode(bytes, 0, bytes.length, true), Buffer.from(bytes).toString('hex')).toBe('undefined');
      }
    }
    expect(free).toBeGreaterThan(450);
  });

  it('says LOCK only of rows that write memory, and repeat only of string instructions', () => {
    for (const row of allRows) {
      if (row.lock === true) expect(row.operands[0]?.access === 'rw' && canBeMemory(row), title(row)).toBe(true);
      if (row.repeat !== undefined) expect(row.family, title(row)).toBe('string');
    }
  });
});

describe('declared flags', () => {
  const letters = (row: Row, kinds: string): string =>
    [
      ...new Set(
        (row.flags ?? '')
          .split(' ')
          .filter((part) => kinds.includes(part[0]!))
          .flatMap((part) => [...part.slice(2)]),
      ),
    ]
      .filter((letter) => 'oszapc'.includes(letter))
      .sort()
      .join('');
  const touched = (flags: Iterable<string>): string =>
    [...flags]
      .map((flag) => flag.toLowerCase())
      .sort()
      .join('');
  const union = (row: Row, kind: 'flagsRead' | 'flagsWritten'): string => {
    const all = new Set<string>();
    for (const form of table.forms)
      if (form.row === row) for (const flag of new TextBuild(form).run()[kind]) all.add(flag);
    return touched(all);
  };
  /** What is done in a service of the core, or in code that the semantics only starts. */
  const elsewhere = (row: Row): boolean => ['iret'].includes(row.mnemonic);

  it.each([...new Set(allRows.map((row) => row.family))])('are the flags that the semantics touches: %s', (family) => {
    const wrong: string[] = [];
    for (const row of allRows.filter((each) => each.family === family && !elsewhere(each))) {
      const read = union(row, 'flagsRead'),
        written = union(row, 'flagsWritten');
      if (read !== letters(row, 'r')) wrong.push(`${title(row)} reads '${read}', declares '${letters(row, 'r')}'`);
      // An undefined flag may be written or left alone; all others must be written.
      const must = letters(row, 'w01'),
        may = letters(row, 'w01u');
      const missing = [...must].filter((flag) => !written.includes(flag)),
        extra = [...written].filter((flag) => !may.includes(flag));
      if (missing.length > 0 || extra.length > 0)
        wrong.push(`${title(row)} writes '${written}', declares '${row.flags ?? ''}'`);
    }
    expect(wrong).toEqual([]);
  });
});
