/** From errors to HTTP: one table. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TomeiError, messageOf } from '@tomei/kit';
import { troubleOf, type Log } from '@tomei/service';

/** By code, then by what is wrong (the part behind the dot). */
const STATUS: Readonly<Record<string, number>> = {
  'guest.exists': 409,
  'guest.port-taken': 409,
  'guest.not-running': 409,
  'guest.no-balloon': 409,
  'guest.no-balloon-driver': 409,
  'guest.busy': 503,
  'guest.deleting': 409,
  'disk.exists': 409,
  'disk.locked': 409,
  'disk.leased': 409,
  'store.unavailable': 503,
  'store.conflict': 503,
  'bus.disconnected': 503,
  'watch.too-many': 503,
  'peer.unavailable': 503,
  'peer.timeout': 503,
  'host.forbidden': 403,
  'origin.denied': 403,
  'request.unknown-path': 404,
  'request.bad-type': 415,
};
const BY_WHAT: Readonly<Record<string, number>> = { missing: 404, 'too-large': 413, unsupported: 422, internal: 500 };
/** Nouns of what a person has sent or named: the request can be mended. */
const MENDABLE = ['vmx', 'vmdk', 'disk', 'pool', 'guest', 'request', 'message'];

export function statusOf(code: string): number {
  const exact = STATUS[code];
  if (exact !== undefined) return exact;
  const dot = code.indexOf('.');
  const noun = code.slice(0, dot);
  return BY_WHAT[code.slice(dot + 1)] ?? (MENDABLE.includes(noun) ? 400 : 500);
}

/** What fastify itself refuses: schemas, body sizes, content types. */
function known(error: unknown): TomeiError | undefined {
  if (error instanceof TomeiError) return error;
  const { statusCode, validation } = error as { statusCode?: number; validation?: unknown };
  if (validation !== undefined) return new TomeiError('request.bad', messageOf(error));
  if (statusCode === 413) return new TomeiError('request.too-large', 'the body of the request is too large');
  if (statusCode === 415)
    return new TomeiError('request.bad-type', 'send the body as JSON, with content-type: application/json');
  return statusCode !== undefined && statusCode < 500 ? new TomeiError('request.bad', messageOf(error)) : undefined;
}

export const errorHandler =
  (log: Log) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const told = known(error);
    if (told === undefined) log.error({ error, url: request.url }, 'a request met a bug');
    const trouble = troubleOf(told ?? error);
    void reply.code(statusOf(trouble.code)).header('cache-control', 'no-store').send({ error: trouble });
  };
