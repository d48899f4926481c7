/** Builds the tiny guest from Debian's packages, and boots it in QEMU. */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Qemu, qemuMissing } from '@tomei/testkit';
import { checkVmdk } from '@tomei/vmdk';
import { loadVmx } from '@tomei/vmx';
import { DEBIAN_PACKAGES, missingPackages } from '../host/debian-packages.ts';
import { findCommand, runTool } from '../host/tool.ts';
import { buildGuest } from './build.ts';
import { linesOn } from './progress.ts';
import { loadRecipe } from './recipe.ts';

const absent = [
  ...(await missingPackages(DEBIAN_PACKAGES.guestBuild)),
  ...['apt-get', 'dpkg-deb'].filter((command) => findCommand(command) === undefined),
];
const cannotBuild = absent.length === 0 ? undefined : `this needs Debian's ${absent.join(', ')}`;
const recipe = loadRecipe('tiny');

describe('the tiny guest', () => {
  let folder: string;
  const build = (out: string) =>
    buildGuest(recipe, { out, force: false, progress: () => linesOn(new PassThrough().resume(), 'build') });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tomei-guest-'));
    if (cannotBuild === undefined) await build(join(folder, 'one'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string): string => join(folder, 'one', name);

  test('is described by a .vmx without a warning, and its disk is sound', async (context) => {
    if (cannotBuild !== undefined) context.skip(cannotBuild);

    const { config, warnings } = await loadVmx(file('tiny.vmx'));

    expect(warnings).toEqual([]);
    expect(config).toMatchObject({ displayName: 'tiny', memoryMiB: 128, paravirt: 'kvm' });
    expect(config.boot?.kernel.path).toBe(file('vmlinuz'));
    expect(config.disks.map((disk) => disk.file?.path)).toEqual([file('tiny.vmdk')]);
    expect(await checkVmdk(file('tiny.vmdk'))).toMatchObject({ ok: true, problems: [] });
  });

  test('is left alone by a second build, and comes out the same in another folder', async (context) => {
    if (cannotBuild !== undefined) context.skip(cannotBuild);

    expect(await build(join(folder, 'one'))).toMatchObject({ found: 'current', built: false });
    expect(await build(join(folder, 'other'))).toMatchObject({ found: 'absent', built: true });

    for (const name of ['vmlinuz', 'initrd.gz', 'tiny.vmx']) {
      expect(readFileSync(join(folder, 'other', name)).equals(readFileSync(file(name))), name).toBe(true);
    }
  });

  test('boots in QEMU, lets root in, and what is written and synced is on the disk', async (context) => {
    const missing = cannotBuild ?? qemuMissing();
    if (missing !== undefined) context.skip(missing);
    const disk = join(folder, 'qemu.vmdk');
    cpSync(file('tiny.vmdk'), disk);
    const { config } = await loadVmx(file('tiny.vmx'));
    await using qemu = new Qemu({
      kernel: file('vmlinuz'),
      initrd: file('initrd.gz'),
      commandLine: config.boot!.commandLine,
      memoryMiB: config.memoryMiB,
      disk: { path: disk, format: 'vmdk' },
    });

    await qemu.expect(/tiny login: /);
    qemu.send('root\n');
    await qemu.expect(/# /);
    qemu.send('stat -c "%U %G %a" / /etc/shadow /root; echo written > /root/file; sync; echo done-$?\n');
    const answer = await qemu.expect(/done-0/);
    qemu.send('poweroff\n');
    await qemu.expect(/Power down/);

    expect(answer).toMatch(/root root 755\s+root root 600\s+root root 700/);
    expect(await qemu.exit()).toBe(0);
    if (findCommand('qemu-img') === undefined) context.skip('qemu-img is not installed (Debian package qemu-utils)');
    const raw = join(folder, 'qemu.raw');
    await runTool('qemu-img', ['convert', '-O', 'raw', disk, raw]);
    expect((await runTool('debugfs', ['-R', 'cat /root/file', raw])).stdout).toBe('written\n');
  });
});
