import { describe, expect, it } from 'vitest';
import { mpTable, type MpTable, type MpTableOptions } from './mp-table.ts';

const PCI_INTERRUPTS = [
  { slot: 2, pin: 1, input: 11 },
  { slot: 3, pin: 1, input: 10 },
  { slot: 3, pin: 4, input: 11 },
] as const;

const sum = (bytes: Uint8Array): number => bytes.reduce((a, b) => (a + b) & 0xff, 0);

interface Parsed {
  readonly pointer: Uint8Array;
  readonly table: Uint8Array;
  readonly view: DataView;
  readonly entries: readonly (readonly number[])[];
}

/** Walks the tables as a kernel does: by the pointer, the base table length and the length of each entry type. */
function parse({ address, bytes }: MpTable): Parsed {
  const pointer = bytes.subarray(0, 16);
  const at = new DataView(bytes.buffer).getUint32(4, true) - address;
  const length = new DataView(bytes.buffer).getUint16(at + 4, true);
  const table = bytes.slice(at, at + length);
  const entries: number[][] = [];
  for (let i = 44; i < length; i += entries.at(-1)!.length) {
    entries.push([...table.subarray(i, i + (table[i] === 0 ? 20 : 8))]);
  }
  return { pointer, table, view: new DataView(table.buffer), entries };
}

const tables = (options: Partial<MpTableOptions> = {}): MpTable =>
  mpTable({ processors: 1, pciInterrupts: PCI_INTERRUPTS, ...options });

describe('MP tables', () => {
  it.each([1, 2, 8, 64])('of %i processors have checksums and lengths that fit', (processors) => {
    const made = tables({ processors });

    const { pointer, table, view, entries } = parse(made);

    expect(Buffer.from(pointer.subarray(0, 4)).toString()).toBe('_MP_');
    expect([pointer[8], pointer[9], pointer[11], pointer[12]]).toEqual([1, 4, 0, 0]);
    expect(Buffer.from(table.subarray(0, 4)).toString()).toBe('PCMP');
    expect([sum(pointer), sum(table)]).toEqual([0, 0]);
    expect(made.bytes).toHaveLength(16 + table.length);
    expect(view.getUint16(34, true)).toBe(entries.length);
    expect(view.getUint32(36, true)).toBe(0xfee0_0000);
    expect(entries.flat()).toHaveLength(table.length - 44);
  });

  it('list the entries of a board with two processors', () => {
    const { entries } = parse(tables({ processors: 2, signature: 0x6a5, features: 0x0183_f3ff }));
    const text = (s: string): number[] => [...Buffer.from(s)];
    const rest = [0xa5, 0x06, 0, 0, 0xff, 0xf3, 0x83, 0x01, 0, 0, 0, 0, 0, 0, 0, 0];

    expect(entries).toEqual([
      [0, 0, 0x14, 3, ...rest],
      [0, 1, 0x14, 1, ...rest],
      [1, 0, ...text('PCI   ')],
      [1, 1, ...text('ISA   ')],
      [2, 2, 0x11, 1, 0, 0, 0xc0, 0xfe],
      [3, 0, 0, 0, 1, 0, 2, 2],
      ...[1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15].map((irq) => [3, 0, 0, 0, 1, irq, 2, irq]),
      [3, 0, 0x0f, 0, 0, (2 << 2) | 0, 2, 11],
      [3, 0, 0x0f, 0, 0, (3 << 2) | 0, 2, 10],
      [3, 0, 0x0f, 0, 0, (3 << 2) | 3, 2, 11],
      [4, 3, 0, 0, 1, 0, 0xff, 0],
      [4, 1, 0, 0, 1, 0, 0xff, 1],
    ]);
  });

  it('keep all ISA interrupts where PCI has inputs of its own', () => {
    const { entries } = parse(tables({ pciInterrupts: [{ slot: 2, pin: 1, input: 16 }] }));

    expect(entries.filter((e) => e[0] === 3 && e[4] === 1).map((e) => e[5])).toEqual([
      0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ]);
  });

  it('have their entries in ascending order of type', () => {
    const types = parse(tables({ processors: 3 })).entries.map((e) => e[0]!);

    expect(types).toEqual([...types].sort((a, b) => a - b));
  });

  it('lie where they are told to', () => {
    const made = tables({ address: 0x9_fc10 });

    expect(made.address).toBe(0x9_fc10);
    expect(new DataView(made.bytes.buffer).getUint32(4, true)).toBe(0x9_fc20);
    expect(() => tables({ address: 0xf_0008 })).toThrowError('multiples of 16');
    expect(() => tables({ address: 0xf_fff0 })).toThrowError('BIOS area');
  });
});
