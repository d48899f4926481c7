/** The end of connections that asked to become WebSockets and got an answer of HTTP instead. */
import type { onResponseHookHandler } from 'fastify';

/**
 * An `onResponse` hook for a whole server that has WebSockets. Node gives such a connection away before it is answered and reads no
 * more from it: unless somebody closes it, it stays open for ever, even when the other side is gone, and holds up the server's end.
 */
export const closeRefusedUpgrades: onResponseHookHandler = (request, _reply, done) => {
  if (request.headers.upgrade !== undefined) request.raw.socket.destroySoon();
  done();
};
