/** The pool: one folder of images, and the files in it. */
import { constants, type Dirent, type Stats } from 'node:fs';
import { mkdir, open, opendir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FetchResponse, Init, InfoResponse, PoolFile } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { VMDK_TYPES, createVmdk, infoVmdk, type VmdkType } from '@tomei/vmdk';
import { poolError, type Noun } from './pool-error.ts';
import { isInternal, pathParts } from './pool-path.ts';
import { syncFolder } from './stable-file.ts';

/** What one listing looks at; a pool with more is listed folder by folder. */
const LIST_MAX_ENTRIES = 20_000;
/** Folders further down are not looked into. */
const LIST_MAX_DEPTH = 8;
const FETCH_PIECE = 256 << 10;

/** A file that is there. */
export interface Located {
  /** As it was asked for. */
  readonly path: string;
  /** On the host, without links: one name for one file. */
  readonly real: string;
}
export interface CreateDisk {
  readonly path: string;
  readonly sizeBytes: number;
  /** Empty: monolithicSparse. */
  readonly createType: string;
}

export class Pool {
  /** Without links. */
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }
  /** Throws `pool.missing`. */
  static async open(folder: string): Promise<Pool> {
    try {
      const root = await realpath(folder);
      if ((await stat(root)).isDirectory()) return new Pool(root);
    } catch (cause) {
      throw new TomeiError('pool.missing', `the pool ${folder} cannot be used; make that folder first`, { cause });
    }
    throw new TomeiError('pool.missing', `the pool ${folder} is no folder`);
  }

  /** Finds a file or folder. Throws `pool.bad-path`, `pool.outside`, `<noun>.missing`, `<noun>.denied`. */
  async locate(path: string, noun: Noun = 'pool'): Promise<Located> {
    const named = join(this.root, ...pathParts(path));
    const real = await realpath(named).catch((error: unknown) => {
      throw poolError(error, noun, path, 'read');
    });
    if (!this.holds(real)) throw outside(path);
    return { path, real };
  }
  private holds(real: string): boolean {
    return real === this.root || real.startsWith(`${this.root}/`);
  }

  /** All files of a folder (empty: of the pool) and those below it, by path. Throws `pool.too-large` when there are too many. */
  async list(folder: string): Promise<PoolFile[]> {
    const start = folder === '' ? this.root : (await this.locate(folder)).real;
    const prefix = folder === '' ? '' : `${folder}/`;
    const found: PoolFile[] = [];
    const waiting = [{ real: start, prefix, depth: 1 }];
    let seen = 0;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const names = new Map<string, Dirent>();
      try {
        for await (const entry of await opendir(next.real)) {
          if (++seen > LIST_MAX_ENTRIES) throw tooMany(folder);
          if (!isInternal(entry.name)) names.set(entry.name, entry);
        }
      } catch (error) {
        // Below what was asked for, a folder that went away or is closed to us is not listed.
        if (next.depth === 1 || error instanceof TomeiError) throw poolError(error, 'pool', folder, 'read');
      }
      for (const [name, entry] of names) {
        if (entry.isDirectory()) {
          if (next.depth < LIST_MAX_DEPTH)
            waiting.push({ real: join(next.real, name), prefix: `${next.prefix}${name}/`, depth: next.depth + 1 });
          continue;
        }
        const about = await this.fileAt(join(next.real, name));
        if (about === undefined) continue;
        found.push({
          path: `${next.prefix}${name}`,
          kind: kindOf(name, names),
          sizeBytes: about.size,
          modifiedMs: Math.floor(about.mtimeMs),
        });
      }
    }
    return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }
  /** Undefined for what is no file, leads out of the pool, or is gone. */
  private async fileAt(named: string): Promise<Stats | undefined> {
    try {
      const real = await realpath(named);
      if (!this.holds(real)) return undefined;
      const about = await stat(real);
      return about.isFile() ? about : undefined;
    } catch {
      return undefined;
    }
  }

  /** A file in pieces. Throws `pool.too-large`, `pool.changed`, and what `locate` does. */
  async *fetch(path: string, maxBytes: number): AsyncGenerator<Init<FetchResponse>> {
    const { real } = await this.locate(path);
    // Not blocking: a named pipe would wait for somebody who writes. No link: it was followed above, and checked.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
    const file = await open(real, flags).catch((error: unknown) => {
      throw poolError(error, 'pool', path, 'read');
    });
    try {
      const about = await file.stat();
      if (!about.isFile()) throw new TomeiError('pool.missing', `${path} is no file`, { data: { path } });
      const { size } = about;
      if (size > maxBytes) {
        const what = `${path} has ${size} bytes, more than the ${maxBytes} that were asked for`;
        throw new TomeiError('pool.too-large', what, { data: { path, sizeBytes: size, maxBytes } });
      }
      let at = 0;
      do {
        const piece = new Uint8Array(Math.min(FETCH_PIECE, size - at));
        const { bytesRead } = await file.read(piece, 0, piece.length, at).catch((error: unknown) => {
          throw poolError(error, 'pool', path, 'read');
        });
        if (bytesRead === 0 && size > 0)
          throw new TomeiError('pool.changed', `${path} became shorter while it was read; try again`, {
            data: { path },
            retryable: true,
          });
        yield { ...(at === 0 ? { sizeBytes: size } : {}), data: piece.subarray(0, bytesRead) };
        at += bytesRead;
      } while (at < size);
    } finally {
      await file.close();
    }
  }

  /** What a disk is. Throws what `locate` and `infoVmdk` do. */
  async info(path: string): Promise<InfoResponse> {
    const { real } = await this.locate(path, 'disk');
    const { createType, sizeBytes, allocatedBytes, warnings } = await infoVmdk(real);
    return { path, createType, sizeBytes, allocatedBytes, warnings };
  }

  /** Makes an empty disk, and the folders that it is in. Throws `disk.exists`, `disk.size`, `disk.bad-type`, `disk.bad-name`. */
  async create({ path, sizeBytes, createType }: CreateDisk): Promise<InfoResponse> {
    const parts = pathParts(path);
    const name = parts.pop()!;
    if (!/\.vmdk$/i.test(name) || isInternal(name))
      throw new TomeiError('disk.bad-name', `${path}: a disk's name ends in .vmdk`, { data: { path } });
    const type = createType === '' ? 'monolithicSparse' : createType;
    if (!(VMDK_TYPES as readonly string[]).includes(type)) {
      const what = `${JSON.stringify(type.slice(0, 80))} is no type of disk: ${VMDK_TYPES.join(', ')}`;
      throw new TomeiError('disk.bad-type', what, { data: { path } });
    }
    const folder = await this.makeFolders(path, parts);
    await createVmdk(join(folder, name), { sizeBytes, type: type as VmdkType });
    await syncFolder(folder);
    return this.info(path);
  }
  /** One part at a time, each checked before anything is made below it. */
  private async makeFolders(path: string, parts: readonly string[]): Promise<string> {
    let folder = this.root;
    try {
      for (const part of parts) {
        const below = join(folder, part);
        await mkdir(below).catch((error: unknown) => {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        });
        const real = await realpath(below);
        if (!this.holds(real)) throw outside(path);
        if (!(await stat(real)).isDirectory())
          throw new TomeiError('pool.bad-path', `${path}: ${part} is no folder`, { data: { path } });
        folder = real;
      }
    } catch (error) {
      throw poolError(error, 'disk', path, 'write');
    }
    return folder;
  }
}

const outside = (path: string): TomeiError =>
  new TomeiError('pool.outside', `${path} is a link that leads out of the pool`, { data: { path } });
const tooMany = (folder: string): TomeiError =>
  new TomeiError(
    'pool.too-large',
    `there are more than ${LIST_MAX_ENTRIES} files in ${folder === '' ? 'the pool' : folder}; list a folder further down`,
  );

/** The pieces of a disk (`x-flat.vmdk`, `x-s001.vmdk` beside `x.vmdk`) are no disks. */
function kindOf(name: string, names: ReadonlyMap<string, unknown>): PoolFile['kind'] {
  if (/\.vmx$/i.test(name)) return 'POOL_FILE_KIND_VMX';
  if (!/\.vmdk$/i.test(name)) return 'POOL_FILE_KIND_OTHER';
  const whole = name.replace(/-(?:flat|[fs]\d{3})(\.vmdk)$/i, '$1');
  return whole !== name && names.has(whole) ? 'POOL_FILE_KIND_OTHER' : 'POOL_FILE_KIND_VMDK';
}
