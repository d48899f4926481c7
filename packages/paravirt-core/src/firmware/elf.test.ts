import { TomeiError } from '@tomei/kit';
import { describe, expect, test } from 'vitest';

import { looksLikeElf, parseElf32, physicalEntry } from './elf.ts';
import { makeElf } from './test-images.ts';
import { corrupt, randomWords } from './test-memory.ts';

const file = (bytes: Uint8Array) => ({ name: 'k.elf', bytes });
const word = (bytes: Uint8Array, offset: number, value: number): Uint8Array => {
  new DataView(bytes.buffer).setUint32(offset, value, true);
  return bytes;
};

describe('parseElf32', () => {
  test('reads entry and loadable segments, leaving out notes and empty ones', () => {
    const image = file(makeElf([{ memsz: 0x200 }, { type: 4 }, { vaddr: 0x20_0000, filesz: 0, memsz: 0 }]));

    expect(looksLikeElf(image)).toBe(true);
    expect(parseElf32(image)).toEqual({
      entry: 0x10_0000,
      segments: [{ fileOffset: 0x100, fileSize: 0x80, virtual: 0x10_0000, physical: 0x10_0000, memorySize: 0x200 }],
    });
  });

  test.each<[string, Uint8Array, string]>([
    ['an empty file', new Uint8Array(0), 'e_ident'],
    ['another magic', word(makeElf([{}]), 0, 0), 'e_ident'],
    ['64 bits', word(makeElf([{}]), 4, 2), 'EI_CLASS'],
    ['big-endian', word(makeElf([{}]), 4, 0x0201), 'EI_DATA'],
    ['a shared object', word(makeElf([{}]), 16, 0x0003_0003), 'e_type'],
    ['another processor', word(makeElf([{}]), 16, 0x003e_0002), 'e_machine'],
    ['a table outside of the file', word(makeElf([{}]), 28, 0xffff_fff0), 'program header 0, p_offset'],
    ['small table entries', word(makeElf([{}]), 42, 0x0001_0010), 'e_phentsize'],
    ['too many table entries', word(makeElf([{}]), 42, 0xffff_0020), 'e_phnum'],
    ['no segment', makeElf([]), 'e_phnum'],
    ['data outside of the file', makeElf([{ filesz: 0x101 }]), 'program header 0, p_offset'],
    ['an offset beyond 2^32 with its size', makeElf([{ offset: 0xffff_ffff }]), 'program header 0, p_offset'],
    ['more data than memory', makeElf([{ filesz: 0x80, memsz: 0x7f }]), 'program header 0, p_filesz'],
    ['overlapping segments', makeElf([{ vaddr: 0x10_0040 }, {}]), 'p_paddr and p_memsz'],
  ])('refuses %s', (_, bytes, field) => {
    expect(() => parseElf32(file(bytes))).toThrow(
      expect.objectContaining({ code: 'kernel.bad-elf', data: { file: 'k.elf', field } }),
    );
  });

  test('throws nothing but kernel.bad-elf for 20,000 corrupted images (seed 386)', () => {
    const random = randomWords(386);
    const image = makeElf([{ memsz: 0x200 }, { vaddr: 0x20_0000 }]);
    let refused = 0;

    for (let i = 0; i < 20_000; i++) {
      const bytes = corrupt(image, random);
      try {
        physicalEntry(file(bytes), parseElf32(file(bytes)));
      } catch (error) {
        expect(error).toBeInstanceOf(TomeiError);
        expect((error as TomeiError).code).toBe('kernel.bad-elf');
        refused++;
      }
    }

    expect(refused).toBeGreaterThan(5_000);
    expect(refused).toBeLessThan(20_000);
  });
});

describe('physicalEntry', () => {
  test.each([
    ['a virtual address of a higher-half kernel', 0xc010_0010, 0x10_0010],
    ['a physical address of a higher-half kernel', 0x10_0010, 0x10_0010],
  ])('takes %s', (_, entry, expected) => {
    const image = file(makeElf([{ vaddr: 0xc010_0000, paddr: 0x10_0000 }], entry));

    expect(physicalEntry(image, parseElf32(image))).toBe(expected);
  });

  test('refuses an entry that no segment covers', () => {
    const image = file(makeElf([{}], 0x10_0080));

    expect(() => physicalEntry(image, parseElf32(image))).toThrow('k.elf: e_entry is 0x100080');
  });
});
