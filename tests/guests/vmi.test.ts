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
  if (missing !== undefined) return;
  for (const kernel of ['vmi', 'vmi-smp']) await copyFile(`${buildKernels()}/${kernel}.elf`, join(folder, `${kernel}.elf`));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function guest(name: string, present: string, { kernel = 'vmi', processors = 1 } = {}): Promise<string> {
  const file = join(folder, `${name}.vmx`);
  const lines = [
    ...['config.version = "8"', 'virtualHW.version = "4"', `displayName = "${name}"`, 'memsize = "32"'],
    ...[`vmi.present = "${present}"`, 'tomei.paravirt = "off"', `tomei.kernel = "${kernel}.elf"`, 'serial0.present = "TRUE"'],
    `numvcpus = "${processors}"`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}
interface Outcome {
  readonly end: object;
  readonly stats: { readonly instructions: number };
}

/** Runs a guest to its end, and gives its recording again, to the same instruction. Returns what it said the first time. */
async function recordedAndReplayed(vmx: string, recording: string): Promise<string> {
  const recorded = await tomei('run', vmx, '--record', recording, '--stats', '--json', '--timeout', '100');
  const before = JSON.parse(recorded.stdout) as Outcome;
  expect(before.end, recorded.stderr).toMatchObject(PASSED);

  const replayed = await tomei('run', vmx, '--replay', recording, '--stats', '--json');
  const after = JSON.parse(replayed.stdout) as Outcome;
  expect(after.end, replayed.stderr).toMatchObject({ ...PASSED, replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);
  return recorded.stderr;
}

test('a guest uses VMI where its .vmx says so, is warned of, and replayed', { timeout: SLOW }, async ({ skip }) => {
  skip(missing !== undefined, missing);
  const vmx = await guest('with', 'TRUE'),
    recording = join(folder, 'with.rec');
  const said = await recordedAndReplayed(vmx, recording);

  expect(said).toContain('VMI: version 3.0 init 0');
  expect(said).toContain('plain process 1: 16036');
  expect(said).toContain('vmi: announces page fffffh as a page table, which is not in RAM');

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

test('a guest of several processors starts them by VMI, is recorded, and given again', { timeout: SLOW }, async ({ skip }) => {
  skip(missing !== undefined, missing);
  const vmx = await guest('several', 'TRUE', { kernel: 'vmi-smp', processors: 4 }),
    recording = join(folder, 'several.rec');
  const said = await recordedAndReplayed(vmx, recording);

  expect(said).toContain('ok PAE processes 8 wrong 0 faults 64 everywhere 1');
  expect(said).toContain('ok VMI: registers');
  expect(said).toContain('vmi: gives a state to start processor 3 in that is without protection');
});

test('and goes on from a snapshot', { timeout: SLOW }, async ({ skip }) => {
  skip(missing !== undefined, missing);
  const vmx = await guest('saved', 'TRUE', { kernel: 'vmi-smp', processors: 2 }),
    snapshot = join(folder, 'saved.snap');
  const saved = await tomei('run', vmx, '--expect', 'plain processes', '--save', snapshot, '--timeout', '100');
  expect(saved.code, saved.stderr).toBe(0);
  const restored = await tomei('run', vmx, '--restore', snapshot, '--json', '--timeout', '100');

  expect((JSON.parse(restored.stdout) as Outcome).end, restored.stderr).toMatchObject(PASSED);
  expect(restored.stderr).toContain('ok PAE processes 4 wrong 0 faults 32 everywhere 1');
  expect(restored.stderr).not.toContain('ok plain started');
});
