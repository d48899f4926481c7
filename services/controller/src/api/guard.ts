/**
 * What no handler should have to think of: sizes and types of bodies, paths that are none, and requests that a page of another site
 * makes with a browser that happens to reach this server.
 */
import type { FastifyInstance } from 'fastify';
import { TomeiError } from '@tomei/kit';

const MAX_BODY_BYTES = 64 << 10;
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];
/** Fetch Metadata (W3C): what browsers say of a request that a page of this server, or the person, made. */
const OWN_SITES = ['same-origin', 'none'];

/** Call it before routes are added. */
export function guard(app: Pick<FastifyInstance, 'addHook' | 'removeContentTypeParser' | 'setNotFoundHandler'>): void {
  app.addHook('onRoute', (route) => {
    route.bodyLimit = MAX_BODY_BYTES;
  });
  // JSON alone: a form of another site can send plain text without asking, and JSON it cannot.
  app.removeContentTypeParser('text/plain');
  app.addHook('onRequest', (request, _reply, done) => {
    const site = request.headers['sec-fetch-site'];
    if (site === undefined || SAFE_METHODS.includes(request.method) || OWN_SITES.includes(String(site))) return done();
    done(new TomeiError('origin.denied', 'a page of another site cannot change anything here'));
  });
  app.setNotFoundHandler((request) => {
    throw new TomeiError('request.unknown-path', `there is no ${request.method} ${request.url.slice(0, 200)}`);
  });
}
