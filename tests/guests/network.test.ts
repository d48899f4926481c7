/**
 * Two guests of one user, each in a process of its own, on one network: Debian's stock kernel with its own e1000 driver. They reach each
 * other, one of them goes on from a snapshot with its network, and one that is replayed hears alone what it heard then.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Console } from './tiny-guest.ts';
import { SLOW, TinyLab, boot, sh, stream } from './tiny-lab.ts';

const lab = TinyLab.forTests();

test('two guests reach each other, and do so again after a snapshot and in a replay', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const [first, second] = [await lab.guestOf('first'), await lab.guestOf('second')];
  const recording = join(lab.folder, 'run.rec'),
    snapshot = join(lab.folder, 'first.snapshot');
  await using a = await boot(first, 1);
  await using b = await boot(second, 2, { timing: { record: recording } });

  expect(await sh(b, 'ping -c 3 -w 60 10.0.0.1')).toMatch(/ 3 packets received/);
  expect(await sh(a, 'ping -c 2 -w 60 -s 5000 10.0.0.2')).toMatch(/ 2 packets received/);
  const [sent, received] = await stream(b, a, '10.0.0.1');
  expect(received).toBe(sent);
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
