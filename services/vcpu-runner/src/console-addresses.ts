/** Where the processes of guests serve their consoles. */
import type { ConsoleOptions } from '@tomei/guest';

const UNIX = 'unix:';

/**
 * Each call gives the next address: with `host:0` the same one, since the system picks a port; with `unix:/folder` a socket of its
 * own below that folder. Names are short: a socket's path has about 100 bytes. `instance` keeps runners of one folder apart.
 */
export function consoleAddresses(
  bind: string,
  advertise: string | undefined,
  instance: string,
): () => Omit<ConsoleOptions, 'token'> {
  if (!bind.startsWith(UNIX)) return () => ({ bind, advertise });
  const folder = bind.slice(UNIX.length).replace(/\/+$/, '');
  let count = 0;
  return () => ({ bind: `${UNIX}${folder}/${instance.slice(0, 8)}-${++count}.sock` });
}
