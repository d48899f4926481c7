/**
 * VMware's tools in a guest under Debian's stock kernel: programs reach the backdoor without their system's leave, texts pass both ways, the
 * host asks for a shutdown, and all of it goes on from a snapshot and is replayed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { Console, copyTiny } from './tiny-guest.ts';
import { SLOW, TinyLab, sh } from './tiny-lab.ts';

const SOURCE = fileURLToPath(new URL('sources/tools.c', import.meta.url));
const FLAGS = [
  ...['-m32', '-march=i686', '-std=gnu11', '-Os', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-fno-builtin'],
  ...['-fno-pic', '-fno-pie', '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-fcf-protection=none'],
  ...['-nostdlib', '-static', '-no-pie', '-s', '-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,-z,norelro'],
];
/** Characters of a line that the guest's shell takes. */
const LINE = 700;
const lab = TinyLab.forTests();
const missing = (): string | undefined =>
  lab.unavailable ?? (spawnSync('gcc', ['--version']).status === 0 ? undefined : 'gcc is not installed');

/** The guest, at its shell, with the program in it. */
async function boot(vmx: string, options: ConstructorParameters<typeof Console>[1] = {}): Promise<Console> {
  const program = join(lab.folder, 'tools');
  execFileSync('gcc', [...FLAGS, '-o', program, SOURCE]);
  const guest = new Console(vmx, options);
  await guest.expect(/login:/);
  guest.send('root\n');
  await guest.expect(/# /);
  const text = gzipSync(readFileSync(program)).toString('base64');
  for (let at = 0; at < text.length; at += LINE) await sh(guest, `echo ${text.slice(at, at + LINE)} >> /root/t`);
  await sh(guest, 'dmesg -n 1; base64 -d < /root/t | gunzip > /root/tools; chmod 755 /root/tools');
  return guest;
}
/** What a command prints. */
async function ask(guest: Console, command: string): Promise<string> {
  const text = (await sh(guest, `echo BEGIN-$((40+2)); ${command}`)).replaceAll('\r', '');
  return text.slice(text.indexOf('BEGIN-42\n') + 'BEGIN-42\n'.length, text.lastIndexOf('END-42'));
}
const SERVE = '/root/tools serve "echo SHUT-$((40+2)) > /dev/ttyS0; poweroff -f" > /root/heard 2>&1 &';

test('programs ask, texts pass, and the host shuts the system down, from a snapshot too', { timeout: SLOW }, async ({ skip }) => {
  skip(missing() !== undefined, missing());
  const { vmx } = await copyTiny(lab.folder, 'tools', { settings: [`guestinfo.role = "${Buffer.from('größer').toString('latin1')}"`] });
  const snapshot = join(lab.folder, 'tools.snap');
  {
    await using guest = await boot(vmx);
    expect(await ask(guest, '/root/tools rpc "info-get guestinfo.role"')).toBe(
      Buffer.from('1 größer\n').toString('latin1'),
    );
    expect(await ask(guest, '/root/tools rpc "info-set guestinfo.own a value"')).toBe('1 \n');
    expect(await ask(guest, '/root/tools rpc "log the guest is up"')).toBe('1 \n');
    await expect.poll(() => guest.warnings.join('\n')).toContain('the guest says: the guest is up');
    expect(await ask(guest, '/root/tools rpc "no such thing"')).toBe('0 Unknown command\n');

    guest.guest.input({ kind: 'clipboard', text: 'from the host\n漢字' });
    expect(await ask(guest, 'until /root/tools paste | grep .; do sleep 0.1; done')).toBe(
      Buffer.from('from the host\n漢字\n').toString('latin1'),
    );
    await ask(guest, '/root/tools copy "from the guest, $(seq -s, 1000)"');
    await expect.poll(() => guest.copied.at(-1)).toMatch(/^from the guest, 1,2,.*,1000$/);

    await ask(guest, `${SERVE} until grep -q Capabilities /root/heard; do sleep 0.1; done`);
    await guest.guest.save(snapshot, { stop: true });
    await guest.guest.ended;
  }

  await using guest = new Console(vmx, { restore: snapshot });
  guest.send('\n');
  await guest.expect(/# /);
  expect(await ask(guest, '/root/tools rpc "info-get guestinfo.own"')).toBe('1 a value\n');
  expect(await guest.guest.powerButton()).toBe(true);
  await guest.expect(/SHUT-42/);
  expect((await guest.guest.ended).end.why).toBe('power-off');
});

test('texts stay where they are, and ports are closed, where the .vmx says so', { timeout: SLOW }, async ({ skip }) => {
  skip(missing() !== undefined, missing());
  const off = ['isolation.tools.copy.disable = "TRUE"', 'isolation.tools.paste.disable = "TRUE"'];
  const { vmx } = await copyTiny(lab.folder, 'apart', { settings: off });
  {
    await using guest = await boot(vmx);
    guest.guest.input({ kind: 'clipboard', text: 'from the host' });
    expect(await ask(guest, 'sleep 1; /root/tools paste; echo status $?')).toBe('status 6\n');
    await ask(guest, '/root/tools copy "from the guest"; sleep 1');
    expect(guest.copied).toEqual([]);
  }
  const closed = await copyTiny(lab.folder, 'closed', { settings: ['monitor_control.restrict_backdoor = "TRUE"'] });
  await using guest = await boot(closed.vmx);
  expect(await ask(guest, '/root/tools rpc "log a"; echo status $?')).toMatch(/status 139\n$/);
});

test('a run with all of it is given again', { timeout: SLOW }, async ({ skip }) => {
  skip(missing() !== undefined, missing());
  const { vmx } = await copyTiny(lab.folder, 'again');
  const record = join(lab.folder, 'again.rec');
  const first = await boot(vmx, { timing: { record } });
  first.guest.input({ kind: 'clipboard', text: 'a text' });
  await ask(first, 'until /root/tools paste | grep text; do sleep 0.1; done');
  await ask(first, `${SERVE} until grep -q Capabilities /root/heard; do sleep 0.1; done`);
  expect(await first.guest.powerButton()).toBe(true);
  const { end, stats } = await first.guest.ended;

  const second = new Console(vmx, { timing: { replay: record } });
  const again = await second.guest.ended;

  expect(end.why).toBe('power-off');
  expect(again).toMatchObject({ end: { ...end, replayed: true }, stats: { instructions: stats.instructions } });
  expect(second.output).toBe(first.output);
});
