/** `vmi.present` by the commands that people use: with it and without, warnings of what the guest does wrong, recorded and replayed. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildKernels, missingCompiler } from '../kernels/build.ts';
import { tomei } from './cli.ts';

const SLOW = 120_000;
const BAD_INPUT = 3;
/** The byte 0 at port F4h. */
const PASSED = { why: 'exit', status: 1 };
const missing = missingCompiler();
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-vmi-'));
  if (missing === undefined) await copyFile(`${buildKernels()}/vmi.elf`, join(folder, 'vmi.elf'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function guest(name: string, present: string): Promise<string> {
  const file = join(folder, `${name}.vmx`);
  const lines = [
    ...['config.version = "8"', 'virtualHW.version = "4"', `displayName = "${name}"`, 'memsize = "32"'],
    ...[`vmi.present = "${present}"`, 'tomei.paravirt = "off"', 'tomei.kernel = "vmi.elf"', 'serial0.present = "TRUE"'],
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}
interface Outcome {
  readonly end: object;
  readonly stats: { readonly instructions: number };
}

test('a guest uses VMI where its .vmx says so, is warned of, and replayed', { timeout: SLOW }, async ({ skip }) => {
  skip(missing !== undefined, missing);
  const vmx = await guest('with', 'TRUE'),
    recording = join(folder, 'with.rec');
  const recorded = await tomei('run', vmx, '--record', recording, '--stats', '--json', '--timeout', '100');
  const before = JSON.parse(recorded.stdout) as Outcome;

  expect(before.end, recorded.stderr).toMatchObject(PASSED);
  expect(recorded.stderr).toContain('VMI: version 3.0 init 0');
  expect(recorded.stderr).toContain('plain process 1: 16036');
  expect(recorded.stderr).toContain('vmi: announces page fffffh as a page table, which is not in RAM');

  const replayed = await tomei('run', vmx, '--replay', recording, '--stats', '--json');
  const after = JSON.parse(replayed.stdout) as Outcome;
  expect(after.end, replayed.stderr).toMatchObject({ ...PASSED, replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);

  const other = await tomei('run', await guest('other', 'FALSE'), '--replay', recording);
  expect([other.code, other.stderr]).toEqual([BAD_INPUT, expect.stringContaining("'vmi' is not as it was")]);
});

test('and does without it where it does not', { timeout: SLOW }, async ({ skip }) => {
  skip(missing !== undefined, missing);
  const run = await tomei('run', await guest('without', 'FALSE'), '--json', '--timeout', '100');

  expect((JSON.parse(run.stdout) as Outcome).end, run.stderr).toMatchObject(PASSED);
  expect(run.stderr).toContain('VMI: none');
  expect(run.stderr).toContain('PAE process 1: 16036');
});
