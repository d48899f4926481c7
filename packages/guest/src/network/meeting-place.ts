/** Where the guests of one user meet: a folder for each network, with a socket of each guest process that has a card on it. */
import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TomeiError, messageOf } from '@tomei/kit';

/** sockaddr_un has room for 108 bytes, the last of which is zero (unix(7)). */
const MOST_PATH = 107;
/** What a socket's name adds to the folder. */
const NAME_LENGTH = 1 + 16;
const READABLE = 24;

/** `$XDG_RUNTIME_DIR/tomei` (XDG Base Directory Specification), or a folder of the user's among the temporary ones. */
export function runtimeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment['XDG_RUNTIME_DIR'];
  if (given !== undefined && given.startsWith('/')) return join(given, 'tomei');
  return join(tmpdir(), `tomei-${process.getuid?.() ?? 0}`);
}

/** A name for a folder: what of the network's name a person can read there, and a hash of all of it. */
export function folderName(network: string): string {
  const readable = network.replaceAll(/[^A-Za-z0-9-]/g, '_').slice(0, READABLE);
  return `${readable}-${createHash('sha256').update(network).digest('hex').slice(0, 8)}`;
}

/**
 * Makes the folder of a network, where nobody but this user may look. Throws `network.folder`: guests go on without the others
 * then.
 */
export async function meetingPlace(network: string, runtime = runtimeFolder()): Promise<string> {
  const path = join(runtime, 'networks', folderName(network));
  const refuse = (what: string, cause?: unknown): TomeiError =>
    new TomeiError('network.folder', `${what}; set XDG_RUNTIME_DIR to a folder of your own`, {
      cause,
      data: { folder: path },
    });
  if (Buffer.byteLength(path) + NAME_LENGTH > MOST_PATH) throw refuse(`${path} is too long for the name of a socket`);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw refuse(`cannot make ${path}: ${messageOf(cause)}`, cause);
  }
  // What was there already may be somebody else's, or a link that they made.
  for (const folder of [runtime, join(runtime, 'networks'), path]) {
    const { uid, mode } = await lstat(folder);
    const isOwn = uid === (process.getuid?.() ?? uid) && (mode & 0o077) === 0 && (mode & 0o170000) === 0o040000;
    if (!isOwn) throw refuse(`${folder} is not a folder that only you may enter`);
  }
  return path;
}
