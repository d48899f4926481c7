/** What a guest holds in a share: fids, each a place in the tree, some of them open. */
import type { FileHandle } from 'node:fs/promises';
import { Refused } from './errno.ts';
import type { Place } from './host-tree.ts';

/** Fids of one share. A guest's kernel keeps one for each file it remembers. */
export const MOST_FIDS = 65_536;
/** Open files of one share; each is an open file of the process. */
export const MOST_OPEN = 1024;

export interface OpenFile {
  readonly handle: FileHandle;
  /** Linux's open flags as the guest gave them, without those of creation. */
  readonly flags: number;
  /** Names of a folder as its reading began, `.` and `..` first. */
  names?: readonly string[];
}
export interface Fid {
  place: Place;
  open?: OpenFile;
}
/** A fid as it is saved. */
export interface SavedFid {
  readonly fid: number;
  readonly place: readonly string[];
  readonly flags?: number | undefined;
}

export class Fids {
  private readonly fids = new Map<number, Fid>();
  private opened = 0;

  /** EBADF for a fid that there is not. */
  get(fid: number): Fid {
    const found = this.fids.get(fid);
    if (found === undefined) throw new Refused('EBADF');
    return found;
  }
  /** EBADF for a fid in use, ENFILE for one too many. */
  add(fid: number, place: Place): Fid {
    if (this.fids.has(fid)) throw new Refused('EBADF');
    if (this.fids.size >= MOST_FIDS) throw new Refused('ENFILE');
    const added: Fid = { place };
    this.fids.set(fid, added);
    return added;
  }
  /** An open fid; EBADF for one that is not. */
  opens(fid: number): OpenFile {
    const { open } = this.get(fid);
    if (open === undefined) throw new Refused('EBADF');
    return open;
  }
  /** Refuses what would be opened twice, or be one too many: EBADF, EMFILE. */
  checkOpen(fid: Fid): void {
    if (fid.open !== undefined) throw new Refused('EBADF');
    if (this.opened >= MOST_OPEN) throw new Refused('EMFILE');
  }
  setOpen(fid: Fid, open: OpenFile): void {
    fid.open = open;
    this.opened++;
  }
  async remove(fid: number): Promise<void> {
    const { open } = this.get(fid);
    this.fids.delete(fid);
    if (open === undefined) return;
    this.opened--;
    await open.handle.close();
  }
  async clear(): Promise<void> {
    for (const fid of [...this.fids.keys()]) await this.remove(fid);
  }
  /** Everything at or below a place is now at another one. */
  moved(from: Place, to: Place): void {
    for (const fid of this.fids.values())
      if (from.every((name, i) => fid.place[i] === name)) fid.place = [...to, ...fid.place.slice(from.length)];
  }
  save(): SavedFid[] {
    return [...this.fids].map(([fid, { place, open }]) => ({ fid, place, flags: open?.flags }));
  }
}
