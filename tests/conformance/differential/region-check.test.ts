/** Regions checked against the interpreter: test kernels agree, and a region that was compiled wrongly is found and shown. */
import { readFileSync } from 'node:fs';
import { DirectTranslator, decoder, type Translator } from '@tomei/paravirt-core';
import { describe, expect, test } from 'vitest';
import { smallKernel } from '../../guests/small-kernel.ts';
import { buildKernels, missingCompiler } from '../../kernels/build.ts';
import { parseExpectation } from '../../kernels/expectation.ts';
import { KERNEL_COMMAND_LINE, KERNEL_RAM } from '../../kernels/runners.ts';
import { CheckedMachine } from './checked-machine.ts';
import { describeDeviation } from './region-check.ts';

/** More than any of these needs. */
const INSTRUCTIONS_MAX = 20e6;

function checkedKernel(bytes: Uint8Array, translator: Translator = new DirectTranslator(decoder())): CheckedMachine {
  return new CheckedMachine({
    config: {
      ramBytes: KERNEL_RAM,
      videoMemoryBytes: 1 << 20,
      epoch: 1_700_000_000,
      kernel: { name: 'kernel', bytes },
      commandLine: KERNEL_COMMAND_LINE,
    },
    translator,
    hotLandings: 1,
  });
}
const finish = (checked: CheckedMachine): string | undefined =>
  checked.run(() => checked.machine.processor.instructions > INSTRUCTIONS_MAX);

/** A loop with memory and flags in it, a million times: its sum goes to memory, and then port F4h ends it. */
const ROUNDS = 1_000_000;
const ADD_7 = [0x83, 0xc0, 0x07]; // add eax, 7
const LOOP = [
  ...[0xbf, 0x00, 0x00, 0x20, 0x00], // mov edi, 200000h
  ...[0xb9, ROUNDS & 0xff, (ROUNDS >> 8) & 0xff, ROUNDS >> 16, 0], // mov ecx, ROUNDS
  ...[0x31, 0xc0], // xor eax, eax
  ...ADD_7,
  ...[0x01, 0x07], // add [edi], eax
  ...[0x11, 0x47, 0x04], // adc [edi+4], eax
  ...[0x49, 0x75, 0xf5], // dec ecx; jnz
  ...[0xb0, 0x03, 0xe6, 0xf4, 0xf4], // mov al, 3; out F4h, al; hlt
];

/** Translates a program in which some bytes are other ones than the guest's. */
class OtherBytes extends DirectTranslator {
  private readonly bytes: readonly number[];
  private readonly others: readonly number[];

  constructor(bytes: readonly number[], others: readonly number[]) {
    super(decoder());
    this.bytes = bytes;
    this.others = others;
  }
  override request(...[request]: Parameters<DirectTranslator['request']>): void {
    const page = Buffer.from(this.place.memory.buffer, request.host & ~0xfff, 4096);
    const at = page.indexOf(Buffer.from(this.bytes));
    if (at >= 0) page.set(this.others, at);
    super.request(request);
    if (at >= 0) page.set(this.bytes, at);
  }
}

describe('a loop', () => {
  test('does the same compiled and interpreted', () => {
    using checked = checkedKernel(smallKernel(LOOP));

    const end = finish(checked);

    expect(end).toBe('exit 3');
    expect(checked.check.deviations).toEqual([]);
    const { counts } = checked.check;
    expect(counts).toMatchObject({ runs: counts.same, skipped: 0, deviations: 0 });
    // Nearly all of it ran in regions.
    expect(counts.instructions).toBeGreaterThan(ROUNDS * 4);
  });

  test('of which a region adds something else deviates, in registers and memory, and goes on as interpreted', () => {
    using checked = checkedKernel(smallKernel(LOOP), new OtherBytes(ADD_7, [0x83, 0xc0, 0x08]));

    const end = finish(checked);

    expect(end).toBe('exit 3');
    expect(checked.check.counts.deviations).toBeGreaterThan(0);
    const text = describeDeviation(checked.check.deviations[0]!);
    expect(text).toMatch(/ {2}eax [0-9a-f]{8}, not [0-9a-f]{8}/);
    expect(text).toMatch(/memory at host page [0-9a-f]{8}: \+0 /);
    expect(text).toMatch(/ {2}0010006c {2}add eax, 7 +eax=/);
    // What the guest computed is what the interpreter does.
    const sum = new DataView(checked.machine.memory.buffer, checked.machine.plan.ram + 0x20_0000).getUint32(0, true);
    expect(sum).toBe((7 * ((ROUNDS * (ROUNDS + 1)) / 2)) % 2 ** 32);
  });

  test('of which a region leaves out a write deviates in memory', () => {
    // add [edi], eax becomes cmp [edi], eax; the carry is the same in the first rounds.
    using checked = checkedKernel(smallKernel(LOOP), new OtherBytes([0x01, 0x07], [0x39, 0x07]));

    finish(checked);

    expect(checked.check.deviations[0]?.differences).toContainEqual(expect.stringMatching(/^memory at host page/));
  });
});

describe('test kernels', () => {
  const missing = missingCompiler();

  test.for(['strings', 'paging', 'tlb', 'fpu', 'self-modifying', 'exceptions', 'segments', 'interrupts'])(
    '%s does the same compiled and interpreted',
    (name, { skip }) => {
      skip(missing !== undefined, missing);
      using checked = checkedKernel(new Uint8Array(readFileSync(`${buildKernels()}/${name}.elf`)));

      const end = finish(checked);

      const text = readFileSync(new URL(`../../kernels/expected/${name}.txt`, import.meta.url), 'utf8');
      const expected = parseExpectation(text, 'tomei, compiled');
      expect(checked.check.deviations.map(describeDeviation)).toEqual([]);
      expect({ end, lines: checked.output.replaceAll('\r', '').trimEnd().split('\n') }).toEqual(expected);
      expect(checked.check.counts.same).toBeGreaterThan(0);
    },
  );
});
