/** The stand-in's HTTP and WebSockets: as much of controller and gateway as the pages use. Not shipped. */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { extname, join, normalize } from 'node:path';
import { WebSocketServer } from 'ws';
import { CONTENT_SECURITY_POLICY } from './policy.ts';
import { drawLines, encodePng } from './picture.ts';
import { serveRfb } from './rfb.ts';
import type { FakeEvent, FakeGuest, World } from './world.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const POOL = ['tiny/tiny.vmx', 'mail/mail.vmx', 'build/build.vmx', 'spare/spare.vmx', 'debian-12/debian.vmx'];

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves `world`; what is no API goes to `pages`: a folder, or a handler such as Vite's. */
export class StandIn {
  readonly server: Server;
  private readonly world: World;
  private readonly sockets = new Set<Duplex>();
  private readonly webSockets = new WebSocketServer({ noServer: true });
  private isAway = false;

  constructor(world: World, pages: string | Handler) {
    this.world = world;
    this.server = createServer((request, response) => {
      const url = new URL(request.url!, 'http://stand-in');
      if (
        url.pathname.startsWith('/api/') ||
        url.pathname.startsWith('/console/') ||
        url.pathname.startsWith('/dev/')
      ) {
        void this.answer(request, response, url);
      } else if (typeof pages === 'string') void servePage(pages, url.pathname, response);
      else pages(request, response);
    });
    this.server.on('connection', (socket: Duplex) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.upgrade(request, socket, head),
    );
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { world } = this;
    const json = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const fail = (status: number, code: string, message: string): void =>
      json(status, { error: { code, message, retryable: status >= 500 } });
    const body = (await readJson(request)) as Record<string, string>;
    const [, area, , noun, name, what] = url.pathname.split('/').map(decodeURIComponent);

    if (area === 'dev') return this.control(url.pathname, body, json);
    if (this.isAway) return fail(503, 'store.away', 'The store does not answer');
    if (area === 'console')
      return this.picture(request, response, decodeURIComponent(url.pathname.split('/')[3]!), url.pathname);
    if (noun === 'watch') return this.watch(request, response);
    if (noun === 'events') return json(200, { events: world.events });
    if (noun === 'runners') return json(200, { runners: world.runners });
    if (noun === 'files') {
      const files = POOL.map((path) => ({ path, kind: 'vmx', sizeBytes: 700, modified: '2026-01-02T03:04:05.000Z' }));
      return json(200, {
        files: [
          ...files,
          { path: 'tiny/tiny.vmdk', kind: 'vmdk', sizeBytes: 33_554_432, modified: files[0]!.modified },
        ],
      });
    }
    if (noun === 'guests' && name === undefined) {
      if (request.method !== 'POST') return json(200, { guests: [...world.guests.values()] });
      const wanted = body['name'] ?? body['vmx']!.split('/')[0]!;
      if (world.find(wanted))
        return fail(409, 'guest.exists', `A guest is called ${wanted} already: give this one another name`);
      const guest = world.add(wanted, 'off', { vmxPath: body['vmx']! });
      world.change(guest, {});
      return json(201, guest);
    }
    const guest = world.find(name ?? '');
    if (guest === undefined) return fail(404, 'guest.unknown', `No guest is called ${name}`);
    if (request.method === 'DELETE') {
      world.change(guest, { deleting: true });
      if (guest.phase === 'running') world.power(guest, 'off');
      else setTimeout(() => world.remove(guest), 100);
    }
    if (what === 'power') {
      if (guest.name === 'legacy')
        return fail(
          409,
          'disk.leased',
          'The disk legacy/legacy.vmdk is open by another guest: power that one off first',
        );
      world.power(guest, body['action']!);
    }
    return json(202, guest);
  }

  /** Of tests: what happens in a cluster by itself. */
  private control(path: string, body: Record<string, string>, json: (status: number, body: unknown) => void): void {
    const guest = this.world.find(body['guest'] ?? '');
    if (path === '/dev/crash' && guest) this.world.end(guest, 'crashed', body['message'] ?? 'Triple fault');
    if (path === '/dev/away') this.isAway = true;
    if (path === '/dev/back') this.isAway = false;
    json(200, guest ? (this.world.consoles.get(guest.id) ?? {}) : {});
    if (path === '/dev/cut' || path === '/dev/away') this.world.changes.emit('cut');
  }

  private watch(request: IncomingMessage, response: ServerResponse): void {
    const { world } = this;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const send = (event: string, data: unknown, id?: number): void => {
      response.write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
    };
    const listeners = {
      guest: (guest: FakeGuest) => send('guest', guest),
      gone: (id: string) => send('guest-gone', { id }),
      event: (event: FakeEvent) => send('event', event, event.sequence),
      cut: () => response.destroy(),
    };
    for (const guest of world.guests.values()) send('guest', guest);
    for (const runner of world.runners) send('runner', runner);
    send('synced', {});
    for (const [name, listener] of Object.entries(listeners)) world.changes.on(name, listener);
    request.on('close', () => {
      for (const [name, listener] of Object.entries(listeners)) world.changes.off(name, listener);
    });
  }

  private picture(request: IncomingMessage, response: ServerResponse, name: string, path: string): void {
    const guest = this.world.find(name);
    const shown = guest && this.world.consoles.get(guest.id);
    if (shown === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"error":{"code":"console.off","message":"It is off","retryable":false}}');
      return;
    }
    if (path.endsWith('.txt')) {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(shown.lines.join('\n'));
      return;
    }
    const etag = `"${guest!.run}-${shown.version}"`;
    if (request.headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
    else
      response
        .writeHead(200, { 'content-type': 'image/png', etag, 'cache-control': 'no-cache' })
        .end(encodePng(drawLines(shown.lines)));
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url!, 'http://stand-in');
    const [, area, , name, kind] = url.pathname.split('/').map(decodeURIComponent);
    if (area !== 'console') return;
    const guest = this.world.find(name ?? '');
    this.webSockets.handleUpgrade(request, socket, head, (client) => {
      const onCut = (): void => client.terminate();
      this.world.changes.on('cut', onCut);
      client.on('close', () => this.world.changes.off('cut', onCut));
      const shown = guest && this.world.consoles.get(guest.id);
      if (shown === undefined || this.isAway) client.close(4404, 'The guest has no console now');
      else if (kind === 'rfb') serveRfb(client, this.world, guest!, url.searchParams.get('viewOnly') === 'true');
      else {
        client.send(Buffer.from(shown.lines.join('\r\n')));
        client.on('message', (data: Buffer) => {
          if (url.searchParams.get('viewOnly') === 'true') return;
          shown.serial += data.toString();
          client.send(Buffer.from(data.toString().replaceAll('\r', '\r\n/ # ')));
        });
      }
    });
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const piece of request) text += String(piece);
  return text === '' ? {} : JSON.parse(text);
}

async function servePage(folder: string, path: string, response: ServerResponse): Promise<void> {
  const file = extname(path) === '' ? '/index.html' : normalize(path);
  try {
    const content = await readFile(join(folder, file));
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': CONTENT_SECURITY_POLICY,
    });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
}
