import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { MemoryBus, MemoryStore, Metrics, quietLog } from '@tomei/service';
import { expect, test } from 'vitest';
import { startController } from './controller.ts';
import { startControllerServer } from './server.ts';

test('a controller for this machine alone answers no page that only pretends to be its own', async () => {
  const metrics = new Metrics('controller');
  const parts = { log: quietLog(), metrics, bus: new MemoryBus(), store: new MemoryStore() };
  const controller = await startController(parts, { disks: '127.0.0.1:1' });
  const server = await startControllerServer(controller, { bind: '127.0.0.1:0', allowedHosts: [], metrics: [metrics] });
  const statusFor = async (host: string): Promise<number | undefined> => {
    const asking = request(new URL('/api/v1/guests', server.url), { headers: { host } }).end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  };

  expect(await statusFor('evil.example:8005')).toBe(403);
  expect(await statusFor('localhost:8005')).toBe(200);
  await server.close();
});
