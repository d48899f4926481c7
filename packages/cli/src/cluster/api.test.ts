import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { ClusterApi } from './api.ts';
import type { EventView } from './views.ts';

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
/** A server that answers as the test says. */
async function answering(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<ClusterApi> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return new ClusterApi(`http://127.0.0.1:${(server.address() as { port: number }).port}/`);
}
const always = (status: number, body: string): Promise<ClusterApi> =>
  answering((_, response) => response.writeHead(status).end(body));
const guest = {
  id: 'g-1',
  name: 'tiny',
  phase: 'off',
  power: 'off',
  run: 0,
  memoryMiB: 64,
  vcpus: 1,
  vmxPath: 'tiny/tiny.vmx',
  disks: [],
  runner: null,
  message: '',
  since: '2026-01-01T00:00:00Z',
  created: '2026-01-01T00:00:00Z',
  console: false,
};
const event = (sequence: number): EventView => ({
  sequence,
  at: '2026-01-01T00:00:00Z',
  source: 'controller',
  noun: 'guest',
  subjectId: 'g-1',
  verb: 'placed',
  guestName: 'tiny',
  runnerId: '',
  run: 1,
  message: '',
});

describe('answers of a server', () => {
  test('what a newer one says besides is kept', async () => {
    const api = await always(200, JSON.stringify({ guests: [{ ...guest, mood: 'good' }] }));

    expect(await api.guests()).toEqual([expect.objectContaining({ name: 'tiny', mood: 'good', vnc: null })]);
  });

  test('an error is the one that the server has', async () => {
    const error = { code: 'guest.missing', message: 'there is no guest "x"', retryable: false };
    const api = await always(404, JSON.stringify({ error }));

    await expect(api.guest('x')).rejects.toMatchObject(error);
  });

  test('a name is one part of the path, whatever it has in it', async () => {
    const paths: (string | undefined)[] = [];
    const api = await answering((request, response) => {
      paths.push(request.url);
      response.end(JSON.stringify(guest));
    });

    await api.guest('a b/../?c');

    expect(paths).toEqual(['/api/v1/guests/a%20b%2F..%2F%3Fc']);
  });

  test.each([
    ['a page', 200, '<html>', 'server.bad-answer'],
    ['another shape', 200, '{"guests":[{"id":1}]}', 'server.bad-answer'],
    ['a failure without a reason', 502, 'Bad Gateway', 'server.bad-answer'],
  ])('%s is refused', async (_, status, body, code) => {
    const api = await always(status, body);

    await expect(api.guests()).rejects.toMatchObject({ code });
  });

  test('nobody there: the error says so and what to do', async () => {
    const api = await always(200, '');
    servers.splice(0).forEach((server) => server.close());

    await expect(api.guests()).rejects.toMatchObject({
      code: 'server.unreachable',
      message: expect.stringMatching(/ECONNREFUSED.*tomei lab/) as string,
    });
  });

  test.each(['', 'localhost', 'ftp://x', 'http://'])('%j is no server', (text) => {
    expect(() => new ClusterApi(text)).toThrow(expect.objectContaining({ code: 'usage.server' }) as Error);
  });
});

describe('following events', () => {
  test('goes on behind the last one when the connection was lost, and none comes twice', async () => {
    const asked: (string | undefined)[] = [];
    const api = await answering((request, response) => {
      asked.push(request.headers['last-event-id'] as string);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const send = (n: number): boolean =>
        response.write(`event: event\nid: ${n}\ndata: ${JSON.stringify(event(n))}\n\n`);
      response.write('event: guest\ndata: {}\n\n: a comment\n\n');
      send(6);
      send(7);
      if (asked.length === 1) response.end();
      else send(8);
    });
    const seen: number[] = [];
    const done = new AbortController();

    await api.follow(5, done.signal, ({ sequence }) => {
      seen.push(sequence);
      if (sequence === 8) done.abort();
    });

    expect(seen).toEqual([6, 7, 8]);
    expect(asked).toEqual(['5', '7']);
  });

  test('a server that was never there is an error', async () => {
    const api = await always(200, '');
    servers.splice(0).forEach((server) => server.close());

    await expect(api.follow(0, new AbortController().signal, () => undefined)).rejects.toMatchObject({
      code: 'server.unreachable',
    });
  });
});
