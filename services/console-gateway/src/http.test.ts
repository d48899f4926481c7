/** The HTTP side: pictures, pages, headers, and the way to the controller. */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Rig } from './testing/rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.start();
});
afterEach(() => rig.close());
const start = async (options: Parameters<typeof Rig.start>[0]): Promise<void> => {
  await rig.close();
  rig = await Rig.start(options);
};

/** Of the header chunk (W3C PNG, 11.2.1). */
const pngSize = (png: Buffer): number[] => [png.readUInt32BE(16), png.readUInt32BE(20)];
const get = async (path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(rig.url(path), { headers });
  const body = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, body, text: body.toString() };
};
const codeOf = (text: string): string => (JSON.parse(text) as { error: { code: string } }).error.code;

describe('screen.png', () => {
  test('is asked of the guest when nobody watches, once for a page full of requests', async () => {
    await start({ pace: { screenMs: 10_000 } });
    const id = await rig.register({ name: 'tiny' });
    const guest = await rig.powerOn(id);

    const all = await Promise.all(Array.from({ length: 20 }, () => get('/console/guests/tiny/screen.png')));

    expect(all.every(({ status }) => status === 200)).toBe(true);
    expect(all[0]!.headers.get('content-type')).toBe('image/png');
    expect(pngSize(all[0]!.body)).toEqual([64, 48]);
    expect(guest.screenshots).toBe(1);
    expect(guest.attachments).toBe(0);
  });

  test('is the picture that viewers see when there are any; the same picture has the same tag', async () => {
    await start({ pace: { screenMs: 0 } });
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    guest.resize(32, 16, 0x0000ff);
    const { client } = rig.view(id);
    await client.until((c) => c.width === 32);
    const path = `/console/guests/${id}/screen.png`;

    const first = await get(path);
    const etag = first.headers.get('etag')!;
    const again = await get(path, { 'if-none-match': etag });
    guest.paint({ x: 3, y: 3, width: 1, height: 1 }, 0xffffff);
    await client.until((c) => c.dot(3, 3) === 0xffffff);
    const changed = await get(path, { 'if-none-match': etag });

    expect(pngSize(first.body)).toEqual([32, 16]);
    expect([again.status, again.body.length]).toEqual([304, 0]);
    expect(changed.status).toBe(200);
    expect(guest.screenshots).toBe(0);
  });

  test('of a guest that is off, not there, or out of reach says so', async () => {
    const off = await rig.register();
    const dead = await rig.register();
    await (await rig.powerOn(dead)).close();

    const answers = await Promise.all([off, 'nobody', dead].map((id) => get(`/console/guests/${id}/screen.png`)));

    expect(answers.map(({ status, text }) => [status, codeOf(text)])).toEqual([
      [404, 'guest.not-running'],
      [404, 'guest.missing'],
      [503, 'peer.unavailable'],
    ]);
    expect(answers[0]!.headers.get('cache-control')).toBe('no-store');
  });

  test('is text where the screen has any', async () => {
    const id = await rig.register();
    await rig.powerOn(id);

    const { status, text, headers } = await get(`/console/guests/${id}/screen.txt`);

    expect([status, text]).toEqual([200, 'login:\n\n']);
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
  });
});

