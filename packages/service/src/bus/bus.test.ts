/** What every bus promises, asked of both twins: the one in memory, and NATS with a real server. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { natsServerMissing, startNatsServer } from '@tomei/testkit';
import { quietLog } from '../log.ts';
import type { Bus, StoredMessage } from './bus.ts';
import { MAX_WAITING } from './listeners.ts';
import { MemoryBus } from './memory-bus.ts';
import { NatsBus } from './nats-bus.ts';

/** Nothing here is measured: slow machines have room. */
const SOON = { timeout: 60_000, interval: 2 };

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (message: Uint8Array): string => new TextDecoder().decode(message);
const EVENT = 'tomei.v1.event.guest.g-1';

/** What was heard, and a way to wait for it. */
class Heard<T> {
  readonly items: T[] = [];
  private wake = Promise.withResolvers<void>();

  readonly take = (item: T): void => {
    this.items.push(item);
    this.wake.resolve();
    this.wake = Promise.withResolvers();
  };
  async atLeast(count: number): Promise<readonly T[]> {
    while (this.items.length < count) await this.wake.promise;
    return this.items;
  }
  async some(isIt: (item: T) => boolean): Promise<T> {
    for (let found; ; await this.wake.promise) if ((found = this.items.find(isIt)) !== undefined) return found;
  }
}

interface Bed {
  readonly bus: Bus;
  /** What was passed to onError. */
  readonly errors: Heard<unknown>;
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
}
const connected = (bus: Bus, wanted = true): Promise<void> =>
  new Promise((resolve) => {
    bus.onConnection((now) => now === wanted && resolve());
  });

