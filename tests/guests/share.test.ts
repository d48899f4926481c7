/**
 * Folders of the host under Debian's stock 9P driver: files of all kinds and sizes, programs and mappings, links that lead out of the
 * folder, a share for reading, a snapshot while files are open and written, and a recording.
 */
import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, readFile, readdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KEEP, SYSCALL, linuxProgram, set } from './linux-program.ts';
import { Console } from './tiny-guest.ts';
import { SLOW, TinyLab, boot, sh } from './tiny-lab.ts';

const lab = TinyLab.forTests();
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
/** Lines of a `.vmx` as VMware writes them. */
const folderKeys = (index: number, hostPath: string, guestName: string, writeAccess: boolean): string[] =>
  Object.entries({
    ...{ present: 'TRUE', enabled: 'TRUE', readAccess: 'TRUE', writeAccess: writeAccess ? 'TRUE' : 'FALSE' },
    ...{ hostPath, guestName, expiration: 'never' },
  }).map(([key, value]) => `sharedFolder${index}.${key} = "${value}"`);

/** A folder of this test's, with something beside it that no guest may see. */
async function makeFolder(name: string): Promise<{ shared: string; secret: string }> {
  const outside = join(lab.folder, name);
  const shared = join(outside, 'shared');
  await mkdir(shared, { recursive: true });
  const secret = join(outside, 'secret');
  await writeFile(secret, 'words of the host');
  return { shared, secret };
}
const MODULES = 'modprobe 9pnet_virtio; modprobe 9p; mkdir -p /w /r';
const mount = (tag: string, at: string, options = ''): string =>
  `mount -t 9p -o trans=virtio,version=9p2000.L${options} "${tag}" ${at}`;

/** Maps a page of the file /w/mapped, writes to it and has that written back. */
const mappingProgram = (): Uint8Array =>
  linuxProgram(
    (path) => [
      ...[...set.eax(5), ...set.ebx(path), ...set.ecx(2), ...SYSCALL, ...KEEP], // open(path, O_RDWR)
      ...[...set.eax(192), ...set.ebx(0), ...set.ecx(4096), ...set.edx(3), ...set.esi(1), ...set.ebp(0), ...SYSCALL], // mmap2
      ...[0x89, 0xc3, 0xc7, 0x03, ...Buffer.from('MAPS')], // MOV EBX, EAX; MOV [EBX], 'MAPS'
      ...[...set.eax(144), ...set.ecx(4096), ...set.edx(4), ...SYSCALL], // msync(page, 4096, MS_SYNC)
      ...[0x89, 0xc3, ...set.eax(1), ...SYSCALL], // exit(what msync said)
    ],
    [...Buffer.from('/w/mapped\0')],
  );

