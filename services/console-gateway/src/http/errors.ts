/** Errors as HTTP answers: a status, and `{ "error": { code, message, retryable } }`. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { TomeiError } from '@tomei/kit';
import { troubleOf, type Log } from '@tomei/service';

const STATUS: Readonly<Record<string, number>> = {
  'guest.missing': 404,
  'guest.not-running': 404,
  'guest.ambiguous': 409,
  'page.missing': 404,
  'pages.not-built': 404,
  'screen.not-text': 404,
  'serial.missing': 404,
  'upgrade.required': 426,
  'request.bad': 400,
  'origin.denied': 403,
  'viewers.too-many': 429,
  'screen.bad-answer': 502,
  'console.bad-answer': 502,
  'service.internal': 500,
};
/** What is not named above: a guest or a store that cannot be reached now, or something that was asked for wrongly. */
function statusOf({ code, retryable }: TomeiError): number {
  return STATUS[code] ?? (retryable ? 503 : code.includes('.bad-') ? 400 : code.startsWith('peer.') ? 502 : 500);
}

/** For `setErrorHandler`. Bugs are logged; what the answer says of them is only that there was one. */
export function errorAnswerer(log: Log) {
  return (error: FastifyError | TomeiError, request: FastifyRequest, reply: FastifyReply): void => {
    const known = knownError(error);
    if (known === undefined) log.error({ error, path: request.routeOptions.url }, 'an answer failed');
    void reply
      .code(known === undefined ? 500 : statusOf(known))
      .header('cache-control', 'no-store')
      .send({ error: troubleOf(known ?? error) });
  };
}
function knownError(error: FastifyError | TomeiError): TomeiError | undefined {
  if (error instanceof TomeiError) return error;
  // What fastify itself refuses: a parameter, a header.
  const { statusCode = 500, message } = error;
  return statusCode >= 400 && statusCode < 500 ? new TomeiError('request.bad', message, { cause: error }) : undefined;
}
