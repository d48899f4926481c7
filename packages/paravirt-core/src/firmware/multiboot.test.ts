import { TomeiError } from '@tomei/kit';
import { describe, expect, test } from 'vitest';

import { loadKernel } from './direct-boot.ts';
import { findMultibootHeader, loadMultiboot } from './multiboot.ts';
import { addMultibootHeader, makeElf, type TestSegment } from './test-images.ts';
import { corrupt, randomWords, testMemory } from './test-memory.ts';

const MIB = 2 ** 20;
const HEADER_AT = 0x100;
const kernel = (bytes: Uint8Array) => ({ name: 'k.elf', bytes });
const elfKernel = (segments: TestSegment[], flags = 3, entry = 0x10_0010) =>
  kernel(addMultibootHeader(makeElf(segments, entry), HEADER_AT, flags));
const refusal = (code: string, field: string, file = 'k.elf') =>
  expect.objectContaining({ code, data: { file, field } });

describe('findMultibootHeader', () => {
  test('finds the last place where a header fits, and none behind it', () => {
    const last = 8192 - 12;

    expect(findMultibootHeader(kernel(addMultibootHeader(new Uint8Array(9000), last, 0)))).toEqual({
      offset: last,
      flags: 0,
    });
    expect(findMultibootHeader(kernel(addMultibootHeader(new Uint8Array(9000), last + 4, 0)))).toBeUndefined();
  });

  test('passes over a magic with a wrong checksum or off a four-byte border', () => {
    const image = addMultibootHeader(new Uint8Array(0x200), 0x40, 1);
    image[0x48] = 0;
    addMultibootHeader(image, 0x82, 1);
    addMultibootHeader(image, 0x100, 2);

    expect(findMultibootHeader(kernel(image))).toEqual({ offset: 0x100, flags: 2 });
  });
});

