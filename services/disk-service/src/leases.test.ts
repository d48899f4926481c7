/** Who may do what with which disk, told over gRPC by clients that play by no rules. Time is the service's own and stands still. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import type { Init, OpenRequest } from '@tomei/contracts';
import { lockHolder, openVmdk } from '@tomei/vmdk';
import { describe, expect, test } from 'vitest';
import { Bench, MIB, RawClient, codeOf, pattern } from './fixture.ts';
import { LEASE_TTL_MS } from './service.ts';

/** Opens as the first run of the first guest; closed with the bench. */
async function open(bench: Bench, request: Init<OpenRequest> = {}): Promise<RawClient> {
  const client = bench.own(await RawClient.open(bench, request));
  bench.clients.push(client);
  return client;
}
const opening = (bench: Bench, request: Init<OpenRequest> = {}): Promise<string> => codeOf(open(bench, request));
const kept = async (bench: Bench): Promise<unknown> => JSON.parse(await readFile(bench.path('a.vmdk.lease'), 'utf8'));

/** Breaks every stream, and waits until the service has heard of it: then the time of a lease runs. */
async function loseStreams(bench: Bench): Promise<void> {
  const over = (): boolean => bench.logged.some(({ message }) => message === 'a stream is over');
  bench.clients.forEach((client) => client.close());
  // A call that does nothing, as often as it takes: each lets the service hear what came before.
  while (!over()) await bench.disks().calls.close({ leaseId: 'none', epoch: 1 });
}

describe('one disk, two guests', () => {
  test('the second is told who has it, until it is given back', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const first = await open(bench, { guestName: 'mail' });

    await expect(open(bench, { guestId: 'g-2' })).rejects.toMatchObject({
      code: 'disk.leased',
      message: expect.stringContaining('guest "mail" (g-1), run 1') as string,
      retryable: true,
    });
    const { leaseId, epoch } = first.lease;
    await bench.disks().calls.close({ leaseId, epoch });

    expect((await open(bench, { guestId: 'g-2' })).lease.epoch).toBe(2);
    expect((await first.write(0, new Uint8Array(512))).code).toBe('disk.unknown-lease');
  });
  test('many who open at once get one lease between them', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const codes = await Promise.all(Array.from({ length: 12 }, (_, i) => opening(bench, { guestId: `g-${i}` })));
    expect(codes.toSorted()).toEqual([...Array.from({ length: 11 }, () => 'disk.leased'), 'ok']);
  });
  test('a link to a disk is the same disk', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await symlink('a.vmdk', bench.path('b.vmdk'));
    await open(bench);
    expect(await opening(bench, { path: 'b.vmdk', guestId: 'g-2' })).toBe('disk.leased');
  });
});

describe('a later run of the same guest', () => {
  test('takes the disk over under a new epoch, and the earlier one is refused for good', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const first = await open(bench);
    await first.write(0, pattern(512, 1));

    const second = await open(bench, { run: 2 });

    expect(second.lease.epoch).toBe(first.lease.epoch + 1);
    expect((await first.write(0, pattern(512, 2))).code).toBe('disk.stale-lease');
    expect((await first.read(0, 512)).code).toBe('disk.stale-lease');
    expect((await first.ask({ flush: {} })).code).toBe('disk.stale-lease');
    expect((await first.ask({ renew: {} })).code).toBe('disk.stale-lease');
    expect((await second.read(0, 512)).data).toEqual(Buffer.from(pattern(512, 1)));
    expect(await opening(bench, { resumeEpoch: first.lease.epoch })).toBe('disk.stale-lease');
    expect(await opening(bench, { run: 1 })).toBe('disk.leased');
  });
  test('lets requests in flight end first: each of them is either done before, or refused', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const first = await open(bench);
    // 64 writes of one byte value each; the take-over comes in their midst.
    const writes = Array.from({ length: 64 }, (_, i) => first.write(i * 65_536, new Uint8Array(65_536).fill(i + 1)));
    const second = await open(bench, { run: 2 });
    const seen = await Promise.all(writes.map((_, i) => second.read(i * 65_536, 65_536)));
    // Whatever of the first still arrives comes too late to change what the second has seen.
    const codes = (await Promise.all(writes)).map(({ code }) => code);
    const later = await Promise.all(writes.map((_, i) => second.read(i * 65_536, 65_536)));

    expect(codes.filter((code) => code !== 'ok' && code !== 'disk.stale-lease')).toEqual([]);
    codes.forEach((code, i) => {
      const expected = Buffer.alloc(65_536, code === 'ok' ? i + 1 : 0);
      expect(Buffer.compare(seen[i]!.data, expected)).toBe(0);
      expect(Buffer.compare(later[i]!.data, expected)).toBe(0);
    });
  });
  test('is not overtaken by an earlier one, even when it has given the disk back', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const { lease } = await open(bench, { run: 5 });
    await bench.disks().calls.close(lease);
    expect(await opening(bench, { run: 4 })).toBe('disk.stale-lease');
    expect(await opening(bench, { run: 5 })).toBe('ok');
  });
  test('a new process of the same run takes over as well', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const first = await open(bench);
    const second = await open(bench);
    expect(second.lease.epoch).toBe(2);
    expect((await first.write(0, new Uint8Array(512))).code).toBe('disk.stale-lease');
    expect(await opening(bench, { resumeEpoch: 1 })).toBe('disk.stale-lease');
  });
});

