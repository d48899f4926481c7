/** The console gateway as it is run, before a guest that really boots: its disks from disk-service, its console on a socket. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messages, newGuestId, type GuestPhase, type Init, type GuestObserved } from '@tomei/contracts';
import { startGuest, type Guest } from '@tomei/guest';
import { EventPublisher, GuestRecords, NatsBus, RedisStore, quietLog } from '@tomei/service';
import {
  freePort,
  natsServerMissing,
  redisServerMissing,
  startNatsServer,
  startRedisServer,
  type NatsServer,
  type RedisServer,
} from '@tomei/testkit';
import { buildTiny, copyTiny } from '../guests/tiny-guest.ts';
import { Api, SerialConsole, eventually } from './api.ts';
import { ServiceProcess } from './services.ts';
import { VncViewer, passwordFile } from './vnc-viewer.ts';

const SLOW = 600_000;
const missing = natsServerMissing() ?? redisServerMissing();
const PASSWORD = 'sesame';
const ENTER = 0xff0d;
const hasVncSnapshot = spawnSync('vncsnapshot', ['-help']).error === undefined;

describe.skipIf(missing !== undefined)(
  `the console gateway before a real guest${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const id = newGuestId();
    let folder: string;
    let nats: NatsServer;
    let redis: RedisServer;
    let bus: NatsBus;
    let store: RedisStore;
    let records: GuestRecords;
    let events: EventPublisher;
    let disks: string;
    let vncPort: number;
    let api: Api;
    let guest: Guest | undefined;
    const services: ServiceProcess[] = [];
    const viewers: VncViewer[] = [];

    /** What a controller would write of a runner's report. */
    async function observe(phase: GuestPhase, verb: string, more: Init<GuestObserved> = {}): Promise<void> {
      const observed = messages.GuestObserved.make({ phase, ...more });
      await records.update(id, (record) => ({ ...record, observed }));
      events.emit({ noun: 'guest', subjectId: id, verb });
    }
    async function powerOn(run: number): Promise<void> {
      const token = `token-of-run-${run}`;
      const vmxText = await readFile(join(folder, 'tiny/tiny.vmx'), 'latin1');
      const process = startGuest({
        ...{ guestId: id, guestName: 'tiny', run, vmxPath: 'tiny/tiny.vmx', vmxText, disks },
        console: { bind: `unix:${join(folder, `console-${run}`)}`, token },
      });
      guest = process;
      const target = await process.console;
      await observe('GUEST_PHASE_RUNNING', 'running', { run, console: { endpoint: { target }, token } });
    }
    async function powerOff(): Promise<void> {
      guest?.kill();
      await guest?.ended.catch(() => undefined);
      guest = undefined;
      await observe('GUEST_PHASE_OFF', 'stopped');
    }
    const screen = (what: string, pattern: RegExp): Promise<true> =>
      eventually(what, async () => (pattern.test(await api.screenText('tiny')) ? true : undefined));

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tomei-console-'));
      await buildTiny();
      await mkdir(join(folder, 'tiny'));
      await copyTiny(join(folder, 'tiny'), 'tiny', { inPool: true });
      [nats, redis] = await Promise.all([startNatsServer(), startRedisServer()]);
      bus = new NatsBus({ name: 'test', log: quietLog(), url: nats.url });
      store = new RedisStore({ name: 'test', log: quietLog(), url: redis.url });
      records = new GuestRecords(store);
      events = new EventPublisher({ bus, source: 'test', log: quietLog() });
      const [disksPort, httpPort] = await Promise.all([freePort(), freePort()]);
      disks = `127.0.0.1:${disksPort}`;
      vncPort = await freePort();
      services.push(
        await ServiceProcess.start('disk-service', { TOMEI_POOL: folder, TOMEI_BIND: disks }),
        await ServiceProcess.start('console-gateway', {
          TOMEI_NATS_URL: nats.url,
          TOMEI_REDIS_URL: redis.url,
          TOMEI_HTTP_HOST: '127.0.0.1',
          TOMEI_HTTP_PORT: String(httpPort),
          TOMEI_VNC_HOST: '127.0.0.1',
        }),
      );
      await Promise.all(services.map((service) => service.ready()));
      api = new Api(`http://127.0.0.1:${httpPort}`);
      await records.create(
        messages.Guest.make({
          id,
          name: 'tiny',
          createdMs: Date.now(),
          spec: { vmxPath: 'tiny/tiny.vmx', memoryMib: 128, vcpus: 1, vnc: { port: vncPort, password: PASSWORD } },
          desired: { power: 'POWER_OFF' },
          observed: { phase: 'GUEST_PHASE_OFF' },
        }),
      );
      events.emit({ noun: 'guest', subjectId: id, verb: 'registered' });
    }, SLOW);
    afterAll(async () => {
      for (const viewer of viewers) viewer.close();
      guest?.kill();
      await guest?.ended.catch(() => undefined);
      for (const service of services) await service.stop();
      await events?.close();
      await bus?.close();
      await store?.close();
      await Promise.all([nats?.stop(), redis?.stop()]);
      await rm(folder, { recursive: true, force: true });
    }, SLOW);

    const view = async (password = PASSWORD): Promise<VncViewer> => {
      // The port is opened when the gateway has heard of the guest.
      const viewer = await eventually('the VNC port is open', () => VncViewer.connect(vncPort, password));
      viewers.push(viewer);
      return viewer;
    };

    test(
      'a viewer that came before the guest sees it boot, logs in by keyboard, and stays when it is started anew',
      async () => {
        const viewer = await view();
        await viewer.until((v) => v.colours > 1);
        const { updates } = viewer;

        await powerOn(1);
        using serial = new SerialConsole(api.url, 'tiny');
        await serial.expect(/login: /);
        await screen('the login is on the screen', /login:/);
        await viewer.until((v) => v.updates > updates && v.colours > 1);
        for (const character of 'root') viewer.press(character.charCodeAt(0));
        viewer.press(ENTER);
        await screen('the keys arrived', /tiny:~#/);

        await powerOff();
        const before = viewer.updates;
        await viewer.until((v) => v.updates > before);
        expect((await api.call('GET', '/console/guests/tiny/screen.png')).status).toBe(404);
        await powerOn(2);
        await screen('the kernel speaks again', /Linux|login:/);
        const restarted = viewer.updates;
        await viewer.until((v) => v.updates > restarted);
        expect(viewer.closed).toBeUndefined();
      },
      SLOW,
    );

    test('a wrong password is refused', async () => {
      await expect(view('wrong')).rejects.toThrow(/refused/);
    });

    test.skipIf(!hasVncSnapshot)(
      'vncsnapshot takes a picture (skipped when it is not installed)',
      async () => {
        const [file, passwd] = [join(folder, 'picture.jpg'), join(folder, 'passwd')];
        await writeFile(passwd, passwordFile(PASSWORD));
        const program = spawn('vncsnapshot', ['-quiet', '-passwd', passwd, `127.0.0.1::${vncPort}`, file], {
          stdio: ['ignore', 'ignore', 'inherit'],
        });
        const [code] = (await once(program, 'exit')) as [number];

        expect(code).toBe(0);
        // A start-of-image marker (ITU T.81, B.1.1.3), and more than a picture of one colour has.
        const picture = await readFile(file);
        expect(picture.readUInt16BE(0)).toBe(0xffd8);
        expect(picture.length).toBeGreaterThan(10_000);
      },
      SLOW,
    );
  },
);