const twins = [
  {
    name: 'MemoryBus',
    missing: undefined,
    open: (): Promise<Bed> => {
      const errors = new Heard<unknown>();
      const bus = new MemoryBus({ onError: errors.take });
      onTestFinished(() => bus.close());
      return Promise.resolve({
        bus,
        errors,
        disconnect: () => Promise.resolve(bus.setConnected(false)),
        reconnect: () => Promise.resolve(bus.setConnected(true)),
      });
    },
  },
  {
    name: 'NatsBus',
    missing: natsServerMissing(),
    open: async (): Promise<Bed> => {
      const server = await startNatsServer();
      const errors = new Heard<unknown>();
      const bus = new NatsBus({ url: server.url, name: 'test', log: quietLog(), onError: errors.take });
      onTestFinished(async () => {
        await bus.close();
        await server.close();
      });
      await connected(bus);
      return {
        bus,
        errors,
        disconnect: async () => {
          await server.kill();
          await connected(bus, false);
        },
        reconnect: async () => {
          await server.start();
          await connected(bus);
        },
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

  describe('messages', () => {
    it('reach whoever listens on a pattern that fits, in their order', async () => {
      const { bus } = await open();
      const heard: Record<string, Heard<string>> = {};
      for (const pattern of ['a.b', 'a.*', 'a.>', '*.b', '>', 'a.b.c', 'b.>']) {
        heard[pattern] = new Heard();
        bus.subscribe(pattern, (subject, message) => heard[pattern]!.take(`${subject}=${text(message)}`));
      }

      for (const subject of ['a.b', 'a.c', 'a', 'a.b.c', 'end']) bus.publish(subject, bytes('1'));
      await heard['>']!.some((line) => line === 'end=1');

      expect(Object.fromEntries(Object.entries(heard).map(([pattern, { items }]) => [pattern, items]))).toEqual({
        'a.b': ['a.b=1'],
        'a.*': ['a.b=1', 'a.c=1'],
        'a.>': ['a.b=1', 'a.c=1', 'a.b.c=1'],
        '*.b': ['a.b=1'],
        '>': ['a.b=1', 'a.c=1', 'a=1', 'a.b.c=1', 'end=1'],
        'a.b.c': ['a.b.c=1'],
        'b.>': [],
      });
    });

    it('are as they were when they were published', async () => {
      const { bus } = await open();
      const heard = new Heard<Uint8Array>();
      bus.subscribe('a', (_, message) => heard.take(message));
      const messages = [Uint8Array.of(1, 2, 3), Buffer.from([4, 5]), new Uint8Array()];

      for (const message of messages) {
        bus.publish('a', message);
        message.fill(9);
      }

      expect(await heard.atLeast(3)).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5), new Uint8Array()]);
    });

    it('are never handled in the turn of whoever publishes them', async () => {
      const { bus } = await open();
      const heard = new Heard<string>();
      bus.subscribe('a', (_, message) => heard.take(text(message)));

      bus.publish('a', bytes('1'));
      const during = [...heard.items];

      expect(during).toEqual([]);
      expect(await heard.atLeast(1)).toEqual(['1']);
    });

    it('are handled one after another, and a handler that fails gets the next one', async () => {
      const { bus, errors } = await open();
      const heard = new Heard<string>();
      let atWork = 0;
      bus.subscribe('a', async (_, message) => {
        heard.take(`begin ${text(message)} beside ${atWork++}`);
        await new Promise(setImmediate);
        atWork--;
        if (text(message) === '2') throw new Error('no 2');
      });

      for (const message of ['1', '2', '3']) bus.publish('a', bytes(message));

      expect(await heard.atLeast(3)).toEqual(['begin 1 beside 0', 'begin 2 beside 0', 'begin 3 beside 0']);
      expect(errors.items).toEqual([new Error('no 2')]);
    });

    it('that a handler is too slow for are dropped, and it is told', async () => {
      const { bus, errors } = await open();
      const gate = Promise.withResolvers<void>();
      let handled = 0;
      bus.subscribe('a', async () => {
        await gate.promise;
        handled++;
      });
      const others = new Heard<string>();
      bus.subscribe('b', (subject) => others.take(subject));

      for (let i = 0; i < MAX_WAITING + 100; i++) bus.publish('a', bytes('x'));
      bus.publish('b', bytes('x'));
      await others.atLeast(1);
      gate.resolve();

      expect(errors.items[0]).toMatchObject({ code: 'bus.slow-handler' });
      // One may be at work besides those that wait.
      expect([99, 100]).toContain(errors.items.length);
      await expect.poll(() => handled, SOON).toBe(MAX_WAITING + 100 - errors.items.length);
    });

    it('do not come once the subscription is closed, and closing waits for the handler', async () => {
      const { bus } = await open();
      const fence = new Heard<string>();
      const began = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const log: string[] = [];
      const subscription = bus.subscribe('a', async (_, message) => {
        log.push(`begin ${text(message)}`);
        began.resolve();
        await gate.promise;
        log.push(`end ${text(message)}`);
      });
      bus.subscribe('fence', (subject) => fence.take(subject));
      bus.publish('a', bytes('1'));
      bus.publish('a', bytes('2'));
      await began.promise;

      const closing = subscription.close().then(() => log.push('closed'));
      bus.publish('a', bytes('3'));
      bus.publish('fence', bytes(''));
      await fence.atLeast(1);
      gate.resolve();
      await closing;
      await subscription.close();

      expect(log).toEqual(['begin 1', 'end 1', 'closed']);
    });

    it('may close their own subscription', async () => {
      const { bus } = await open();
      const heard = new Heard<string>();
      const subscription = bus.subscribe('a', async (_, message) => {
        await Promise.resolve();
        await subscription.close();
        heard.take(text(message));
      });

      bus.publish('a', bytes('1'));

      expect(await heard.atLeast(1)).toEqual(['1']);
    });

    it('are refused when they are too large or their subject is none', async () => {
      const { bus } = await open();
      const large = new Uint8Array((1 << 20) + 1);

      expect(() => bus.publish('a', large)).toThrow(expect.objectContaining({ code: 'message.too-large' }));
      for (const subject of ['', 'a.', '.a', 'a b', 'a.*', '>', 'a\r\nPUB x', 'ä', 'a'.repeat(300)]) {
        const refused = expect.objectContaining({ code: 'bus.bad-subject' });
        expect(() => bus.publish(subject, bytes(''))).toThrow(refused);
        await expect(bus.request(subject, bytes(''), { timeoutMs: 1 })).rejects.toEqual(refused);
        await expect(bus.emit(subject, bytes(''), { id: '1' })).rejects.toEqual(refused);
        expect(() => bus.respond(subject, () => Promise.resolve(bytes('')))).toThrow(refused);
      }
      for (const pattern of ['', 'a.', 'a b', '>.a', 'a*'])
        expect(() => bus.subscribe(pattern, () => undefined)).toThrow(
          expect.objectContaining({ code: 'bus.bad-subject' }),
        );
    });
  });

  describe('requests', () => {
    const timeoutMs = 60_000;

    it('are answered, several at a time', async () => {
      const { bus } = await open();
      const all = Promise.withResolvers<void>();
      let underWay = 0;
      bus.respond('square', async (message) => {
        if (++underWay === 3) all.resolve();
        await all.promise;
        return bytes(String(Number(text(message)) ** 2));
      });

      const answers = await Promise.all(['1', '2', '3'].map((n) => bus.request('square', bytes(n), { timeoutMs })));

      expect(answers.map(text)).toEqual(['1', '4', '9']);
    });

    it('go to one of several who answer', async () => {
      const { bus } = await open();
      const asked = new Heard<string>();
      const answers = [1, 2].map((n) =>
        bus.respond('who', (message) => {
          asked.take(text(message));
          return Promise.resolve(bytes(String(n)));
        }),
      );

      for (const n of ['1', '2', '3']) await bus.request('who', bytes(n), { timeoutMs });
      await answers[0]!.close();
      const last = await bus.request('who', bytes('4'), { timeoutMs });

      expect(asked.items).toEqual(['1', '2', '3', '4']);
      expect(text(last)).toBe('2');
    });

    it('fail at once where nobody answers', async () => {
      const { bus } = await open();
      const gone = bus.respond('a', () => Promise.resolve(bytes('')));
      await gone.close();

      await expect(bus.request('a', bytes(''), { timeoutMs })).rejects.toMatchObject({
        code: 'peer.unavailable',
        retryable: true,
      });
    });

    it('fail when there is no answer in time', async () => {
      const { bus } = await open();
      const gate = Promise.withResolvers<Uint8Array>();
      bus.respond('a', () => gate.promise);

      await expect(bus.request('a', bytes(''), { timeoutMs: 20 })).rejects.toMatchObject({
        code: 'peer.timeout',
        retryable: true,
      });
      gate.resolve(bytes(''));
    });

    it('get no answer from a handler that throws; whoever answers is told why', async () => {
      const { bus, errors } = await open();
      bus.respond('a', () => Promise.reject(new Error('a bug')));
      bus.respond('b', () => {
        throw new Error('another bug');
      });

      await expect(bus.request('a', bytes(''), { timeoutMs: 20 })).rejects.toMatchObject({ code: 'peer.timeout' });
      await expect(bus.request('b', bytes(''), { timeoutMs: 20 })).rejects.toMatchObject({ code: 'peer.timeout' });
      expect(await errors.atLeast(2)).toEqual([new Error('a bug'), new Error('another bug')]);
    });

    it('and answers that are too large are refused where they are made', async () => {
      const { bus, errors } = await open();
      const large = new Uint8Array((1 << 20) + 1);
      bus.respond('a', () => Promise.resolve(large));

      await expect(bus.request('a', large, { timeoutMs })).rejects.toMatchObject({ code: 'message.too-large' });
      await expect(bus.request('a', bytes(''), { timeoutMs: 20 })).rejects.toMatchObject({ code: 'peer.timeout' });
      expect(await errors.atLeast(1)).toMatchObject([{ code: 'message.too-large' }]);
    });

    it('that are under way are answered before their responder is closed', async () => {
      const { bus } = await open();
      const began = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const responder = bus.respond('a', async () => {
        began.resolve();
        await gate.promise;
        return bytes('done');
      });
      const answer = bus.request('a', bytes(''), { timeoutMs });
      await began.promise;

      const closing = responder.close();
      gate.resolve();
      await closing;

      expect(text(await answer)).toBe('done');
    });
  });

  describe('events', () => {
    const emitAll = async (bus: Bus, from: number, to: number): Promise<void> => {
      for (let n = from; n <= to; n++) await bus.emit(`${EVENT}.v${n}`, bytes(String(n)), { id: `id-${n}` });
    };
    const told = ({ sequence, subject, bytes: message }: StoredMessage): string =>
      `${sequence} ${subject.slice(EVENT.length + 1)}=${text(message)}`;

    it('are numbered from 1 and followed from the beginning, from now on, or behind a place', async () => {
      const { bus } = await open();
      const places: number[] = [];
      for (const n of [1, 2, 3]) places.push(await bus.emit(`${EVENT}.v${n}`, bytes(String(n)), { id: `id-${n}` }));
      const all = new Heard<string>();
      const behind = new Heard<string>();
      const fresh = new Heard<string>();

      bus.follow('tomei.v1.event.>', 'all', (message) => all.take(told(message)));
      bus.follow('tomei.v1.event.>', { after: 2 }, (message) => behind.take(told(message)));
      bus.follow('tomei.v1.event.>', 'new', (message) => fresh.take(told(message)));
      await all.atLeast(3);
      await behind.atLeast(1);
      // NATS is asked where `now` is: until it has said so, an event may count as old.
      for (let n = 4; fresh.items.length === 0; n++) {
        await emitAll(bus, n, n);
        await new Promise(setImmediate);
      }

      expect(places).toEqual([1, 2, 3]);
      expect(all.items.slice(0, 3)).toEqual(['1 v1=1', '2 v2=2', '3 v3=3']);
      expect(behind.items[0]).toBe('3 v3=3');
      expect(Number(fresh.items[0]!.split(' ')[0])).toBeGreaterThan(3);
    });

    it('are followed by pattern', async () => {
      const { bus } = await open();
      const heard = new Heard<string>();
      bus.follow('tomei.v1.event.guest.g-2.*', 'all', ({ subject }) => heard.take(subject));

      await emitAll(bus, 1, 3);
      await bus.emit('tomei.v1.event.guest.g-2.placed', bytes(''), { id: 'a' });
      await bus.emit('tomei.v1.event.runner.g-2.lost', bytes(''), { id: 'b' });
      await bus.emit('tomei.v1.event.guest.g-2.lost', bytes(''), { id: 'c' });

      expect(await heard.atLeast(2)).toEqual(['tomei.v1.event.guest.g-2.placed', 'tomei.v1.event.guest.g-2.lost']);
    });

    it('reach those who listen for messages, too', async () => {
      const { bus } = await open();
      const heard = new Heard<string>();
      bus.subscribe('tomei.v1.event.>', (subject) => heard.take(subject));

      await emitAll(bus, 1, 1);

      expect(await heard.atLeast(1)).toEqual([`${EVENT}.v1`]);
    });

    it('with an id that was there are dropped, and have the place of the first', async () => {
      const { bus } = await open();
      const heard = new Heard<string>();
      bus.follow('tomei.v1.event.>', 'all', (message) => heard.take(told(message)));

      const places = [];
      for (const id of ['a', 'b', 'a', 'c', 'b']) places.push(await bus.emit(`${EVENT}.v`, bytes(id), { id }));

      expect(places).toEqual([1, 2, 1, 3, 2]);
      expect(await heard.atLeast(3)).toEqual(['1 v=a', '2 v=b', '3 v=c']);
    });

    it('come one after another however slow the handler is, also when it fails', async () => {
      const { bus, errors } = await open();
      const heard = new Heard<string>();
      let atWork = 0;
      bus.follow('tomei.v1.event.>', 'all', async (message) => {
        heard.take(`${told(message)} beside ${atWork++}`);
        await new Promise(setImmediate);
        atWork--;
        if (message.sequence === 2) throw new Error('no 2');
      });

      // More than one batch.
      await Promise.all(Array.from({ length: 450 }, (_, n) => bus.emit(`${EVENT}.v`, bytes('x'), { id: String(n) })));

      const expected = Array.from({ length: 450 }, (_, n) => `${n + 1} v=x beside 0`);
      expect(await heard.atLeast(450)).toEqual(expected);
      expect(errors.items).toEqual([new Error('no 2')]);
    });

    it('do not come once the follower is closed, and closing waits for the handler', async () => {
      const { bus } = await open();
      const began = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const log: string[] = [];
      const fence = new Heard<string>();
      const following = bus.follow('tomei.v1.event.>', 'all', async ({ sequence }) => {
        log.push(`begin ${sequence}`);
        began.resolve();
        await gate.promise;
        log.push(`end ${sequence}`);
      });
      bus.follow('tomei.v1.event.>', 'all', (message) => fence.take(told(message)));
      await emitAll(bus, 1, 2);
      await began.promise;

      const closing = following.close().then(() => log.push('closed'));
      await emitAll(bus, 3, 3);
      await fence.atLeast(3);
      gate.resolve();
      await closing;
      await following.close();

      expect(log).toEqual(['begin 1', 'end 1', 'closed']);
    });

    it('that are too large are refused', async () => {
      const { bus } = await open();

      const large = bus.emit(`${EVENT}.v`, new Uint8Array((1 << 20) + 1), { id: '1' });

      await expect(large).rejects.toMatchObject({ code: 'message.too-large' });
    });

    it('of a stream that has not come so far are followed from its beginning', async () => {
      const { bus, errors } = await open();
      const heard = new Heard<string>();
      await emitAll(bus, 1, 2);

      bus.follow('tomei.v1.event.>', { after: 57 }, (message) => heard.take(told(message)));

      expect(await heard.atLeast(2)).toEqual(['1 v1=1', '2 v2=2']);
      expect(errors.items).toMatchObject([{ code: 'event-stream.made-anew' }]);
    });
  });

  describe('without a connection', () => {
    it('the state is told at once and with each change', async () => {
      const { bus, disconnect, reconnect } = await open();
      const states = new Heard<boolean>();
      const watching = bus.onConnection(states.take);

      await disconnect();
      await reconnect();
      await watching.close();
      await disconnect();

      expect(states.items).toEqual([true, false, true]);
    });

    it('messages are dropped and requests fail; afterwards both go through', async () => {
      const { bus, disconnect, reconnect } = await open();
      const heard = new Heard<string>();
      bus.subscribe('a', (_, message) => heard.take(text(message)));
      bus.respond('b', () => Promise.resolve(bytes('answer')));
      await disconnect();

      bus.publish('a', bytes('1'));
      await expect(bus.request('b', bytes(''), { timeoutMs: 60_000 })).rejects.toMatchObject({
        code: 'bus.disconnected',
        retryable: true,
      });
      await reconnect();
      bus.publish('a', bytes('2'));

      expect(await heard.atLeast(1)).toEqual(['2']);
      expect(text(await bus.request('b', bytes(''), { timeoutMs: 60_000 }))).toBe('answer');
    });

    it('a request that is under way fails at once', async () => {
      const { bus, disconnect } = await open();
      const began = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<Uint8Array>();
      bus.respond('a', () => {
        began.resolve();
        return gate.promise;
      });
      const request = bus.request('a', bytes(''), { timeoutMs: 60_000 });
      const failed = expect(request).rejects.toMatchObject({ code: 'bus.disconnected' });
      await began.promise;

      await disconnect();

      await failed;
      gate.resolve(bytes(''));
    });

    it('an event waits for it as long as it is told to', async () => {
      const { bus, disconnect, reconnect } = await open();
      await disconnect();

      const patient = bus.emit(`${EVENT}.v`, bytes('1'), { id: 'a', timeoutMs: 60_000 });
      const impatient = bus.emit(`${EVENT}.v`, bytes('2'), { id: 'b', timeoutMs: 10 });

      await expect(impatient).rejects.toMatchObject({ code: 'bus.disconnected', retryable: true });
      await reconnect();
      expect(await patient).toBe(1);
    });

    it('followers wait, and miss nothing and get nothing twice', async () => {
      const { bus, disconnect, reconnect } = await open();
      const heard = new Heard<number>();
      bus.follow('tomei.v1.event.>', 'all', async ({ sequence }) => {
        await new Promise(setImmediate);
        heard.take(sequence);
      });

      for (let round = 0; round < 3; round++) {
        for (let n = 0; n < 50; n++)
          await bus.emit(`${EVENT}.v`, bytes(''), { id: `${round}-${n}`, timeoutMs: 60_000 });
        await disconnect();
        await reconnect();
      }

      expect(await heard.atLeast(150)).toEqual(Array.from({ length: 150 }, (_, n) => n + 1));
    });

    it('what begins to listen then listens once it is there', async () => {
      const { bus, disconnect, reconnect } = await open();
      const messages = new Heard<string>();
      const events = new Heard<string>();
      await disconnect();
      bus.subscribe('a', (_, message) => messages.take(text(message)));
      bus.follow('tomei.v1.event.>', 'all', ({ bytes: message }) => events.take(text(message)));

      await reconnect();
      bus.publish('a', bytes('1'));
      await bus.emit(`${EVENT}.v`, bytes('2'), { id: 'a' });

      expect(await messages.atLeast(1)).toEqual(['1']);
      expect(await events.atLeast(1)).toEqual(['2']);
    });
  });

  it('once closed is disconnected for good, and can be closed again', async () => {
    const { bus } = await open();
    const states: boolean[] = [];
    bus.subscribe('a', () => undefined);
    bus.respond('b', () => Promise.resolve(bytes('')));
    bus.follow('tomei.v1.event.>', 'all', () => undefined);
    bus.onConnection((now) => states.push(now));

    await bus.close();
    await bus.close();

    expect(states).toEqual([true, false]);
    bus.publish('a', bytes(''));
    const gone = expect.objectContaining({ code: 'bus.disconnected' });
    await expect(bus.request('b', bytes(''), { timeoutMs: 60_000 })).rejects.toEqual(gone);
    await expect(bus.emit(`${EVENT}.v`, bytes(''), { id: '1', timeoutMs: 60_000 })).rejects.toEqual(gone);
  });
});
