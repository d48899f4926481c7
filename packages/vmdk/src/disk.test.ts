import { copyFileSync, readdirSync, statSync, writeFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { checkVmdk } from './check.ts';
import { createVmdk, VMDK_TYPES } from './create.ts';
import { openRaw, openVmdk, type VmdkDisk } from './disk.ts';
import { pattern, scratch, seeded } from './fixture.ts';
import { lockPath } from './lock.ts';

const MiB = 1 << 20;
const readAll = async (disk: VmdkDisk): Promise<Uint8Array> => {
  const bytes = new Uint8Array(disk.sizeBytes);
  await disk.read(0, bytes);
  return bytes;
};

const isZero = (bytes: Uint8Array): boolean => Buffer.compare(bytes, new Uint8Array(bytes.length)) === 0;

describe.each(VMDK_TYPES)('a %s disk', (type) => {
  it('reads as zeros when it is new, and is clean', async () => {
    using dir = scratch();
    await createVmdk(dir.path('d.vmdk'), { sizeBytes: 3 * MiB + 512, type });
    const disk = await openVmdk(dir.path('d.vmdk'));

    expect(disk).toMatchObject({ sizeBytes: 3 * MiB + 512, readOnly: false, createType: type, warnings: [] });
    expect(isZero(await readAll(disk))).toBe(true);

    await disk.close();
    expect(await checkVmdk(dir.path('d.vmdk'))).toMatchObject({ ok: true, problems: [], grains: 0 });
  });

  it('agrees with a model under random requests, several in flight, and after reopening', async () => {
    const size = 5 * MiB - 512;
    const request = fc.record({
      kind: fc.constantFrom('read', 'write', 'write', 'zero', 'flush', 'reopen'),
      sector: fc.nat(size / 512 - 1),
      sectors: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 100, max: 600 })),
      seed: fc.nat(0xffff),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(request, { maxLength: 6 }), { maxLength: 8 }), async (rounds) => {
        using dir = scratch();
        const model = new Uint8Array(size);
        await createVmdk(dir.path('d.vmdk'), { sizeBytes: size, type });
        let disk = await openVmdk(dir.path('d.vmdk'));
        for (const round of rounds) {
          const touched: [number, number][] = [];
          const before = model.slice();
          const checks: (() => void)[] = [];
          const work = round.map(async ({ kind, sector, sectors, seed }) => {
            const offset = sector * 512;
            const length = Math.min(sectors * 512, size - offset);
            // Requests of one round do not overlap: their order would be open.
            const free = touched.every(([from, to]) => offset + length <= from || offset >= to);
            if (kind === 'flush') return disk.flush();
            if (kind === 'reopen' || !free) return;
            touched.push([offset, offset + length]);
            if (kind === 'read') {
              const into = new Uint8Array(length).fill(0xee);
              checks.push(() => expect(into).toEqual(before.subarray(offset, offset + length)));
              return disk.read(offset, into);
            }
            const data = kind === 'zero' ? new Uint8Array(length) : pattern(length, seed);
            model.set(data, offset);
            return disk.write(offset, data);
          });
          await Promise.all(work);
          for (const check of checks) check();
          if (!round.some((r) => r.kind === 'reopen')) continue;
          await disk.close();
          disk = await openVmdk(dir.path('d.vmdk'));
        }
        expect(Buffer.compare(await readAll(disk), model)).toBe(0);
        await disk.close();
        expect(await checkVmdk(dir.path('d.vmdk'))).toMatchObject({ problems: [] });
      }),
      { numRuns: 15 },
    );
  });

  it('has everything that was flushed in a copy taken at any later moment', async () => {
    using dir = scratch();
    await createVmdk(dir.path('d.vmdk'), { sizeBytes: 4 * MiB, type });
    const disk = await openVmdk(dir.path('d.vmdk'), { saveAfterMs: 0 });
    await disk.write(700 * 512, pattern(300 * 512, 1));
    await disk.flush();
    await disk.write(2 * MiB, pattern(MiB, 2));

    using copy = scratch();
    for (const name of readdirSync(dir.directory)) copyFileSync(dir.path(name), copy.path(name));
    const again = await openVmdk(copy.path('d.vmdk'), { readOnly: true });
    const bytes = new Uint8Array(300 * 512);
    await again.read(700 * 512, bytes);

    expect(bytes).toEqual(pattern(300 * 512, 1));
    expect((await checkVmdk(copy.path('d.vmdk'))).ok).toBe(true);
    await again.close();
    await disk.close();
  });

  it('reads into and writes from shared memory', async () => {
    using dir = scratch();
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
    const shared = (at: number): Uint8Array => new Uint8Array(memory.buffer, at, 65536 + 1024);
    shared(100).set(pattern(65536 + 1024, 3));
    await createVmdk(dir.path('d.vmdk'), { sizeBytes: MiB, type });
    const disk = await openVmdk(dir.path('d.vmdk'));

    await disk.write(512, shared(100));
    await disk.read(512, shared(100_001));

    expect(Uint8Array.from(shared(100_001))).toEqual(pattern(65536 + 1024, 3));
    await disk.close();
  });

  it('refuses ranges that are not sectors of the disk, and everything after close', async () => {
    using dir = scratch();
    await createVmdk(dir.path('d.vmdk'), { sizeBytes: MiB, type });
    const disk = await openVmdk(dir.path('d.vmdk'));
    for (const [offset, length] of [
      [1, 512],
      [0, 511],
      [MiB, 512],
      [-512, 512],
      [MiB - 512, 1024],
      [Number.NaN, 512],
    ] as const) {
      await expect(disk.read(offset, new Uint8Array(length))).rejects.toMatchObject({ code: 'disk.out-of-range' });
      await expect(disk.write(offset, new Uint8Array(length))).rejects.toMatchObject({ code: 'disk.out-of-range' });
      await expect(disk.discard(offset, length)).rejects.toMatchObject({ code: 'disk.out-of-range' });
    }

    await disk.close();
    await disk.close();

    await expect(disk.read(0, new Uint8Array(512))).rejects.toMatchObject({ code: 'disk.closed' });
  });

  it('refuses to write when it is open for reading, and takes no lock', async () => {
    using dir = scratch();
    await createVmdk(dir.path('d.vmdk'), { sizeBytes: MiB, type });
    const before = readdirSync(dir.directory);
    const disk = await openVmdk(dir.path('d.vmdk'), { readOnly: true });

    await expect(disk.write(0, new Uint8Array(512))).rejects.toMatchObject({ code: 'disk.read-only' });
    await expect(disk.discard(0, 512)).rejects.toMatchObject({ code: 'disk.read-only' });
    expect(readdirSync(dir.directory)).toEqual(before);
    await disk.close();
  });
});

