/** What the host says about files of the pool, in the pool's terms. */
import { TomeiError, messageOf } from '@tomei/kit';

/** `pool` for files, `disk` for what a guest opens. */
export type Noun = 'pool' | 'disk';

/** `path`: the place in the pool. */
export function poolError(error: unknown, noun: Noun, path: string, doing: 'read' | 'write'): TomeiError {
  if (error instanceof TomeiError) return error;
  const options = { cause: error, data: { path } };
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new TomeiError(`${noun}.missing`, `${path} does not exist in the pool`, options);
    case 'EISDIR':
      return new TomeiError(`${noun}.missing`, `${path} is a folder`, options);
    case 'ELOOP':
    case 'ENAMETOOLONG':
      return new TomeiError('pool.bad-path', `${path}: ${messageOf(error)}`, options);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new TomeiError(
        `${noun}.denied`,
        `${path}: disk-service may not ${doing} there; give its user the right to`,
        options,
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return new TomeiError(`${noun}.full`, `${path}: there is no room left in the pool`, {
        ...options,
        retryable: true,
      });
    default:
      return new TomeiError(`${noun}.io`, `cannot ${doing} ${path}: ${messageOf(error)}`, options);
  }
}

/** The same error without the host's folders: those who see it know places in the pool. */
export function inPoolTerms(error: unknown, root: string): unknown {
  if (!(error instanceof TomeiError) || !error.message.includes(root)) return error;
  const { code, retryable, data } = error;
  const message = error.message.replaceAll(`${root}/`, '').replaceAll(root, 'the pool');
  return new TomeiError(code, message, { cause: error, retryable, data });
}
