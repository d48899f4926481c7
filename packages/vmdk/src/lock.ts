/**
 * An advisory lock beside a disk, `<disk>.lck`: whoever writes the disk says so there. A lock of a process that is gone is taken over.
 * It tells processes of one host apart; between hosts it can only refuse.
 */
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { TomeiError } from '@tomei/kit';
import { hostError } from './host-file.ts';

/** Who holds a lock. `boot` and `started` tell a process from a later one with the same number. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly boot: string;
  readonly started: string;
  readonly id: string;
}

export class DiskLock {
  readonly path: string;
  /** Set when a dead process's lock was taken over. */
  readonly notice: string | undefined;
  private readonly holder: LockHolder;

  private constructor(path: string, holder: LockHolder, notice: string | undefined) {
    this.path = path;
    this.holder = holder;
    this.notice = notice;
  }

  /** Throws `disk.locked` naming the holder, or `disk.read-only` where no lock can be written. */
  static async acquire(diskPath: string): Promise<DiskLock> {
    const path = lockPath(diskPath);
    const holder = self();
    if (await place(path, holder)) return new DiskLock(path, holder, undefined);
    // Only one process at a time may remove a dead one's lock: it could otherwise remove the next one's.
    const guard = `${path}.guard`;
    if (!(await place(guard, holder))) {
      const what = `${diskPath}: another process is taking over its lock; if there is none, remove ${guard}`;
      throw new TomeiError('disk.locked', what, { data: { file: diskPath }, retryable: true });
    }
    try {
      const before = await readLock(path);
      if (before !== undefined && isAlive(before, holder)) throw lockedError(diskPath, path, before);
      await rm(path, { force: true }).catch((error: unknown) => {
        throw lockedBy(diskPath, path, error);
      });
      if (!(await place(path, holder))) throw lockedError(diskPath, path, await readLock(path));
      const whose = before === undefined ? 'a lock that was gone' : `the lock of process ${before.pid}, which is gone`;
      return new DiskLock(path, holder, `${diskPath}: took over ${whose}; the disk may not have been closed cleanly`);
    } finally {
      await rm(guard, { force: true });
    }
  }

  /** Removes the lock if it is still ours. */
  async release(): Promise<void> {
    const now = await readLock(this.path).catch(() => undefined);
    if (now?.id === this.holder.id) await rm(this.path, { force: true });
  }
}

export const lockPath = (diskPath: string): string => `${diskPath}.lck`;

/** The holder of a disk's lock, dead or alive; undefined when it is not locked. Throws `disk.locked` for a lock that is not ours to read. */
export async function lockHolder(diskPath: string): Promise<{ holder: LockHolder; alive: boolean } | undefined> {
  const holder = await readLock(lockPath(diskPath));
  return holder === undefined ? undefined : { holder, alive: isAlive(holder, self()) };
}

/** Creates the file with its content in one step. False when there is one. */
async function place(path: string, holder: LockHolder): Promise<boolean> {
  const draft = `${path}.${holder.id}`;
  try {
    await writeFile(draft, `${JSON.stringify(holder)}\n`, { flag: 'wx' });
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw hostError(error, path, 'write');
  } finally {
    await rm(draft, { force: true });
  }
}

async function readLock(path: string): Promise<LockHolder | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw lockedBy(path.replace(/\.lck$/, ''), path, error);
  }
  try {
    const raw = JSON.parse(text) as Partial<LockHolder> | null;
    const { pid, host, boot, started, id } = raw ?? {};
    const texts = [host, boot, started, id].every((field) => typeof field === 'string');
    if (texts && Number.isInteger(pid) && pid! > 0) return raw as LockHolder;
  } catch {
    // Not ours; said below.
  }
  throw lockedBy(path.replace(/\.lck$/, ''), path, undefined);
}

/** VMware's locks are directories of this name. */
function lockedBy(diskPath: string, path: string, cause: unknown): TomeiError {
  const what = `${diskPath} is locked by another program (${path}); shut that down, or remove the lock if it is gone`;
  return new TomeiError('disk.locked', what, { cause, data: { file: diskPath } });
}

function lockedError(diskPath: string, path: string, holder: LockHolder | undefined): TomeiError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  const what = `${diskPath} is in use by ${who}; shut that guest down, or remove ${path} if it is gone`;
  return new TomeiError('disk.locked', what, { data: { file: diskPath, holder } });
}

function isAlive(holder: LockHolder, here: LockHolder): boolean {
  if (holder.host !== here.host) return true; // nobody here can know
  if (holder.boot !== here.boot) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return holder.started === '' || startOf(holder.pid) === holder.started;
}

function self(): LockHolder {
  const boot = readText('/proc/sys/kernel/random/boot_id').trim();
  return { pid: process.pid, host: hostname(), boot, started: startOf(process.pid), id: randomUUID() };
}

/** When a process began, in ticks since boot (proc(5), /proc/pid/stat field 22); empty where there is no /proc. */
function startOf(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
