/** Where files of a user belong (XDG Base Directory Specification). */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** What can be fetched or made again: `$XDG_CACHE_HOME/tomei`, which is `~/.cache/tomei` for most. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const set = environment['XDG_CACHE_HOME'];
  // The specification says that a relative path is to be ignored.
  return join(set !== undefined && isAbsolute(set) ? set : join(homedir(), '.cache'), 'tomei');
}
