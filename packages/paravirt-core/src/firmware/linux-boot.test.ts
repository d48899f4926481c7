import { existsSync, readFileSync } from 'node:fs';

import { TomeiError } from '@tomei/kit';
import { describe, expect, test } from 'vitest';

import { loadKernel } from './direct-boot.ts';
import { loadLinux, parseSetupHeader, type LinuxBoot } from './linux-boot.ts';
import { makeBzImage, type BzImageFields } from './test-images.ts';
import { corrupt, randomWords, testMemory } from './test-memory.ts';

const MIB = 2 ** 20;
const file = (bytes: Uint8Array, name = 'vmlinuz') => ({ name, bytes });
const boot = (fields: BzImageFields = {}, more: Partial<LinuxBoot> = {}): LinuxBoot => ({
  kernel: file(makeBzImage(fields)),
  commandLine: 'console=ttyS0',
  screen: { kind: 'text' },
  ...more,
});
const refusal = (code: string, field: string, name = 'vmlinuz') =>
  expect.objectContaining({ code, data: { file: name, field } });

describe('parseSetupHeader', () => {
  test.each<[string, Uint8Array, string, string]>([
    ['an empty file', new Uint8Array(0), 'kernel.not-bzimage', 'boot_flag'],
    ['no boot flag', makeBzImage({ bootFlag: 0 }), 'kernel.not-bzimage', 'boot_flag'],
    ['no header', makeBzImage({ magic: 0 }), 'kernel.not-bzimage', 'header'],
    ['protocol 2.01', makeBzImage({ version: 0x201 }), 'kernel.not-bzimage', 'version'],
    ['a zImage', makeBzImage({ loadflags: 0 }), 'kernel.not-bzimage', 'loadflags'],
    ['an alignment that is no power of two', makeBzImage({ alignment: 3 }), 'kernel.not-bzimage', 'kernel_alignment'],
    ['a header cut short', makeBzImage().slice(0, 0x232), 'kernel.not-bzimage', 'kernel_alignment'],
    ['a file without kernel', makeBzImage().slice(0, 0x400), 'kernel.truncated', 'setup_sects'],
    ['half a kernel', makeBzImage().slice(0, 0x1400), 'kernel.truncated', 'syssize'],
  ])('refuses %s', (_, bytes, code, field) => {
    expect(() => parseSetupHeader(file(bytes))).toThrow(refusal(code, field));
  });

  test('says in words what is wrong and what to do', () => {
    expect(() => parseSetupHeader(file(makeBzImage({ version: 0x201 })))).toThrow(
      'vmlinuz: version is 2.01; boot protocol 2.02 or newer (Linux 2.4) is needed',
    );
  });

  test('knows an old header by its version: no fields of later protocols, four setup sectors for 0', () => {
    const bytes = makeBzImage({ version: 0x202, setupSects: 4, alignment: 3 });
    bytes[0x1f1] = 0;

    expect(parseSetupHeader(file(bytes))).toMatchObject({
      payloadOffset: 5 * 512,
      initrdAddrMax: 0x37ff_ffff,
      cmdlineSize: 255,
      relocatable: false,
      prefAddress: 0,
    });
  });
});

