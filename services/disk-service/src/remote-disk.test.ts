/** A guest's side of a disk against a real service: what it makes of lost connections, of restarts, and of being overtaken. */
import { rm, writeFile } from 'node:fs/promises';
import { openRemoteDisk, type RemoteDisk, type RemoteDiskOptions } from '@tomei/guest';
import { openVmdk } from '@tomei/vmdk';
import { describe, expect, test } from 'vitest';
import { Bench, MIB, codeOf, pattern, seeded } from './fixture.ts';

/** Closed with the bench, whatever closing says. */
async function open(bench: Bench, options: Partial<RemoteDiskOptions> = {}): Promise<RemoteDisk> {
  const disk = await openRemoteDisk({ target: bench.target, path: 'a.vmdk', guestId: 'g-1', run: 1, ...options });
  bench.own({ close: () => disk.close().catch(() => undefined) });
  return disk;
}
async function read(disk: Pick<RemoteDisk, 'read'>, offset: number, length: number): Promise<Buffer> {
  const into = Buffer.alloc(length);
  await disk.read(offset, into);
  return into;
}
/** What is in the file itself. */
async function inFile(bench: Bench, offset: number, length: number): Promise<Buffer> {
  const disk = await openVmdk(bench.path('a.vmdk'), { readOnly: true });
  try {
    return await read(disk, offset, length);
  } finally {
    await disk.close();
  }
}

describe('a remote disk', () => {
  test('is the disk: what is written and flushed is in the file', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    const bytes = pattern(3 * MIB, 1);
    await disk.write(512, bytes);
    await disk.flush();

    expect(disk.sizeBytes).toBe(16 * MIB);
    expect(Buffer.compare(await inFile(bench, 512, 3 * MIB), bytes)).toBe(0);
    expect(Buffer.compare(await read(disk, 512, 3 * MIB), bytes)).toBe(0);
  });
  test('takes and fills shared memory, and keeps what was in it when the write was asked for', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    const memory = new Uint8Array(new SharedArrayBuffer(8192));
    memory.fill(1, 0, 4096);
    const written = disk.write(0, memory.subarray(0, 4096));
    memory.fill(2, 0, 4096);
    await written;
    await disk.read(0, memory.subarray(4096));
    expect([...new Set(memory.subarray(4096))]).toEqual([1]);
  });
  test('a seeded workload of many requests in flight leaves what a model of the disk says', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    await workload(disk, { seed: 20_061_101, rounds: 60, sizeBytes: 16 * MIB });
  });
  test.each([
    [0, 100],
    [1, 512],
    [16 * MIB, 512],
    [-512, 512],
  ])('refuses %i, %i without asking anybody', async (offset, length) => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    expect(await codeOf(disk.read(offset, new Uint8Array(length)))).toBe('disk.out-of-range');
    expect(await codeOf(disk.write(offset, new Uint8Array(length)))).toBe('disk.out-of-range');
    expect(await bench.metric(/^tomei_disk_refused_total\{/)).toEqual([]);
  });
  test('names its content as a disk of this host does', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    await disk.write(0, pattern(512, 1));
    const id = await disk.pinContentId();
    await disk.close();
    const local = await openVmdk(bench.path('a.vmdk'));
    expect(await local.pinContentId()).toBe(id);
    await local.close();
  });
  test('gives its lease back when it is closed, and is closed for good', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    await Promise.all([disk.close(), disk.close()]);
    expect(await codeOf(disk.read(0, new Uint8Array(512)))).toBe('disk.closed');
    expect(await codeOf(open(bench, { guestId: 'g-2' }))).toBe('ok');
  });
  test('read-only disks are shared and refuse writes', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disks = [await open(bench, { readOnly: true }), await open(bench, { guestId: 'g-2', readOnly: true })];
    for (const disk of disks) {
      expect(await codeOf(disk.write(0, new Uint8Array(512)))).toBe('disk.read-only');
      expect(await codeOf(disk.flush())).toBe('ok');
      expect(await read(disk, 0, 512)).toEqual(Buffer.alloc(512));
    }
  });
  test.each([
    ['a disk that is not there', { path: 'b.vmdk' }, 'disk.missing'],
    ['a way out of the pool', { path: '../a.vmdk' }, 'pool.bad-path'],
    ['a file that is no disk', { path: 'text.vmdk' }, 'vmdk.descriptor'],
    ['a service that is not there', { target: 'unix:/nowhere/service.sock', ioTimeoutMs: 50 }, 'disk.unreachable'],
  ])('%s is an error at once', async (_, options, code) => {
    await using bench = await Bench.start();
    await writeFile(bench.path('text.vmdk'), 'version=9\n');
    expect(await codeOf(open(bench, options))).toBe(code);
  });
});

describe('reading ahead', () => {
  test('asks for more than it was asked for, and the guest reads the same bytes', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const bytes = pattern(8 * MIB, 4);
    const disk = await open(bench);
    await disk.write(0, bytes);
    for (let at = 0; at < bytes.length; at += 4096)
      expect(Buffer.compare(await read(disk, at, 4096), bytes.subarray(at, at + 4096))).toBe(0);
    const [requests] = await bench.metric(/^tomei_disk_requests_total\{kind="read"/);
    expect(Number(requests!.split(' ')[1])).toBeLessThan(100);
  });
  test('never gives what was there before a write or a discard', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    const random = seeded(5);
    const model = Buffer.from(pattern(4 * MIB, 5));
    await disk.write(0, model);
    for (let at = 0; at < model.length - 65_536; at += 65_536) {
      expect(Buffer.compare(await read(disk, at, 65_536), model.subarray(at, at + 65_536))).toBe(0);
      // Into what has most likely been read ahead by now.
      const change = Math.min(at + 65_536 + 512 * random(512), model.length - 4096);
      const bytes = pattern(4096, at);
      model.set(bytes, change);
      await disk.write(change, bytes);
    }
    await disk.discard(2 * MIB, MIB);
    expect(Buffer.compare(await read(disk, 2 * MIB, MIB), Buffer.alloc(MIB))).toBe(0);
  });
});

