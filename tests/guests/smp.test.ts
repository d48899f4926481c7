/** Debian's stock kernel on several processors, in both modes: it finds them, uses them, goes on from a snapshot, and is replayed. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tomei } from './cli.ts';
import { copyTiny } from './tiny-guest.ts';
import { SLOW, TinyLab } from './tiny-lab.ts';

/** As many programs at a time as there may be processors, that call the kernel, fork, and share memory with it. */
const WORK =
  'for i in 1 2 3 4 5 6; do (n=0; while [ $n -lt 300 ]; do n=$((n+1)); done; ls -lR /bin /etc > /dev/null; echo job$i) & done; wait; echo WORK-$((1+1))\\n';

const lab = TinyLab.forTests();

/** The tiny guest with so many processors, in a mode of `tomei.paravirt`. */
async function guestOf(mode: 'off' | 'kvm', processors: number): Promise<string> {
  const { vmx } = await copyTiny(lab.folder, mode, { settings: [`tomei.paravirt = "${mode}"`] });
  const text = await readFile(vmx, 'latin1');
  await writeFile(vmx, text.replace('numvcpus = "1"', `numvcpus = "${processors}"`), 'latin1');
  return vmx;
}
/** By processor, a line of /proc/interrupts in what the guest wrote. */
const interrupts = (output: string, line: string): number[] =>
  new RegExp(`^ *${line}:((?: +[0-9]+)+)`, 'm').exec(output)![1]!.trim().split(/ +/).map(Number);
const LOGIN = ['--expect', 'login: $', '--send', 'root\\n', '--expect', '# '];
const LOOK = [
  ...['--send', 'nproc; cat /proc/interrupts; grep -c Device:.lapic-deadline /proc/timer_list; echo BAD-$(dmesg | grep -cE "warp|unsynchronized|BUG:|WARNING:")\\n'],
  ...['--expect', 'BAD-[0-9]'],
];

test('four processors under KVM: found, at work, and saved', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const vmx = await guestOf('kvm', 4);
  const snapshot = join(lab.folder, 'kvm.snap');

  const first = await tomei('run', vmx, '--timeout', '800', ...LOGIN, '--save', snapshot);
  expect(first.code, first.stderr).toBe(0);
  expect(first.stdout).toMatch(/smp: Brought up 1 node, 4 CPUs/);
  for (const said of ['KVM setup pv remote TLB flush', 'setup PV sched yield', 'setup PV IPIs', 'PV spinlocks enabled'])
    expect(first.stdout).toContain(said);
  const restored = await tomei(
    ...['run', vmx, '--restore', snapshot, '--timeout', '800', '--send', WORK, '--expect', 'WORK-2'],
    ...LOOK,
  );

  expect(restored.code, restored.stderr).toBe(0);
  const { stdout } = restored;
  // Processors, and their timers.
  expect(stdout.match(/^4\r?$/gm)).toHaveLength(2);
  expect(stdout).toContain('BAD-0');
  for (const line of ['LOC', 'RES', 'CAL']) {
    const counts = interrupts(stdout, line);
    expect(counts, line).toHaveLength(4);
    expect(Math.min(...counts), line).toBeGreaterThan(0);
  }
  const one = await copyTiny(lab.folder, 'one');
  const refused = await tomei('run', one.vmx, '--restore', snapshot);
  expect(refused.stderr).toContain('it had 4 processors, this one has 1');
});

test('two processors of a plain PC: recorded, and given again', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const vmx = await guestOf('off', 2);
  const recording = join(lab.folder, 'plain.rec');

  const run = await tomei(
    ...['run', vmx, '--record', recording, '--timeout', '800', ...LOGIN, '--send', WORK, '--expect', 'WORK-2'],
    ...[...LOOK, '--stats', '--json'],
  );
  expect(run.code, run.stderr).toBe(0);
  expect(run.stderr).toMatch(/smp: Brought up 1 node, 2 CPUs/);
  expect(Math.min(...interrupts(run.stderr, 'LOC'))).toBeGreaterThan(0);
  expect(run.stderr).toMatch(/TSC deadline timer available/);
  const replayed = await tomei('run', vmx, '--replay', recording, '--stats', '--json');

  expect(replayed.code, replayed.stderr).toBe(0);
  const instructions = (text: string): number => (JSON.parse(text) as { stats: { instructions: number } }).stats.instructions;
  expect(instructions(replayed.stdout)).toBe(instructions(run.stdout));
});
