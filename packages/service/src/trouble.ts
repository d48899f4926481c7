/** Errors on their way to another process and back: code, message and whether trying again may help. */
import type { Trouble } from '@tomei/contracts';
import { TomeiError, messageOf } from '@tomei/kit';

/** A bug has no code of its own, and its text stays in the log of the process that has it. */
export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof TomeiError))
    return {
      code: 'service.internal',
      message: 'an internal error; the log of the service has more',
      retryable: false,
    };
  return { code: error.code, message: messageOf(error), retryable: error.retryable };
}
export const errorOf = ({ code, message, retryable }: Trouble): TomeiError =>
  new TomeiError(code === '' ? 'service.internal' : code, message, { retryable });
