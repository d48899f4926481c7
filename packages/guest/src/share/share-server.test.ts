/** The server of a shared folder against a real folder: what drivers do, and what a hostile guest tries. */
import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from './errno.ts';
import { HostTree } from './host-tree.ts';
import { MOST_NAMES, RLERROR, frame, parseHeader, requestKinds, requestNumber, type RequestKind } from './messages.ts';
import { MOST_MSIZE, ShareServer } from './share-server.ts';
import { WireReader, WireWriter } from './wire.ts';

let outside: string;
let shared: string;
let server: ShareServer;
beforeEach(async () => {
  outside = await mkdtemp(join(tmpdir(), 'tomei-share-'));
  shared = join(outside, 'shared');
  await mkdir(shared);
  await writeFile(join(outside, 'secret'), 'secret');
  await writeFile(join(shared, 'file'), 'hello');
  await mkdir(join(shared, 'folder'));
  await writeFile(join(shared, 'folder', 'inner'), 'inner');
  server = await begin();
});
afterEach(async () => {
  await server.close();
  await rm(outside, { recursive: true });
});

async function begin(readOnly = false): Promise<ShareServer> {
  const started = new ShareServer(await HostTree.open(shared), readOnly);
  const version = await asked(started, 'version', w().u32(65536).string('9P2000.L'));
  expect([version.u32(), version.string()]).toEqual([65536, '9P2000.L']);
  await asked(started, 'attach', w().u32(0).u32(0xffffffff).string('').string('').u32(0));
  return started;
}
const w = (): WireWriter => new WireWriter();

async function sent(
  to: ShareServer,
  kind: RequestKind,
  body: WireWriter,
): Promise<{ number: number; body: WireReader }> {
  const answer = (await to.answer(frame(requestNumber(kind), 7, body.done())))!;
  const { number, tag } = parseHeader(answer);
  expect(tag).toBe(7);
  return { number, body: new WireReader(answer.subarray(7)) };
}
async function asked(to: ShareServer, kind: RequestKind, body: WireWriter): Promise<WireReader> {
  const { number, body: answer } = await sent(to, kind, body);
  expect(number === RLERROR ? `${kind} failed: ${answer.u32()}` : number).toBe(requestNumber(kind) + 1);
  return answer;
}
async function refused(kind: RequestKind, body: WireWriter, to = server): Promise<number> {
  const { number, body: answer } = await sent(to, kind, body);
  expect(number).toBe(RLERROR);
  return answer.u32();
}
function walking(fid: number, newFid: number, ...names: string[]): WireWriter {
  const out = w().u32(fid).u32(newFid).u16(names.length);
  for (const name of names) out.string(name);
  return out;
}
const walk = (fid: number, ...names: string[]): Promise<WireReader> => asked(server, 'walk', walking(0, fid, ...names));
async function text(fid: number, from = server): Promise<string> {
  const answer = await asked(from, 'read', w().u32(fid).u64(0n).u32(4096));
  return new TextDecoder().decode(answer.data(answer.u32()));
}
const writing = (fid: number, offset: bigint, what: string): WireWriter =>
  w().u32(fid).u64(offset).u32(what.length).data(new TextEncoder().encode(what));
const setting = (fid: number, valid: number, { mode = 0, size = 0n, mtime = 0n } = {}): WireWriter =>
  w().u32(fid).u32(valid).u32(mode).u32(0).u32(0).u64(size).u64(0n).u64(0n).u64(mtime).u64(0n);
async function names(fid: number, count = 4096): Promise<string[]> {
  const found: string[] = [];
  for (let offset = 0n; ;) {
    const answer = await asked(server, 'readdir', w().u32(fid).u64(offset).u32(count));
    const entries = new WireReader(answer.data(answer.u32()));
    const before = found.length;
    for (;;) {
      try {
        entries.data(13);
      } catch {
        break;
      }
      offset = entries.u64();
      entries.u8();
      found.push(entries.string());
    }
    if (found.length === before) return found;
  }
}

