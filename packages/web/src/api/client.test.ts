import { describe, expect, test } from 'vitest';
import { ApiClient } from './client.ts';

const answering = (status: number, body: string): ApiClient =>
  new ApiClient(() => Promise.resolve(new Response(body, { status })));

describe('the API client', () => {
  test("carries the server's own code, message and whether to try again", async () => {
    const api = answering(409, '{"error":{"code":"guest.exists","message":"tiny is there","retryable":false}}');

    await expect(api.register('tiny/tiny.vmx', '')).rejects.toMatchObject({
      code: 'guest.exists',
      message: 'tiny is there',
      retryable: false,
    });
  });

  test('says server.failed with the status when what answers is not the controller', async () => {
    await expect(answering(502, '<html>Bad gateway').files()).rejects.toMatchObject({
      code: 'server.failed',
      message: 'GET /api/v1/files?folder= was answered with HTTP status 502 and no reason',
      retryable: true,
    });
  });

  test('says server.unreachable when nothing answers', async () => {
    const api = new ApiClient(() => Promise.reject(new TypeError('Failed to fetch')));

    await expect(api.files()).rejects.toMatchObject({ code: 'server.unreachable', retryable: true });
  });

  test('refuses an answer that is not as promised', async () => {
    await expect(answering(200, '{"files":[{"path":7}]}').files()).rejects.toMatchObject({ code: 'answer.malformed' });
  });

  test('puts ids into addresses escaped, and the name into the request only when there is one', async () => {
    const seen: unknown[] = [];
    const api = new ApiClient((url, init) => {
      seen.push([init?.method, url, init?.body]);
      return Promise.resolve(new Response('{}', { status: 404 }));
    });

    await api.power('a/b?c', 'on').catch(() => undefined);
    await api.register('x.vmx', '').catch(() => undefined);
    await api.register('x.vmx', 'box').catch(() => undefined);

    expect(seen).toEqual([
      ['POST', '/api/v1/guests/a%2Fb%3Fc/power', '{"action":"on"}'],
      ['POST', '/api/v1/guests', '{"vmx":"x.vmx"}'],
      ['POST', '/api/v1/guests', '{"vmx":"x.vmx","name":"box"}'],
    ]);
  });
});