describe('pages', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pages-'));
    await mkdir(join(folder, 'dist/assets'), { recursive: true });
    await writeFile(join(folder, 'dist/index.html'), '<!doctype html><title>Tomei</title>');
    await writeFile(join(folder, 'dist/assets/index-a1b2.js'), 'go()');
    await writeFile(join(folder, 'secret.txt'), 'not for you');
    await start({ pages: join(folder, 'dist') });
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('are files, and whatever is no file is the page that draws itself', async () => {
    const paths = ['/', '/guests/g-1', '/guests/a%20name', '/assets/index-a1b2.js'];
    const answers = await Promise.all(paths.map((path) => get(path)));

    expect(answers.map(({ status, text }) => [status, text.slice(0, 9)])).toEqual([
      [200, '<!doctype'],
      [200, '<!doctype'],
      [200, '<!doctype'],
      [200, 'go()'],
    ]);
    expect(answers.map(({ headers }) => headers.get('cache-control'))).toEqual([
      'no-cache',
      'no-cache',
      'no-cache',
      'public, max-age=31536000, immutable',
    ]);
    expect(answers[3]!.headers.get('content-type')).toMatch(/javascript/);
  });

  test('run nothing from elsewhere and are framed by nobody', async () => {
    const { headers } = await get('/');

    const policy = headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  });

  test.each(['/assets/gone.js', '/favicon.ico', '/console/nothing', '/assets/'])('%s is not there', async (path) => {
    const { status, text } = await get(path);

    expect([status, codeOf(text)]).toEqual([404, 'page.missing']);
  });

  test.each(['/..%2fsecret.txt', '/assets/..%2f..%2fsecret.txt', '/%00', '/%', '/%2e%2e/secret.txt'])(
    '%s leads nowhere',
    async (path) => {
      const { status, text } = await get(path);

      expect(status).toBeGreaterThanOrEqual(400);
      expect(text).not.toContain('not for you');
    },
  );

  test('that were not built say how to build them', async () => {
    await start({ pages: join(folder, 'nothing') });

    const { status, text } = await get('/');

    expect(status).toBe(404);
    expect(text).toContain('pnpm --filter @tomei/web build');
  });
});

describe('the way to the controller', () => {
  test('passes requests on, and events as they come', async () => {
    const waiting = Promise.withResolvers<ServerResponse>();
    const gone = Promise.withResolvers<void>();
    const controller = createServer((request, response) => {
      if (request.url === '/api/v1/watch') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('event: synced\ndata: {}\n\n');
        response.on('close', gone.resolve);
        waiting.resolve(response);
        return;
      }
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => response.writeHead(201).end(`${request.method} ${request.url} ${body}`));
    }).listen(0, '127.0.0.1');
    await once(controller, 'listening');
    await start({ controllerUrl: `http://127.0.0.1:${(controller.address() as AddressInfo).port}` });

    const posted = await fetch(rig.url('/api/v1/guests?x=1'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"vmx":"a/a.vmx"}',
    });
    const watching = new AbortController();
    const watch = await fetch(rig.url('/api/v1/watch'), { signal: watching.signal });
    const reader = watch.body!.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader.read();
    (await waiting.promise).write('event: guest\ndata: {"id":"g-1"}\n\n');
    const second = await reader.read();
    watching.abort();
    await gone.promise;

    expect([posted.status, await posted.text()]).toEqual([201, 'POST /api/v1/guests?x=1 {"vmx":"a/a.vmx"}']);
    expect(watch.headers.get('content-type')).toBe('text/event-stream');
    expect([first.value, second.value]).toEqual([
      'event: synced\ndata: {}\n\n',
      'event: guest\ndata: {"id":"g-1"}\n\n',
    ]);
    controller.close();
  });

  test('is said to be closed when nobody answers there', async () => {
    const { status, text } = await get('/api/v1/guests');

    expect([status, codeOf(text)]).toEqual([503, 'controller.unavailable']);
  });

  test('does not hide the state of the gateway itself', async () => {
    const answers = await Promise.all(['/healthz', '/readyz', '/metrics'].map((path) => get(path)));

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers[2]!.text).toContain('tomei_console_viewers');
  });
});

test.each(['/', '/nothing/here.png', '/api/v1/guests', '/console/guests/nobody/rfb', '/healthz'])(
  'an upgrade of %s that is refused leaves no connection behind',
  async (path) => {
    const headers = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    const asking = request(rig.url(path), { headers }).end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    response.resume();

    // The gateway closes it; whoever asked does nothing.
    await once(response.socket, 'close');
  },
);

test('a gateway for this machine alone answers no page that only pretends to be its own', async () => {
  const statusFor = async (host: string, headers = {}): Promise<number | undefined> => {
    const path = rig.url('/console/guests/nobody/rfb');
    const asking = request(path, { headers: { host, ...headers } }).end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    asking.destroy();
    return response.statusCode;
  };
  const upgrade = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };

  expect(await statusFor('evil.example')).toBe(403);
  expect(await statusFor('evil.example', upgrade)).toBe(403);
  expect(await statusFor('localhost', upgrade)).toBe(404);
});
