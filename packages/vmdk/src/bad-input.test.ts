import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { checkVmdk } from './check.ts';
import { createVmdk, importRaw } from './create.ts';
import { parseDescriptor } from './descriptor.ts';
import { openVmdk } from './disk.ts';
import { pattern, scratch } from './fixture.ts';
import { infoVmdk } from './info.ts';

const MiB = 1 << 20;
let dir: ReturnType<typeof scratch>;
/** A small sparse disk with three grains: the header, the directory at `gd`, its first table at `gt`. */
let good: Buffer;
let gd: number;
let gt: number;

beforeAll(async () => {
  dir = scratch();
  await createVmdk(dir.path('good.vmdk'), { sizeBytes: 40 * MiB });
  const disk = await openVmdk(dir.path('good.vmdk'));
  for (const at of [0, 65536, 35 * MiB]) await disk.write(at, pattern(65536, at));
  await disk.close();
  good = readFileSync(dir.path('good.vmdk'));
  gd = Number(good.readBigUInt64LE(56)) * 512;
  gt = good.readUInt32LE(gd) * 512;
});
afterAll(() => dir[Symbol.dispose]());

const failure = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof TomeiError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'nothing thrown';
};

describe('a damaged sparse disk', () => {
  const q = (at: number, value: bigint) => (b: Buffer) => b.writeBigUInt64LE(value, at);
  it.each<[string, (b: Buffer) => unknown, string]>([
    ['wrong magic', (b) => b.write('XDMV', 0), 'vmdk.bad-magic: {}'],
    ['version 0', (b) => b.writeUInt32LE(0, 4), 'vmdk.bad-version: {}: version 0 is not known'],
    ['version 77', (b) => b.writeUInt32LE(77, 4), 'vmdk.bad-version: {}: version 77 is not known'],
    ['text-mode transfer', (b) => b.write('\n \n\n', 73), 'vmdk.newlines: {}: the newline test bytes are damaged'],
    ['no capacity', q(12, 0n), 'vmdk.bad-header: {}: capacity is 0'],
    ['an absurd capacity', q(12, 2n ** 52n), 'vmdk.bad-header: {}: capacity is absurd'],
    ['a capacity beyond 53 bits', q(12, 2n ** 63n), 'vmdk.bad-header: {}: capacity is absurd'],
    ['grains of 3 sectors', q(20, 3n), 'vmdk.bad-header: {}: grainSize is 3 sectors'],
    ['grains of none', q(20, 0n), 'vmdk.bad-header: {}: grainSize is 0 sectors'],
    ['grains of 16 MiB', q(20, 32768n), 'vmdk.bad-header: {}: grainSize is 32768 sectors'],
    ['huge tables', (b) => b.writeUInt32LE(2 ** 31, 44), 'vmdk.bad-header: {}: numGTEsPerGT is 2147483648'],
    ['no directory', q(56, 0n), 'vmdk.bad-header: {}: gdOffset is 0'],
    ['a directory outside', q(56, 99999n), 'vmdk.truncated: {}: gdOffset'],
    ['a directory at the end', q(56, 2n ** 64n - 1n), 'vmdk.bad-header: {}: gdOffset is at the end'],
    ['a second directory outside', q(48, 99999n), 'vmdk.truncated: {}: rgdOffset'],
    ['a descriptor outside', q(28, 99999n), 'vmdk.truncated: {}: descriptorOffset'],
    ['compression', (b) => b.writeUInt16LE(7, 77), 'vmdk.bad-header: {}: compressAlgorithm is 7'],
    [
      'a table outside',
      (b) => b.writeUInt32LE(2 ** 31, gd + 4),
      'vmdk.grain-table-outside: {}: grain directory, entry 1',
    ],
    [
      'a shared table',
      (b) => b.writeUInt32LE(b.readUInt32LE(gd), gd + 4),
      'vmdk.grain-table-shared: {}: grain directory',
    ],
    ['a grain outside', (b) => b.writeUInt32LE(2 ** 31, gt + 4), 'vmdk.grain-outside: {}: grain table 0, entry 1'],
    ['a grain in the metadata', (b) => b.writeUInt32LE(5, gt), 'vmdk.grain-outside: {}: grain table 0, entry 0'],
    [
      'a bad descriptor line',
      (b) => b.write('RW 1x SP', b.indexOf('RW 81920')),
      'vmdk.descriptor: {} (descriptor):9: ',
    ],
    ['a parent', (b) => b.write('12345678', b.indexOf('ffffffff')), 'vmdk.unsupported: {}: parentCID=12345678'],
    ['a cut in the metadata', (b) => b.fill(0, 0, 0), 'vmdk.truncated: {}'],
  ])('with %s gives one error that names file and field', async (name, damage, expected) => {
    const path = dir.path('bad.vmdk');
    const bytes = Buffer.from(good);
    damage(bytes);
    writeFileSync(path, bytes);
    if (name === 'a cut in the metadata') truncateSync(path, 20000);
    const use = async (): Promise<void> => {
      const disk = await openVmdk(path);
      try {
        await disk.read(0, new Uint8Array(MiB));
      } finally {
        await disk.close();
      }
    };

    const message = await failure(use());

    expect(message).toContain(expected.replace('{}', path));
    expect(readdirSync(dir.directory)).not.toContain('bad.vmdk.lck');
    const check = await checkVmdk(path);
    expect(check).toMatchObject({ ok: false });
    expect(check.problems[0]!.message).toContain(path);
  });

  it('that was cut off in its data can still be read elsewhere, and the check counts what is lost', async () => {
    const path = dir.path('cut.vmdk');
    writeFileSync(path, good.subarray(0, good.length - 65536));
    const disk = await openVmdk(path, { readOnly: true });
    const bytes = new Uint8Array(65536);
    await disk.read(65536, bytes);
    expect(Buffer.compare(bytes, pattern(65536, 65536))).toBe(0);
    expect(await failure(disk.read(35 * MiB, bytes))).toContain(`vmdk.grain-outside: ${path}: grain table 1, entry 48`);
    await disk.close();
    expect((await checkVmdk(path)).problems.map((p) => p.code)).toEqual(['vmdk.grain-outside']);
  });
});

