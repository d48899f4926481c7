/**
 * Interrupts of virtio devices under the drivers of Debian's stock kernel: messages by MSI-X with a vector for each queue, what that spares,
 * snapshots and recordings in the middle of it, and lines where the kernel wants no messages.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Console } from './tiny-guest.ts';
import { SLOW, TinyLab, boot, sh } from './tiny-lab.ts';

const lab = TinyLab.forTests();
const CARD = 'ethernet0.virtualDev = "virtio"';
const EVERYTHING = [
  CARD,
  'tomei.rng.present = "TRUE"',
  'tomei.balloon.present = "TRUE"',
  'tomei.input.present = "TRUE"',
  'tomei.gpu.present = "TRUE"',
  'tomei.port0.name = "org.example.agent"',
];

interface Line {
  readonly count: number;
  readonly chip: string;
  readonly name: string;
}
/** The lines of /proc/interrupts that virtio devices have. */
async function interrupts(guest: Console): Promise<Line[]> {
  const text = await sh(guest, 'grep -E virtio /proc/interrupts');
  return [...text.matchAll(/^ *[0-9]+: +([0-9]+) +(\S+ +\S+) +(.*virtio.*?)\r?$/gm)].map(([, count, chip, name]) => ({
    count: Number(count),
    chip: chip!,
    name: name!,
  }));
}
const countOf = (lines: readonly Line[], name: RegExp): number =>
  lines.filter((line) => name.test(line.name)).reduce((sum, { count }) => sum + count, 0);

const PAGES = 400;
/**
 * Reads pages of the disk, each by a request of its own, and tells how often the guest was left for memory of devices meanwhile. Ticks of its
 * timer, of which there are the more the slower the host is, take none. The least of three readings.
 */
async function accessesPerRequest(guest: Console): Promise<number> {
  const now = async (): Promise<{ accesses: number; reads: number }> => {
    const { 'device-memory': accesses } = (await guest.guest.stats()).exits;
    const text = await sh(guest, 'cat /sys/block/vda/stat');
    return { accesses, reads: Number(/^ *([0-9]+) /m.exec(text)![1]) };
  };
  const found: number[] = [];
  await sh(guest, 'sync; echo 0 > /sys/block/vda/queue/read_ahead_kb');
  for (const round of [1, 2, 3]) {
    const before = await now();
    await sh(guest, `dd if=/dev/vda of=/dev/null bs=4k skip=${4096 + round * PAGES} count=${PAGES} 2>/dev/null`);
    const after = await now();
    const requests = after.reads - before.reads;
    expect(requests).toBeGreaterThanOrEqual(PAGES);
    found.push((after.accesses - before.accesses) / requests);
  }
  return Math.min(...found);
}
const BIG_READ = 'echo 1 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=64k count=400 2>/dev/null | md5sum';