describe('a connection that breaks', () => {
  test('is made again, and requests on their way are asked for again', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    const writes: Promise<void>[] = [];
    for (let i = 0; i < 40; i++) writes.push(disk.write(i * 65_536, pattern(65_536, i)));
    await bench.down();
    const later = Array.from({ length: 40 }, (_, i) => disk.write((40 + i) * 65_536, pattern(65_536, 40 + i)));
    await bench.up();
    await Promise.all([...writes, ...later]);
    await disk.flush();
    for (let i = 0; i < 80; i++)
      expect(Buffer.compare(await inFile(bench, i * 65_536, 65_536), pattern(65_536, i))).toBe(0);
  });
  test('that is not back in time fails what waits; when it is back, the disk works again and has lost nothing', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const warnings: string[] = [];
    const disk = await open(bench, { ioTimeoutMs: 300, onWarning: (text) => warnings.push(text) });
    await disk.write(0, pattern(512, 1));
    await bench.down();

    const waiting = [disk.read(0, new Uint8Array(512)), disk.write(512, pattern(512, 2)), disk.flush()];
    expect(await Promise.all(waiting.map(codeOf))).toEqual(Array.from(waiting, () => 'disk.unreachable'));
    await bench.up();
    while ((await codeOf(disk.flush())) !== 'ok') await new Promise((resolve) => setTimeout(resolve, 5));

    expect(await inFile(bench, 0, 512)).toEqual(Buffer.from(pattern(512, 1)));
    expect(warnings).toEqual([
      expect.stringMatching(/^a\.vmdk: disk-service at .* is lost/) as string,
      expect.stringMatching(/^a\.vmdk: disk-service is back after/) as string,
    ]);
  });
  test('a disk that another run has taken meanwhile is lost for good', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench, { ioTimeoutMs: 5_000 });
    await disk.write(0, pattern(512, 1));
    const next = await open(bench, { run: 2 });
    await next.write(0, pattern(512, 2));

    expect(await codeOf(disk.write(0, pattern(512, 3)))).toBe('disk.stale-lease');
    expect(await codeOf(disk.read(0, new Uint8Array(512)))).toBe('disk.stale-lease');
    expect(await codeOf(disk.flush())).toBe('disk.stale-lease');
    expect(await codeOf(disk.close())).toBe('disk.stale-lease');
    expect(await read(next, 0, 512)).toEqual(Buffer.from(pattern(512, 2)));
  });
  test('what was not flushed is not written over what another guest wrote meanwhile', async () => {
    await using bench = await Bench.start({ leaseTtlMs: 1_000 });
    await bench.disk();
    const disk = await open(bench, { ioTimeoutMs: 30_000 });
    await disk.write(0, pattern(512, 1));
    await bench.down();
    // The service is back elsewhere first: the guest does not find it.
    await bench.up({ bind: `${bench.target}2` });
    await bench.pass(1_000);
    const other = await open(bench, { target: `${bench.target}2`, guestId: 'g-2' });
    await other.write(0, pattern(512, 2));
    await other.close();
    await bench.down();
    await bench.up({ bind: bench.target });

    expect(await codeOf(disk.flush())).toBe('disk.stale-lease');
    expect(await inFile(bench, 0, 512)).toEqual(Buffer.from(pattern(512, 2)));
  });
  test('a disk that has another size when it comes back is not the same', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const disk = await open(bench);
    await bench.down();
    await rm(bench.path('a.vmdk'));
    await bench.disk('a.vmdk', 8 * MIB);
    await bench.up();
    expect(await codeOf(disk.read(0, new Uint8Array(512)))).toBe('disk.changed');
  });
});

test('a guest that never flushes does not make the process grow: it is flushed on the way', async () => {
  await using bench = await Bench.start();
  await bench.disk('a.vmdk', 128 * MIB);
  const disk = await open(bench);
  const bytes = pattern(MIB, 1);
  for (let at = 0; at < 100; at++) await disk.write(at * MIB, bytes);
  const [flushes] = await bench.metric(/^tomei_disk_requests_total\{kind="flush"/);
  expect(Number(flushes!.split(' ')[1])).toBeGreaterThanOrEqual(3);
});

/** Writes, discards, reads and flushes at random places, several at once, beside a model in memory; what is read must be the model's. */
async function workload(
  disk: RemoteDisk,
  { seed, rounds, sizeBytes }: { seed: number; rounds: number; sizeBytes: number },
): Promise<Buffer> {
  const random = seeded(seed);
  const model = Buffer.alloc(sizeBytes);
  const sectors = sizeBytes / 512;
  for (let round = 0; round < rounds; round++) {
    // Within a round no two requests overlap: each has a sixteenth of the disk.
    const work = Array.from({ length: 16 }, async (_, part) => {
      const offset = (part * (sectors / 16) + random(sectors / 32)) * 512;
      const length = 512 * (1 + random(300));
      const kind = random(8);
      if (kind < 5) {
        const bytes = pattern(length, round * 16 + part);
        model.set(bytes, offset);
        await disk.write(offset, bytes);
      } else if (kind < 7) {
        expect(
          Buffer.compare(await read(disk, offset, length), model.subarray(offset, offset + length)),
          `seed ${seed}`,
        ).toBe(0);
      } else await disk.flush();
    });
    await Promise.all(work);
  }
  await disk.flush();
  expect(Buffer.compare(await read(disk, 0, sizeBytes), model), `seed ${seed}`).toBe(0);
  return model;
}