describe('loadMultiboot', () => {
  test('loads the segments, zeroes their rest and enters flat protected mode', () => {
    const memory = testMemory(4 * MIB);
    memory.bytes.fill(0xcc);

    const state = loadMultiboot(memory, { kernel: elfKernel([{ memsz: 0x100 }]), commandLine: '' });

    expect(state).toMatchObject({ eip: 0x10_0010, eax: 0x2bad_b002, eflags: 2, cr0: 0x11, cs: 0x10, ds: 0x18 });
    expect([...memory.view(0x10_007f, 3)]).toEqual([0x7f, 0, 0]);
    expect([...memory.view(0x10_00ff, 2)]).toEqual([0, 0xcc]);
    expect(memory.read32(state.gdt.address + state.cs + 4)).toBe(0x00cf_9b00);
    expect(memory.read32(state.gdt.address + state.ds + 4)).toBe(0x00cf_9300);
  });

  test('describes memory, command line, modules and itself to the kernel', () => {
    const memory = testMemory(4 * MIB);
    const modules = [
      { name: 'initrd.img', bytes: new Uint8Array(5000).fill(7) },
      { name: 'b', bytes: Uint8Array.of(9) },
    ];

    const { ebx } = loadMultiboot(memory, { kernel: elfKernel([{ memsz: 0x3000 }]), commandLine: 'k a=1', modules });

    const word = (offset: number): number => memory.read32(ebx + offset);
    const module = memory.read32(word(24));
    expect({ flags: word(0), lower: word(4), upper: word(8), modules: word(20) }).toEqual({
      flags: 0x24d,
      lower: 639,
      upper: 3072,
      modules: 2,
    });
    expect(memory.text(word(16))).toBe('k a=1');
    expect(memory.text(word(64))).toBe('Tomei');
    expect([module, memory.read32(word(24) + 4)]).toEqual([0x10_3000, 0x10_3000 + 5000]);
    expect(memory.text(memory.read32(word(24) + 8))).toBe('initrd.img');
    expect(memory.bytes[0x10_3000 + 4999]).toBe(7);
    expect(memory.read32(word(24) + 16)).toBe(0x10_5000);
    expect(memory.text(memory.read32(word(24) + 24))).toBe('b');
    const map = Array.from({ length: word(44) / 24 }, (_, i) =>
      [0, 4, 12, 20].map((offset) => memory.read32(word(48) + 24 * i + offset)),
    );
    expect(map.slice(0, 3)).toEqual([
      [20, 0, 0x9_fc00, 1],
      [20, 0x9_fc00, 0x6_0400, 2],
      [20, MIB, 3 * MIB, 1],
    ]);
  });

  test('keeps its structures off a kernel in conventional memory', () => {
    const memory = testMemory(4 * MIB);
    const low = elfKernel([{ vaddr: 0x1000, memsz: 0x9_0000 }], 0, 0x1010);

    const { ebx, gdt } = loadMultiboot(memory, { kernel: low, commandLine: '' });

    expect(ebx).toBe(0x9_1000);
    expect(gdt.address).toBeGreaterThan(ebx);
  });

  test('puts its structures behind a kernel that fills conventional memory', () => {
    const { ebx } = loadMultiboot(testMemory(4 * MIB), {
      kernel: elfKernel([{ vaddr: 0, memsz: 0x9_fc00 }], 0, 0x10),
      commandLine: '',
    });

    expect(ebx).toBe(MIB);
  });

  test('loads by the address fields of the header, whatever the file is', () => {
    const memory = testMemory(4 * MIB);
    const image = addMultibootHeader(new Uint8Array(0x400).fill(0xaa), 0x40, 0x1_0000, [
      ...[0x20_0020, 0x20_0000, 0x20_0200, 0x20_0300, 0x20_0100],
    ]);

    const state = loadMultiboot(memory, { kernel: kernel(image), commandLine: '' });

    expect(state.eip).toBe(0x20_0100);
    expect(memory.read32(0x20_0020)).toBe(0x1bad_b002);
    expect([memory.bytes[0x20_01ff], memory.bytes[0x20_0200]]).toEqual([0xaa, 0]);
  });

  test.each<[string, number[], string]>([
    ['a header before the load address', [0x1f_0000, 0x20_0000, 0, 0, 0x20_0000], 'load_addr'],
    ['a load address before the file', [0x20_0100, 0x20_0000, 0, 0, 0x20_0000], 'load_addr'],
    ['an end outside of the file', [0x20_0040, 0x20_0000, 0x20_1000, 0, 0x20_0000], 'load_end_addr'],
    ['an end before the start', [0x20_0040, 0x20_0000, 0x1f_0000, 0, 0x20_0000], 'load_end_addr'],
    ['a bss before the end of data', [0x20_0040, 0x20_0000, 0x20_0200, 0x20_0100, 0x20_0000], 'bss_end_addr'],
    ['an entry outside of the image', [0x20_0040, 0x20_0000, 0x20_0200, 0, 0x20_0200], 'entry_addr'],
  ])('refuses address fields with %s', (_, words, field) => {
    const image = kernel(addMultibootHeader(new Uint8Array(0x400), 0x40, 0x1_0000, words));

    expect(() => loadMultiboot(testMemory(4 * MIB), { kernel: image, commandLine: '' })).toThrow(
      refusal('kernel.bad-multiboot', field),
    );
  });

  test.each<[string, Parameters<typeof loadMultiboot>[1], object]>([
    [
      'a file without header',
      { kernel: kernel(makeElf([{}])), commandLine: '' },
      refusal('kernel.no-multiboot-header', 'multiboot header'),
    ],
    [
      'unknown mandatory flags',
      { kernel: elfKernel([{}], 0x13), commandLine: '' },
      refusal('kernel.bad-multiboot', 'flags'),
    ],
    [
      'a segment beyond RAM',
      { kernel: elfKernel([{ memsz: 3 * MIB + 1 }]), commandLine: '' },
      refusal('kernel.too-large', 'load address'),
    ],
    [
      'a segment over the video window',
      { kernel: elfKernel([{ vaddr: 0x9_0000, memsz: 0x2_0000 }], 0, 0x9_0000), commandLine: '' },
      refusal('kernel.too-large', 'load address'),
    ],
    [
      'a kernel that leaves no room for the information structure',
      { kernel: elfKernel([{ memsz: 3 * MIB }, { vaddr: 0, memsz: 0x9_fc00 }]), commandLine: '' },
      refusal('kernel.too-large', 'load address'),
    ],
    [
      'a module that does not fit',
      {
        kernel: elfKernel([{}]),
        commandLine: '',
        modules: [{ name: 'initrd', bytes: new Uint8Array(3 * MIB) }],
      },
      refusal('initrd.too-large', 'size', 'initrd'),
    ],
    [
      'a command line with a NUL',
      { kernel: elfKernel([{}]), commandLine: 'a\0b' },
      refusal('kernel.bad-command-line', 'command line'),
    ],
  ])('refuses %s and writes nothing', (_, boot, error) => {
    const memory = testMemory(4 * MIB);

    expect(() => loadMultiboot(memory, boot)).toThrow(error);
    expect(memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  test.each([0x3, 0x1_0003])(
    'throws only TomeiError for 5,000 corrupted images with flags 0x%x (seed 1995)',
    (flags) => {
      const random = randomWords(1995);
      const memory = testMemory(2 * MIB);
      const addresses = [0x10_0100, 0x10_0000, 0, 0x10_1000, 0x10_0010];
      const image = addMultibootHeader(makeElf([{ memsz: 0x200 }, { vaddr: 0x12_0000 }]), HEADER_AT, flags, addresses);
      let loaded = 0;

      for (let i = 0; i < 5_000; i++) {
        try {
          const state = loadKernel(memory, {
            kernel: kernel(corrupt(image, random)),
            commandLine: 'x',
            screen: { kind: 'text' },
          });
          expect(memory.contains(state.eip, 1)).toBe(true);
          loaded++;
        } catch (error) {
          if (!(error instanceof TomeiError)) throw error;
        }
      }

      expect(loaded).toBeGreaterThan(100);
    },
  );
});
