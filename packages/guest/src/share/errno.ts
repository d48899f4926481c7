/** Linux's error numbers, as Rlerror carries them whatever the host's are. */
import { constants } from 'node:os';
import { Malformed } from './wire.ts';

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EOPNOTSUPP: 95,
  ESTALE: 116,
  EDQUOT: 122,
} as const;
export type Errno = keyof typeof ERRNO;

/** A request that is answered with an error. */
export class Refused extends Error {
  readonly errno: Errno;
  constructor(errno: Errno) {
    super(errno);
    this.errno = errno;
  }
}

/** The number that a guest is told of whatever went wrong. */
export function errnoOf(error: unknown): number {
  if (error instanceof Refused) return ERRNO[error.errno];
  if (error instanceof Malformed) return ERRNO.EINVAL;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== undefined && code in ERRNO) return ERRNO[code as Errno];
  // On Linux the host's other numbers are the guest's.
  if (process.platform === 'linux' && code !== undefined && code in constants.errno)
    return constants.errno[code as keyof typeof constants.errno];
  return ERRNO.EIO;
}
