/** Names of files in the pool, as they come from outside: relative, `/` between the parts, nothing that leads out. */
import { TomeiError } from '@tomei/kit';

/** Linux: PATH_MAX and NAME_MAX, with room for the folder of the pool and for what is put behind a name (`.lease`, `.lck.<id>`). */
const PATH_MAX_BYTES = 2048;
const NAME_MAX_BYTES = 200;

function bad(text: string, why: string): TomeiError {
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
  return new TomeiError('pool.bad-path', `${shown} is no place in the pool: ${why}`, { data: { path: text } });
}

/** The parts of a path. Throws `pool.bad-path` saying what is wrong with it. */
export function pathParts(text: string): string[] {
  if (text === '') throw bad(text, 'it is empty');
  if (text.startsWith('/')) throw bad(text, "it begins with '/'; places are relative to the pool");
  if (Buffer.byteLength(text) > PATH_MAX_BYTES) throw bad(text, `it is longer than ${PATH_MAX_BYTES} bytes`);
  // eslint-disable-next-line no-control-regex -- control characters are what this refuses
  if (/[\x00-\x1f\x7f]/.test(text)) throw bad(text, 'it has control characters');
  const parts = text.split('/');
  for (const part of parts) {
    if (part === '') throw bad(text, 'a part of it is empty');
    if (part === '.' || part === '..') throw bad(text, `'${part}' is not allowed`);
    if (Buffer.byteLength(part) > NAME_MAX_BYTES)
      throw bad(text, `a part of it is longer than ${NAME_MAX_BYTES} bytes`);
  }
  return parts;
}

/** Locks, leases, and files that are being written: nobody's business outside of this service. */
export const isInternal = (name: string): boolean =>
  name.startsWith('.') || /\.(?:lck(?:\..*)?|lease(?:\..*)?|tmp)$/i.test(name);