describe('a sparse disk', () => {
  it('grows by what is written, not by zeros', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: 100 * MiB });
    const empty = statSync(path).size;
    const disk = await openVmdk(path);
    await disk.write(0, new Uint8Array(20 * MiB));
    expect(statSync(path).size).toBe(empty);
    await disk.write(33 * MiB, pattern(512, 1));
    await disk.close();
    expect(statSync(path).size).toBe(empty + 65536);
  });

  it('serves many small writes to one new grain at once', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: MiB });
    const disk = await openVmdk(path);
    const data = pattern(65536, 4);

    await Promise.all(
      Array.from({ length: 128 }, (_, i) => disk.write(i * 512, data.subarray(i * 512, i * 512 + 512))),
    );

    expect((await readAll(disk)).subarray(0, 65536)).toEqual(data);
    await disk.close();
    expect(await checkVmdk(path)).toMatchObject({ problems: [], grains: 1 });
  });

  it('uses discarded grains again', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: 8 * MiB });
    const disk = await openVmdk(path, { saveAfterMs: 0 });
    await disk.write(0, pattern(MiB, 1));
    await disk.flush();
    const size = statSync(path).size;

    await disk.discard(512, MiB - 1024); // all grains but the first and the last, which are not covered as a whole
    const rest = new Uint8Array(MiB);
    await disk.read(0, rest);
    await disk.flush();
    for (let i = 0; i < 14; i++) await disk.write(4 * MiB + i * 65536, pattern(65536, 50 + i));
    await disk.close();

    expect(rest.subarray(65536, MiB - 65536).every((b) => b === 0)).toBe(true);
    expect(rest.subarray(0, 65536)).toEqual(pattern(MiB, 1).subarray(0, 65536));
    expect(statSync(path).size).toBe(size);
    expect(await checkVmdk(path)).toMatchObject({ problems: [], grains: 16 });
  });

  it('is marked as in use from the first write to the close, with a new content id', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: MiB });
    const cid = () => /^CID=(\w+)$/m.exec(readFileSync(path, 'latin1'))![1];
    const unclean = () => readFileSync(path)[72];
    const first = cid();
    const disk = await openVmdk(path);
    await disk.read(0, new Uint8Array(512));
    expect([unclean(), cid()]).toEqual([0, first]);

    await disk.write(0, pattern(512, 1));
    const second = cid();
    await disk.write(0, pattern(512, 2));

    expect(unclean()).toBe(1);
    expect(second).not.toBe(first);
    expect(cid()).toBe(second);
    await disk.close();
    expect(unclean()).toBe(0);
  });

  it('gives a content id for the disk as it is, which the next write ends', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: MiB });
    const cid = () => /^CID=(\w+)$/m.exec(readFileSync(path, 'latin1'))![1];
    const disk = await openVmdk(path);
    await disk.write(0, pattern(512, 1));

    const pinned = await disk.pinContentId();

    expect(pinned).toBe(cid());
    expect(await disk.pinContentId()).toBe(pinned);
    await disk.write(0, pattern(512, 2));
    expect(cid()).not.toBe(pinned);
    expect(await disk.pinContentId()).toBe(cid());
    await disk.close();
    const again = await openVmdk(path);
    expect(await again.pinContentId()).toBe(cid());
    await again.close();
  });

  it('saves pointers by itself for a guest that never flushes', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      await createVmdk(path, { sizeBytes: MiB });
      const disk = await openVmdk(path, { saveAfterMs: 1000 });
      await disk.write(0, pattern(512, 1));
      expect((await checkVmdk(path)).grains).toBe(0);
      vi.advanceTimersByTime(1000);
      await disk.flush(); // waits for the one that the timer began
      expect((await checkVmdk(path)).grains).toBe(1);
      await disk.close();
    } finally {
      vi.useRealTimers();
    }
  });

  it('makes grain tables that are not there, with their redundant copies', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: 100 * MiB });
    const file = readFileSync(path);
    for (const at of [48, 56])
      file.fill(0, Number(file.readBigUInt64LE(at)) * 512, Number(file.readBigUInt64LE(at)) * 512 + 16);
    writeFileSync(path, file);
    const disk = await openVmdk(path);
    expect(isZero(await readAll(disk))).toBe(true);

    await Promise.all([0, 40, 70, 99].map((n) => disk.write(n * MiB, pattern(4096, n))));
    await disk.close();

    expect(await checkVmdk(path)).toMatchObject({ ok: true, grains: 4 });
    expect((await checkVmdk(path)).problems.filter((p) => p.code !== 'vmdk.orphan-grains')).toEqual([]);
    const again = await openVmdk(path, { readOnly: true });
    const bytes = new Uint8Array(4096);
    for (const n of [0, 40, 70, 99]) {
      await again.read(n * MiB, bytes);
      expect(bytes).toEqual(pattern(4096, n));
    }
    await again.close();
  });

  it('keeps working beyond the tables it holds in memory', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: 60 * 1024 * MiB });
    const disk = await openVmdk(path, { saveAfterMs: 0 });
    const random = seeded(7);
    const places = Array.from({ length: 1900 }, (_, i) => i * 32 * MiB + random(500) * 65536);
    for (let i = 0; i < places.length; i += 50) {
      await Promise.all(places.slice(i, i + 50).map((at, j) => disk.write(at, pattern(512, i + j))));
    }
    const bytes = new Uint8Array(512);
    for (const [i, at] of places.entries()) {
      await disk.read(at, bytes);
      expect(Buffer.compare(bytes, pattern(512, i))).toBe(0);
    }
    await disk.close();
    expect(await checkVmdk(path)).toMatchObject({ problems: [], grains: 1900 });
  });
});

