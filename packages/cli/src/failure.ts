/** From an error to what a person reads and to the exit code that a script reads. */
import { EXIT, TomeiError, messageOf } from '@tomei/kit';

/** Exit codes by the noun of an error's code (`<noun>.<what-is-wrong>`). What is not named here, or below, is a failure. */
const CODES: Readonly<Record<string, number>> = {
  usage: EXIT.usage,
  recipe: EXIT.badInput,
  vmx: EXIT.badInput,
  vmdk: EXIT.badInput,
  disk: EXIT.badInput,
  kernel: EXIT.badInput,
  initrd: EXIT.badInput,
  firmware: EXIT.badInput,
  snapshot: EXIT.badInput,
  recording: EXIT.badInput,
  share: EXIT.badInput,
  symbols: EXIT.badInput,
  trace: EXIT.usage,
  gdb: EXIT.hostTrouble,
  guest: EXIT.guestCrashed,
  package: EXIT.hostTrouble,
  tool: EXIT.hostTrouble,
  host: EXIT.hostTrouble,
  pool: EXIT.badInput,
  server: EXIT.hostTrouble,
  service: EXIT.hostTrouble,
  gateway: EXIT.hostTrouble,
  controller: EXIT.hostTrouble,
  peer: EXIT.hostTrouble,
  bus: EXIT.hostTrouble,
  store: EXIT.hostTrouble,
};
/** Codes whose noun says less than they do: nothing crashed when a guest is not known. */
const WHOLE_CODES: Readonly<Record<string, number>> = {
  'guest.missing': EXIT.failed,
  'guest.exists': EXIT.failed,
  'guest.bad-name': EXIT.usage,
  'guest.bad-id': EXIT.usage,
  'guest.busy': EXIT.failed,
  'guest.not-running': EXIT.failed,
  'guest.deleting': EXIT.failed,
  'guest.no-balloon': EXIT.failed,
  'guest.no-balloon-driver': EXIT.failed,
  'guest.bad-memory': EXIT.usage,
  'gdb.bad-address': EXIT.usage,
  'trace.unwritable': EXIT.hostTrouble,
  'recording.unwritable': EXIT.hostTrouble,
};

/** Trouble with files that the operating system reports, in words. A file that is not there is bad input, the rest is the host's. */
const SYSTEM_ERRORS: Readonly<Record<string, { readonly what: string; readonly exit: number }>> = {
  ENOENT: { what: 'does not exist', exit: EXIT.badInput },
  ENOTDIR: { what: 'is not below a folder', exit: EXIT.badInput },
  EISDIR: { what: 'is a folder, not a file', exit: EXIT.badInput },
  EACCES: { what: 'may not be used by this user', exit: EXIT.hostTrouble },
  EPERM: { what: 'may not be used by this user', exit: EXIT.hostTrouble },
  EROFS: { what: 'is on a read-only file system', exit: EXIT.hostTrouble },
  ENOSPC: { what: 'cannot be written: the disk of this machine is full', exit: EXIT.hostTrouble },
  EDQUOT: { what: 'cannot be written: the disk quota of this user is used up', exit: EXIT.hostTrouble },
  EMFILE: { what: 'cannot be opened: too many open files', exit: EXIT.hostTrouble },
  EIO: { what: 'cannot be read or written: the device reports an error', exit: EXIT.hostTrouble },
};

const systemError = (error: unknown): NodeJS.ErrnoException | undefined =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  Object.hasOwn(SYSTEM_ERRORS, error.code)
    ? (error as NodeJS.ErrnoException)
    : undefined;

/** The exit code that says what kind of trouble an error is. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof TomeiError) {
    const noun = error.code.split('.')[0]!;
    const cause = systemError(error.cause);
    // A full disk is the host's trouble, whichever file met it.
    if (cause?.code !== undefined && cause.code !== 'ENOENT') return SYSTEM_ERRORS[cause.code]!.exit;
    if (Object.hasOwn(WHOLE_CODES, error.code)) return WHOLE_CODES[error.code]!;
    return Object.hasOwn(CODES, noun) ? CODES[noun]! : EXIT.failed;
  }
  const system = systemError(error);
  return system?.code === undefined ? EXIT.failed : SYSTEM_ERRORS[system.code]!.exit;
}

/** The one line for a person. */
export function describeError(error: unknown): string {
  if (error instanceof TomeiError) return error.message;
  const system = systemError(error);
  if (system?.code !== undefined && system.path !== undefined) {
    return `${system.path} ${SYSTEM_ERRORS[system.code]!.what}`;
  }
  return messageOf(error);
}

/** Writes `tomei: message`; the stack, and that of every cause, only for who asked for it. A bug says that it is one. */
export function reportError(error: unknown, options: { debug: boolean }, stream: NodeJS.WritableStream): void {
  const isBug = !(error instanceof TomeiError) && systemError(error) === undefined;
  stream.write(`tomei: ${isBug ? 'internal error: ' : ''}${describeError(error)}\n`);
  if (error instanceof TomeiError && error.retryable) stream.write('tomei: trying again may help\n');
  if (options.debug) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) stream.write(`${at.stack ?? at.message}\n`);
  } else if (isBug) {
    stream.write('tomei: please report it, with what --debug prints\n');
  }
}
