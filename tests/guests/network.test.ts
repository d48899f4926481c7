/**
 * Two guests of one user, each in a process of its own, on one network: Debian's stock kernel with its own e1000 driver. They reach each
 * other, one of them goes on from a snapshot with its network, and one that is replayed hears alone what it heard then.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StartOptions } from '@tomei/guest';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Console, buildTiny, copyTiny } from './tiny-guest.ts';

/** Boots on a machine that has much else to do. */
const SLOW = 600_000;
let folder = '';
let unavailable: string | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-lan-'));
  vi.stubEnv('XDG_RUNTIME_DIR', folder);
  try {
    await buildTiny();
  } catch (error) {
    unavailable = String(error);
  }
}, SLOW);
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** A tiny guest with a card on the network, address 10.0.0.`n`. */
async function guestOf(name: string): Promise<string> {
  const { vmx } = await copyTiny(folder, name);
  const text = await readFile(vmx, 'latin1');
  await writeFile(vmx, `${text}ethernet0.present = "TRUE"\nethernet0.networkName = "lan"\n`, 'latin1');
  return vmx;
}
/** Sends a line and returns what it prints. Marks are made by the shell, so that the echo of the line has none. */
async function sh(guest: Console, line: string): Promise<string> {
  guest.send(`${line}; echo do''ne\n`);
  return guest.expect(/done\r?\n/);
}
async function boot(vmx: string, n: number, options: StartOptions = {}): Promise<Console> {
  const guest = new Console(vmx, options);
  await guest.expect(/login:/);
  guest.send('root\n');
  await guest.expect(/# /);
  await sh(guest, `dmesg -n 1; ip addr add 10.0.0.${n}/24 dev eth0; ip link set eth0 up`);
  return guest;
}

test('two guests reach each other, and do so again after a snapshot and in a replay', { timeout: SLOW }, async ({ skip }) => {
  skip(unavailable !== undefined, unavailable);
  const [first, second] = [await guestOf('first'), await guestOf('second')];
  const recording = join(folder, 'run.rec'),
    snapshot = join(folder, 'first.snapshot');
  await using a = await boot(first, 1);
  await using b = await boot(second, 2, { timing: { record: recording } });

  expect(await sh(b, 'ping -c 3 -w 60 10.0.0.1')).toMatch(/ 3 packets received/);
  expect(await sh(a, 'ping -c 2 -w 60 -s 5000 10.0.0.2')).toMatch(/ 2 packets received/);
  a.send(`nc -l -p 99 | md5sum\n`);
  const sum = /^([0-9a-f]{32}) /m;
  const sent = sum.exec(await sh(b, 'md5sum < /bin/busybox; sleep 1; nc -w 20 10.0.0.1 99 < /bin/busybox'))![1];
  expect((await a.expect(sum)).slice(-33).trim()).toBe(sent);
  const { frames } = await b.guest.stats();
  expect(frames!.sent).toBeGreaterThan(500);

  b.send('poweroff\n');
  const before = await b.guest.ended;
  await using again = new Console(second, { timing: { replay: recording } });
  const after = await again.guest.ended;
  expect(after.end).toEqual({ ...before.end, replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);
  expect(again.output).toBe(b.output);

  await a.guest.save(snapshot, { stop: true });
  await a.guest.ended;
  await using b2 = await boot(second, 2);
  await using a2 = new Console(first, { restore: snapshot });
  a2.send('\n');
  await a2.expect(/# /);
  expect(await sh(a2, 'ping -c 3 -w 60 10.0.0.2')).toMatch(/ 3 packets received/);

  // Whoever dies without a word leaves the others as they are.
  b2.guest.kill();
  await b2.guest.ended.catch(() => undefined);
  expect(await sh(a2, 'ping -c 2 -w 3 10.0.0.2')).toMatch(/100% packet loss/);
  expect([...a.warnings, ...b.warnings, ...a2.warnings].filter((text) => /network/.test(text))).toEqual([]);
});
