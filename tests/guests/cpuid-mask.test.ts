/** `cpuid.*` of a `.vmx`, from the file to what the guest's CPUID answers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tomei } from './cli.ts';
import { halt, smallKernel } from './small-kernel.ts';

/** Ends with 1, or with 3 where CPUID.1:EDX.SSE2 is set. */
const TELL_SSE2 = [
  ...[0xb8, 1, 0, 0, 0, 0x0f, 0xa2], // mov eax, 1; cpuid
  ...[0xc1, 0xea, 26, 0x80, 0xe2, 1, 0x88, 0xd0], // shr edx, 26; and dl, 1; mov al, dl
  ...[0xe6, 0xf4, ...halt], // out F4h, al
];
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-cpuid-'));
  await writeFile(join(folder, 'sse2.elf'), smallKernel(TELL_SSE2));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(...lines: string[]): Promise<{ code: number | null; stderr: string }> {
  const file = join(folder, 'a.vmx');
  await writeFile(file, ['memsize = "16"', 'serial0.present = "TRUE"', 'tomei.kernel = "sse2.elf"', ...lines, ''].join('\n'));
  return tomei('run', file);
}

test('a masked feature is not announced', async () => {
  expect(await run()).toMatchObject({ code: 3 });
  expect(await run('cpuid.1.edx = "----:-0--:----:----:----:----:----:----"')).toMatchObject({ code: 1, stderr: '' });
});
test('a mask that is none is one line of error, with its place', async () => {
  const { code, stderr } = await run('cpuid.1.edx = "no SSE2"');

  expect(code).toBe(3); // bad input
  expect(stderr).toMatch(/^tomei: [^\n]*a\.vmx:4: cpuid\.1\.edx = "no SSE2" has "N": write 32 of 0, 1 and -[^\n]*\n$/);
});