describe('a client that comes back', () => {
  test('keeps its lease under a new epoch, and what was still on its way is refused', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const first = await open(bench);
    const again = await open(bench, { resumeEpoch: 1 });

    expect(again.lease).toMatchObject({ leaseId: first.lease.leaseId, epoch: 2, instanceId: first.lease.instanceId });
    expect((await first.write(0, new Uint8Array(512))).code).toBe('disk.stale-lease');
    expect((await again.write(0, new Uint8Array(512))).code).toBe('ok');
    // An answer that got lost: the epoch that it knows is older than the last one, and still its own.
    expect((await open(bench, { resumeEpoch: 1 })).lease.epoch).toBe(3);
  });
  test('after its lease ran out gets another, if nobody has had the disk since', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await (await open(bench)).ask({ renew: {} });
    await loseStreams(bench);
    await bench.pass(LEASE_TTL_MS);
    expect(await lockHolder(bench.path('a.vmdk'))).toBeUndefined();

    expect((await open(bench, { resumeEpoch: 1 })).lease.epoch).toBe(2);
  });
  test('is refused for good when somebody else has had the disk, though it is free again', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await (await open(bench)).ask({ renew: {} });
    await loseStreams(bench);
    await bench.pass(LEASE_TTL_MS);
    const other = await open(bench, { guestId: 'g-2' });
    await bench.disks().calls.close(other.lease);

    expect(await opening(bench, { resumeEpoch: 1 })).toBe('disk.stale-lease');
    expect(await opening(bench)).toBe('ok');
  });
});

describe('a lease that is not heard of', () => {
  test('runs out: the disk is flushed and closed, and given to others', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const first = await open(bench);
    await first.write(0, pattern(512, 3));
    await loseStreams(bench);

    await bench.pass(LEASE_TTL_MS - 1);
    expect(await opening(bench, { guestId: 'g-2' })).toBe('disk.leased');
    await bench.pass(1);

    const second = await open(bench, { guestId: 'g-2' });
    expect((await second.read(0, 512)).data).toEqual(Buffer.from(pattern(512, 3)));
    const late = bench.own(new RawClient(bench.disks(), first.lease));
    expect((await late.write(0, new Uint8Array(512))).code).toBe('disk.unknown-lease');
  });
  test('is kept by its stream for as long as that is there', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const first = await open(bench);
    await first.ask({ renew: {} });
    await bench.pass(100 * LEASE_TTL_MS);
    expect((await first.write(0, new Uint8Array(512))).code).toBe('ok');
    expect(await opening(bench, { guestId: 'g-2' })).toBe('disk.leased');
  });
  test('that was never used runs out as well', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await bench.disks().calls.open({ path: 'a.vmdk', guestId: 'g-1', run: 1 });
    await bench.pass(LEASE_TTL_MS);
    expect(await opening(bench, { guestId: 'g-2' })).toBe('ok');
  });
});