describe('a descriptor that names several extents', () => {
  it('puts files, parts of files and zeros in a row', async () => {
    using dir = scratch();
    writeFileSync(dir.path('a.raw'), pattern(1024 + 4 * 512, 1));
    await createVmdk(dir.path('b.vmdk'), { sizeBytes: MiB });
    const text = [
      ...['# Disk DescriptorFile', 'version=1', 'CID=1', 'parentCID=ffffffff', 'createType="custom"', ''],
      ...['RW 4 FLAT "a.raw" 2', 'RW 100 ZERO', 'rw 2048 sparse "b.vmdk"', 'RDONLY 2 FLAT "a.raw" 0', ''],
    ].join('\r\n');
    writeFileSync(dir.path('d.vmdk'), text);
    const disk = await openVmdk(dir.path('d.vmdk'));
    expect(disk.sizeBytes).toBe((4 + 100 + 2048 + 2) * 512);

    await disk.write(104 * 512, pattern(2048 * 512, 9));
    await disk.write(0, pattern(512, 8));
    const all = await readAll(disk);

    expect(all.subarray(0, 2048)).toEqual(Uint8Array.from([...pattern(512, 8), ...pattern(3072, 1).subarray(1536)]));
    expect(all.subarray(2048, 104 * 512).every((b) => b === 0)).toBe(true);
    expect(all.subarray(104 * 512, 2152 * 512)).toEqual(pattern(2048 * 512, 9));
    expect(all.subarray(2152 * 512)).toEqual(pattern(3072, 1).subarray(0, 1024));
    await expect(disk.write(3 * 512, new Uint8Array(1024))).rejects.toMatchObject({ code: 'disk.read-only' });
    await expect(disk.write(2152 * 512, new Uint8Array(512))).rejects.toMatchObject({ code: 'disk.read-only' });
    await disk.close();
    expect(readFileSync(dir.path('d.vmdk'), 'utf8')).toMatch(/CID=[0-9a-f]\r\n/);
  });
});

describe('a raw image', () => {
  it('is read and written as it is, under the same lock', async () => {
    using dir = scratch();
    writeFileSync(dir.path('a.iso'), pattern(2048 + 100, 1));
    const disk = await openRaw(dir.path('a.iso'));
    await expect(openRaw(dir.path('a.iso'))).rejects.toMatchObject({ code: 'disk.locked' });
    await disk.write(512, pattern(512, 2));
    await disk.close();

    expect(disk.sizeBytes).toBe(2048);
    expect(readFileSync(dir.path('a.iso')).subarray(512, 1024)).toEqual(Buffer.from(pattern(512, 2)));
    expect(readdirSync(dir.directory)).not.toContain(basename(lockPath(join(dir.directory, 'a.iso'))));
  });
});