describe('checkVmdk', () => {
  it.each<[string, (b: Buffer) => unknown, string]>([
    [
      'an orphan',
      (b) => [gt, gt - gd + Number(b.readBigUInt64LE(48)) * 512].map((at) => b.writeUInt32LE(0, at)),
      'warning vmdk.orphan-grains',
    ],
    [
      'two grains in one place',
      (b) =>
        [gt, gt - gd + Number(b.readBigUInt64LE(48)) * 512].map((at) => b.writeUInt32LE(b.readUInt32LE(at + 4), at)),
      'error vmdk.grain-overlap',
    ],
    [
      'copies that differ',
      (b) => b.writeUInt32LE(0, Number(b.readBigUInt64LE(48)) * 512 + gt - gd),
      'warning vmdk.copies-differ',
    ],
    [
      'a table that has no copy',
      (b) => b.writeUInt32LE(0, Number(b.readBigUInt64LE(48)) * 512),
      'warning vmdk.copies-differ',
    ],
    ['an unclean shutdown', (b) => (b[72] = 1), 'warning vmdk.unclean'],
    ['tables over each other', (b) => b.writeUInt32LE(gt / 512 + 1, gd + 4), 'error vmdk.metadata-overlap'],
  ])('finds %s', async (_, damage, expected) => {
    const path = dir.path('checked.vmdk');
    const bytes = Buffer.from(good);
    damage(bytes);
    writeFileSync(path, bytes);
    const { problems } = await checkVmdk(path);
    expect(problems.map((p) => `${p.severity} ${p.code}`)).toContain(expected);
    for (const problem of problems) expect(problem.message).toContain(path);
  });

  it('finds nothing in a good one', async () => {
    expect(await checkVmdk(dir.path('good.vmdk'))).toMatchObject({ problems: [], ok: true, grains: 3 });
  });
});

