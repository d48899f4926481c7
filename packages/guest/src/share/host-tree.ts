/**
 * The files of a shared folder, reached so that no path leads out of it. A place is a list of names below the share's
 * root. Each name is opened by itself, relative to the open folder before it (`/proc/self/fd/N/name`), with O_NOFOLLOW:
 * the kernel never sees a path of a guest's making, and a symbolic link is an object and no way. What is found that way
 * is held by an O_PATH handle and then opened, changed and described through that handle, so that nobody can put another
 * object in its place between check and use. That needs Linux's /proc.
 *
 * What remains: file systems that the host has mounted inside the folder are part of it, and so are files that have hard
 * links outside of it. Whoever moves a folder out of the share while a walk is in it takes that one walk along.
 */
import { constants, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { Refused } from './errno.ts';

/** Not among Node's constants; the same on all of Linux's architectures that Node runs on. */
const O_PATH = 0o10000000;
const LOOK = O_PATH | constants.O_NOFOLLOW;
/** NAME_MAX. */
const MOST_NAME_BYTES = 255;
/** Folders below each other. */
export const MOST_DEPTH = 256;

/** Names below the share's root; none is the root itself. */
export type Place = readonly string[];

/** Throws for whatever is not one name of a file: EINVAL, ENAMETOOLONG. */
export function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
    throw new Refused('EINVAL');
  if (Buffer.byteLength(name) > MOST_NAME_BYTES) throw new Refused('ENAMETOOLONG');
}

/** The path by which the object of a handle is reached, whatever became of its name. */
export const throughHandle = (handle: FileHandle): string => `/proc/self/fd/${handle.fd}`;
/** The path of a name in an open folder. */
export function inFolder(folder: FileHandle, name: string): string {
  checkName(name);
  return `/proc/self/fd/${folder.fd}/${name}`;
}

export class HostTree {
  private readonly root: FileHandle;
  /** Device number of the root's file system. */
  readonly device: bigint;

  private constructor(root: FileHandle, device: bigint) {
    this.root = root;
    this.device = device;
  }
  /** Opens a shared folder; throws what the system says where there is none, and ENOTDIR for a file. */
  static async open(hostPath: string): Promise<HostTree> {
    const root = await open(hostPath, O_PATH | constants.O_DIRECTORY);
    const { dev } = await root.stat({ bigint: true });
    return new HostTree(root, dev);
  }
  close(): Promise<void> {
    return this.root.close();
  }

  /** Does `use` with an O_PATH handle of what is at a place: a file, a folder, a link itself, or something special. */
  async at<T>(place: Place, use: (handle: FileHandle, stat: BigIntStats) => Promise<T>): Promise<T> {
    if (place.length > MOST_DEPTH) throw new Refused('ENAMETOOLONG');
    let here = this.root;
    try {
      for (const name of place) {
        const path = inFolder(here, name);
        const next = await open(path, LOOK);
        if (here !== this.root) await here.close();
        here = next;
      }
      return await use(here, await here.stat({ bigint: true }));
    } finally {
      if (here !== this.root) await here.close();
    }
  }
  /** Does `use` with the folder at a place; ENOTDIR where it is none. */
  inside<T>(place: Place, use: (folder: FileHandle) => Promise<T>): Promise<T> {
    return this.at(place, (handle, stat) => {
      if (!stat.isDirectory()) throw new Refused('ENOTDIR');
      return use(handle);
    });
  }
  /** Does `use` with the folder that has a place, and its name there. EBUSY for the root, which is in none. */
  beside<T>(place: Place, use: (folder: FileHandle, name: string) => Promise<T>): Promise<T> {
    const name = place.at(-1);
    if (name === undefined) throw new Refused('EBUSY');
    return this.inside(place.slice(0, -1), (folder) => use(folder, name));
  }
}
