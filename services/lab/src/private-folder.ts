/** A folder that only this user can enter, for the sockets between the services of a lab. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PrivateFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** A socket's path has 107 bytes on Linux; the longest name in the folder takes 30. */
const MAX_PATH = 70;

export async function makePrivateFolder(): Promise<PrivateFolder> {
  const name = 'tomei-lab-';
  const below = tmpdir().length + name.length + 7 <= MAX_PATH ? tmpdir() : '/tmp';
  // mkdtemp makes it with mode 0700.
  const path = await mkdtemp(join(below, name));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
