import { describe, expect, test } from 'vitest';
import { messages, type Event } from '@tomei/contracts';
import { MemoryBus } from './bus/memory-bus.ts';
import { EventPublisher } from './events.ts';
import { memoryLog } from './log.ts';

/** A publisher on a bus, and everything that was stored. */
function open({ maxWaiting = 10_000, bus = new MemoryBus() } = {}): {
  bus: MemoryBus;
  log: ReturnType<typeof memoryLog>;
  publisher: EventPublisher;
  stored: Event[];
  verbs: (count: number) => Promise<readonly string[]>;
} {
  const log = memoryLog();
  const stored: Event[] = [];
  let wake = Promise.withResolvers<void>();
  bus.follow('tomei.v1.event.>', 'all', ({ bytes }) => {
    stored.push(messages.Event.decode(bytes));
    wake.resolve();
    wake = Promise.withResolvers();
  });
  let now = 1_000;
  const publisher = new EventPublisher({ bus, source: 'runner/r1', log, now: () => now++, maxWaiting });
  const verbs = async (count: number): Promise<readonly string[]> => {
    while (stored.length < count) await wake.promise;
    return stored.map(({ verb }) => verb);
  };
  return { bus, log, publisher, stored, verbs };
}
const event = (verb: string): { noun: string; subjectId: string; verb: string } => ({
  noun: 'guest',
  subjectId: 'g-1',
  verb,
});

describe('a publisher of events', () => {
  test('adds an id, the time and its source', async () => {
    const { publisher, stored, verbs } = open();

    publisher.emit({ ...event('started'), guestName: 'tiny', run: 3 });
    publisher.emit(event('stopped'));
    await verbs(2);

    expect(stored[0]).toMatchObject({
      noun: 'guest',
      subjectId: 'g-1',
      verb: 'started',
      guestName: 'tiny',
      run: 3,
      atMs: 1_000,
      source: 'runner/r1',
    });
    expect(stored[1]!.atMs).toBe(1_001);
    expect(new Set(stored.map(({ id }) => id)).size).toBe(2);
    expect(stored[0]!.id).not.toBe('');
  });

  test('goes on at once without a bus, and stores all in order when it is there', async () => {
    const { bus, log, publisher, verbs } = open();
    bus.setConnected(false);
    const expected = Array.from({ length: 100 }, (_, n) => `v${n}`);

    for (const verb of expected) publisher.emit(event(verb));
    bus.setConnected(true);

    expect(await verbs(100)).toEqual(expected);
    expect(log.entries).toEqual([]);
  });

  test('gives up the oldest of too many, and says so', async () => {
    const { bus, log, publisher, verbs } = open({ maxWaiting: 3 });
    bus.setConnected(false);

    for (const verb of ['a', 'b', 'c', 'd', 'e']) publisher.emit(event(verb));
    const lost = log.entries.map(({ level, message, fields }) => [level, message, fields['subject']]);
    bus.setConnected(true);

    expect(lost).toEqual([
      ['error', 'an event is lost', 'tomei.v1.event.guest.g-1.b'],
      ['error', 'an event is lost', 'tomei.v1.event.guest.g-1.c'],
    ]);
    // The first was under way.
    expect(await verbs(3)).toEqual(['a', 'd', 'e']);
  });

  test('tries again under the same id until an event is stored', async () => {
    const bus = new MemoryBus();
    const emit = bus.emit.bind(bus);
    const ids: string[] = [];
    // It stores, and its answer is lost twice.
    bus.emit = async (subject, bytes, options) => {
      ids.push(options.id);
      const place = await emit(subject, bytes, options);
      if (ids.length <= 2) throw new Error('the answer is lost');
      return place;
    };
    const { publisher, verbs } = open({ bus });

    publisher.emit(event('a'));
    publisher.emit(event('b'));
    await publisher.close(60_000);

    expect(ids).toEqual([ids[0], ids[0], ids[0], ids[3]]);
    expect(await verbs(2)).toEqual(['a', 'b']);
  });

  test('leaves out one that can never be stored, and goes on', async () => {
    const { log, publisher, verbs } = open({ bus: new MemoryBus({ maxMessageBytes: 200 }) });

    publisher.emit({ ...event('large'), message: 'x'.repeat(300) });
    publisher.emit({ ...event('not a subject') });
    publisher.emit(event('small'));

    expect(await verbs(1)).toEqual(['small']);
    expect(log.entries.map(({ message, fields }) => [message, fields['subject']])).toEqual([
      ['an event is lost', 'tomei.v1.event.guest.g-1.large'],
      ['an event is lost', 'tomei.v1.event.guest.g-1.not a subject'],
    ]);
  });

  test('stores what waits before it closes, and takes nothing afterwards', async () => {
    const { bus, log, publisher, verbs } = open();
    bus.setConnected(false);
    publisher.emit(event('a'));

    const closing = publisher.close(60_000);
    bus.setConnected(true);
    await closing;
    publisher.emit(event('late'));
    await publisher.close();

    expect(await verbs(1)).toEqual(['a']);
    expect(log.entries).toMatchObject([{ level: 'warn', message: 'an event came after the end' }]);
  });

  test('does not wait longer than it is told to, and says what was lost', async () => {
    const { bus, log, publisher } = open();
    bus.setConnected(false);
    publisher.emit(event('a'));

    await publisher.close(1);

    expect(log.entries).toMatchObject([{ level: 'error', message: 'an event is lost' }]);
  });
});
