/**
 * A 9P2000.L server for one folder of the host. Requests are answered one after another in the order in which they came,
 * so that a flush finds whatever it names already answered. It trusts no guest: see `host-tree.ts` for paths, `fids.ts`
 * for what a guest can hold.
 */
import { constants, type BigIntStats } from 'node:fs';
import {
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  statfs,
  symlink,
  truncate,
  unlink,
  utimes,
  chmod,
  type FileHandle,
} from 'node:fs/promises';
import { MODE_BITS, OPEN, SETATTR, attributes, changes, entry, entryBytes, hostFlags, qidOf } from './attributes.ts';
import { Refused, errnoOf } from './errno.ts';
import { Fids, type Fid, type SavedFid } from './fids.ts';
import { HostTree, checkName, inFolder, throughHandle, type Place } from './host-tree.ts';
import {
  IO_HEADER_BYTES,
  RLERROR,
  frame,
  kindOf,
  parseBody,
  parseHeader,
  type RequestKind,
  type RequestOf,
} from './messages.ts';
import { Malformed, WireWriter } from './wire.ts';

export const VERSION = '9P2000.L';
/** The longest message; a driver may ask for shorter ones. */
export const MOST_MSIZE = 512 * 1024;
const LEAST_MSIZE = 4096;
const V9FS_MAGIC = 0x01021997;
const NAME_MAX = 255;
const AT_REMOVEDIR = 0x200;
const UNLOCKED = 2;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** What a path longer than PATH_MAX would be; for targets of symbolic links. */
const MOST_TARGET_BYTES = 4095;

/** What changes files. */
const CHANGING = new Set<RequestKind>([
  'lcreate',
  'symlink',
  'mknod',
  'rename',
  'setattr',
  'xattrcreate',
  'link',
  'mkdir',
  'renameat',
  'unlinkat',
  'write',
]);

type Operations = { readonly [K in RequestKind]: (request: RequestOf<K>) => WireWriter | Promise<WireWriter> };
const nothing = (): WireWriter => new WireWriter();

export class ShareServer {
  private readonly tree: HostTree;
  private readonly readOnly: boolean;
  private readonly fids = new Fids();
  private msize = LEAST_MSIZE;
  private last: Promise<unknown> = Promise.resolve();

  /** `tree` is the server's from now on. */
  constructor(tree: HostTree, readOnly: boolean) {
    this.tree = tree;
    this.readOnly = readOnly;
  }

  /** The answer to a message. Never fails; undefined where a message has no tag that could be answered. */
  answer(message: Uint8Array): Promise<Uint8Array | undefined> {
    const answered = this.last.then(() => this.serve(message));
    this.last = answered;
    return answered;
  }
  /** After what was asked before: gives back all files. */
  async close(): Promise<void> {
    await this.last;
    await this.fids.clear();
    await this.tree.close();
  }
  /** What the guest holds, when all that was asked is answered. */
  async save(): Promise<{ msize: number; fids: SavedFid[] }> {
    await this.last;
    return { msize: this.msize, fids: this.fids.save() };
  }
  /** Takes over what a guest held. A file that is gone meanwhile stays closed: what is asked of it fails with EBADF. */
  async restore({ msize, fids }: { msize: number; fids: readonly SavedFid[] }): Promise<void> {
    await this.last;
    await this.fids.clear();
    this.msize = Math.min(Math.max(msize, LEAST_MSIZE), MOST_MSIZE);
    for (const { fid, place, flags } of fids) {
      place.forEach(checkName);
      const added = this.fids.add(fid, [...place]);
      if (flags === undefined || (this.readOnly && changes(flags))) continue;
      await this.openFid(added, flags & ~OPEN.truncate).catch(() => undefined);
    }
  }

  private async serve(message: Uint8Array): Promise<Uint8Array | undefined> {
    let header;
    try {
      header = parseHeader(message);
    } catch {
      return undefined;
    }
    const { number, tag } = header;
    try {
      const kind = kindOf(number);
      if (kind === undefined) throw new Refused('EOPNOTSUPP');
      if (message.length > Math.max(this.msize, LEAST_MSIZE)) throw new Malformed('longer than agreed');
      const body = parseBody(kind, message);
      if (this.readOnly && CHANGING.has(kind)) throw new Refused('EROFS');
      const operation = this.operations[kind] as (request: RequestOf<RequestKind>) => WireWriter | Promise<WireWriter>;
      return frame(number + 1, tag, (await operation(body)).done());
    } catch (error) {
      return frame(RLERROR, tag, new WireWriter().u32(errnoOf(error)).done());
    }
  }

