/** What every store promises, asked of both twins: the one in memory, and Redis with a real server. */
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { redisServerMissing, startRedisServer, type RedisServer } from '@tomei/testkit';
import { memoryLog, quietLog } from '../log.ts';
import { MAX_VALUE_BYTES } from './keys.ts';
import { MemoryStore } from './memory-store.ts';
import { RedisStore } from './redis-store.ts';
import type { Store } from './store.ts';

interface Bed {
  readonly store: Store;
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
  /** Until leases of this many milliseconds are over. */
  pass(ms: number): Promise<void>;
}
const connected = (store: Store, wanted = true): Promise<void> =>
  new Promise((resolve) => {
    store.onConnection((now) => now === wanted && resolve());
  });
/** For calls that are to fail because the store is away. */
const IMPATIENT_MS = 200;

const twins = [
  {
    name: 'MemoryStore',
    missing: undefined,
    open: (): Promise<Bed> => {
      let now = 0;
      const store = new MemoryStore({ now: () => now });
      return Promise.resolve({
        store,
        disconnect: () => Promise.resolve(store.setConnected(false)),
        reconnect: () => Promise.resolve(store.setConnected(true)),
        pass: (ms) => Promise.resolve(void (now += ms)),
      });
    },
  },
  {
    name: 'RedisStore',
    missing: redisServerMissing(),
    open: async (): Promise<Bed> => {
      const server = await startRedisServer();
      const store = new RedisStore({ url: server.url, name: 'test', log: quietLog(), timeoutMs: 60_000 });
      onTestFinished(async () => {
        await store.close();
        await server.close();
      });
      await connected(store);
      return {
        store,
        disconnect: async () => {
          await server.kill();
          await connected(store, false);
        },
        reconnect: async () => {
          await server.start();
          await connected(store);
        },
        // Redis has a clock of its own.
        pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms + 5)),
      };
    },
  },
];
const titled = twins.map((twin) => ({
  ...twin,
  title: twin.missing === undefined ? twin.name : `${twin.name} (${twin.missing})`,
}));

