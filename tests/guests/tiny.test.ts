/**
 * Debian's stock kernel on Tomei, from the outside: logins, disks that keep what was synced, snapshots, the same boot in QEMU.
 * A boot takes its time, so each serves several checks, and later tests go on from where an earlier one saved.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Qemu, qemuMissing } from '@tomei/testkit';
import { checkVmdk, lockHolder } from '@tomei/vmdk';
import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { Tomei, tomei } from './cli.ts';
import { diskToolMissing, fileOnDisk } from './file-on-disk.ts';
import { comparableMessages } from './kernel-messages.ts';
import { MachineRun, readStanding } from './machine-run.ts';
import { Console, KERNEL_LINE, SHELL_LINE, buildTiny, copyTiny, shellOutput, type TinyGuest } from './tiny-guest.ts';

/** What follows it asks the terminal where its cursor is. */
const PROMPT = /tiny:~# /;
/** A boot on a machine that has much else to do. */
const SLOW = 600_000;
/** Instructions between two looks at alarms. */
const SLICE = 50_000;
const BAD_INPUT = 3,
  GUEST_CRASHED = 4;

let folder = '';
let unavailable: string | undefined;
/** The guest that is killed, and booted again. */
let tiny: TinyGuest;
/** A `.vmx` of the same guest as a plain PC, as QEMU's is without KVM. */
let plain = '';
/** What the first boot printed. */
let firstBoot = '';
/** Saved in the middle of a boot, with the disk of that time and what the boot printed from there to its login. */
let middle: { snapshot: string; disk: string; output: string } | undefined;
/** Saved at a shell prompt, with the disk of that time. */
let shell: { snapshot: string; disk: string } | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-tiny-'));
  try {
    await buildTiny();
    tiny = await copyTiny(folder, 'tiny');
    plain = join(folder, 'plain.vmx');
    await writeFile(plain, `${await readFile(tiny.vmx, 'latin1')}tomei.paravirt = "off"\n`, 'latin1');
  } catch (error) {
    unavailable = String(error);
  }
});
const toolMissing = diskToolMissing();
afterAll(() => rm(folder, { recursive: true, force: true }));

