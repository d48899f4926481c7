import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkVmdk } from './check.ts';
import { createVmdk, importRaw, VMDK_TYPES } from './create.ts';
import { openVmdk } from './disk.ts';
import { pattern } from './fixture.ts';

const MiB = 1 << 20;

/** A file system of four megabytes; only root may mount one. */
describe('a host disk that runs full', () => {
  let directory: string;
  let missing: string | undefined;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tomei-full-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]);
    if (mounted.status !== 0) missing = 'a small tmpfs cannot be mounted here (needs root)';
  });
  afterAll(() => {
    if (missing === undefined) execFileSync('umount', [directory]);
    rmSync(directory, { recursive: true });
  });

  it.for(VMDK_TYPES)(
    'gives disk.full on a %s disk, keeps what was flushed, and goes on when there is room',
    async (type, context) => {
      context.skip(missing !== undefined, missing);
      const path = join(directory, 'd.vmdk');
      await createVmdk(path, { sizeBytes: 16 * MiB, type });
      const disk = await openVmdk(path, { saveAfterMs: 0 });
      await disk.write(MiB, pattern(MiB, 1));
      await disk.flush();
      writeFileSync(join(directory, 'filler'), new Uint8Array(MiB));

      const results = await Promise.allSettled(
        Array.from({ length: 12 }, (_, i) => disk.write((3 + i) * MiB, pattern(MiB, 10 + i))),
      );
      const refused = results.filter((r) => r.status === 'rejected').map((r) => r.reason as unknown);
      expect(refused.length).toBeGreaterThan(8);
      for (const reason of refused) {
        expect(reason).toMatchObject({
          code: 'disk.full',
          retryable: true,
          message: expect.stringContaining(directory) as string,
        });
      }
      await disk.flush();
      rmSync(join(directory, 'filler'));
      const retry = results.findIndex((r) => r.status === 'rejected');
      await disk.write((3 + retry) * MiB, pattern(512 * 1024, 99));
      await disk.close();

      const again = await openVmdk(path, { readOnly: true });
      const bytes = new Uint8Array(MiB);
      await again.read(MiB, bytes);
      expect(Buffer.compare(bytes, pattern(MiB, 1))).toBe(0);
      for (const [i, result] of results.entries()) {
        if (result.status === 'rejected') continue;
        await again.read((3 + i) * MiB, bytes);
        expect(Buffer.compare(bytes, pattern(MiB, 10 + i))).toBe(0);
      }
      await again.read((3 + retry) * MiB, bytes);
      expect(Buffer.compare(bytes.subarray(0, 512 * 1024), pattern(512 * 1024, 99))).toBe(0);
      await again.close();
      expect((await checkVmdk(path)).ok).toBe(true);
      for (const name of readdirSync(directory)) rmSync(join(directory, name));
    },
  );

  it('leaves nothing behind of a disk that could not be made or filled', async (context) => {
    context.skip(missing !== undefined, missing);
    await expect(createVmdk(join(directory, 'big.vmdk'), { sizeBytes: 2 ** 40 })).rejects.toMatchObject({
      code: 'disk.full',
    });
    const raw = join(tmpdir(), `tomei-full-${process.pid}.raw`);
    writeFileSync(raw, pattern(6 * MiB, 1));
    try {
      for (const type of VMDK_TYPES) {
        await expect(importRaw(raw, join(directory, 'd.vmdk'), { type })).rejects.toMatchObject({ code: 'disk.full' });
      }
    } finally {
      rmSync(raw);
    }
    expect(readdirSync(directory)).toEqual([]);
  });
});
