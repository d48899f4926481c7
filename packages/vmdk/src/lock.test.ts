import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { createVmdk } from './create.ts';
import { openVmdk } from './disk.ts';
import { scratch } from './fixture.ts';
import { DiskLock, lockHolder } from './lock.ts';

const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const stale = { pid: 2 ** 22 + 1, host: hostname(), boot, started: '1', id: 'x' }; // beyond the largest process number

describe('the lock of a disk', () => {
  it('keeps a second writer out, by whatever name, and lets readers in', async () => {
    using dir = scratch();
    await createVmdk(dir.path('d.vmdk'), { sizeBytes: 1 << 20 });
    symlinkSync(dir.path('d.vmdk'), dir.path('link.vmdk'));
    const disk = await openVmdk(dir.path('d.vmdk'));

    const refused = expect.stringContaining(`in use by process ${process.pid} on ${hostname()}`) as string;
    await expect(openVmdk(dir.path('d.vmdk'))).rejects.toMatchObject({ code: 'disk.locked', message: refused });
    await expect(openVmdk(dir.path('link.vmdk'))).rejects.toMatchObject({ code: 'disk.locked' });
    await (await openVmdk(dir.path('d.vmdk'), { readOnly: true })).close();
    expect(await lockHolder(dir.path('d.vmdk'))).toMatchObject({ alive: true, holder: { pid: process.pid } });

    await disk.close();
    expect(readdirSync(dir.directory).sort()).toEqual(['d.vmdk', 'link.vmdk']);
    await (await openVmdk(dir.path('link.vmdk'))).close();
  });

  it('is given to exactly one of many who come at once, also when it was left by the dead', async () => {
    using dir = scratch();
    for (const left of [undefined, stale]) {
      if (left !== undefined) writeFileSync(dir.path('d.lck'), JSON.stringify(left));
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => DiskLock.acquire(dir.path('d'))));
      const won = results.filter((r) => r.status === 'fulfilled');
      expect(won.length).toBe(1);
      for (const r of results) if (r.status === 'rejected') expect(r.reason).toMatchObject({ code: 'disk.locked' });
      await won[0]!.value.release();
      expect(readdirSync(dir.directory)).toEqual([]);
    }
  });

  it.each([
    ['a process that is gone', stale],
    ['an earlier boot', { ...stale, pid: process.pid, boot: 'other' }],
    ['an earlier process with our number', { ...stale, pid: process.pid, started: '1' }],
  ])('is taken over from %s, with a notice', async (_, holder) => {
    using dir = scratch();
    writeFileSync(dir.path('d.lck'), JSON.stringify(holder));
    const lock = await DiskLock.acquire(dir.path('d'));
    expect(lock.notice).toContain(`took over the lock of process ${holder.pid}, which is gone`);
    await lock.release();
  });

  it.each([
    ['a process of another host', JSON.stringify({ ...stale, host: 'elsewhere' }), 'in use by process'],
    ['something else', 'M12345.lck', 'locked by another program'],
    ['nothing', '', 'locked by another program'],
    ['JSON that is no lock', '[1]', 'locked by another program'],
    ['null', 'null', 'locked by another program'],
  ])('is respected when it is of %s', async (_, content, message) => {
    using dir = scratch();
    writeFileSync(dir.path('d.lck'), content);
    await expect(DiskLock.acquire(dir.path('d'))).rejects.toMatchObject({
      code: 'disk.locked',
      message: expect.stringContaining(message) as string,
    });
    expect(readFileSync(dir.path('d.lck'), 'utf8')).toBe(content);
  });

  it("respects VMware's own, which is a directory", async () => {
    using dir = scratch();
    mkdirSync(dir.path('d.lck'));
    await expect(DiskLock.acquire(dir.path('d'))).rejects.toMatchObject({ code: 'disk.locked' });
  });
});
