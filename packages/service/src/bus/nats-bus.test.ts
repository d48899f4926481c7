/** What NATS adds to what every bus promises: a server that is away, is killed, hangs, forgets, or does not let us in. */
import fc from 'fast-check';
import { connect } from 'nats';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EVENT_STREAM, EVENT_STREAM_LIMITS } from '@tomei/contracts';
import { natsServerMissing, startNatsServer, type NatsServer, type NatsServerOptions } from '@tomei/testkit';
import { EventPublisher } from '../events.ts';
import { memoryLog, quietLog, type Log } from '../log.ts';
import { NatsBus } from './nats-bus.ts';
import { natsAddress } from './nats-connection.ts';
import { checkPattern, checkSubject, matches } from './subject.ts';

/** Nothing here is measured: slow machines have room. */
const SOON = { timeout: 60_000, interval: 2 };

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const EVENT = 'tomei.v1.event.guest.g-1';

const connected = (bus: NatsBus): Promise<void> =>
  new Promise((resolve) => {
    bus.onConnection((now) => now && resolve());
  });

/** Fulfilled when the connection was lost, from now on, and is there again. */
const comesBack = (bus: NatsBus): Promise<void> =>
  new Promise((resolve) => {
    let wasLost = false;
    bus.onConnection((now) => {
      if (now && wasLost) resolve();
      wasLost ||= !now;
    });
  });

interface Bed {
  readonly server: NatsServer;
  readonly bus: NatsBus;
  readonly errors: unknown[];
}
async function open(options: NatsServerOptions = {}, log: Log = quietLog()): Promise<Bed> {
  const server = await startNatsServer(options);
  const errors: unknown[] = [];
  const bus = new NatsBus({ url: server.url, name: 'test', log, onError: (error) => errors.push(error) });
  onTestFinished(async () => {
    await bus.close();
    await server.close();
  });
  return { server, bus, errors };
}