function need<T>(made: T | undefined, context: TestContext): T {
  context.skip(unavailable !== undefined, unavailable);
  if (made === undefined) throw new Error('an earlier test of this file did not get to where this one goes on');
  return made;
}
test('boots to a login, runs commands, and keeps what was synced when its process is killed', async (context) => {
  need(tiny, context);
  await using run = new Tomei([
    ...['run', plain, '--timeout', '600'],
    ...['--expect', 'login: $', '--send', 'root\\n', '--expect', '# '],
    ...['--send', SHELL_LINE.replaceAll('\\', '\\\\').replace('\n', '\\n'), '--expect', 'END-42[^]*# '],
    ...['--send', 'echo kept > /root/kept; sync; echo SYNC-$((1+1))\\n', '--expect', 'SYNC-2', '--expect', 'never'],
  ]);
  await run.saw(/SYNC-2/);
  const { pid } = (await lockHolder(tiny.disk))!.holder;

  process.kill(pid, 'SIGKILL');

  const { code, stdout, stderr } = await run.finished();
  firstBoot = stdout;
  expect(code).toBe(GUEST_CRASHED);
  expect(stderr).toMatch(/tomei: the guest's process ended without a word \(SIGKILL\)\n$/);
  expect(shellOutput(stdout)[0]).toMatch(/^Linux 6\./);
  expect((await checkVmdk(tiny.disk)).ok).toBe(true);
  context.skip(toolMissing !== undefined, `${toolMissing} is not installed: nothing else to read the disk with`);
  expect(await fileOnDisk(tiny.disk, '/root/kept')).toBe('kept\n');
}, SLOW);

test('the next boot finds the file, shows its login on the screen too, and can be saved on the way', async (context) => {
  need(firstBoot === '' ? undefined : firstBoot, context);
  const diskBefore = join(folder, 'before.vmdk');
  await copyFile(tiny.disk, diskBefore);
  await using console = new Console(tiny.vmx);
  await console.expect(/Run \/init as init process/);

  const snapshot = join(folder, 'middle.snapshot');
  await console.guest.save(snapshot);
  const seen = console.output.length;
  await console.expect(/login: $/);
  middle = { snapshot, disk: diskBefore, output: console.output.slice(seen) };

  // The screen's terminal is started beside the serial one.
  await expect
    .poll(async () => (await console.guest.screenshot()).text.map((line) => line.trimEnd()), { timeout: 60_000 })
    .toContain('tiny login:');
  const { png, text } = await console.guest.screenshot();
  expect(text.join('\n')).toMatch(/Tiny guest, Linux 6\.[^\n]* terminal \/dev\/tty1/);
  expect([...png.subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);

  console.send('root\n');
  await console.expect(PROMPT);
  console.send('cat /root/kept; sync\n');
  expect(await console.expect(PROMPT)).toMatch(/\nkept\r\n/);
  const atShell = join(folder, 'shell.snapshot');
  await console.guest.save(atShell, { stop: true });
  expect((await console.guest.ended).end.why).toBe('stopped');
  const disk = join(folder, 'shell-disk.vmdk');
  await copyFile(tiny.disk, disk);
  shell = { snapshot: atShell, disk };
  expect(console.warnings).toEqual([expect.stringMatching(/took over the lock/), expect.anything()]);
  // It holds the guest's memory: nobody else may read it.
  expect((await stat(atShell)).mode & 0o777).toBe(0o600);
}, SLOW);

test('a guest saved in the middle of its boot goes on to the same output in a fresh process', async (context) => {
  const { snapshot, disk, output } = need(middle, context);
  const copy = await copyTiny(folder, 'middle', { disk });

  const run = await tomei('run', copy.vmx, '--restore', snapshot, '--expect', 'login: $', '--timeout', '300');

  expect(run.code).toBe(0);
  const comparable = (text: string): string[] =>
    text
      .replaceAll('\r', '')
      .split('\n')
      .map((line) => line.replace(KERNEL_LINE, '').trimEnd())
      .filter((line) => line !== '' && !/clock|TSC|interrupt took/.test(line));
  expect(comparable(run.stdout)).toEqual(comparable(output));
}, SLOW);

test('a guest that powers off ends the command with 0', async (context) => {
  const { snapshot, disk } = need(shell, context);
  const copy = await copyTiny(folder, 'off', { disk });
  await using run = new Tomei(['run', copy.vmx, '--restore', snapshot]);

  run.type('poweroff\n');

  const { code, stdout, stderr } = await run.finished();
  expect(stdout).toMatch(/reboot: (Power down|System halted)/);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}, SLOW);

test('a snapshot is refused when the disk has been written since, and the disk stays as it is', async (context) => {
  const { snapshot } = need(middle, context);
  const before = await readFile(tiny.disk);

  const run = await tomei('run', tiny.vmx, '--restore', snapshot, '--expect', 'x', '--timeout', '60');

  expect(run.code).toBe(BAD_INPUT);
  expect(run.stderr).toMatch(/^tomei: [^\n]*ide0:0 has been written since [^\n]*middle\.snapshot[^\n]*\n$/);
  expect(Buffer.compare(await readFile(tiny.disk), before)).toBe(0);
}, SLOW);

test('a full host disk is an error for the guest, is said once, and loses nothing that was flushed', async (context) => {
  const { snapshot, disk } = need(shell, context);
  const small = join(folder, 'small');
  await mkdir(small);
  const room = (await stat(disk)).size + 2 * 2 ** 20;
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${room}`, 'tmpfs', small]);
  context.skip(mounted.status !== 0, 'a small tmpfs cannot be mounted here (needs root)');
  try {
    const copy = await copyTiny(small, 'full', { disk });
    await using console = new Console(copy.vmx, { restore: snapshot });
    console.send('echo first > /root/first; sync; echo SYNC-$((1+1))\n');
    await console.expect(/SYNC-2/);
    console.send('dd if=/dev/urandom of=/root/big bs=64k count=128; sync; echo FULL-$((1+1))\n');
    await console.expect(/FULL-2/);
    console.guest.stop();
    await console.guest.ended;

    const full = console.warnings.filter((text) => text.includes('no room to write'));
    expect(full[0]).toMatch(/^ide0:0: no room to write .*full\.vmdk.*what was flushed before is safe/);
    expect(console.output).toMatch(/I\/O error|Input\/output error|EXT4-fs error|lost async page write/);
    context.skip(toolMissing !== undefined, `${toolMissing} is not installed: nothing else to read the disk with`);
    expect(await fileOnDisk(copy.disk, '/root/kept')).toBe('kept\n');
    expect(await fileOnDisk(copy.disk, '/root/first')).toBe('first\n');
  } finally {
    execFileSync('umount', [small]);
  }
}, SLOW);

test('a boot goes on in a second machine as in the one that it was saved from, bit by bit', async (context) => {
  const { snapshot, disk } = need(middle, context);
  const { state, standing } = await readStanding(snapshot, disk);
  const config = { ...state.config, commandLine: '' };
  const from = standing.state.instructions,
    end = from + 400_000_000;
  const whole = new MachineRun(config, SLICE, standing);
  whole.runTo(end);
  const first = new MachineRun(config, SLICE, standing);
  first.runTo(from + 230_000_000);

  const stood = first.stand(),
    outputBefore = first.output;
  const second = new MachineRun(config, SLICE, stood);
  second.runTo(end);
  // Where a slice ends depends on what is decoded already, by a few instructions: the first forgets that as the second has.
  first.machine.restore(stood.state);
  first.runTo(end);

  expect(whole.output).toMatch(/virtio_blk/);
  expect(outputBefore + second.output).toBe(whole.output);
  expect(second.hash()).toBe(first.hash());
}, SLOW);

test('prints in QEMU what it prints here', async (context) => {
  const here = need(firstBoot === '' ? undefined : firstBoot, context);
  context.skip(qemuMissing() !== undefined, qemuMissing());
  const copy = await copyTiny(folder, 'qemu');
  const { kernel, initrd, commandLine } = copy;
  await using qemu = new Qemu({
    ...{ kernel, initrd, commandLine, memoryMiB: 128 },
    arguments: [
      ...['-cpu', 'coreduo', '-drive', `file=${copy.disk},format=vmdk,if=ide`],
    ],
  });
  await qemu.expect(/login: $/, 300_000);
  qemu.send('root\n');
  await qemu.expect(PROMPT, 60_000);
  qemu.send(SHELL_LINE);
  await qemu.expect(/END-42/, 120_000);

  expect(shellOutput(here)).toEqual(shellOutput(qemu.serial));
  const untilLogin = (text: string): string => text.slice(0, text.indexOf('tiny login:'));
  const messages = comparableMessages(untilLogin(here));
  expect(messages.length).toBeGreaterThan(100);
  expect(messages).toEqual(comparableMessages(untilLogin(qemu.serial)));
}, SLOW);
