/** The cluster as it is run: four services as processes of their own, a real NATS, a real Redis, and a guest that boots in it. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, natsServerMissing, redisServerMissing, startNatsServer, startRedisServer } from '@tomei/testkit';
import type { NatsServer, RedisServer } from '@tomei/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tomei, type Finished } from '../guests/cli.ts';
import { diskToolMissing, fileOnDisk } from '../guests/file-on-disk.ts';
import { buildTiny, copyTiny } from '../guests/tiny-guest.ts';
import { Api, SerialConsole, eventually } from './api.ts';
import { WRITTEN, logIn, travel } from './journey.ts';
import { RawNats } from './nats-by-hand.ts';
import { ServiceProcess, type ServiceName } from './services.ts';

const SLOW = 600_000;
/** What the test reads of `tomei memory --json`. */
interface MemoryView {
  readonly sizeBytes: number;
  readonly wantedBytes: number;
  readonly bytes: number;
  readonly balloonBytes: number;
  readonly givenBytes: number;
  readonly driver: boolean;
  readonly statistics: { readonly availableBytes: number } | null;
}
const missing = natsServerMissing() ?? redisServerMissing();

describe.skipIf(missing !== undefined)(
  `a cluster of processes${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let folder: string;
    let nats: NatsServer;
    let redis: RedisServer;
    let api: Api;
    const services = new Map<string, ServiceProcess>();
    /** How each service is started, to start it again. */
    const settings = new Map<string, { name: ServiceName; env: Record<string, string> }>();

    async function start(key: string, name: ServiceName, env: Record<string, string>): Promise<ServiceProcess> {
      settings.set(key, { name, env });
      const service = await ServiceProcess.start(name, env);
      services.set(key, service);
      return service;
    }
    async function again(key: string): Promise<ServiceProcess> {
      const { name, env } = settings.get(key)!;
      return (await start(key, name, env)).ready();
    }

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tomei-cluster-'));
      await buildTiny();
      for (const name of ['tiny', 'other']) {
        await mkdir(join(folder, name), { recursive: true });
        await copyTiny(join(folder, name), name, {
          inPool: true,
          settings: name === 'other' ? ['tomei.balloon.present = "TRUE"'] : [],
        });
      }
      const [disks, controller, gateway] = await Promise.all([freePort(), freePort(), freePort()]);
      nats = await startNatsServer();
      // Redis comes later: services wait for what they need, and say so.
      redis = await startRedisServer({ isStarted: false });
      const cluster = { TOMEI_NATS_URL: nats.url };
      const stored = { ...cluster, TOMEI_REDIS_URL: redis.url };
      await start('disks', 'disk-service', { TOMEI_POOL: folder, TOMEI_BIND: `127.0.0.1:${disks}` });
      await start('controller', 'controller', {
        ...stored,
        TOMEI_BIND: `127.0.0.1:${controller}`,
        TOMEI_DISKS: `127.0.0.1:${disks}`,
      });
      await start('gateway', 'console-gateway', {
        ...stored,
        TOMEI_HTTP_HOST: '127.0.0.1',
        TOMEI_HTTP_PORT: String(gateway),
        TOMEI_CONTROLLER_URL: `http://127.0.0.1:${controller}`,
      });
      for (const id of ['r1', 'r2'])
        await start(id, 'vcpu-runner', {
          ...cluster,
          TOMEI_RUNNER_ID: id,
          TOMEI_MEMORY_MIB: '200',
          TOMEI_CONSOLE_BIND: '127.0.0.1:0',
          TOMEI_CONSOLE_ADVERTISE: '127.0.0.1',
        });
      const waiting = await eventually('the controller says what it waits for', async () => {
        const { ready, text } = await services.get('controller')!.readiness();
        return !ready && /redis|store/i.test(text) ? text : undefined;
      });
      expect(waiting).not.toBe('');
      await redis.start();
      for (const service of services.values()) await service.ready();
      api = new Api(`http://127.0.0.1:${gateway}`);
    }, SLOW);
    afterAll(async () => {
      for (const service of services.values()) await service.kill();
      await redis?.stop();
      await nats?.stop();
      await rm(folder, { recursive: true, force: true });
    });

    test(
      'register, power on, log in, run a command, see it on the screen, power off; the file is on the disk',
      async () => {
        using listener = await RawNats.connect(nats.port);
        listener.subscribe('tomei.v1.event.>');

        const off = await travel(api, 'tiny/tiny.vmx', 'tiny');

        expect(off).toMatchObject({ phase: 'off', power: 'off', run: 1 });
        expect(await listener.heard(/\.guest\.[^.]+\.stopped$/)).toContain(off.id);
        const tool = diskToolMissing();
        if (tool === undefined)
          expect(await fileOnDisk(join(folder, 'tiny/tiny.vmdk'), WRITTEN.path)).toBe(WRITTEN.text);
      },
      SLOW,
    );

    test(
      'a guest gives memory to its balloon when it is asked to by the command line, and gets it back',
      async () => {
        const memory = (...args: string[]): Promise<Finished> => tomei('memory', ...args, '--server', api.url);
        const view = async (): Promise<MemoryView> =>
          JSON.parse((await memory('gives', '--json')).stdout) as MemoryView;
        await api.register('other/other.vmx', 'gives');
        expect(await memory('gives', '64M')).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(/^tomei: .*does not run/) as string,
        });
        using serial = await logIn(api, 'gives');
        const driver = await eventually('the driver is at work', async () => {
          const now = await view();
          return now.driver && now.statistics !== null ? now : undefined;
        });
        const MIB = 2 ** 20;
        expect(driver).toMatchObject({
          sizeBytes: 128 * MIB,
          wantedBytes: 128 * MIB,
          bytes: 128 * MIB,
          balloonBytes: 0,
        });

        expect(await memory('gives', '96M', '--wait')).toMatchObject({ code: 0, stdout: 'gives has 96 MiB\n' });
        const less = await view();
        expect(less).toMatchObject({ wantedBytes: 96 * MIB, bytes: 96 * MIB, balloonBytes: 32 * MIB });
        expect(less.givenBytes).toBeGreaterThanOrEqual(32 * MIB);
        // Its system has that much less, and the statistics are those of now.
        expect(less.statistics!.availableBytes).toBeLessThan(driver.statistics!.availableBytes - 24 * MIB);
        serial.send('grep MemAvailable /proc/meminfo; echo SEEN-$((40+2))\n');
        const seen = Number(/MemAvailable: +([0-9]+) kB/.exec(await serial.expect(/SEEN-42/))![1]) * 1024;
        expect(Math.abs(seen - less.statistics!.availableBytes)).toBeLessThan(8 * MIB);
        expect((await memory('gives')).stdout).toMatch(
          /^memory +128 MiB, of which it is to have 96 MiB\nhas +96 MiB$/m,
        );

        expect((await memory('gives', '128M', '--wait')).stdout).toBe('gives has 128 MiB\n');
        expect((await view()).statistics!.availableBytes).toBeGreaterThan(less.statistics!.availableBytes + 24 * MIB);
        expect(await memory('gives', '129M')).toMatchObject({
          code: 2,
          stderr: expect.stringMatching(/memsize/) as string,
        });
        expect(await memory('gives', '15M')).toMatchObject({
          code: 2,
          stderr: expect.stringMatching(/16 at least/) as string,
        });

        await api.power('gives', 'off');
        await api.until('gives', 'off', (g) => g.phase === 'off');
      },
      SLOW,
    );

    test(
      'NATS, Redis, the controller, the gateway and disk-service come and go, and the guest runs on; its runner goes, and it moves',
      async () => {
        using serial = await logIn(api, 'tiny');
        const before = await api.guest('tiny');
        let count = 0;
        const works = async (): Promise<void> => {
          serial.send(`echo still-$((${++count}+100)); sync\n`);
          await serial.expect(new RegExp(`\nstill-${count + 100}\\r?\n`));
        };

        await nats.stop();
        await works();
        await nats.start();
        await redis.stop();
        await works();
        await redis.start();
        await services.get('controller')!.kill();
        await works();
        await again('controller');
        serial.send('dd if=/dev/urandom of=/root/noise bs=64k count=40 2>/dev/null; echo WROTE-$((1+1))\n');
        await services.get('disks')!.kill();
        await again('disks');
        await serial.expect(/WROTE-2/);
        await works();
        const adopted = await eventually('the controller sees it again', async () => {
          const guest = await api.guest('tiny');
          return guest.phase === 'running' ? guest : undefined;
        });
        expect(adopted).toMatchObject({ run: before.run, runner: before.runner });

        await services.get('gateway')!.kill();
        await again('gateway');
        using later = new SerialConsole(api.url, 'tiny');
        later.send('sync; echo back-$((40+2))\n');
        await later.expect(/\nback-42/);

        await services.get(before.runner!)!.kill();
        const moved = await api.until(
          'tiny',
          'runs on the other runner',
          (g) => g.phase === 'running' && g.run > before.run,
        );
        expect(moved.runner).not.toBe(before.runner);
        const verbs = (await api.events(before.id)).map((e) => e.verb);
        expect(verbs).toContain('lost');
        await again(before.runner!);
      },
      SLOW,
    );

    test(
      'a runner that is asked to leave shuts its guest down in order, and the guest goes on elsewhere',
      async () => {
        const before = await api.until('tiny', 'running', (g) => g.phase === 'running');

        expect(await services.get(before.runner!)!.stop()).toBe(0);

        const after = await api.until(
          'tiny',
          'runs elsewhere',
          (g) => g.phase === 'running' && g.runner !== before.runner,
        );
        expect(after.run).toBeGreaterThan(before.run);
        await again(before.runner!);
        await api.power('tiny', 'off');
        await api.until('tiny', 'off', (g) => g.phase === 'off');
      },
      SLOW,
    );

    test('a guest that no runner has room for waits, and says why', async () => {
      await api.register('tiny/tiny.vmx', 'first');
      await api.register('other/other.vmx', 'second');
      // Two runners of 200 MiB, and guests of 128 MiB: a third finds no room.
      await mkdir(join(folder, 'third'), { recursive: true });
      await copyTiny(join(folder, 'third'), 'third', { inPool: true });
      await api.register('third/third.vmx', 'third');
      for (const name of ['first', 'second']) await api.power(name, 'on');
      for (const name of ['first', 'second']) await api.until(name, 'running', (g) => g.phase === 'running');

      await api.power('third', 'on');

      const pending = await api.until('third', 'pending', (g) => g.phase === 'pending' && g.message !== '');
      expect(pending.message).toMatch(/128|memory/i);
      for (const name of ['first', 'second', 'third']) await api.power(name, 'off');
      for (const name of ['first', 'second', 'third']) await api.until(name, 'off', (g) => g.phase === 'off');
    });

    test('garbage on the bus moves nothing', async () => {
      using raw = await RawNats.connect(nats.port);
      const garbage = Uint8Array.from({ length: 300 }, (_, i) => (i * 151) & 0xff);
      for (const subject of [
        'tomei.v1.runner.r1.command',
        'tomei.v1.runner.r1.heartbeat',
        'tomei.v1.runner.nobody.heartbeat',
        'tomei.v1.event.guest.x.running',
        'tomei.v1.event.nonsense',
      ]) {
        raw.publish(subject, garbage);
        raw.publish(subject, new Uint8Array(0));
      }
      await raw.flush();

      for (const service of services.values()) expect(await service.readiness()).toMatchObject({ ready: true });
      expect((await api.call('GET', '/api/v1/guests')).status).toBe(200);
      expect((await api.call('GET', '/api/v1/events')).status).toBe(200);
    });

    test.each([
      ['a guest that is not there', 'GET', '/api/v1/guests/nobody', undefined, 404, 'guest.missing'],
      ['a .vmx that is not there', 'POST', '/api/v1/guests', { vmx: 'none/none.vmx' }, 404, 'pool.missing'],
      [
        'a path that leads out of the pool',
        'POST',
        '/api/v1/guests',
        { vmx: '../../etc/passwd' },
        400,
        'pool.bad-path',
      ],
      ['a name that is taken', 'POST', '/api/v1/guests', { vmx: 'tiny/tiny.vmx', name: 'tiny' }, 409, 'guest.exists'],
      ['an action that nobody knows', 'POST', '/api/v1/guests/tiny/power', { action: 'explode' }, 400, undefined],
    ])('%s is answered with a stable code', async (_, method, path, body, status, code) => {
      const answer = await api.call(method, path, body);

      expect(answer.status).toBe(status);
      const { error } = answer.body as { error: { code: string; message: string } };
      if (code !== undefined) expect(error.code).toBe(code);
      expect(error.message).not.toBe('');
    });

    test('no secret is in a log', () => {
      for (const service of services.values()) expect(service.log).not.toMatch(/"token":"(?!\[)/);
    });
  },
);
