/** Which folder is the pool of a lab, and where in it the guests lie that were given. */
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { TomeiError } from '@tomei/kit';

export interface LabPool {
  readonly pool: string;
  /** Places in the pool, such as `tiny/tiny.vmx`. */
  readonly guests: readonly string[];
}
const DEFAULT_POOL = 'guests';

/** Throws `usage.pool` when the guests do not lie in one pool. */
export function labPool(guests: readonly string[], pool: string | undefined, cwd: string): LabPool {
  const files = guests.map((guest) => resolve(cwd, guest));
  const folder = resolve(cwd, pool ?? (files[0] === undefined ? DEFAULT_POOL : dirname(dirname(files[0]))));
  const places = files.map((file, i) => {
    const place = relative(folder, file);
    if (place !== '' && !place.startsWith(`..${sep}`) && place !== '..' && !isAbsolute(place))
      return place.split(sep).join('/');
    const hint = pool === undefined ? 'name a folder that holds all guests with --pool' : 'give guests below it';
    throw new TomeiError('usage.pool', `${guests[i]} does not lie below the pool ${folder}: ${hint}`);
  });
  return { pool: folder, guests: places };
}
