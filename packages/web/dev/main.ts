/** Starts the stand-in (dev/README.md): with Vite's reload, or with pages that were built. */
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { StandIn, type Handler } from './server.ts';
import { World } from './world.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '5173' },
    scene: { type: 'string', default: 'full' },
    pages: { type: 'string' },
  },
});
const world = new World(values.scene === 'empty' ? 'empty' : 'full');
const standIn = new StandIn(world, values.pages ?? (await reloadingPages()));
standIn.server.listen(Number(values.port), '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(standIn.server.address() as AddressInfo).port}\n`);
});
// Whoever started it has gone.
process.stdin.on('end', () => process.exit(0)).resume();

async function reloadingPages(): Promise<Handler> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const vite = await createServer({ root, server: { middlewareMode: true }, appType: 'spa' });
  return (request, response) => vite.middlewares(request, response);
}
