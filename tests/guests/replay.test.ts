/** Debian's stock kernel, recorded and replayed by the commands that people use: the same to the last instruction. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tomei } from './cli.ts';
import { buildTiny, copyTiny, type TinyGuest } from './tiny-guest.ts';

/** A boot on a machine that has much else to do. */
const SLOW = 600_000;
const BAD_INPUT = 3;

let folder = '';
let unavailable: string | undefined;
let tiny: TinyGuest;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-replay-'));
  try {
    await buildTiny();
    tiny = await copyTiny(folder, 'tiny');
  } catch (error) {
    unavailable = String(error);
  }
}, SLOW);
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly end: { readonly why: string; readonly replayed?: boolean };
  readonly stats: { readonly instructions: number };
}

test('a session at the tiny guest is replayed, and not by another one', { timeout: SLOW }, async ({ skip }) => {
  skip(unavailable !== undefined, unavailable);
  const recording = join(folder, 'run.rec');
  const session = ['--expect', 'login:', '--send', 'root\\n', '--expect', '# ', '--send', 'ls -l /; sync; date\\n'];
  const recorded = await tomei(
    ...['run', tiny.vmx, '--record', recording, ...session, '--expect', '20[0-9][0-9]\\s'],
    ...['--timeout', '500', '--stats', '--json'],
  );
  expect(recorded.code, recorded.stderr).toBe(0);
  const before = JSON.parse(recorded.stdout) as Outcome;

  // What was written meanwhile makes no difference: the disk's contents come from the recording.
  const replayed = await tomei('run', tiny.vmx, '--replay', recording, '--stats', '--json');
  expect(replayed.code, replayed.stderr).toBe(0);
  const after = JSON.parse(replayed.stdout) as Outcome;
  expect(after.end).toMatchObject({ why: 'stopped', replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);
  expect(replayed.stderr).toContain('login: root');

  // Another kernel command line is another guest.
  const text = await readFile(tiny.vmx, 'latin1');
  await writeFile(tiny.vmx, text.replace(/^(tomei\.cmdline = ".*)"$/m, '$1 quiet"'), 'latin1');
  const other = await tomei('run', tiny.vmx, '--replay', recording);
  expect([other.code, other.stderr]).toEqual([BAD_INPUT, expect.stringContaining('recorded with another machine')]);
});