  private readonly operations: Operations = {
    version: async ({ msize, version }) => {
      if (msize < LEAST_MSIZE) throw new Refused('EINVAL');
      await this.fids.clear();
      this.msize = Math.min(msize, MOST_MSIZE);
      return new WireWriter().u32(this.msize).string(version === VERSION ? VERSION : 'unknown');
    },
    // Nobody has to prove anything: a share is its guest's.
    auth: () => {
      throw new Refused('EOPNOTSUPP');
    },
    attach: async ({ fid }) => {
      const qid = await this.qidAt([]);
      this.fids.add(fid, []);
      return nothing().qid(qid);
    },
    flush: nothing,
    walk: (request) => this.walk(request),
    clunk: async ({ fid }) => {
      await this.fids.remove(fid);
      return nothing();
    },
    remove: async ({ fid }) => {
      const { place } = this.fids.get(fid);
      try {
        if (this.readOnly) throw new Refused('EROFS');
        await this.tree.beside(place, async (folder, name) => {
          const path = inFolder(folder, name);
          await ((await lstat(path)).isDirectory() ? rmdir(path) : unlink(path));
        });
      } finally {
        // A remove is a clunk too, even one that fails.
        await this.fids.remove(fid);
      }
      return nothing();
    },

    lopen: async ({ fid, flags }) => {
      const found = this.fids.get(fid);
      const qid = await this.openFid(found, flags);
      return nothing()
        .qid(qid)
        .u32(this.msize - IO_HEADER_BYTES);
    },
    lcreate: (request) => this.create(request),
    read: async ({ fid, offset, count }) => {
      const { handle } = this.fids.opens(fid);
      const bytes = new Uint8Array(Math.min(count, this.msize - IO_HEADER_BYTES));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, position(offset));
      return nothing().u32(bytesRead).data(bytes.subarray(0, bytesRead));
    },
    write: async ({ fid, offset, data }) => {
      const { handle } = this.fids.opens(fid);
      const { bytesWritten } = await handle.write(data, 0, data.length, position(offset));
      return nothing().u32(bytesWritten);
    },
    fsync: async ({ fid, dataOnly }) => {
      const { handle } = this.fids.opens(fid);
      await (dataOnly === 0 ? handle.sync() : handle.datasync());
      return nothing();
    },
    readdir: (request) => this.list(request),
    // Locks are between programs of one guest, whose kernel knows them all.
    lock: ({ fid }) => {
      this.fids.get(fid);
      return nothing().u8(0);
    },
    getlock: ({ fid, start, length, process, client }) => {
      this.fids.get(fid);
      return nothing().u8(UNLOCKED).u64(start).u64(length).u32(process).string(client);
    },

    getattr: async ({ fid }) => {
      const stat = await this.describe(this.fids.get(fid));
      return attributes(stat, this.tree.device);
    },
    setattr: async (request) => {
      await this.change(request);
      return nothing();
    },
    statfs: async ({ fid }) => {
      const found = await this.tree.at(this.fids.get(fid).place, (handle) =>
        statfs(throughHandle(handle), { bigint: true }),
      );
      const out = nothing().u32(V9FS_MAGIC).u32(Number(found.bsize));
      for (const value of [found.blocks, found.bfree, found.bavail, found.files, found.ffree, 0n]) out.u64(value);
      return out.u32(NAME_MAX);
    },
    readlink: async ({ fid }) => {
      const target = await this.tree.beside(this.fids.get(fid).place, (folder, name) =>
        readlink(inFolder(folder, name)),
      );
      return nothing().string(target);
    },
    xattrwalk: () => {
      throw new Refused('EOPNOTSUPP');
    },
    xattrcreate: () => {
      throw new Refused('EOPNOTSUPP');
    },