test('stock drivers are interrupted by messages', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const vmx = await lab.guestOf('messages', ...EVERYTHING, `tomei.port0.fileName = "${join(lab.folder, 'agent.sock')}"`);
  await using peer = await boot(await lab.guestOf('peer', CARD), 2);
  await using guest = await boot(vmx, 1);
  const isOld = /No such/.test(await sh(guest, 'ls /lib/modules'));
  skip(isOld, 'the tiny guest was built before it had modules on its disk: build it again with --force');
  await sh(guest, 'modprobe virtio-gpu');

  // Every device has messages of its own, for its configuration and its queues.
  const found = await interrupts(guest);
  expect(new Set(found.map(({ chip }) => chip.replace(/ .*/, '')))).toEqual(new Set(['PCI-MSI']));
  const devices = new Set(found.map(({ name }) => /virtio[0-9]+/.exec(name)![0]));
  expect(devices.size).toBe(8);
  for (const device of devices) {
    expect(found.some(({ name }) => name === `${device}-config`)).toBe(true);
    expect(found.filter(({ name }) => name.startsWith(`${device}-`)).length).toBeGreaterThanOrEqual(2);
  }
  const names = found.map(({ name }) => name.replace(/^virtio[0-9]+-/, ''));
  expect(names).toEqual(expect.arrayContaining(['req.0', 'input.0', 'output.0', 'inflate', 'events', 'control', 'cursor']));

  // Disk: a notification for each request, and next to nothing for its interrupt.
  const accesses = await accessesPerRequest(guest);
  expect(accesses).toBeGreaterThanOrEqual(1);
  expect(accesses).toBeLessThan(2);

  // Each device still does its work, and counts.
  expect(await sh(guest, 'ping -c 3 -w 60 10.0.0.2')).toMatch(/ 3 packets received/);
  await sh(guest, 'dd if=/dev/hwrng of=/dev/null bs=32 count=8 2>/dev/null');
  await guest.guest.balloon(1024);
  await expect.poll(async () => (await guest.guest.balloon())?.actualPages, { timeout: 60_000 }).toBe(1024);
  guest.guest.input({ kind: 'pointer', x: 100, y: 200, wheel: 0, buttons: 0 });
  guest.guest.input({ kind: 'screen-size', width: 800, height: 600 });
  await expect.poll(() => sh(guest, 'cat /sys/class/drm/card0-Virtual-1/modes'), { timeout: 60_000, interval: 500 }).toMatch(/^800x600\r?$/m); // prettier-ignore
  const later = await interrupts(guest);
  const grown = (name: RegExp): number => countOf(later, name) - countOf(found, name);
  expect(grown(/req\.0$/)).toBeGreaterThanOrEqual(PAGES);
  for (const name of [/input\.0$/, /inflate$/, /control$/, /-config$/]) expect(grown(name), String(name)).toBeGreaterThan(0);
  expect(countOf(later, /-events$/)).toBeGreaterThan(0);

  // A snapshot in the middle of requests, and everything goes on from there.
  const sum = /[0-9a-f]{32}/.exec(await sh(guest, BIG_READ))![0];
  guest.send(`${BIG_READ}; echo READ-$((1+1))\n`);
  const before = (await guest.guest.stats()).exits['device-memory'];
  await expect.poll(async () => (await guest.guest.stats()).exits['device-memory'], { timeout: 60_000, interval: 1 }).toBeGreaterThan(before + 20); // prettier-ignore
  const snapshot = join(lab.folder, 'messages.snapshot');
  await guest.guest.save(snapshot, { stop: true });
  await guest.guest.ended;
  expect(guest.output).not.toContain('READ-2');
  await using again = new Console(vmx, { restore: snapshot });
  expect(await again.expect(/READ-2\r?\n/)).toContain(sum);
  expect(await sh(again, 'ping -c 3 -w 60 10.0.0.2')).toMatch(/ 3 packets received/);
  expect(countOf(await interrupts(again), /req\.0$/)).toBeGreaterThan(countOf(later, /req\.0$/));
  const warnings = [guest, again, peer].flatMap((one) => one.warnings);
  expect(warnings.filter((text) => /driver|MSI/.test(text))).toEqual([]);
});

test('a recording of messages plays again', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const vmx = await lab.guestOf('recorded', ...EVERYTHING.slice(0, 2));
  const recording = join(lab.folder, 'messages.rec');
  await using first = await boot(vmx, 3, { timing: { record: recording } });
  await sh(first, 'dd if=/dev/vda bs=16k count=300 2>/dev/null | md5sum; dd if=/dev/hwrng bs=32 count=4 2>/dev/null | md5sum');
  expect((await interrupts(first)).every(({ chip }) => chip.startsWith('PCI-MSI'))).toBe(true);
  first.send('poweroff\n');
  const before = await first.guest.ended;

  await using again = new Console(vmx, { timing: { replay: recording } });
  const after = await again.guest.ended;

  expect(after.end).toEqual({ ...before.end, replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);
  expect(again.output).toBe(first.output);
});

test('a kernel that wants no messages has lines', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const vmx = await lab.guestOf('lines', ...EVERYTHING.slice(0, 3));
  const text = await readFile(vmx, 'latin1');
  await writeFile(vmx, text.replace(/^(tomei\.cmdline = ".*)"$/m, '$1 pci=nomsi"'), 'latin1');
  await using guest = await boot(vmx, 4);

  const found = await interrupts(guest);
  expect(found.length).toBeGreaterThan(0);
  expect(found.every(({ chip }) => /IO-APIC .*fasteoi/.test(chip))).toBe(true);
  expect(await accessesPerRequest(guest)).toBeGreaterThan(3);
});