describe('files that are no disk', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['empty.vmdk', '', 'vmdk.bad-magic: {} is no .vmdk'],
    ['text.vmdk', 'hello', 'vmdk.bad-magic: {} is no .vmdk'],
    ['short.vmdk', 'KDMV', 'vmdk.truncated: {} has 4 bytes'],
    ['noversion.vmdk', '# Disk DescriptorFile\n', 'vmdk.descriptor: {}:1: this is no disk descriptor'],
    ['version.vmdk', 'version=9\n', 'vmdk.descriptor: {}:1: version=9 is not known'],
    ['noextents.vmdk', 'version=1\n', 'vmdk.descriptor: {}: the descriptor names no extents'],
    ['syntax.vmdk', 'version=1\n?\n', "vmdk.descriptor: {}:2: expected key=value or an extent, found '?'"],
    ['cid.vmdk', 'version=1\nCID=xyz\n', 'vmdk.descriptor: {}:1: CID=xyz is not'],
    [
      'huge.vmdk',
      'version=1\nRW 999999999999999 FLAT "a" 0\n',
      'vmdk.descriptor: {}:2: an extent of 999999999999999 sectors',
    ],
    ['zero.vmdk', 'version=1\nRW 0 FLAT "a" 0\n', 'vmdk.descriptor: {}:2: the extent has no sectors'],
    ['kind.vmdk', 'version=1\nRW 1 VMFSSPARSE "a" 0\n', 'vmdk.unsupported: {}:2: extents of the kind RW VMFSSPARSE'],
    ['gone.vmdk', 'version=1\nRW 1 FLAT "gone.raw" 0\n', 'disk.missing: {}:2: extent '],
    ['many.vmdk', `version=1\n${'RW 1 ZERO\n'.repeat(2000)}`, 'vmdk.descriptor: {}:1: 2000 extents; the limit is 1024'],
    ['cut.vmdk', 'version=1\nRW 9999 FLAT "short.vmdk" 0\n', 'vmdk.truncated: '],
    [
      'outside.vmdk',
      'version=1\nRW 1 FLAT "/etc/passwd" 0\n',
      'vmdk.extent-outside: {}:2: the extent /etc/passwd lies outside',
    ],
    [
      'up.vmdk',
      'version=1\nRW 1 FLAT "../../../../../../../../etc/passwd" 0\n',
      'vmdk.extent-outside: {}:2: the extent /etc/passwd lies outside',
    ],
    [
      'link.vmdk',
      'version=1\nRW 1 FLAT "passwd" 0\n',
      'vmdk.extent-outside: {}:2: the extent /etc/passwd lies outside',
    ],
    [
      'twice.vmdk',
      'version=1\nRW 81920 SPARSE "good.vmdk"\nRW 81920 SPARSE "good.vmdk"\n',
      'vmdk.descriptor: {}:3: the sparse extent',
    ],
    ['larger.vmdk', 'version=1\nRW 81921 SPARSE "good.vmdk"\n', 'vmdk.bad-header: '],
    ['nosparse.vmdk', `version=1\nRW 1 SPARSE "large.raw"\n`, 'vmdk.bad-magic: '],
  ])('%s', async (name, content, expected) => {
    const path = dir.path(name);
    writeFileSync(dir.path('large.raw'), pattern(4096, 1));
    if (name === 'link.vmdk') symlinkSync('/etc/passwd', dir.path('passwd'));
    writeFileSync(path, content);
    expect(await failure(openVmdk(path, { readOnly: true }))).toContain(expected.replace('{}', path));
    expect(await failure(infoVmdk(path))).toContain(expected.replace('{}', path));
    expect((await checkVmdk(path)).ok).toBe(false);
  });

  it('a path that is not there, a directory, a named pipe, a disk marked read-only', async () => {
    mkdirSync(dir.path('dir.vmdk'));
    execFileSync('mkfifo', [dir.path('pipe.vmdk')]);
    writeFileSync(dir.path('ro.vmdk'), good);
    chmodSync(dir.path('ro.vmdk'), 0o444);
    expect(await failure(openVmdk(dir.path('none.vmdk')))).toBe(
      `disk.missing: ${dir.path('none.vmdk')} does not exist`,
    );
    expect(await failure(openVmdk(dir.path('dir.vmdk')))).toContain(`disk.io: cannot write ${dir.path('dir.vmdk')}`);
    expect(await failure(openVmdk(dir.path('dir.vmdk'), { readOnly: true }))).toContain('is not a regular file');
    expect(await failure(openVmdk(dir.path('pipe.vmdk')))).toContain('is not a regular file');
    expect(await failure(openVmdk(dir.path('ro.vmdk')))).toContain(`disk.read-only: ${dir.path('ro.vmdk')} `);
    await (await openVmdk(dir.path('ro.vmdk'), { readOnly: true })).close();
  });

  it('an extent outside of its directory may be allowed', async () => {
    // The program that runs this test: a file that is there on every machine, and elsewhere.
    writeFileSync(dir.path('allowed.vmdk'), `version=1\nRDONLY 1 FLAT "${process.execPath}" 0\n`);
    const disk = await openVmdk(dir.path('allowed.vmdk'), { readOnly: true, allowOutsideExtents: true });
    expect(disk.sizeBytes).toBe(512);
    await disk.close();
  });
});