describe('readers', () => {
  test('share a disk and keep writers out, as a writer keeps them out', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const readers = [await open(bench, { readOnly: true }), await open(bench, { guestId: 'g-2', readOnly: true })];

    expect(readers.map(({ lease }) => lease.readOnly)).toEqual([true, true]);
    expect((await readers[1]!.write(0, new Uint8Array(512))).code).toBe('disk.read-only');
    expect(await opening(bench, { guestId: 'g-3' })).toBe('disk.leased');
    for (const { lease } of readers) await bench.disks().calls.close(lease);
    await open(bench, { guestId: 'g-3' });
    expect(await opening(bench, { readOnly: true })).toBe('disk.leased');
  });
});

describe('epochs', () => {
  test('are kept beside the disk before anybody is told', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await open(bench);
    expect(await kept(bench)).toEqual({ epoch: 1, since: 1, guestId: 'g-1', guestName: '', run: 1, held: true });
  });
  test('go on when the service is another process, and its holder gets the disk before others', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await open(bench);
    await bench.down();
    await bench.up();

    expect(await opening(bench, { guestId: 'g-2' })).toBe('disk.leased');
    expect((await open(bench, { resumeEpoch: 1 })).lease.epoch).toBe(2);
  });
  test('others get it when its holder has not come back in the time of a lease', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await open(bench);
    await bench.down();
    await bench.up();
    await bench.pass(LEASE_TTL_MS);
    expect((await open(bench, { guestId: 'g-2' })).lease.epoch).toBe(2);
    expect(await opening(bench, { resumeEpoch: 1 })).toBe('disk.stale-lease');
  });
  test.each(['', '{', '{"epoch":0}', '{"epoch":1,"since":1,"guestId":"g","run":1,"held":true,"more":1}', '\0'])(
    'a file %j that says nothing about them is no reason to begin anew',
    async (text) => {
      await using bench = await Bench.start();
      await bench.disk();
      await writeFile(bench.path('a.vmdk.lease'), text);
      expect(await opening(bench)).toBe('disk.bad-lease-file');
      expect(await lockHolder(bench.path('a.vmdk'))).toBeUndefined();
    },
  );
});

test.each([
  ['a disk that is not there', { path: 'b.vmdk' }, 'disk.missing'],
  ['a folder', { path: 'folder' }, 'disk.io'],
  ['a way out', { path: '../a.vmdk' }, 'pool.bad-path'],
  ['a guest without a name', { guestId: '' }, 'guest.bad-id'],
  ['a guest of a bad name', { guestId: '../g' }, 'guest.bad-id'],
])('refuses %s', async (_, request, code) => {
  await using bench = await Bench.start();
  await bench.disk();
  await mkdir(bench.path('folder'));
  expect(await opening(bench, request)).toBe(code);
  expect(await bench.metric(/^tomei_disk_refused_total\{/)).toEqual([
    `tomei_disk_refused_total{code="${code}",service="disk-service"} 1`,
  ]);
});
test('a disk that a program of this host writes is left alone', async () => {
  await using bench = await Bench.start();
  await bench.disk();
  const mine = await openVmdk(bench.path('a.vmdk'));
  expect(await opening(bench)).toBe('disk.locked');
  await mine.close();
  expect(await opening(bench)).toBe('ok');
});
test('the end of the service flushes and closes every disk', async () => {
  await using bench = await Bench.start();
  const names = ['a.vmdk', 'b.vmdk', 'c.vmdk'];
  for (const name of names) await bench.disk(name, MIB);
  for (const path of names) await (await open(bench, { path })).write(0, pattern(512, 9));
  await bench.down();
  for (const name of names) {
    const disk = await openVmdk(bench.path(name));
    const into = new Uint8Array(512);
    await disk.read(0, into);
    expect(disk.warnings).toEqual([]);
    expect(into).toEqual(pattern(512, 9));
    await disk.close();
  }
});