describe('loadLinux', () => {
  test('enters the kernel at its preferred address with boot_params in esi', () => {
    const memory = testMemory(32 * MIB);

    const state = loadLinux(memory, boot());

    expect(state).toMatchObject({ eip: 16 * MIB, esi: 0x7000, ebx: 0, edi: 0, ebp: 0, eflags: 2, cs: 0x10, ds: 0x18 });
    expect([...memory.view(16 * MIB + 0x1ffe, 3)]).toEqual([0xfe, 0xff, 0]);
    expect(memory.read32(state.gdt.address + 0x14)).toBe(0x00cf_9b00);
    expect(memory.read32(state.gdt.address + 0x1c)).toBe(0x00cf_9300);
  });

  test('fills boot_params: header, loader, command line, E820, text screen', () => {
    const memory = testMemory(32 * MIB);

    const { esi } = loadLinux(memory, boot({}, { rsdp: 0xf_0000 }));

    expect(memory.read32(esi + 0x202)).toBe(0x5372_6448);
    expect(memory.read8(esi + 0x210)).toBe(0xff);
    expect(memory.read32(esi + 0x214)).toBe(16 * MIB);
    expect(memory.text(memory.read32(esi + 0x228))).toBe('console=ttyS0');
    expect([memory.read32(esi + 0x218), memory.read32(esi + 0x21c)]).toEqual([0, 0]);
    expect(memory.read32(esi + 0x70)).toBe(0xf_0000);
    expect(memory.read8(esi + 0x1e8)).toBe(6);
    expect([0, 8, 16].map((k) => memory.read32(esi + 0x2d0 + 40 + k))).toEqual([MIB, 31 * MIB, 1]);
    expect([...memory.view(esi, 0x12)]).toEqual([0, 0, 0, 0, 0, 0, 3, 80, 0, 0, 3, 0, 0, 0, 25, 1, 16, 0]);
  });

  test('describes a linear framebuffer', () => {
    const memory = testMemory(32 * MIB);
    const colour = (position: number) => ({ size: 8, position });

    const { esi } = loadLinux(
      memory,
      boot(
        {},
        {
          screen: {
            ...{ kind: 'framebuffer', base: 0xe000_0000, width: 1024, height: 768, depth: 32, lineLength: 4096 },
            ...{ memorySize: 16 * MIB, red: colour(16), green: colour(8), blue: colour(0), reserved: colour(24) },
          },
        },
      ),
    );

    expect(memory.read8(esi + 0x0f)).toBe(0x23);
    expect([0x12, 0x14, 0x16, 0x24].map((offset) => memory.read16(esi + offset))).toEqual([1024, 768, 32, 4096]);
    expect([memory.read32(esi + 0x18), memory.read32(esi + 0x1c)]).toEqual([0xe000_0000, 256]);
    expect([...memory.view(esi + 0x26, 8)]).toEqual([8, 16, 8, 8, 8, 0, 8, 24]);
  });

  test.each<[string, BzImageFields, number, number]>([
    ['the preferred address does not fit', { prefAddress: 64 * MIB, initSize: 0x1000, relocatable: 0 }, 96, MIB],
    ['it is not relocatable', { relocatable: 0 }, 32, MIB],
    ['it gives no preferred address', { prefAddress: 0 }, 32, MIB],
    ['the protocol is 2.02', { version: 0x202 }, 32, MIB],
  ])('loads at 1 MiB when %s', (_, fields, mebibytes, expected) => {
    expect(loadLinux(testMemory(mebibytes * MIB), boot(fields)).eip).toBe(expected);
  });

  test.each<[string, BzImageFields, number]>([
    ['the top of RAM', {}, 32 * MIB - 0x2000],
    ['initrd_addr_max', { initrdAddrMax: 24 * MIB + 0x17ff }, 24 * MIB],
  ])('puts the initrd on the highest page below %s', (_, fields, expected) => {
    const memory = testMemory(32 * MIB);
    const initrd = file(new Uint8Array(0x1800).fill(5), 'initrd.img');

    const { esi } = loadLinux(memory, boot(fields, { initrd }));

    expect([memory.read32(esi + 0x218), memory.read32(esi + 0x21c)]).toEqual([expected, 0x1800]);
    expect([memory.bytes[expected - 1], memory.bytes[expected], memory.bytes[expected + 0x17ff]]).toEqual([0, 5, 5]);
  });

  test.each<[string, LinuxBoot, object]>([
    ['a kernel larger than RAM', boot({ initSize: 16 * MIB + 1 }), refusal('kernel.too-large', 'init_size')],
    ['an absurd init_size', boot({ initSize: 0xffff_ffff }), refusal('kernel.too-large', 'init_size')],
    ['an absurd alignment', boot({ alignment: 0x8000_0000 }), refusal('kernel.too-large', 'init_size')],
    [
      'an initrd that reaches into the kernel',
      boot({}, { initrd: file(new Uint8Array(13 * MIB + 1), 'initrd.img') }),
      refusal('initrd.too-large', 'size', 'initrd.img'),
    ],
    [
      'a command line that is too long',
      boot({ cmdlineSize: 12 }),
      refusal('kernel.command-line-too-long', 'cmdline_size'),
    ],
    [
      'a command line that would reach the EBDA',
      boot({ cmdlineSize: 0xffff_ffff }, { commandLine: 'x'.repeat(0x6_0000) }),
      refusal('kernel.command-line-too-long', 'cmdline_size'),
    ],
    ['a command line with a NUL', boot({}, { commandLine: 'a\0' }), refusal('kernel.bad-command-line', 'command line')],
  ])('refuses %s and writes nothing', (_, request, error) => {
    const memory = testMemory(32 * MIB);

    expect(() => loadLinux(memory, request)).toThrow(error);
    expect(memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  test('takes an initrd that ends exactly where RAM does', () => {
    const request = boot({}, { initrd: file(new Uint8Array(13 * MIB), 'initrd.img') });

    const memory = testMemory(32 * MIB);

    expect(memory.read32(loadLinux(memory, request).esi + 0x218)).toBe(19 * MIB);
  });

  test('throws only TomeiError for 10,000 corrupted images (seed 215)', () => {
    const random = randomWords(215);
    const memory = testMemory(20 * MIB);
    const image = makeBzImage();
    let loaded = 0;

    for (let i = 0; i < 10_000; i++) {
      const bytes = corrupt(image, random);
      if (i % 2 === 0 && bytes.length > 0x240) bytes[0x1f1 + (random() % 0x80)] = random() & 0xff;
      try {
        const initrd = file(new Uint8Array(random() % 0x3000), 'initrd.img');
        const state = loadKernel(memory, { kernel: file(bytes), initrd, commandLine: 'x', screen: { kind: 'text' } });
        expect(memory.contains(state.eip, 1)).toBe(true);
        loaded++;
      } catch (error) {
        if (!(error instanceof TomeiError)) throw error;
      }
    }

    expect(loaded).toBeGreaterThan(100);
  });
});

describe("Debian's own kernel", () => {
  const path = new URL('../../../../guests/tiny/vmlinuz', import.meta.url);

  test('loads into 128 MiB with room for a 32 MiB initrd', ({ skip }) => {
    skip(!existsSync(path), 'guests/tiny/vmlinuz is not built: run `pnpm tomei guest build tiny`');
    const kernel = file(new Uint8Array(readFileSync(path)));
    const memory = testMemory(128 * MIB);
    const header = parseSetupHeader(kernel);

    const state = loadLinux(memory, {
      ...{ kernel, commandLine: 'console=ttyS0', screen: { kind: 'text' } },
      initrd: file(new Uint8Array(32 * MIB), 'initrd.img'),
    });

    expect(header.version).toBeGreaterThanOrEqual(0x20f);
    expect(state.eip).toBe(header.prefAddress);
    expect(memory.read32(state.esi + 0x218)).toBe(96 * MIB);
    expect(memory.view(state.eip, 64)).toEqual(kernel.bytes.subarray(header.payloadOffset, header.payloadOffset + 64));
  });
});
