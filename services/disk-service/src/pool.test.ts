/** The pool over gRPC, on a real folder: what is listed, made and fetched, and every way that leads out of it. */
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchPoolFile } from '@tomei/guest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bench, MIB, codeOf, pattern } from './fixture.ts';
import { Pool } from './pool.ts';
import { pathParts } from './pool-path.ts';

describe('listing', () => {
  test('finds files by their place and kind, and leaves out locks, leases and drafts', async () => {
    await using bench = await Bench.start();
    await mkdir(bench.path('tiny/deep'), { recursive: true });
    await writeFile(bench.path('tiny/tiny.vmx'), 'text');
    await writeFile(bench.path('tiny/deep/vmlinuz'), '12345');
    for (const name of ['a.vmdk.lck', 'a.vmdk.lck.guard', 'a.vmdk.lease', 'a.vmdk.lease.x-1', '.hidden', 'b.tmp'])
      await writeFile(bench.path(`tiny/${name}`), '');
    await bench.disk('tiny/a.vmdk');
    await bench.pool().create({ path: 'split.vmdk', sizeBytes: MIB, createType: 'twoGbMaxExtentSparse' });

    const { files } = await bench.pool().list({});

    expect(files.map(({ path, kind }) => [path, kind])).toEqual([
      ['split-s001.vmdk', 'POOL_FILE_KIND_OTHER'],
      ['split.vmdk', 'POOL_FILE_KIND_VMDK'],
      ['tiny/a.vmdk', 'POOL_FILE_KIND_VMDK'],
      ['tiny/deep/vmlinuz', 'POOL_FILE_KIND_OTHER'],
      ['tiny/tiny.vmx', 'POOL_FILE_KIND_VMX'],
    ]);
    expect(files.find(({ path }) => path === 'tiny/deep/vmlinuz')?.sizeBytes).toBe(5);
    expect((await bench.pool().list({ folder: 'tiny/deep' })).files.map(({ path }) => path)).toEqual([
      'tiny/deep/vmlinuz',
    ]);
  });
  test('lists links to files of the pool, and no link that leads out or around', async () => {
    await using bench = await Bench.start();
    await writeFile(bench.path('real.vmx'), '');
    await symlink('real.vmx', bench.path('linked.vmx'));
    await symlink('/etc/passwd', bench.path('passwd'));
    await symlink('.', bench.path('around'));
    await symlink('nowhere', bench.path('dangling'));

    expect((await bench.pool().list({})).files.map(({ path }) => path)).toEqual(['linked.vmx', 'real.vmx']);
  });
  test('does not look further down than eight folders', async () => {
    await using bench = await Bench.start();
    await mkdir(bench.path('1/2/3/4/5/6/7/8/9'), { recursive: true });
    await writeFile(bench.path('1/2/3/4/5/6/7/in'), '');
    await writeFile(bench.path('1/2/3/4/5/6/7/8/9/out'), '');

    expect((await bench.pool().list({})).files.map(({ path }) => path)).toEqual(['1/2/3/4/5/6/7/in']);
  });
});

describe('making disks', () => {
  test('makes the folders on the way, and says what it made', async () => {
    await using bench = await Bench.start();

    const { info } = await bench.pool().create({ path: 'new/folder/d.vmdk', sizeBytes: 8 * MIB });

    expect(info).toMatchObject({ path: 'new/folder/d.vmdk', createType: 'monolithicSparse', sizeBytes: 8 * MIB });
    expect(await bench.pool().info({ path: 'new/folder/d.vmdk' })).toEqual(info);
    expect(info!.allocatedBytes).toBeGreaterThan(0);
    expect(info!.allocatedBytes).toBeLessThan(MIB);
  });
  test.each([
    ['a disk that is there', { path: 'a.vmdk', sizeBytes: MIB }, 'disk.exists'],
    ['a size that is not whole sectors', { path: 'b.vmdk', sizeBytes: 1000 }, 'disk.size'],
    ['no size', { path: 'b.vmdk' }, 'disk.size'],
    ['a type that nobody knows', { path: 'b.vmdk', sizeBytes: MIB, createType: 'qcow2' }, 'disk.bad-type'],
    ['another ending', { path: 'b.img', sizeBytes: MIB }, 'disk.bad-name'],
    ['a way out', { path: '../b.vmdk', sizeBytes: MIB }, 'pool.bad-path'],
    ['a folder that is a link out', { path: 'out/b.vmdk', sizeBytes: MIB }, 'pool.outside'],
    ['a folder that is a link out to what is not there', { path: 'dangling/b.vmdk', sizeBytes: MIB }, 'disk.missing'],
    ['a folder that is a file', { path: 'a.vmdk/b.vmdk', sizeBytes: MIB }, 'pool.bad-path'],
  ])('refuses %s', async (_, request, code) => {
    await using bench = await Bench.start();
    const outside = await mkdtemp(join(tmpdir(), 'tomei-outside-'));
    await bench.disk('a.vmdk', MIB);
    await symlink(outside, bench.path('out'));
    await symlink(join(outside, 'not-there'), bench.path('dangling'));

    expect(await codeOf(bench.pool().create(request))).toBe(code);
    expect(await readdir(outside)).toEqual([]);

    await rm(outside, { recursive: true });
  });
});