test('the stock driver uses folders of the host', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const { shared, secret } = await makeFolder('files');
  const library = await makeFolder('library');
  const large = randomBytes(12 << 20);
  await writeFile(join(shared, 'large'), large);
  await writeFile(join(shared, 'gone'), 'a file that will be gone\n');
  await writeFile(join(shared, 'mapped'), Buffer.alloc(8192, '.'));
  await writeFile(join(shared, 'map'), mappingProgram(), { mode: 0o755 });
  await symlink('../secret', join(shared, 'out'));
  await symlink('..', join(shared, 'up'));
  await writeFile(join(library.shared, 'book'), 'a book\n');
  const vmx = await lab.guestOf(
    'shares',
    ...folderKeys(0, shared, 'work', true),
    ...folderKeys(1, library.shared, 'the library', false),
    'sharedFolder.maxNum = "2"',
  );
  await using guest = await boot(vmx, 1);
  await sh(guest, MODULES);
  await sh(guest, `${mount('work', '/w', ',cache=mmap')}; ${mount('the library', '/r')}`);

  // Both devices interrupt by messages.
  expect(await sh(guest, 'grep -c "virtio.*-requests" /proc/interrupts')).toMatch(/^2\r?$/m);

  // What is there, in both directions, and large.
  expect(await sh(guest, 'md5sum /w/large')).toContain(md5(large));
  expect(await sh(guest, 'cp /bin/busybox /w/busybox; cp /w/large /w/copy; sync; md5sum < /w/busybox')).toContain(md5(await readFile(join(shared, 'busybox')))); // prettier-ignore
  expect(md5(await readFile(join(shared, 'copy')))).toBe(md5(large));
  await sh(guest, 'seq 1 20000 > /w/text; echo more >> /w/text; truncate -s 100 /w/copy');
  expect((await readFile(join(shared, 'text'), 'utf8')).split('\n').slice(-3)).toEqual(['20000', 'more', '']);
  expect((await stat(join(shared, 'copy'))).size).toBe(100);

  // Names: made, moved, listed, taken away.
  const many = Array.from({ length: 300 }, (_, i) => `entry-${i}`);
  await sh(guest, 'mkdir -p /w/d/e; mv /w/text /w/d/e/t; ln -s e/t /w/d/l; ln /w/d/e/t /w/d/hard; for i in $(seq 0 299); do : > /w/d/e/entry-$i; done'); // prettier-ignore
  expect((await readdir(join(shared, 'd', 'e'))).sort()).toEqual(['t', ...many].sort());
  expect(await readlink(join(shared, 'd', 'l'))).toBe('e/t');
  expect(await sh(guest, 'ls /w/d/e | wc -l; tail -n 1 /w/d/l; rm /w/d/e/entry-*; ls /w/d/e; rm -r /w/d; ls -d /w/d')).toMatch(/301\r?\nmore\r?\nt\r?\nls: \/w\/d: No such file/); // prettier-ignore
  const long = 'ü'.repeat(127);
  await sh(guest, `echo long > "/w/$(printf '\\303\\274%.0s' $(seq 127))"`);
  expect(await readFile(join(shared, long), 'utf8')).toBe('long\n');
  await sh(guest, 'chmod 4640 /w/busybox; touch -d "2001-02-03 04:05:06" /w/busybox');
  const changed = await stat(join(shared, 'busybox'));
  expect([changed.mode & 0o7777, changed.mtime.toISOString()]).toEqual([0o640, '2001-02-03T04:05:06.000Z']);
  expect(await sh(guest, 'df -P /w | tail -n 1')).toMatch(/^work +[1-9]/m);

  // A program out of the folder, and one that maps a file of it.
  expect(await sh(guest, 'chmod 755 /w/busybox; /w/busybox echo out of the $((1+1))nd folder')).toMatch(/out of the 2nd folder/); // prettier-ignore
  expect(await sh(guest, '/w/map; echo it said $?')).toMatch(/it said 0/);
  expect((await readFile(join(shared, 'mapped'), 'latin1')).slice(0, 8)).toBe('MAPS....');

  // A link is a link: the guest follows it among its own files.
  const links = await sh(guest, 'cat /w/out; cat /w/up/secret; readlink /w/out; ls /w/up/');
  expect(links).toMatch(/cat: can't open '\/w\/out'.*\r?\ncat: can't open '\/w\/up\/secret'.*\r?\n\.\.\/secret\r?\n/);
  expect(links).not.toContain('words of the host');
  await sh(guest, 'ln -s /etc/hostname /w/in; echo changed > /w/out; rm -r /w/up/nothing');
  expect(await readFile(secret, 'utf8')).toBe('words of the host');

  // The other folder is for reading.
  const reading = await sh(guest, 'cat /r/book; echo x > /r/new; echo x > /r/book; rm /r/book; mkdir /r/d; mv /r/book /r/b; chmod 600 /r/book'); // prettier-ignore
  expect(reading).toMatch(/a book/);
  expect(reading.match(/Read-only file system/g)).toHaveLength(6);
  expect(await readdir(library.shared)).toEqual(['book']);

  // A snapshot while files are open, and while one is written again and again.
  await sh(guest, 'exec 5> /w/log; exec 6< /w/gone; echo before >&5; (i=0; while [ ! -e /tmp/enough ]; do echo $i; i=$((i+1)); done > /w/flow) & true'); // prettier-ignore
  await expect.poll(async () => (await stat(join(shared, 'flow'))).size, { timeout: 60_000 }).toBeGreaterThan(1000);
  const snapshot = join(lab.folder, 'shares.snapshot');
  await guest.guest.save(snapshot, { stop: true });
  await guest.guest.ended;
  await rm(join(shared, 'gone'));
  const renamed = vmx.replace('shares.vmx', 'renamed.vmx');
  await writeFile(renamed, (await readFile(vmx, 'latin1')).replace('guestName = "work"', 'guestName = "play"'), 'latin1');
  await using other = new Console(renamed, { restore: snapshot });
  await expect(other.guest.ended).rejects.toMatchObject({ code: 'snapshot.mismatch' });
  await using again = new Console(vmx, { restore: snapshot });
  const { size } = await stat(join(shared, 'flow'));
  await expect.poll(async () => (await stat(join(shared, 'flow'))).size, { timeout: 60_000 }).toBeGreaterThan(size + 1000);
  again.send('\n');
  await again.expect(/# /);
  expect(await sh(again, 'touch /tmp/enough; wait; echo after >&5; cat <&6; cat /r/book; tail -n 1 /w/flow')).toMatch(/cat: .*\r?\na book\r?\n[0-9]+\r?\n/); // prettier-ignore
  expect(await readFile(join(shared, 'log'), 'utf8')).toBe('before\nafter\n');
  const flow = (await readFile(join(shared, 'flow'), 'utf8')).trim().split('\n');
  expect(flow).toEqual(flow.map((_, i) => String(i)));
  await sh(again, 'exec 5>&-; exec 6<&-; umount /w; umount /r; rmmod 9p');
  expect([...guest.warnings, ...again.warnings].filter((text) => /driver|share/i.test(text))).toEqual([]);
});