describe.each(titled)('$title', ({ missing, open }) => {
  const it = test.skipIf(missing !== undefined);

  describe('values', () => {
    it('are read as they were written, whatever text they are', async () => {
      const { store } = await open();
      const values = ['', ' ', '1 2', 'ä€😀', '\0\r\n"\\', '{"a":1}', 'x'.repeat(MAX_VALUE_BYTES)];

      const versions = [];
      for (const [n, value] of values.entries()) versions.push(await store.put(`a/${n}`, value));

      for (const [n, value] of values.entries())
        expect(await store.get(`a/${n}`)).toEqual({ key: `a/${n}`, value, version: versions[n] });
      expect(await store.get('a/none')).toBeUndefined();
    });

    it('get a later version with every change, also after they were deleted', async () => {
      const { store } = await open();

      const versions = [await store.put('a', '1'), await store.put('a', '1')];
      await store.delete('a');
      versions.push(await store.put('a', '1'));

      expect(versions[0]).toBeGreaterThan(0);
      expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
    });

    it('are written only over the version that is expected', async () => {
      const { store } = await open();
      const conflict = expect.objectContaining({ code: 'store.conflict', retryable: true });

      await expect(store.put('a', '1', { expect: 7 })).rejects.toEqual(conflict);
      const first = await store.put('a', '1', { expect: 0 });
      await expect(store.put('a', '2', { expect: 0 })).rejects.toEqual(conflict);
      const second = await store.put('a', '2', { expect: first });
      await expect(store.put('a', '3', { expect: first })).rejects.toEqual(conflict);

      expect(await store.get('a')).toEqual({ key: 'a', value: '2', version: second });
    });

    it('are deleted only in the version that is expected', async () => {
      const { store } = await open();
      const version = await store.put('a', '1');

      await expect(store.delete('a', { expect: version + 1 })).rejects.toMatchObject({ code: 'store.conflict' });
      expect(await store.delete('a', { expect: version })).toBe(true);
      await expect(store.delete('a', { expect: version })).rejects.toMatchObject({ code: 'store.conflict' });
      expect(await store.delete('a', { expect: 0 })).toBe(false);
      expect(await store.delete('a')).toBe(false);
      expect(await store.list('')).toEqual([]);
    });

    it('that many change at once lose no change', async () => {
      const { store } = await open();
      await store.put('count', '0');
      const increment = async (): Promise<void> => {
        for (;;) {
          const { value, version } = (await store.get('count'))!;
          try {
            await store.put('count', String(Number(value) + 1), { expect: version });
            return;
          } catch (error) {
            expect(error).toMatchObject({ code: 'store.conflict' });
          }
        }
      };

      await Promise.all(Array.from({ length: 20 }, increment));

      expect((await store.get('count'))!.value).toBe('20');
    });

    it('are listed by the path above them, in the order of their keys', async () => {
      const { store } = await open();
      for (const key of ['b', 'a/2', 'a', 'a/10', 'ab', 'a/1/x', 'a-b/1', 'a/~', 'a0']) await store.put(key, key);

      const keys = async (prefix: string): Promise<string[]> => (await store.list(prefix)).map(({ key }) => key);

      expect(await keys('a')).toEqual(['a/1/x', 'a/10', 'a/2', 'a/~']);
      expect(await keys('a/')).toEqual(['a/1/x', 'a/10', 'a/2', 'a/~']);
      expect(await keys('a/1')).toEqual(['a/1/x']);
      expect(await keys('')).toEqual(['a', 'a-b/1', 'a/1/x', 'a/10', 'a/2', 'a/~', 'a0', 'ab', 'b']);
      expect(await keys('none')).toEqual([]);
    });

    it('keep to what a model does, whatever is asked in whatever order', async () => {
      const { store } = await open();
      const key = fc.constantFrom('a', 'a/b', 'a/c', 'd');
      const step = fc.record({
        what: fc.constantFrom('put', 'create', 'delete', 'get', 'list'),
        key,
        value: fc.string({ maxLength: 8 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          for (const { key: old } of await store.list('')) await store.delete(old);
          const model = new Map<string, string>();
          for (const { what, key, value } of steps) {
            if (what === 'put') {
              await store.put(key, value);
              model.set(key, value);
            } else if (what === 'create') {
              const made = await store.put(key, value, { expect: 0 }).then(
                () => true,
                () => false,
              );
              expect(made).toBe(!model.has(key));
              if (made) model.set(key, value);
            } else if (what === 'delete') expect(await store.delete(key)).toBe(model.delete(key));
            else if (what === 'get') expect((await store.get(key))?.value).toBe(model.get(key));
            else {
              const found = (await store.list('a')).map((entry) => [entry.key, entry.value]);
              expect(found).toEqual([...model].filter(([name]) => name.startsWith('a/')).toSorted());
            }
          }
        }),
        { numRuns: 40 },
      );
    });

    it('with a key that is none, or too large, are refused', async () => {
      const { store } = await open();
      const refused = expect.objectContaining({ code: 'store.bad-key' });

      for (const key of ['', '/', 'a/', '/a', 'a//b', 'a b', 'a\n', 'ä', '*\0', 'x'.repeat(513)]) {
        await expect(store.get(key)).rejects.toEqual(refused);
        await expect(store.put(key, '')).rejects.toEqual(refused);
        await expect(store.delete(key)).rejects.toEqual(refused);
        await expect(store.acquire(key, 'me', 1)).rejects.toEqual(refused);
      }
      await expect(store.list('a b')).rejects.toEqual(refused);
      await expect(store.put('a', 'x'.repeat(MAX_VALUE_BYTES + 1))).rejects.toMatchObject({ code: 'store.too-large' });
      await expect(store.acquire('a', 'you and me', 1)).rejects.toMatchObject({ code: 'store.bad-owner' });
    });
  });

  describe('leases', () => {
    it('have one holder at a time, and each holder a later epoch', async () => {
      const { store } = await open();

      const first = await store.acquire('disk/a', 'me', 60_000);
      const refused = await store.acquire('disk/a', 'you', 60_000);
      const again = await store.acquire('disk/a', 'me', 60_000);
      await store.release(first!);
      const second = await store.acquire('disk/a', 'you', 60_000);

      expect(first).toMatchObject({ name: 'disk/a', owner: 'me' });
      expect(refused).toBeUndefined();
      expect(again).toEqual(first);
      expect(second!.epoch).toBeGreaterThan(first!.epoch);
    });

    it('run out unless they are renewed', async () => {
      const { store, pass } = await open();
      const first = (await store.acquire('a', 'me', 1000))!;

      expect(await store.renew(first, 60_000)).toBe(true);
      await pass(1000);
      expect(await store.acquire('a', 'you', 60)).toBeUndefined();
      expect(await store.renew(first, 20)).toBe(true);
      await pass(20);
      const second = (await store.acquire('a', 'you', 60_000))!;

      expect(second.epoch).toBeGreaterThan(first.epoch);
      expect(await store.renew(first, 60_000)).toBe(false);
    });

    it('of an old holder are neither renewed nor released', async () => {
      const { store } = await open();
      const old = (await store.acquire('a', 'me', 60_000))!;
      await store.release(old);
      const fresh = (await store.acquire('a', 'me', 60_000))!;

      await store.release(old);

      expect(await store.renew(old, 60_000)).toBe(false);
      expect(await store.acquire('a', 'you', 60_000)).toBeUndefined();
      expect(await store.renew(fresh, 60_000)).toBe(true);
    });

    it('of one name do not stand in the way of another, or of a value', async () => {
      const { store } = await open();

      await store.acquire('a', 'me', 60_000);
      await store.put('a', 'value');

      expect(await store.acquire('b', 'you', 60_000)).toBeDefined();
      expect((await store.get('a'))!.value).toBe('value');
      expect((await store.list('')).map(({ key }) => key)).toEqual(['a']);
    });

    it('that many want at once are got by one', async () => {
      const { store } = await open();

      const all = await Promise.all(Array.from({ length: 20 }, (_, n) => store.acquire('a', `owner-${n}`, 60_000)));

      expect(all.filter((lease) => lease !== undefined)).toHaveLength(1);
    });
  });

  describe('without a connection', () => {
    it('the state is told at once and with each change', async () => {
      const { store, disconnect, reconnect } = await open();
      const states: boolean[] = [];
      const watching = store.onConnection((now) => states.push(now));

      await disconnect();
      await reconnect();
      watching.close();
      await disconnect();

      expect(states).toEqual([true, false, true]);
    });

    it('what was written is still there afterwards, and versions and epochs go on', async () => {
      const { store, disconnect, reconnect } = await open();
      const version = await store.put('a', '1');
      const lease = (await store.acquire('l', 'me', 60_000))!;
      await disconnect();

      await reconnect();

      expect(await store.get('a')).toEqual({ key: 'a', value: '1', version });
      expect(await store.renew(lease, 60_000)).toBe(true);
      expect(await store.put('a', '2', { expect: version })).toBeGreaterThan(version);
    });
  });

  it('once closed is unavailable for good, and can be closed again', async () => {
    const { store } = await open();

    await store.close();
    await store.close();

    await expect(store.get('a')).rejects.toMatchObject({ code: 'store.unavailable', retryable: true });
  });
});

/** What an administrator may do to the server. */
async function tell(url: string, what: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(url);
  await what(redis);
  redis.disconnect();
}

const it = test.skipIf(redisServerMissing() !== undefined);
describe('RedisStore and its server', () => {
  const use = async (
    options: Parameters<typeof startRedisServer>[0] = {},
    { timeoutMs = IMPATIENT_MS, log = quietLog() } = {},
  ): Promise<{ server: RedisServer; store: RedisStore }> => {
    const server = await startRedisServer(options);
    const store = new RedisStore({ url: server.url, name: 'test', log, timeoutMs });
    onTestFinished(async () => {
      await store.close();
      await server.close();
    });
    return { server, store };
  };

  it('that is away at first is used once it is there', async () => {
    const { server, store } = await use({ isStarted: false }, { timeoutMs: 60_000 });

    const early = store.put('a', '1');
    await server.start();

    expect(await early).toBeGreaterThan(0);
  });

  it('every call ends in time, as unavailable, while the server is away', async () => {
    const { store } = await use({ isStarted: false });
    const lease = { name: 'a', owner: 'me', epoch: 1 };

    const calls = [
      store.get('a'),
      store.list(''),
      store.put('a', ''),
      store.delete('a'),
      store.acquire('a', 'me', 1),
      store.renew(lease, 1),
      store.release(lease),
    ];

    for (const call of await Promise.allSettled(calls))
      expect(call).toMatchObject({ reason: { code: 'store.unavailable', retryable: true } });
  });

  it('a call that is under way when the server is killed fails, and the next one succeeds after its return', async () => {
    const { server, store } = await use({}, { timeoutMs: 60_000 });
    await connected(store);
    await server.suspend();

    const lost = expect(store.put('a', '1')).rejects.toMatchObject({ code: 'store.unavailable' });
    await server.kill();
    await lost;
    const next = store.put('a', '2');
    await server.start();

    expect(await next).toBeGreaterThan(0);
  });

  it('a server that hangs counts as away until it answers again', async () => {
    const { server, store } = await use();
    await connected(store);
    await server.suspend();

    await expect(store.put('a', '1')).rejects.toMatchObject({ code: 'store.unavailable' });
    await connected(store, false);
    server.resume();
    await connected(store);

    expect(await store.put('a', '2')).toBeGreaterThan(0);
  });

  it('that lost its data still gives later versions and epochs', async () => {
    const { server, store } = await use({}, { timeoutMs: 60_000 });
    const version = await store.put('a', '1');
    const lease = (await store.acquire('l', 'me', 60_000))!;
    const other = new RedisStore({ url: server.url, name: 'other', log: quietLog() });
    onTestFinished(() => other.close());

    await tell(server.url, (redis) => redis.flushall());

    expect(await store.get('a')).toBeUndefined();
    expect(await store.put('a', '1')).toBeGreaterThan(version);
    expect((await other.acquire('l', 'you', 60_000))!.epoch).toBeGreaterThan(lease.epoch);
  });

  it('a password is used and never logged', async () => {
    const log = memoryLog();
    const { server, store } = await use({ password: 'p/w secret' }, { timeoutMs: 60_000, log });
    const wrong = new RedisStore({ url: server.url.replace('secret', 'wrong'), name: 'test', log, timeoutMs: 500 });
    onTestFinished(() => wrong.close());

    expect(await store.put('a', '1')).toBeGreaterThan(0);
    await expect(wrong.get('a')).rejects.toMatchObject({
      code: 'store.unavailable',
      message: expect.stringContaining('WRONGPASS') as string,
    });
    expect(() => new RedisStore({ url: 'http://me:p/w secret@host', name: 'test', log })).toThrow(
      /^the URL of Redis is not like redis:/,
    );
    expect(JSON.stringify(log.entries)).not.toMatch(/p\/w|secret|wrong/);
  });

  it('that is away is told of once, and its return too', async () => {
    const log = memoryLog();
    const { server, store } = await use({ isStarted: false }, { log });
    const server1 = `127.0.0.1:${server.port}`;

    await expect(store.get('a')).rejects.toMatchObject({ code: 'store.unavailable' });
    await server.start();
    await connected(store);

    expect(log.entries.map(({ level, message, fields }) => [level, message, fields['server']])).toEqual([
      ['warn', 'the store cannot be reached; trying again', server1],
      ['info', 'the store is connected', server1],
    ]);
  });

  it('a record that somebody else spoiled is an error, and ends nothing', async () => {
    const { server, store } = await use({}, { timeoutMs: 60_000 });
    await connected(store);
    await tell(server.url, (redis) => redis.hset('tomei:values', 'b', 'nonsense'));
    await expect(store.get('b')).rejects.toMatchObject({ code: 'store.failed' });
    await tell(server.url, (redis) => redis.set('tomei:values', 'nonsense'));

    await expect(store.get('a')).rejects.toMatchObject({ code: 'store.failed' });
    await expect(store.put('a', '1')).rejects.toMatchObject({ code: 'store.failed' });
  });
});