describe.skipIf(natsServerMissing() !== undefined)('NatsBus and its server', () => {
  test('a server that is away at first is used once it is there, and both is told once', async () => {
    const log = memoryLog();
    const { server, bus } = await open({ isStarted: false }, log);
    const heard = Promise.withResolvers<string>();
    bus.subscribe('a', (subject) => heard.resolve(subject));
    const event = bus.emit(`${EVENT}.v`, bytes(''), { id: '1', timeoutMs: 60_000 });
    await expect.poll(() => log.entries.length, SOON).toBe(1);

    await server.start();
    await connected(bus);
    bus.publish('a', bytes(''));

    expect(await event).toBe(1);
    expect(await heard.promise).toBe('a');
    expect(log.entries.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'the message bus cannot be reached; trying again'],
      ['info', 'the message bus is connected'],
    ]);
  });

  test('events of a publisher arrive once each and in order, however often the server is killed', async () => {
    const { server, bus } = await open();
    const publisher = new EventPublisher({ bus, source: 'test', log: quietLog() });
    const heard: string[] = [];
    const all = Promise.withResolvers<void>();
    const ROUNDS = 4;
    const EACH = 75;
    bus.follow('tomei.v1.event.>', 'all', async ({ subject }) => {
      await new Promise(setImmediate);
      heard.push(subject.split('.').at(-1)!);
      if (heard.length === ROUNDS * EACH) all.resolve();
    });

    for (let round = 0; round < ROUNDS; round++) {
      await connected(bus);
      for (let n = 0; n < EACH; n++) publisher.emit({ noun: 'guest', subjectId: 'g-1', verb: `v${round * EACH + n}` });
      // While some are stored, some under way and some wait.
      await expect.poll(() => heard.length, SOON).toBeGreaterThan(round * EACH);
      await server.restart();
    }
    await all.promise;
    await publisher.close(60_000);

    expect(heard).toEqual(Array.from({ length: ROUNDS * EACH }, (_, n) => `v${n}`));
  });

  test('a server that hangs makes a request time out, and answers again afterwards', async () => {
    const { server, bus } = await open();
    await connected(bus);
    bus.respond('a', () => Promise.resolve(bytes('answer')));
    await bus.request('a', bytes(''), { timeoutMs: 60_000 });

    await server.suspend();
    await expect(bus.request('a', bytes(''), { timeoutMs: 30 })).rejects.toMatchObject({ code: 'peer.timeout' });
    server.resume();

    expect(await bus.request('a', bytes(''), { timeoutMs: 60_000 })).toEqual(bytes('answer'));
  });

  test('user and password, or a token, are used and never logged', async () => {
    for (const credentials of [{ user: 'me', password: 'p/w @secret' }, { token: 'token-secret' }]) {
      const log = memoryLog();
      const { server, bus } = await open({ credentials }, log);
      await connected(bus);
      const wrong = new NatsBus({ url: server.url.replace('secret', 'wrong'), name: 'test', log });
      onTestFinished(() => wrong.close());
      await expect.poll(() => log.entries.length, SOON).toBe(2);

      expect(log.entries[1]).toMatchObject({ level: 'warn', message: /cannot be reached/ });
      expect(JSON.stringify(log.entries)).toContain('Authorization Violation');
      expect(JSON.stringify(log.entries)).not.toMatch(/secret|wrong/);
    }
    expect(() => new NatsBus({ url: 'http://me:secret@host', name: 'test', log: quietLog() })).toThrow(
      /^the URL of NATS is not like nats:\/\/host:4222$/,
    );
  });

  test('a server without JetStream is no bus for a cluster', async () => {
    const log = memoryLog();
    const { bus } = await open({ hasJetStream: false }, log);

    await expect.poll(() => log.entries.length, SOON).toBe(1);
    await expect(bus.emit(`${EVENT}.v`, bytes(''), { id: '1', timeoutMs: 50 })).rejects.toMatchObject({
      code: 'bus.disconnected',
    });
    expect(log.entries[0]!.fields['why']).toMatch(/JetStream/);
  });

  test("a server's own limit for messages holds", async () => {
    const { bus } = await open({ maxPayloadBytes: 4096 });
    await connected(bus);
    const large = new Uint8Array(4097);
    const refused = { code: 'message.too-large', data: expect.objectContaining({ limitBytes: 4096 }) as unknown };

    expect(() => bus.publish('a', large)).toThrow(expect.objectContaining(refused));
    await expect(bus.request('a', large, { timeoutMs: 1 })).rejects.toMatchObject(refused);
    // With its id an event takes more than its bytes.
    await expect(bus.emit(`${EVENT}.v`, new Uint8Array(4096), { id: '1' })).rejects.toMatchObject({
      code: 'message.too-large',
    });
    expect(await bus.emit(`${EVENT}.v`, new Uint8Array(3584), { id: 'x'.repeat(36) })).toBe(1);
  });

  test('the stream has the limits that are stated, also one that was there with others', async () => {
    const { server, bus } = await open();
    await connected(bus);
    const raw = await connect({ servers: `127.0.0.1:${server.port}` });
    onTestFinished(() => raw.close());
    const { streams } = await raw.jetstreamManager();
    const expected = {
      subjects: ['tomei.v1.event.>'],
      max_age: EVENT_STREAM_LIMITS.maxAgeMs * 1e6,
      max_msgs: EVENT_STREAM_LIMITS.maxMessages,
      duplicate_window: 120e9,
      storage: 'file',
      discard: 'old',
    };
    expect((await streams.info(EVENT_STREAM)).config).toMatchObject(expected);
    await streams.update(EVENT_STREAM, { max_msgs: 5, max_age: 0 });

    const back = comesBack(bus);
    await server.restart();
    await back;
    const again = await connect({ servers: `127.0.0.1:${server.port}` });
    onTestFinished(() => again.close());

    expect((await (await again.jetstreamManager()).streams.info(EVENT_STREAM)).config).toMatchObject(expected);
  });

  test.each(['purged and filled again', 'deleted'])(
    'a follower of a stream that was %s gets what is new, and is told',
    async (what) => {
      const { server, bus, errors } = await open();
      const heard: string[] = [];
      bus.follow('tomei.v1.event.>', 'all', ({ subject }) => void heard.push(subject.split('.').at(-1)!));
      for (let n = 0; n < 5; n++) await bus.emit(`${EVENT}.old${n}`, bytes(''), { id: `old-${n}` });
      await expect.poll(() => heard.length, SOON).toBe(5);

      const raw = await connect({ servers: `127.0.0.1:${server.port}` });
      await (await raw.jetstreamManager()).streams.delete(EVENT_STREAM);
      await raw.close();
      const back = comesBack(bus);
      await server.restart();
      await back;
      const count = what === 'deleted' ? 2 : 7;
      for (let n = 0; n < count; n++) await bus.emit(`${EVENT}.new${n}`, bytes(''), { id: `new-${n}` });

      await expect.poll(() => heard.slice(5), SOON).toEqual(Array.from({ length: count }, (_, n) => `new${n}`));
      expect(errors).toMatchObject([{ code: 'event-stream.interrupted' }, { code: 'event-stream.made-anew' }]);
    },
  );

  test('bytes that are no message of ours, from anybody, reach the handler as they are', async () => {
    const { server, bus } = await open();
    await connected(bus);
    const heard: Uint8Array[] = [];
    bus.follow('tomei.v1.event.>', 'all', ({ bytes: message }) => void heard.push(message));
    const raw = await connect({ servers: `127.0.0.1:${server.port}` });
    onTestFinished(() => raw.close());

    raw.publish('tomei.v1.event.guest.x.y', Uint8Array.of(0xff, 0, 13, 10));
    raw.publish('tomei.v1.event.guest.x.y');

    await expect.poll(() => heard.map((message) => [...message]), SOON).toEqual([[0xff, 0, 13, 10], []]);
  });

  test('patterns fit the subjects that they fit on a real server', async () => {
    const { bus } = await open();
    await connected(bus);
    const token = fc.constantFrom('a', 'b', 'cc');
    const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
    const pattern = fc
      .tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 3 }), fc.constantFrom('a', '*', '>'))
      .map(([tokens, last]) => [...tokens, last].join('.'));
    let round = 0;
    await fc.assert(
      fc.asyncProperty(pattern, fc.array(subject, { minLength: 1, maxLength: 6 }), async (wanted, subjects) => {
        // Each time below another first token, so that nothing of the last time is heard.
        const first = `r${round++}`;
        const heard: string[] = [];
        const end = Promise.withResolvers<void>();
        const listening = bus.subscribe(`${first}.${wanted}`, (s) => void heard.push(s));
        const fence = bus.subscribe(`end.${first}`, () => end.resolve());
        for (const s of subjects) bus.publish(`${first}.${s}`, bytes(''));
        bus.publish(`end.${first}`, bytes(''));
        await end.promise;
        await new Promise(setImmediate);
        await listening.close();
        await fence.close();

        expect(heard).toEqual(subjects.map((s) => `${first}.${s}`).filter((s) => matches(`${first}.${wanted}`, s)));
      }),
      { numRuns: 150 },
    );
  });
});

describe('an address of NATS', () => {
  test.each([
    ['nats://host', { servers: ['host:4222'], isTls: false }],
    ['nats://a:1,nats://b:2', { servers: ['a:1', 'b:2'], isTls: false }],
    ['tls://user:p%40w@host:1', { servers: ['host:1'], isTls: true, user: 'user', pass: 'p@w' }],
    ['nats://token@[::1]:1', { servers: ['[::1]:1'], isTls: false, token: 'token' }],
  ])('%s is taken apart', (url, expected) => {
    expect(natsAddress(url)).toEqual(expected);
  });

  test.each(['', 'host:4222', 'http://host', 'nats://', 'nats://a,b'])('%s is refused', (url) => {
    expect(() => natsAddress(url)).toThrow(expect.objectContaining({ code: 'config.bad' }));
  });
});

test('any text is a subject and a pattern, or refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('a', '.', '*', '>', ' ', '\n') })), (text) => {
      for (const check of [checkSubject, checkPattern]) {
        try {
          check(text);
          expect(text).not.toMatch(/\s|^\.|\.\.|\.$|^$/);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bus.bad-subject' });
        }
      }
    }),
  );
});
