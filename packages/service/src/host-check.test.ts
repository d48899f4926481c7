import { fastify } from 'fastify';
import { describe, expect, test } from 'vitest';
import { hostGuard, isLoopback, isMeantFor, listOf } from './host-check.ts';

test.each([
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['192.168.1.4', false],
  ['localhost.example', false],
  ['127.0.0.1.example', false],
])('%s is this machine alone: %s', (host, alone) => {
  expect(isLoopback(host)).toBe(alone);
});

describe('a request', () => {
  test.each([
    ['127.0.0.1:8006', true],
    ['localhost', true],
    ['[::1]:8006', true],
    ['LOCALHOST:1', true],
    ['evil.example', false],
    ['127.0.0.1.evil.example:8006', false],
    ['', false],
    [undefined, false],
  ])('for %s is meant for a server of this machine alone: %s', (header, meant) => {
    expect(isMeantFor(header, { bind: '127.0.0.1', allowed: [] })).toBe(meant);
  });

  test.each([
    ['tomei.example', [], true],
    [undefined, [], true],
    ['tomei.example:80', ['Tomei.example'], true],
    ['192.0.2.1', ['tomei.example'], true],
    ['evil.example', ['tomei.example'], false],
    [undefined, ['tomei.example'], false],
  ])('for %s is meant for a server of the network that has the names %j: %s', (header, allowed, meant) => {
    expect(isMeantFor(header, { bind: '0.0.0.0', allowed })).toBe(meant);
  });

  test('for another is refused before it does anything', async () => {
    const app = fastify();
    app.addHook('onRequest', hostGuard({ bind: '127.0.0.1', allowed: [] }));
    let calls = 0;
    app.post('/x', () => ({ calls: ++calls }));

    const answer = await app.inject({ method: 'POST', url: '/x', headers: { host: 'evil.example' } });

    expect(answer.statusCode).toBe(403);
    expect(answer.json()).toMatchObject({ error: { code: 'request.denied' } });
    expect(calls).toBe(0);
  });
});

test('names have commas between them', () => {
  expect(listOf(' a.example, ,b ')).toEqual(['a.example', 'b']);
  expect(listOf('')).toEqual([]);
});