describe('what a driver does', () => {
  it('reads a file below a folder', async () => {
    await walk(1, 'folder', 'inner');
    await asked(server, 'lopen', w().u32(1).u32(0));
    expect(await text(1)).toBe('inner');
  });
  it('creates, writes, cuts and sees the size of a file', async () => {
    await walk(1);
    await asked(
      server,
      'lcreate',
      w()
        .u32(1)
        .string('new')
        .u32(2 | 0o100)
        .u32(0o640)
        .u32(0),
    );
    await asked(server, 'write', writing(1, 0n, 'some text'));
    await asked(server, 'setattr', setting(1, 8, { size: 4n }));
    await asked(server, 'fsync', w().u32(1).u32(0));
    const attributes = await asked(server, 'getattr', w().u32(1).u64(0x7ffn));
    attributes.data(8 + 13 + 4 + 4 + 4 + 8 + 8);
    expect(attributes.u64()).toBe(4n);
    expect(await readFile(join(shared, 'new'), 'utf8')).toBe('some');
  });
  it('sets time and mode, and no set-user-id bit', async () => {
    await walk(1, 'file');
    await asked(server, 'setattr', setting(1, 1 | 0x20 | 0x100, { mode: 0o4755, mtime: 1_000_000_000n }));
    const found = await stat(join(shared, 'file'));
    expect([found.mode & 0o7777, found.mtimeMs]).toEqual([0o755, 1e12]);
  });
  it('lists a folder in small pieces, each name once', async () => {
    for (let i = 0; i < 40; i++) await writeFile(join(shared, 'folder', `n${i}`), '');
    await walk(1, 'folder');
    await asked(server, 'lopen', w().u32(1).u32(0));
    const expected = ['.', '..', 'inner', ...Array.from({ length: 40 }, (_, i) => `n${i}`)];
    expect((await names(1, 100)).sort()).toEqual(expected.sort());
  });
  it('makes, renames and removes folders, files and links; fids move along', async () => {
    await walk(1, 'folder', 'inner');
    await asked(server, 'mkdir', w().u32(0).string('other').u32(0o755).u32(0));
    await asked(server, 'renameat', w().u32(0).string('folder').u32(0).string('moved'));
    await asked(server, 'lopen', w().u32(1).u32(0));
    expect(await text(1)).toBe('inner');
    await asked(server, 'symlink', w().u32(0).string('link').string('../secret').u32(0));
    await walk(2, 'link');
    expect((await asked(server, 'readlink', w().u32(2))).string()).toBe('../secret');
    await walk(3, 'file');
    await asked(server, 'link', w().u32(0).u32(3).string('twin'));
    await asked(server, 'unlinkat', w().u32(0).string('file').u32(0));
    await asked(server, 'unlinkat', w().u32(0).string('other').u32(0x200));
    expect(await refused('unlinkat', w().u32(0).string('moved').u32(0x200))).toBe(ERRNO.ENOTEMPTY);
    expect((await readdir(shared)).sort()).toEqual(['link', 'moved', 'twin']);
  });
  it('goes on with an open file whose name is gone', async () => {
    await walk(1, 'file');
    await asked(server, 'lopen', w().u32(1).u32(2));
    await asked(server, 'unlinkat', w().u32(0).string('file').u32(0));
    await asked(server, 'getattr', w().u32(1).u64(0x7ffn));
    expect(await text(1)).toBe('hello');
  });
  it('answers a walk that fails later with what it found, and makes no fid', async () => {
    const answer = await asked(server, 'walk', walking(0, 1, 'folder', 'nothing'));
    expect(answer.u16()).toBe(1);
    expect(await refused('clunk', w().u32(1))).toBe(ERRNO.EBADF);
    expect(await refused('walk', walking(0, 1, 'nothing'))).toBe(ERRNO.ENOENT);
  });
  it('says what it does not have, as drivers bear it', async () => {
    expect(await refused('xattrwalk', w().u32(0).u32(9).string('security.capability'))).toBe(ERRNO.EOPNOTSUPP);
    expect((await asked(server, 'statfs', w().u32(0))).u32()).toBe(0x01021997);
    await asked(server, 'flush', w().u16(3));
  });
  it('goes on from a saved state: open files are open, and a file that is gone is closed', async () => {
    await walk(1, 'folder', 'inner');
    await asked(server, 'lopen', w().u32(1).u32(0));
    await walk(2, 'file');
    await asked(server, 'lopen', w().u32(2).u32(0));
    const saved = JSON.parse(JSON.stringify(await server.save())) as Awaited<ReturnType<ShareServer['save']>>;
    await rm(join(shared, 'file'));
    const next = await begin();
    await next.restore(saved);
    expect(await text(1, next)).toBe('inner');
    expect(await refused('read', w().u32(2).u64(0n).u32(10), next)).toBe(ERRNO.EBADF);
    await next.close();
  });
});