    mkdir: ({ fid, name, mode }) => this.make(fid, name, (path) => mkdir(path, mode & MODE_BITS)),
    symlink: ({ fid, name, target }) => {
      if (target.includes('\0') || target === '' || Buffer.byteLength(target) > MOST_TARGET_BYTES)
        throw new Refused('EINVAL');
      return this.make(fid, name, (path) => symlink(target, path));
    },
    mknod: ({ fid, name, mode }) => {
      const kind = mode & S_IFMT;
      // Pipes, sockets and devices would be the host's.
      if (kind !== S_IFREG && kind !== 0) throw new Refused('EPERM');
      return this.make(fid, name, async (path) => {
        const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
        await (await open(path, flags, mode & MODE_BITS)).close();
      });
    },
    link: async ({ directory, fid, name }) => {
      const target = this.fids.get(directory).place;
      await this.tree.beside(this.fids.get(fid).place, (from, old) =>
        this.tree.inside(target, (to) => link(inFolder(from, old), inFolder(to, name))),
      );
      return nothing();
    },
    unlinkat: async ({ fid, name, flags }) => {
      await this.tree.inside(this.fids.get(fid).place, (folder) =>
        flags & AT_REMOVEDIR ? rmdir(inFolder(folder, name)) : unlink(inFolder(folder, name)),
      );
      return nothing();
    },
    rename: ({ fid, directory, name }) =>
      this.move(this.fids.get(fid).place, [...this.fids.get(directory).place, name]),
    renameat: ({ from, oldName, to, newName }) =>
      this.move([...this.fids.get(from).place, oldName], [...this.fids.get(to).place, newName]),
  };

  private qidAt(place: Place) {
    return this.tree.at(place, (_, stat) => Promise.resolve(qidOf(stat, this.tree.device)));
  }
  /** Of an open file also when its name is gone. */
  private describe({ place, open: opened }: Fid): Promise<BigIntStats> {
    if (opened !== undefined) return opened.handle.stat({ bigint: true });
    return this.tree.at(place, (_, stat) => Promise.resolve(stat));
  }

  private async walk({ fid, newFid, names }: RequestOf<'walk'>): Promise<WireWriter> {
    const start = this.fids.get(fid);
    if (start.open !== undefined && fid === newFid) throw new Refused('EBADF');
    const qids = [];
    let { place } = start;
    for (const name of names) {
      try {
        checkName(name);
        const next = [...place, name];
        qids.push(await this.qidAt(next));
        place = next;
      } catch (error) {
        // The first name that fails is an error; a later one ends the walk, and newFid is not made.
        if (qids.length === 0) throw error;
        break;
      }
    }
    if (qids.length === names.length) {
      if (fid === newFid) start.place = place;
      else this.fids.add(newFid, place);
    }
    const out = nothing().u16(qids.length);
    for (const qid of qids) out.qid(qid);
    return out;
  }

  /** Opens what a fid names, which has to be a file or a folder: nothing else of the host is touched. */
  private async openFid(fid: Fid, flags: number) {
    this.fids.checkOpen(fid);
    if (this.readOnly && changes(flags)) throw new Refused('EROFS');
    return this.tree.at(fid.place, async (handle, stat) => {
      if (stat.isSymbolicLink()) throw new Refused('ELOOP');
      if (!stat.isFile() && !stat.isDirectory()) throw new Refused('EACCES');
      if (stat.isDirectory() && changes(flags)) throw new Refused('EISDIR');
      const opened = await open(throughHandle(handle), hostFlags(flags));
      this.fids.setOpen(fid, { handle: opened, flags: flags & ~(OPEN.create | OPEN.exclusive) });
      return qidOf(stat, this.tree.device);
    });
  }

  private async create({ fid, name, flags, mode }: RequestOf<'lcreate'>): Promise<WireWriter> {
    const folder = this.fids.get(fid);
    this.fids.checkOpen(folder);
    const place = [...folder.place, name];
    const fresh = hostFlags(flags) | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    let handle: FileHandle | undefined;
    try {
      handle = await this.tree.inside(folder.place, (at) => open(inFolder(at, name), fresh, mode & MODE_BITS));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || flags & OPEN.exclusive) throw error;
    }
    let qid;
    if (handle === undefined) {
      // It is there: whatever it is, it is opened as any other file.
      const existing: Fid = { place };
      qid = await this.openFid(existing, flags);
      Object.assign(folder, existing);
    } else {
      qid = qidOf(await handle.stat({ bigint: true }), this.tree.device);
      folder.place = place;
      this.fids.setOpen(folder, { handle, flags: flags & ~(OPEN.create | OPEN.exclusive | OPEN.truncate) });
    }
    return nothing()
      .qid(qid)
      .u32(this.msize - IO_HEADER_BYTES);
  }

  private async make(fid: number, name: string, how: (path: string) => Promise<unknown>): Promise<WireWriter> {
    const { place } = this.fids.get(fid);
    await this.tree.inside(place, (folder) => how(inFolder(folder, name)));
    return nothing().qid(await this.qidAt([...place, name]));
  }

  private async move(from: Place, to: Place): Promise<WireWriter> {
    await this.tree.beside(from, (source, old) =>
      this.tree.beside(to, (target, fresh) => rename(inFolder(source, old), inFolder(target, fresh))),
    );
    this.fids.moved(from, to);
    return nothing();
  }

  private async list({ fid, offset, count }: RequestOf<'readdir'>): Promise<WireWriter> {
    const { place } = this.fids.get(fid);
    const opened = this.fids.opens(fid);
    const path = throughHandle(opened.handle);
    if (offset === 0n || opened.names === undefined) opened.names = ['.', '..', ...(await namesIn(path))];
    const room = Math.min(count, this.msize - IO_HEADER_BYTES);
    const out = nothing();
    const { names } = opened;
    for (let i = offset > names.length ? names.length : Number(offset); i < names.length; i++) {
      const name = names[i]!;
      if (out.size + entryBytes(Buffer.byteLength(name)) > room) break;
      const qid = await this.qidOfEntry(place, path, name).catch(() => undefined);
      // What is gone meanwhile is no entry.
      if (qid !== undefined) out.data(entry(qid, i + 1, name));
    }
    const entries = out.done();
    return nothing().u32(entries.length).data(entries);
  }
  /** Nothing above the root is looked at, not even its number. */
  private async qidOfEntry(place: Place, path: string, name: string) {
    if (name === '..') return this.qidAt(place.slice(0, -1));
    return qidOf(await lstat(`${path}/${name}`, { bigint: true }), this.tree.device);
  }

  private async change(request: RequestOf<'setattr'>): Promise<void> {
    const fid = this.fids.get(request.fid);
    const act = async (handle: FileHandle, stat: BigIntStats): Promise<void> => {
      const path = throughHandle(handle);
      const wants = (bit: number): boolean => (request.valid & bit) !== 0;
      if (stat.isSymbolicLink()) {
        if (wants(SETATTR.mode | SETATTR.size)) throw new Refused('EOPNOTSUPP');
        return;
      }
      if (wants(SETATTR.mode)) await chmod(path, request.mode & MODE_BITS);
      if (wants(SETATTR.size)) {
        if (!stat.isFile()) throw new Refused(stat.isDirectory() ? 'EISDIR' : 'EINVAL');
        await truncate(path, position(request.size));
      }
      if (!wants(SETATTR.atime | SETATTR.mtime)) return;
      const now = Date.now() / 1000;
      const time = (set: number, given: number, bit: number, old: bigint): number =>
        !wants(bit) ? Number(old) / 1e9 : wants(set) ? given : now;
      const atime = Number(request.atimeSeconds) + Number(request.atimeNanoseconds) / 1e9;
      const mtime = Number(request.mtimeSeconds) + Number(request.mtimeNanoseconds) / 1e9;
      await utimes(
        path,
        time(SETATTR.atimeSet, atime, SETATTR.atime, stat.atimeNs),
        time(SETATTR.mtimeSet, mtime, SETATTR.mtime, stat.mtimeNs),
      );
    };
    if (fid.open === undefined) await this.tree.at(fid.place, act);
    else await act(fid.open.handle, await fid.open.handle.stat({ bigint: true }));
  }
}

/** An offset or size of a file, which no file system has above 2^53. */
function position(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refused('EFBIG');
  return Number(value);
}

/** Names in a folder that are text: 9P has no others. */
async function namesIn(path: string): Promise<string[]> {
  const all = await readdir(path, { encoding: 'buffer' });
  return all
    .map((name) => ({ name, text: name.toString('utf8') }))
    .filter(({ name, text }) => Buffer.from(text).equals(name))
    .map(({ text }) => text);
}
