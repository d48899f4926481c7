import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { ClusterApi } from './api.ts';
import { openSerial } from './serial-socket.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
/** A gateway with one connection, that does what the test says. */
async function gateway(onSocket: (socket: WebSocket, url: string) => void): Promise<ClusterApi> {
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  ends.push(() => {
    for (const client of sockets.clients) client.terminate();
    sockets.close();
  });
  sockets.on('connection', (socket, request) => onSocket(socket, request.url!));
  await once(sockets, 'listening');
  return new ClusterApi(`http://127.0.0.1:${(sockets.address() as { port: number }).port}`);
}
const OPTIONS = { port: 1, viewOnly: true };

describe('a serial port over a WebSocket', () => {
  test('what came before anybody listened is for all who then do, in order', async () => {
    const api = await gateway((socket, url) => {
      socket.send(Buffer.from(`${url} `));
      socket.on('message', (data) => socket.send(data));
    });
    const serial = await openSerial(api, 'a b', OPTIONS);
    const heard = ['', ''];
    const all = Promise.withResolvers<void>();

    serial.onData((bytes) => (heard[0] += Buffer.from(bytes).toString()));
    serial.onData((bytes) => {
      heard[1] += Buffer.from(bytes).toString();
      if (heard[1]!.endsWith('typed')) all.resolve();
    });
    serial.write(Buffer.from('typed'));
    await all.promise;

    expect(heard).toEqual(Array(2).fill('/console/guests/a%20b/serial/1?viewOnly=true typed'));
    serial.close();
  });

  test('what the gateway closes it for is the error', async () => {
    const api = await gateway((socket) => socket.close(4404, 'serial.missing: the guest has no serial port 1'));
    const serial = await openSerial(api, 'a', OPTIONS);

    await expect(serial.closed).rejects.toMatchObject({
      code: 'serial.missing',
      message: expect.stringMatching(/^the guest has/) as string,
    });
  });

  test('a refusal before there is a WebSocket is the error of its answer', async () => {
    const error = { code: 'guest.missing', message: 'there is no guest "a"' };
    const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
    server.on('upgrade', (_, socket) => {
      const body = JSON.stringify({ error });
      socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    ends.push(() => server.close());
    await once(server, 'listening');
    const api = new ClusterApi(`http://127.0.0.1:${(server.address() as { port: number }).port}`);

    await expect(openSerial(api, 'a', OPTIONS)).rejects.toMatchObject(error);
  });

  test('a connection that breaks is an error, and so is nobody there', async () => {
    const api = await gateway((socket) => socket.terminate());
    const serial = await openSerial(api, 'a', OPTIONS);

    await expect(serial.closed).rejects.toMatchObject({ code: 'server.unreachable' });
    await expect(openSerial(new ClusterApi('http://127.0.0.1:1'), 'a', OPTIONS)).rejects.toMatchObject({
      code: 'server.unreachable',
    });
  });
});