describe('a hostile guest', () => {
  it.each(['..', '.', '', 'folder/inner', '/etc', 'a\0b'])('finds nothing by the name %j', async (name) => {
    expect(await refused('walk', walking(0, 1, name))).toBe(ERRNO.EINVAL);
    expect(await refused('mkdir', w().u32(0).string(name).u32(0o755).u32(0))).toBe(ERRNO.EINVAL);
    expect(await refused('renameat', w().u32(0).string('file').u32(0).string(name))).toBe(ERRNO.EINVAL);
    expect(await refused('unlinkat', w().u32(0).string(name).u32(0))).toBe(ERRNO.EINVAL);
    await walk(1);
    expect(await refused('lcreate', w().u32(1).string(name).u32(2).u32(0o600).u32(0))).toBe(ERRNO.EINVAL);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });
  it('gets out by no symbolic link', async () => {
    await symlink('../secret', join(shared, 'link'));
    await symlink('..', join(shared, 'up'));
    await walk(1, 'link');
    expect(await refused('lopen', w().u32(1).u32(0))).toBe(ERRNO.ELOOP);
    const found = await asked(server, 'walk', walking(0, 2, 'up', 'secret'));
    expect(found.u16()).toBe(1);
    await walk(3, 'up');
    expect(await refused('mkdir', w().u32(3).string('made').u32(0o755).u32(0))).toBe(ERRNO.ENOTDIR);
    await walk(4);
    expect(await refused('lcreate', w().u32(4).string('link').u32(1).u32(0o600).u32(0))).toBe(ERRNO.ELOOP);
    expect(await refused('setattr', setting(1, 8))).toBe(ERRNO.EOPNOTSUPP);
    expect((await readdir(outside)).sort()).toEqual(['secret', 'shared']);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });
  it('opens no pipe, and makes none', async () => {
    execFileSync('mkfifo', [join(shared, 'pipe')]);
    await walk(1, 'pipe');
    expect(await refused('lopen', w().u32(1).u32(0))).toBe(ERRNO.EACCES);
    await walk(2);
    expect(await refused('lcreate', w().u32(2).string('pipe').u32(1).u32(0o600).u32(0))).toBe(ERRNO.EACCES);
    expect(await refused('mknod', w().u32(0).string('p').u32(0o010600).u32(0).u32(0).u32(0))).toBe(ERRNO.EPERM);
  });
  it('changes nothing of a share that is for reading', async () => {
    const reading = await begin(true);
    await asked(reading, 'walk', walking(0, 1, 'file'));
    const tries: [RequestKind, WireWriter][] = [
      ['lopen', w().u32(1).u32(1)],
      ['lopen', w().u32(1).u32(0o1000)],
      ['lcreate', w().u32(0).string('new').u32(1).u32(0o600).u32(0)],
      ['write', writing(1, 0n, 'x')],
      ['setattr', setting(1, 8)],
      ['mkdir', w().u32(0).string('new').u32(0o755).u32(0)],
      ['symlink', w().u32(0).string('new').string('x').u32(0)],
      ['mknod', w().u32(0).string('new').u32(0o100600).u32(0).u32(0).u32(0)],
      ['link', w().u32(0).u32(1).string('new')],
      ['unlinkat', w().u32(0).string('file').u32(0)],
      ['renameat', w().u32(0).string('file').u32(0).string('new')],
      ['rename', w().u32(1).u32(0).string('new')],
      ['remove', w().u32(1)],
    ];
    for (const [kind, body] of tries) expect([kind, await refused(kind, body, reading)]).toEqual([kind, ERRNO.EROFS]);
    expect((await readdir(shared)).sort()).toEqual(['file', 'folder']);
    expect(await readFile(join(shared, 'file'), 'utf8')).toBe('hello');
    await reading.close();
  });
  it('gets an error or an answer for any bytes, and nothing outside changes (seeded)', async () => {
    let seed = 20_260;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const words = ['file', 'folder', 'inner', '..', '.', '', 'a/b', 'new', '../secret', '\0'];
    for (let round = 0; round < 4000; round++) {
      const body = w();
      for (let i = random(8); i > 0; i--) {
        const what = random(5);
        if (what === 0) body.string(words[random(words.length)]!);
        else if (what === 1) body.u32(random(4));
        else if (what === 2) body.u64(BigInt(random(1 << 16)));
        else if (what === 3) body.u16(random(MOST_NAMES + 2));
        else body.u8(random(256));
      }
      const number = round % 3 === 0 ? random(256) : requestNumber(requestKinds[random(requestKinds.length)]!);
      const answer = await server.answer(frame(number, round & 0xffff, body.done()));
      expect(parseHeader(answer!).tag).toBe(round & 0xffff);
      expect(answer!.length).toBeLessThanOrEqual(MOST_MSIZE);
    }
    expect((await readdir(outside)).sort()).toEqual(['secret', 'shared']);
    expect((await lstat(join(outside, 'secret'))).size).toBe(6);
  });
  it('does no harm with requests in good form, whatever they ask for (seeded)', async () => {
    let seed = 9;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const fid = (): number => random(6);
    const name = (): string => ['file', 'folder', 'inner', 'up', 'secret', 'x', 'y', '..'][random(8)]!;
    const bodies: Partial<Record<RequestKind, () => WireWriter>> = {
      walk: () => walking(fid(), 1 + random(5), ...Array.from({ length: random(4) }, name)),
      clunk: () => w().u32(1 + random(5)),
      lopen: () =>
        w()
          .u32(fid())
          .u32(random(1 << 12)),
      lcreate: () =>
        w()
          .u32(1 + random(5))
          .string(name())
          .u32(random(1 << 12))
          .u32(0o600)
          .u32(0),
      mkdir: () => w().u32(fid()).string(name()).u32(0o755).u32(0),
      symlink: () => w().u32(fid()).string(name()).string('../secret').u32(0),
      link: () => w().u32(fid()).u32(fid()).string(name()),
      renameat: () => w().u32(fid()).string(name()).u32(fid()).string(name()),
      rename: () => w().u32(fid()).u32(fid()).string(name()),
      unlinkat: () =>
        w()
          .u32(fid())
          .string(name())
          .u32(0x200 * random(2)),
      write: () => writing(fid(), BigInt(random(1000)), 'evil'),
      setattr: () => setting(fid(), 9, { mode: 0o600, size: BigInt(random(100)) }),
      readdir: () => w().u32(fid()).u64(0n).u32(4096),
    };
    const kinds = Object.keys(bodies) as RequestKind[];
    const done = new Set<RequestKind>();
    for (let round = 0; round < 5000; round++) {
      // What the guest has made of the folder is put right now and then, so that there is always something to do.
      if (round % 50 === 0) {
        await server.close();
        await rm(shared, { recursive: true });
        await mkdir(join(shared, 'folder'), { recursive: true });
        await writeFile(join(shared, 'file'), 'hello');
        await writeFile(join(shared, 'folder', 'inner'), 'inner');
        await symlink('..', join(shared, 'up'));
        server = await begin();
        await walk(1, 'file');
        await walk(2, 'file');
        await asked(server, 'lopen', w().u32(2).u32(2));
        await walk(3, 'up');
      }
      const kind = kinds[random(kinds.length)]!;
      const { number } = await sent(server, kind, bodies[kind]!());
      if (number !== RLERROR) done.add(kind);
    }
    expect([...done].sort()).toEqual([...kinds].sort());
    expect((await readdir(outside)).sort()).toEqual(['secret', 'shared']);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });
  it('gets no answer to what has no header, and an error for a size that lies', async () => {
    expect(await server.answer(new Uint8Array(3))).toBeUndefined();
    const lying = frame(120, 1, w().u32(0).done());
    lying[0] = 200;
    expect(await server.answer(lying)).toBeUndefined();
  });
});
