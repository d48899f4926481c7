/** NATS and Redis as the compose lab runs them, in containers that hang and are started anew: the services' bus and store go on. */
import { readFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { NatsBus, RedisStore, quietLog, type Bus, type StoredMessage } from '@tomei/service';
import { afterEach, describe, expect, test } from 'vitest';
import { GenericContainer, Wait, type StartedTestContainer } from 'testcontainers';
import { parse } from 'yaml';
import { eventually } from '../cluster/api.ts';
import { engineMissing } from './docker.ts';
import { REPOSITORY } from './settings.ts';

const SLOW = 300_000;
const missing = engineMissing();
// Containers are ended by the tests themselves: the reaper is an image that a machine without a registry does not have.
process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';

interface ComposeFile {
  readonly services: Readonly<Record<string, { readonly image: string; readonly command: readonly string[] }>>;
}
const { services } = parse(await readFile(join(REPOSITORY, 'docker-compose.yml'), 'utf8'), {
  merge: true,
}) as ComposeFile;
/** `${NATS_IMAGE:-nats:2}` without anything set. */
const imageOf = (name: string): string => /:-(.+)\}$/.exec(services[name]!.image)![1]!;

/** A container with what compose gives it, on a port of its own that stays when it is started anew. */
function start(name: string, port: number, ready: RegExp): Promise<StartedTestContainer> {
  return new GenericContainer(imageOf(name))
    .withCommand([...services[name]!.command])
    .withExposedPorts(port)
    .withWaitStrategy(Wait.forLogMessage(ready))
    .start();
}
const docker = (...args: string[]): void => void execFileSync('docker', args);

describe.skipIf(missing !== undefined)(
  `containers of the compose lab${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const ends: (() => Promise<unknown>)[] = [];
    afterEach(async () => {
      for (const end of ends.splice(0).toReversed()) await end();
    });

    test(
      'events that are emitted while NATS hangs come when it goes on, each once and in order',
      async () => {
        const container = await start('nats', 4222, /Server is ready/);
        ends.push(() => container.stop());
        const url = `nats://127.0.0.1:${container.getMappedPort(4222)}`;
        const bus: Bus = new NatsBus({ name: 'test', url, log: quietLog() });
        ends.push(() => bus.close());
        const seen: string[] = [];
        bus.follow(
          'tomei.v1.event.>',
          'all',
          ({ bytes }: StoredMessage) => void seen.push(Buffer.from(bytes).toString()),
        );
        const emit = (text: string): Promise<number> =>
          bus.emit('tomei.v1.event.guest.g-1.running', Buffer.from(text), { id: `id-${text}`, timeoutMs: 120_000 });
        await emit('before');

        docker('pause', container.getId());
        const meanwhile = emit('meanwhile');
        docker('unpause', container.getId());
        await meanwhile;
        await emit('after');

        await eventually('all events are there', () => Promise.resolve(seen.length >= 3 ? true : undefined));
        expect(seen).toEqual(['before', 'meanwhile', 'after']);
      },
      SLOW,
    );

    test(
      'Redis that hangs is an error in bounded time, and what was written is there when it goes on',
      async () => {
        const container = await start('redis', 6379, /Ready to accept connections/);
        ends.push(() => container.stop());
        const store = new RedisStore({
          name: 'test',
          url: `redis://127.0.0.1:${container.getMappedPort(6379)}`,
          log: quietLog(),
        });
        ends.push(() => store.close());
        const version = await store.put('guests/g-1', 'kept');

        await expect(store.put('guests/g-1', 'late', { expect: version - 1 })).rejects.toMatchObject({
          code: 'store.conflict',
        });
        docker('pause', container.getId());
        await expect(store.get('guests/g-1')).rejects.toMatchObject({ code: 'store.unavailable' });
        docker('unpause', container.getId());

        const entry = await eventually('Redis answers again', () => store.get('guests/g-1').catch(() => undefined));
        expect(entry).toMatchObject({ value: 'kept', version });
      },
      SLOW,
    );
  },
);
