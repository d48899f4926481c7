/**
 * A whole Debian, as `tomei guest build debian` installs it: from SeaBIOS through GRUB's menu to a login on the screen, and off again by
 * a command and by the power button, here and in QEMU alike. It takes minutes: it runs where TOMEI_LONG is 1.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { qemuMissing } from '@tomei/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { tomei } from './cli.ts';
import { keysOf, type Pc, type PcOptions } from './pc.ts';
import { QemuPc } from './qemu-pc.ts';
import { TomeiPc } from './tomei-pc.ts';

const BUILT = fileURLToPath(new URL('../../artefacts/guests/debian/', import.meta.url));
const IS_LONG = process.env['TOMEI_LONG'] === '1';
/** Host time for a test: the interpreter executes ten billion instructions in a few minutes. */
const TEST_MS = 30 * 60_000;
/** Seconds of the guest's time from one screen to the next. */
const BOOT_S = 900;

const options: PcOptions = { disk: { path: join(BUILT, 'debian.vmdk'), format: 'vmdk' }, memoryMiB: 256 };

/** From power-on to a login, by a person who does not wait for GRUB's countdown. Returns what both screens said. */
async function boot(pc: Pc): Promise<{ menu: string; login: string }> {
  const menu = await pc.until(/Debian GNU\/Linux[^]*executed automatically in \d+s\./);
  await pc.press('ret');
  const screen = await pc.until(/^debian login: *$/m, BOOT_S);
  return { menu: menu.replace(/in \d+s/, 'in N s'), login: /^.*\n+debian login:/m.exec(screen)![0] };
}
/** Logs in as root and has a few questions answered. */
async function ask(pc: Pc): Promise<string> {
  await pc.press(...keysOf('root\n'));
  await pc.until(/root@debian:~#\s*$/, BOOT_S);
  await pc.press(...keysOf('clear; cat /etc/debian_version; uname -m; findmnt -no FSTYPE,OPTIONS /; systemctl is-system-running --wait\n'));
  const screen = await pc.until(/\n(running|degraded|starting)\n[^]*root@debian:~#\s*$/, BOOT_S);
  return screen.slice(screen.search(/^\d+\.\d+$/m)).trim();
}

describe.skipIf(!IS_LONG)(`Debian${IS_LONG ? '' : ' (skipped: it takes minutes; TOMEI_LONG=1 runs it)'}`, () => {
  beforeAll(async () => {
    const { code, stderr } = await tomei('guest', 'build', 'debian', '--out', BUILT);
    if (code !== 0) throw new Error(`Debian cannot be built: ${stderr.trim().split('\n').at(-1)}`);
  }, TEST_MS);

  test('boots to a login, answers as in QEMU, and shuts down by a command', { timeout: TEST_MS }, async ({ skip }) => {
    await using here = await TomeiPc.start(options);
    const screens = await boot(here);
    const answers = await ask(here);
    await here.press(...keysOf('poweroff\n'));
    expect(await here.ended(BOOT_S)).toBe('power-off');

    expect(screens.menu).toMatch(/GNU GRUB +version 2\.06/);
    expect(screens.login).toMatch(/^Debian GNU\/Linux 12 debian tty1\n+debian login:/);
    expect(answers).toMatch(/^12\.\d+\ni686\next4 +rw,/);
    skip(qemuMissing() !== undefined, qemuMissing());
    await using there = await QemuPc.start(options);
    expect(screens).toEqual(await boot(there));
    expect(answers).toBe(await ask(there));
  });

  test('shuts down when the power button is pressed', { timeout: TEST_MS }, async () => {
    await using here = await TomeiPc.start(options);
    await boot(here);
    await here.powerButton();
    expect(await here.ended(BOOT_S)).toBe('power-off');
  });
});
