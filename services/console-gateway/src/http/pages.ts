/** The pages that packages/web is built to. What is no file is a page that index.html draws by itself. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fastifyStatic } from '@fastify/static';
import type { FastifyPluginAsync } from 'fastify';
import { TomeiError } from '@tomei/kit';

/** Files in it have a hash of what they contain in their names: what was fetched once stays good. */
const HASHED = '/assets';
const FOREVER = 'public, max-age=31536000, immutable';
/** Never a page: a typing error there must not be answered with one. */
const NO_PAGES = ['/api', '/console', '/metrics', '/healthz', '/readyz', HASHED];

/** `folder`: of the built pages. Undefined, or nothing built there: whoever asks is told how to build them. */
export const pageRoutes =
  (folder: string | undefined): FastifyPluginAsync =>
  async (app) => {
    if (folder === undefined || !existsSync(join(folder, 'index.html'))) {
      app.get('/', (_request, reply) => reply.code(404).type('text/html; charset=utf-8').send(NOT_BUILT));
      app.get('/*', (request) => {
        throw new TomeiError('pages.not-built', `${pathOf(request.url)} is not there, and the pages were not built`);
      });
      return;
    }
    await app.register(fastifyStatic, { root: folder, serve: false, cacheControl: false, dotfiles: 'deny' });
    app.get('/*', async (request, reply) => {
      const path = pathOf(request.url);
      if (isPage(path)) return reply.header('cache-control', 'no-cache').sendFile('index.html');
      if (!(await isFile(join(folder, path)))) throw new TomeiError('page.missing', `${path} is not there`);
      return reply.header('cache-control', isBelow(path, HASHED) ? FOREVER : 'no-cache').sendFile(path);
    });
  };

const isBelow = (path: string, start: string): boolean => path === start || path.startsWith(`${start}/`);
const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
const isPage = (path: string): boolean => extname(path) === '' && !NO_PAGES.some((start) => isBelow(path, start));

/** The path alone, decoded. Throws `request.bad`. */
function pathOf(url: string): string {
  try {
    const path = decodeURIComponent(url.split('?', 1)[0]!);
    if (!path.includes('\0') && !path.split(/[/\\]/).includes('..')) return path;
  } catch {
    // Said below.
  }
  throw new TomeiError('request.bad', 'the path of this URL is not well-formed');
}

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Tomei</title>
<style>:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; max-width: 36em; margin: 4em auto; padding: 0 1em }</style>
<h1>The pages were not built</h1>
<p>This is Tomei's console gateway, and it works; only its web pages are missing. In the checkout, run
<code>pnpm --filter @tomei/web build</code> and load this page again after a restart.</p>
<p>Meanwhile a VNC viewer, <code>tomei list</code> and <code>tomei console</code> work as ever.</p>
</html>
`;
