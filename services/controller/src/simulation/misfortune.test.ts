/** One misfortune each, in virtual time, where the simulation has many at once. */
import { fastify, type FastifyInstance, type LightMyRequestResponse } from 'fastify';
import { messages, newId, subjects, type Guest, type Init, type RunnerHeartbeat } from '@tomei/contracts';
import { GuestRecords, MemoryBus, MemoryStore, Metrics, memoryLog } from '@tomei/service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startController, type Controller, type ControllerOptions } from '../controller.ts';
import { ScriptedRunner } from './scripted-runner.ts';

describe('a controller that meets misfortune', () => {
  let bus: MemoryBus;
  let store: MemoryStore;
  let records: GuestRecords;
  let log: ReturnType<typeof memoryLog>;
  let controller: Controller;
  let app: FastifyInstance;
  let runners: ScriptedRunner[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
    bus = new MemoryBus();
    store = new MemoryStore({ now: () => performance.now() });
    records = new GuestRecords(store);
    log = memoryLog();
    runners = [];
  });
  afterEach(async () => {
    await app.close();
    const closing = controller.close();
    await vi.advanceTimersByTimeAsync(20_000);
    await closing;
    for (const runner of runners) runner.end();
    vi.useRealTimers();
  });
  async function start(options: Partial<ControllerOptions> = {}): Promise<void> {
    const parts = { log, metrics: new Metrics('controller'), bus, store };
    controller = await startController(parts, { disks: 'unix:/nowhere', ...options });
    app = fastify();
    await app.register(controller.routes);
  }
  function addRunner(id: string, { memoryMib = 256, heartbeatMs = 1_000 } = {}): ScriptedRunner {
    const runner = new ScriptedRunner({ bus, id, memoryMib, vcpus: 4, heartbeatMs, random: () => 0.5 });
    runners.push(runner);
    runner.begin();
    return runner;
  }
  const addGuest = (id: string): Promise<void> =>
    records.create(
      messages.Guest.make({
        id,
        name: id,
        spec: { vmxPath: `${id}/${id}.vmx`, memoryMib: 64, vcpus: 1 },
        desired: { power: 'POWER_OFF', run: 0 },
        observed: { phase: 'GUEST_PHASE_OFF' },
      }),
    );
  const ask = (method: 'GET' | 'POST', url: string, payload?: object): Promise<LightMyRequestResponse> =>
    app.inject({ method, url: `/api/v1${url}`, ...(payload === undefined ? {} : { payload }) });
  const power = (id: string, action: string): Promise<LightMyRequestResponse> =>
    ask('POST', `/guests/${id}/power`, { action });
  const guest = async (id: string): Promise<Guest> => (await records.get(id))!.guest;
  const beat = (heartbeat: Init<RunnerHeartbeat>): void =>
    bus.publish(
      subjects.runnerHeartbeat(heartbeat.runnerId ?? 'r9'),
      messages.RunnerHeartbeat.encode({ instanceId: newId(), capacity: { memoryMib: 1, vcpus: 1 }, ...heartbeat }),
    );
  /** One guest that runs on r1. */
  async function running(options: Partial<ControllerOptions> = {}): Promise<ScriptedRunner> {
    await start(options);
    const runner = addRunner('r1');
    await addGuest('g-a');
    await vi.advanceTimersByTimeAsync(6_000);
    await power('g-a', 'on');
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await guest('g-a')).observed).toMatchObject({ phase: 'GUEST_PHASE_RUNNING', run: 1, runnerId: 'r1' });
    return runner;
  }

  test('a runner without the room that it says to have: the guest goes to another one', async () => {
    await start();
    addRunner('r1', { memoryMib: 512 }).refusesWith = 'runner.no-room';
    await addGuest('g-a');
    await vi.advanceTimersByTimeAsync(6_000);
    await power('g-a', 'on');
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await guest('g-a')).observed?.phase).toBe('GUEST_PHASE_PENDING');

    addRunner('r2', { memoryMib: 1024 });
    await vi.advanceTimersByTimeAsync(20_000);

    expect((await guest('g-a')).observed).toMatchObject({ phase: 'GUEST_PHASE_RUNNING', runnerId: 'r2' });
  });

  test('a host that was asleep: what did not run, nobody missed', async () => {
    const runner = await running();

    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(10_000);

    expect((await guest('g-a')).desired?.run).toBe(1);
    expect(runner.hasLive('g-a')).toBe(true);
  });

  test('a controller that was held up for long takes nobody for lost', async () => {
    const runner = await running();

    // The timers of a process that was stopped are all due at once, before anything that waits on a socket is read.
    runner.cutOff = true;
    await vi.advanceTimersByTimeAsync(1_000);
    vi.setSystemTime(Date.now() + 60_000);
    runner.cutOff = false;
    await vi.advanceTimersByTimeAsync(10_000);

    expect((await guest('g-a')).desired?.run).toBe(1);
  });

  test('reports about guests whose ids are none are passed over', async () => {
    await start();
    await vi.advanceTimersByTimeAsync(6_000);
    for (let i = 0; i < 5; i++) {
      beat({ runnerId: 'r1', runs: ['', 'a b', '../x', 'x'.repeat(600)].map((guestId) => ({ guestId, run: 1 })) });
      await vi.advanceTimersByTimeAsync(1_000);
    }

    expect(log.entries.filter(({ message }) => message.startsWith('a step failed'))).toEqual([]);
  });

  test('an event with a time that is none does no harm to the list of events', async () => {
    await start();
    const event = { noun: 'guest', subjectId: 'g-x', verb: 'running', atMs: 2 ** 53 };
    await bus.emit(subjects.event(event), messages.Event.encode({ ...event, id: newId() }), { id: newId() });
    await vi.advanceTimersByTimeAsync(100);

    expect((await ask('GET', '/events')).statusCode).toBe(200);
  });

  test('a heartbeat of a process that has been replaced does not count', async () => {
    await start();
    for (const instanceId of ['old', 'new', 'old', 'new', 'old']) {
      beat({ runnerId: 'r1', instanceId, capacity: { memoryMib: instanceId === 'old' ? 1 : 2, vcpus: 1 } });
      await vi.advanceTimersByTimeAsync(1_000);
    }
    await vi.advanceTimersByTimeAsync(1_000);

    const { events } = (await ask('GET', '/events')).json<{ events: { verb: string }[] }>();
    expect(events.filter(({ verb }) => verb === 'joined')).toHaveLength(2);
    expect((await ask('GET', '/runners')).json()).toMatchObject({ runners: [{ memoryMiB: 2 }] });
  });

  test('after the bus was away, what was wanted meanwhile is done at once', async () => {
    await start();
    addRunner('r1');
    await addGuest('g-a');
    await vi.advanceTimersByTimeAsync(6_000);
    await power('g-a', 'on');
    bus.setConnected(false);
    await vi.advanceTimersByTimeAsync(60_000);

    bus.setConnected(true);
    await vi.advanceTimersByTimeAsync(4_000);

    expect((await guest('g-a')).observed?.phase).toBe('GUEST_PHASE_RUNNING');
    expect((await guest('g-a')).desired?.run).toBe(1);
  });

  test('runners that speak seldom lose no guest', async () => {
    await start({ heartbeatTimeoutMs: 30_000 });
    addRunner('r1', { heartbeatMs: 8_000 }).quiet = true;
    await addGuest('g-a');
    await vi.advanceTimersByTimeAsync(40_000);
    await power('g-a', 'on');

    await vi.advanceTimersByTimeAsync(60_000);

    expect((await guest('g-a')).desired?.run).toBe(1);
    expect((await guest('g-a')).observed?.phase).toBe('GUEST_PHASE_RUNNING');
  });

  test('no answer and no log has the secret of a console', async () => {
    await running();

    const answers = await Promise.all(['/guests', '/guests/g-a', '/runners', '/events'].map((url) => ask('GET', url)));

    for (const { body } of answers) expect(body).not.toContain('secret');
    expect(JSON.stringify(log.entries)).not.toContain('secret-');
  });
});