describe('making disks', () => {
  it('refuses sizes that cannot be, names that are taken, and leaves others alone', async () => {
    writeFileSync(dir.path('taken-flat.vmdk'), 'mine');
    for (const sizeBytes of [0, -512, 511, 2 ** 60, Number.NaN]) {
      expect(await failure(createVmdk(dir.path('new.vmdk'), { sizeBytes }))).toContain('disk.size: ');
    }
    expect(await failure(createVmdk(dir.path('good.vmdk'), { sizeBytes: 512 }))).toContain('disk.exists: ');
    expect(await failure(createVmdk(dir.path('taken.vmdk'), { sizeBytes: 512, type: 'monolithicFlat' }))).toContain(
      'disk.exists',
    );
    expect(await failure(importRaw(dir.path('nothing.raw'), dir.path('new.vmdk')))).toContain('disk.missing');
    await expect(
      importRaw(dir.path('good.vmdk'), dir.path('new.vmdk'), { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ name: 'AbortError' });
    const names = readdirSync(dir.directory);
    expect(names).not.toContain('new.vmdk');
    expect(names).not.toContain('taken.vmdk');
    expect(readFileSync(dir.path('taken-flat.vmdk'), 'utf8')).toBe('mine');
  });
});

describe('any bytes', () => {
  const survives = async (path: string): Promise<void> => {
    for (const readOnly of [true, false]) {
      try {
        const disk = await openVmdk(path, { readOnly, saveAfterMs: 0 });
        try {
          const end = disk.sizeBytes - 4096;
          for (const at of [0, end - (end % 512)]) {
            if (at < 0) continue;
            await disk.read(at, new Uint8Array(4096));
            if (!readOnly) await disk.write(at, pattern(4096, 1));
          }
        } finally {
          await disk.close();
        }
      } catch (error) {
        if (!(error instanceof TomeiError)) throw error;
        expect(error.message).toContain(dir.directory);
      }
    }
    await checkVmdk(path);
  };

  it('in header and directory end in a disk or a TomeiError, in bounded memory and time', async () => {
    const edit = fc.record({
      at: fc.oneof(fc.nat(79), fc.constantFrom(4, 8, 12, 20, 28, 36, 44, 48, 56, 64, 72, 77), fc.nat(12000)),
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.constantFrom([0, 0, 0, 0], [1, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0x80], [0x80, 0, 0, 0]),
        fc.constantFrom([0, 0, 0, 0, 0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      ),
    });
    const most = process.memoryUsage().rss + 600 * MiB;
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        const bytes = Buffer.from(good);
        for (const { at, bytes: patch } of edits) bytes.set(patch, at);
        writeFileSync(dir.path('fuzz.vmdk'), bytes);
        await survives(dir.path('fuzz.vmdk'));
        expect(process.memoryUsage().rss).toBeLessThan(most);
      }),
      { numRuns: 400, interruptAfterTimeLimit: 60_000 },
    );
  });

  it('as a descriptor end in a descriptor or a TomeiError', () => {
    const line = fc.oneof(
      fc.constantFrom('version=1', 'CID=1', 'parentCID=ffffffff', '# x', 'RW 8 FLAT "a" 0', 'RW 8 ZERO', 'ddb.x = "1"'),
      fc.string(),
    );
    const text = fc.array(line).map((lines) => new TextEncoder().encode(lines.join('\n')));
    fc.assert(
      fc.property(fc.oneof(text, fc.uint8Array()), (bytes) => {
        try {
          parseDescriptor(bytes, 'd.vmdk');
        } catch (error) {
          if (!(error instanceof TomeiError)) throw error;
          expect(error.message).toMatch(/^d\.vmdk:\d+: /);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
