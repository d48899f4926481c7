/** disk-service as a process that is killed in the middle of its work: what was flushed is in the file, epochs go on, guests too. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { DisksService } from '@tomei/contracts';
import { openRemoteDisk } from '@tomei/guest';
import { rpcClient } from '@tomei/service';
import { checkVmdk, openVmdk } from '@tomei/vmdk';
import { expect, test } from 'vitest';
import { Bench, MIB, ServiceProcess, pattern, seeded } from './fixture.ts';

const SIZE = 16 * MIB;

test('killed again and again in the midst of writes, the disk has what the guest flushed, and the guest hears of nothing', async () => {
  await using bench = await Bench.start();
  await bench.down();
  await bench.disk('a.vmdk', SIZE);
  const seed = 31_337;
  console.log(`seed ${seed}`);
  const random = seeded(seed);
  let service = await ServiceProcess.start(bench.folder, bench.target);
  const disk = await openRemoteDisk({ target: bench.target, path: 'a.vmdk', guestId: 'g-1', run: 1 });
  const model = Buffer.alloc(SIZE);
  const epochs: number[] = [];
  try {
    for (let kill = 0; kill < 2; kill++) {
      // Written and answered, not flushed; then more, of which some are on their way when the service dies.
      for (let i = 0; i < 30; i++) await write(i);
      const onTheWay = Array.from({ length: 30 }, (_, i) => write(30 + i));
      await service.kill('SIGKILL');
      epochs.push((JSON.parse(await readFile(bench.path('a.vmdk.lease'), 'utf8')) as { epoch: number }).epoch);
      service = await ServiceProcess.start(bench.folder, bench.target);
      await Promise.all(onTheWay);
      await disk.flush();
      // The same moment as a power cut of the whole host but for the pages of its kernel, which survive a process.
      await service.kill('SIGKILL');
      expect(Buffer.compare(await content(bench.path('a.vmdk')), model), `seed ${seed}, after kill ${kill}`).toBe(0);
      service = await ServiceProcess.start(bench.folder, bench.target);
    }
    await disk.close();
  } finally {
    await disk.close().catch(() => undefined);
    await service.kill('SIGTERM');
  }

  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(new Set(epochs).size).toBe(epochs.length);
  expect(Buffer.compare(await content(bench.path('a.vmdk')), model)).toBe(0);
  // Closed in order by its last process; what was under way when the others died may have left grains that nothing points to.
  const { problems } = await checkVmdk(bench.path('a.vmdk'));
  expect(problems.map(({ code }) => code).filter((code) => code !== 'vmdk.orphan-grains')).toEqual([]);
  if (spawnSync('qemu-img', ['--version']).status === 0)
    expect(execFileSync('qemu-img', ['check', bench.path('a.vmdk')], { encoding: 'utf8' })).toContain('No errors');

  /** Each of the sixty slots is a part of the disk of its own, so that those on their way together do not overlap. */
  async function write(slot: number): Promise<void> {
    const offset = (slot * 512 + random(256)) * 512;
    const bytes = pattern(512 * (1 + random(256)), random(1 << 30));
    model.set(bytes, offset);
    await disk.write(offset, bytes);
  }
});

test('an epoch that somebody was told is never given again, whenever the service is killed', async () => {
  await using bench = await Bench.start();
  await bench.down();
  await bench.disk('a.vmdk', MIB);
  const told: number[] = [];
  for (let round = 0; round < 3; round++) {
    const service = await ServiceProcess.start(bench.folder, bench.target);
    const client = rpcClient(DisksService, bench.target);
    // Take-overs as fast as they go, until the service is gone.
    const opening = (async () => {
      for (let i = 0; ; i++) {
        const { epoch } = await client.calls.open({ path: 'a.vmdk', guestId: 'g-1', run: round + 1 });
        told.push(epoch);
        if (i === 7) void service.kill('SIGKILL');
      }
    })();
    await expect(opening).rejects.toMatchObject({ code: 'peer.unavailable' });
    await service.kill('SIGKILL');
    client.close();
  }
  expect(told.length).toBeGreaterThanOrEqual(24);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect(new Set(told).size).toBe(told.length);
});

async function content(path: string): Promise<Buffer> {
  const disk = await openVmdk(path, { readOnly: true });
  try {
    const whole = Buffer.alloc(disk.sizeBytes);
    await disk.read(0, whole);
    return whole;
  } finally {
    await disk.close();
  }
}