test('a recording has what a folder gave, and giving it again touches no folder', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const { shared } = await makeFolder('recorded');
  await writeFile(join(shared, 'words'), 'words of the host\n');
  const vmx = await lab.guestOf('recorded', ...folderKeys(0, shared, 'work', true));
  const recording = join(lab.folder, 'share.rec');
  await using guest = await boot(vmx, 2, { timing: { record: recording } });
  await sh(guest, `${MODULES}; ${mount('work', '/w')}`);
  expect(await sh(guest, 'cat /w/words; md5sum /bin/busybox > /w/sum; ls -1 /w')).toMatch(/words of the host\r?\nsum\r?\nwords/);
  guest.send('poweroff\n');
  const before = await guest.guest.ended;
  await rm(shared, { recursive: true });

  await using again = new Console(vmx, { timing: { replay: recording } });
  const after = await again.guest.ended;
  expect(after.end).toEqual({ ...before.end, replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);
  expect(again.output).toBe(guest.output);
  await expect(access(shared)).rejects.toMatchObject({ code: 'ENOENT' });

  await using missing = new Console(vmx);
  await expect(missing.guest.ended).rejects.toMatchObject({
    code: 'share.missing',
    message: expect.stringMatching(/recorded\.vmx:[0-9]+: sharedFolder0\.hostPath: .*\/shared does not exist/) as string,
  });
});

test('a plain PC has no folder', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const { shared } = await makeFolder('plain');
  const vmx = await lab.guestOf('plain', ...folderKeys(0, shared, 'work', true), 'tomei.paravirt = "off"');
  await using guest = await boot(vmx, 3);

  expect(await sh(guest, 'cat /sys/bus/pci/devices/*/device')).not.toMatch(/0x1049/);
  expect(guest.warnings.join()).toMatch(/sharedFolder0\.present does nothing with tomei\.paravirt = "off"/);
});