describe('fetching', () => {
  test.each([0, 1, 262_144, 700_001])('brings %i bytes as they are', async (length) => {
    await using bench = await Bench.start();
    const bytes = pattern(length, 5).subarray(0, length);
    await writeFile(bench.path('kernel'), bytes);

    expect(Buffer.compare(await fetchPoolFile(bench.target, 'kernel', length), bytes)).toBe(0);
  });
  test('refuses a file that is longer than asked for', async () => {
    await using bench = await Bench.start();
    await writeFile(bench.path('kernel'), 'twelve bytes');
    expect(await codeOf(fetchPoolFile(bench.target, 'kernel', 11))).toBe('pool.too-large');
  });
  test('names what is not there by its place in the pool, not by its place on the host', async () => {
    await using bench = await Bench.start();
    await expect(fetchPoolFile(bench.target, 'no/kernel', 1)).rejects.toMatchObject({
      code: 'pool.missing',
      message: 'no/kernel does not exist in the pool',
    });
    await mkdir(bench.path('folder'));
    expect(await codeOf(fetchPoolFile(bench.target, 'folder', 1))).toBe('pool.missing');
  });
  test('a link that leads out is refused, also in the middle of a path', async () => {
    await using bench = await Bench.start();
    await symlink('/etc', bench.path('etc'));
    await symlink('/etc/passwd', bench.path('passwd'));
    expect(await codeOf(fetchPoolFile(bench.target, 'etc/passwd', MIB))).toBe('pool.outside');
    expect(await codeOf(fetchPoolFile(bench.target, 'passwd', MIB))).toBe('pool.outside');
    expect(await codeOf(bench.pool().list({ folder: 'etc' }))).toBe('pool.outside');
  });
  test('a file that becomes shorter on the way is not half delivered', async () => {
    await using bench = await Bench.start();
    await writeFile(bench.path('kernel'), new Uint8Array(MIB));
    const pieces = (await Pool.open(bench.folder)).fetch('kernel', MIB);
    await pieces.next();
    await truncate(bench.path('kernel'), 1000);
    await expect(pieces.next()).rejects.toMatchObject({ code: 'pool.changed' });
  });
});

describe('the info of a disk', () => {
  test('names who has it', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await bench.disks().calls.open({ path: 'a.vmdk', guestId: 'g-7', run: 3 });

    const info = await bench.pool().info({ path: 'a.vmdk' });

    expect(info.lease).toEqual({ guestId: 'g-7', run: 3, epoch: 1 });
    expect(info.warnings).toEqual([]);
  });
  test('of a file that is no disk is an error in the terms of the pool', async () => {
    await using bench = await Bench.start();
    await writeFile(bench.path('a.vmdk'), 'this is no disk');
    const error: Error = await bench
      .pool()
      .info({ path: 'a.vmdk' })
      .then(
        () => expect.unreachable(),
        (e: Error) => e,
      );
    expect(error).toMatchObject({ code: expect.stringMatching(/^vmdk\./) as string });
    expect(error.message).not.toContain(bench.folder);
  });
});

describe('paths from outside', () => {
  test.each([
    '',
    '/',
    '/etc/passwd',
    '..',
    'a/../b',
    'a//b',
    'a/',
    './a',
    'a/.',
    'a\0b',
    'a\nb',
    'x'.repeat(201),
    'y/'.repeat(2000),
  ])('%.20j is refused', (path) => {
    expect(() => pathParts(path)).toThrow(expect.objectContaining({ code: 'pool.bad-path' }) as Error);
  });
  test('whatever is asked for, nothing outside of the pool is found, and every refusal has a code of ours', async () => {
    await using bench = await Bench.start();
    await mkdir(bench.path('in'));
    await writeFile(bench.path('in/file'), 'inside');
    await symlink('/', bench.path('root'));
    await symlink('..', bench.path('in/up'));
    const pool = await Pool.open(bench.folder);
    const part = fc.oneof(
      fc.constantFrom('in', 'file', 'root', 'up', '..', '.', '', 'etc', 'passwd', 'tmp', '\0', '~', '%2e%2e', '..\\'),
      fc.string({ maxLength: 12, unit: 'binary' }),
    );
    const path = fc.array(part, { maxLength: 8 }).map((parts) => parts.join('/'));

    await fc.assert(
      fc.asyncProperty(path, async (asked) => {
        const found = await pool.locate(asked).then(
          ({ real }) => real,
          (error: { code?: string }) => {
            expect(error.code).toMatch(/^pool\.(?:bad-path|outside|missing|denied)$/);
            return undefined;
          },
        );
        if (found !== undefined) expect(`${found}/`.startsWith(`${bench.folder}/`)).toBe(true);
      }),
      { numRuns: 300 },
    );
    expect(await readFile((await pool.locate('in/up/in/file')).real, 'utf8')).toBe('inside');
  });
});
