/** A small file tree in memory: what goes into an initrd or onto a root disk, in an order that does not depend on the host. */
import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert } from '@tomei/kit';

/** `path` is relative, without a leading slash; `mode` are the permission bits. Owner and group are always root. */
export type TreeEntry = { readonly path: string; readonly mode: number } & (
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly data: Uint8Array }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'character-device'; readonly major: number; readonly minor: number }
);

export class Tree {
  private readonly byPath = new Map<string, TreeEntry>();

  directory(path: string, mode = 0o755): this {
    return this.add({ kind: 'directory', path, mode });
  }
  file(path: string, data: Uint8Array | string, mode = 0o644): this {
    return this.add({ kind: 'file', path, mode, data: typeof data === 'string' ? Buffer.from(data) : data });
  }
  link(path: string, target: string): this {
    return this.add({ kind: 'link', path, mode: 0o777, target });
  }
  characterDevice(path: string, major: number, minor: number, mode = 0o600): this {
    return this.add({ kind: 'character-device', path, mode, major, minor });
  }

  /** Adds what lies in a folder of the host. Git keeps of a file's mode whether it is executable, and so does this. */
  overlay(folder: string, at = ''): this {
    for (const name of readdirSync(folder).sort()) {
      const source = join(folder, name);
      const path = at === '' ? name : `${at}/${name}`;
      const status = statSync(source);
      if (status.isDirectory()) this.directory(path).overlay(source, path);
      else this.file(path, readFileSync(source), status.mode & 0o100 ? 0o755 : 0o644);
    }
    return this;
  }

  get(path: string): TreeEntry | undefined {
    return this.byPath.get(path);
  }

  /** Every entry, parents before children. */
  entries(): TreeEntry[] {
    return [...this.byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Adding what is there already replaces it; parents come by themselves. */
  private add(entry: TreeEntry): this {
    assert(entry.path !== '' && !entry.path.startsWith('/') && !entry.path.split('/').includes('..'), entry.path);
    const parent = entry.path.split('/').slice(0, -1).join('/');
    if (parent !== '' && !this.byPath.has(parent)) this.directory(parent);
    this.byPath.set(entry.path, entry);
    return this;
  }
}

/** Writes a tree below an existing folder, with `time` (seconds since 1970) on everything. Devices are left out. */
export function writeTree(tree: Tree, folder: string, time: number): void {
  const entries = tree.entries();
  for (const entry of entries) {
    const path = join(folder, entry.path);
    if (entry.kind === 'directory') mkdirSync(path);
    else if (entry.kind === 'file') writeFileSync(path, entry.data);
    else if (entry.kind === 'link') symlinkSync(entry.target, path);
    if (entry.kind === 'directory' || entry.kind === 'file') chmodSync(path, entry.mode);
  }
  // Children first, since writing a child touches its directory.
  for (const entry of entries.reverse()) {
    if (entry.kind !== 'character-device') lutimesSync(join(folder, entry.path), time, time);
  }
}
