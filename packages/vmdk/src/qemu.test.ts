import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkVmdk } from './check.ts';
import { importRaw, VMDK_TYPES } from './create.ts';
import { openVmdk } from './disk.ts';
import { pattern, qemuImg, qemuImgMissing, scratch } from './fixture.ts';
import { infoVmdk } from './info.ts';

const MiB = 1 << 20;

/** A raw image with data at both ends, holes, and a partial grain. */
function rawImage(sizeBytes: number): Uint8Array {
  const raw = new Uint8Array(sizeBytes);
  raw.set(pattern(3 * 512, 1), 0);
  raw.set(pattern(200_000, 2), MiB + 12345);
  raw.set(pattern(512, 3), sizeBytes - 512);
  return raw;
}

async function contents(path: string): Promise<Uint8Array> {
  const disk = await openVmdk(path, { readOnly: true });
  const bytes = new Uint8Array(disk.sizeBytes);
  await disk.read(0, bytes);
  await disk.close();
  return bytes;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0;

describe.each(VMDK_TYPES)('%s, against qemu-img', (type) => {
  it('reads, then changes what qemu-img made; qemu-img finds it sound and the same', async (context) => {
    context.skip(qemuImgMissing !== undefined, qemuImgMissing);
    using dir = scratch();
    const raw = rawImage(40 * MiB + 7 * 512);
    writeFileSync(dir.path('a.raw'), raw);
    qemuImg(
      'convert',
      '-q',
      '-f',
      'raw',
      '-O',
      'vmdk',
      '-o',
      `subformat=${type}`,
      dir.path('a.raw'),
      dir.path('d.vmdk'),
    );
    expect(same(await contents(dir.path('d.vmdk')), raw)).toBe(true);
    expect(await checkVmdk(dir.path('d.vmdk'))).toMatchObject({ ok: true });

    const disk = await openVmdk(dir.path('d.vmdk'));
    for (const [offset, length, seed] of [
      [512, 1024, 4],
      [33 * MiB - 512, 300 * 512, 5],
      [40 * MiB, 7 * 512, 6],
    ] as const) {
      raw.set(pattern(length, seed), offset);
      await disk.write(offset, pattern(length, seed));
    }
    await disk.close();
    writeFileSync(dir.path('a.raw'), raw);

    expect(qemuImg('compare', '-f', 'raw', '-F', 'vmdk', dir.path('a.raw'), dir.path('d.vmdk'))).toContain('identical');
    if (type.endsWith('Sparse')) expect(qemuImg('check', '-f', 'vmdk', dir.path('d.vmdk'))).toContain('No errors');
    expect(await checkVmdk(dir.path('d.vmdk'))).toMatchObject({ problems: [] });
  });

  it('makes what qemu-img reads, checks and writes', async (context) => {
    context.skip(qemuImgMissing !== undefined, qemuImgMissing);
    using dir = scratch();
    const raw = rawImage(40 * MiB + 7 * 512);
    writeFileSync(dir.path('a.raw'), raw);
    const progress: number[] = [];

    await importRaw(dir.path('a.raw'), dir.path('d.vmdk'), {
      type,
      onProgress: ({ done, total }) => progress.push(done / total),
    });

    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
    expect(qemuImg('compare', '-f', 'raw', '-F', 'vmdk', dir.path('a.raw'), dir.path('d.vmdk'))).toContain('identical');
    if (type.endsWith('Sparse')) expect(qemuImg('check', '-f', 'vmdk', dir.path('d.vmdk'))).toContain('No errors');
    const info = JSON.parse(qemuImg('info', '--output=json', dir.path('d.vmdk'))) as Record<string, never>;
    expect(info).toMatchObject({
      format: 'vmdk',
      'virtual-size': raw.length,
      'format-specific': { data: { 'create-type': type } },
    });
    const about = await infoVmdk(dir.path('d.vmdk'));
    expect(about).toMatchObject({ createType: type, sizeBytes: raw.length, parentCid: 'ffffffff', warnings: [] });
    expect(about.allocatedBytes).toBeLessThan(2 * MiB);

    execFileSync('qemu-io', ['-f', 'vmdk', '-c', 'write -P 0x5a 3M 100k', dir.path('d.vmdk')]);
    raw.fill(0x5a, 3 * MiB, 3 * MiB + 102400);
    expect(same(await contents(dir.path('d.vmdk')), raw)).toBe(true);
    expect(await checkVmdk(dir.path('d.vmdk'))).toMatchObject({ ok: true });
  });
});

describe('other kinds that qemu-img makes', () => {
  it('reads a compressed stream, checks it, and refuses to write it', async (context) => {
    context.skip(qemuImgMissing !== undefined, qemuImgMissing);
    using dir = scratch();
    const raw = rawImage(40 * MiB);
    writeFileSync(dir.path('a.raw'), raw);
    const path = dir.path('d.vmdk');
    qemuImg('convert', '-q', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', dir.path('a.raw'), path);

    expect(same(await contents(path), raw)).toBe(true);
    expect(await checkVmdk(path)).toMatchObject({ problems: [], ok: true });
    await expect(openVmdk(path)).rejects.toMatchObject({ code: 'vmdk.unsupported' });

    const damaged = readFileSync(path);
    damaged.fill(0xff, 70 * 1024, 71 * 1024);
    writeFileSync(path, damaged);
    expect(await checkVmdk(path)).toMatchObject({ ok: false });
  });

  it('reads and writes zeroed grains', async (context) => {
    context.skip(qemuImgMissing !== undefined, qemuImgMissing);
    using dir = scratch();
    const path = dir.path('d.vmdk');
    qemuImg('create', '-q', '-f', 'vmdk', '-o', 'zeroed_grain=on', path, '8M');
    execFileSync('qemu-io', ['-f', 'vmdk', '-c', 'write -P 1 0 1M', '-c', 'write -z 0 128k', path]);
    const expected = new Uint8Array(8 * MiB).fill(1, 128 * 1024, MiB);
    expect(same(await contents(path), expected)).toBe(true);

    const disk = await openVmdk(path);
    await disk.write(512, pattern(512, 1));
    await disk.close();

    expected.set(pattern(512, 1), 512);
    expect(same(await contents(path), expected)).toBe(true);
    writeFileSync(dir.path('a.raw'), expected);
    expect(qemuImg('compare', '-f', 'raw', '-F', 'vmdk', dir.path('a.raw'), path)).toContain('identical');
  });

  it('crosses the pieces of a split disk', async (context) => {
    context.skip(qemuImgMissing !== undefined, qemuImgMissing);
    using dir = scratch();
    const path = dir.path('d.vmdk');
    qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path, '5G');
    const disk = await openVmdk(path);
    for (const border of [2, 4]) await disk.write(border * 1024 * MiB - 1024, pattern(2048, border));
    await disk.write(5 * 1024 * MiB - 512, pattern(512, 9));
    await disk.close();

    expect(qemuImg('check', '-f', 'vmdk', path)).toContain('No errors');
    for (const border of [2, 4]) {
      const at = `${border * 1024 * MiB - 1024}`;
      const dump = execFileSync('qemu-io', ['-r', '-f', 'vmdk', '-c', `read -v ${at} 2048`, path], {
        encoding: 'utf8',
      });
      const bytes = [...dump.matchAll(/^[0-9a-f]{8,}:\s+((?:[0-9a-f]{2} ){16})/gm)].map((m) => m[1]!.trim()).join(' ');
      expect(bytes).toBe([...pattern(2048, border)].map((b) => b.toString(16).padStart(2, '0')).join(' '));
    }
    expect(statSync(dir.path('d-s003.vmdk')).size).toBeGreaterThan(65536);
  });
});
