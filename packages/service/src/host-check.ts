/** Which Host headers a server answers to: against pages whose name was made to point to it (DNS rebinding). */
import { isIP } from 'node:net';
import type { onRequestHookHandler } from 'fastify';
import { TomeiError } from '@tomei/kit';
import { troubleOf } from './trouble.ts';

/** Whether an address to listen on is this machine's own, so that nobody else reaches it. */
export const isLoopback = (host: string): boolean => /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/.test(host);

export interface HostCheck {
  /** The address that the server listens on. */
  readonly bind: string;
  /** Names besides addresses, `localhost` and `bind`, without ports. Empty: on an address of the network, any. */
  readonly allowed: readonly string[];
}

/** The name in a Host header (RFC 9110, 7.2), without port. */
const nameIn = (header: string): string =>
  header
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();

/**
 * Whether a request that says `Host: header` is meant for that server. A page of the internet whose name was made to point to this
 * machine says its own name there. An address is never such a name.
 */
export function isMeantFor(header: string | undefined, { bind, allowed }: HostCheck): boolean {
  if (allowed.length === 0 && !isLoopback(bind)) return true;
  if (header === undefined) return false;
  const name = nameIn(header);
  return isIP(name) !== 0 || name === 'localhost' || [bind, ...allowed].some((one) => one.toLowerCase() === name);
}

/** An `onRequest` hook that refuses other requests with 403 `request.denied`; it also comes before WebSockets. */
export function hostGuard(check: HostCheck): onRequestHookHandler {
  return (request, reply, done) => {
    if (isMeantFor(request.headers.host, check)) return done();
    const why = isLoopback(check.bind)
      ? 'this server is reached by its address, such as http://127.0.0.1, or as localhost'
      : 'this server is not reached by that name: add it to TOMEI_ALLOWED_HOSTS';
    void reply
      .code(403)
      .header('cache-control', 'no-store')
      .send({ error: troubleOf(new TomeiError('request.denied', why)) });
  };
}

/** The value of TOMEI_ALLOWED_HOSTS and the like: names with commas between them. */
export const listOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
