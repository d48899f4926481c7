import { afterEach, describe, expect, test } from 'vitest';
import {
  messages,
  newId,
  subjects,
  type Event,
  type Init,
  type RunReport,
  type RunnerCommand,
  type RunnerHeartbeat,
  type RunnerReply,
} from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { MemoryBus, MemoryStore, Metrics, memoryLog, metricsText, type RunningService } from '@tomei/service';
import { startRunner, type RunnerOptions } from './runner.ts';
import { ScriptedGuest } from './scripted-guest.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A runner with scripted guests, and the cluster's side of its bus. */
class Rig {
  readonly bus = new MemoryBus();
  readonly log = memoryLog();
  readonly metrics = new Metrics('vcpu-runner');
  readonly guests: ScriptedGuest[] = [];
  readonly heartbeats: RunnerHeartbeat[] = [];
  readonly events: Event[] = [];
  runner!: RunningService;
  private readonly waiting = new Set<() => void>();

  static async start(options: Partial<RunnerOptions> = {}): Promise<Rig> {
    const rig = new Rig();
    rig.bus.subscribe(subjects.everyHeartbeat, (_, bytes) => {
      rig.heartbeats.push(messages.RunnerHeartbeat.decode(bytes));
      rig.wake();
    });
    rig.bus.follow(subjects.everyEvent, 'all', ({ bytes }) => {
      rig.events.push(messages.Event.decode(bytes));
      rig.wake();
    });
    const { bus, log, metrics } = rig;
    rig.runner = await startRunner(
      { bus, log, metrics, store: new MemoryStore() },
      {
        id: 'r1',
        memoryMib: 1024,
        vcpus: 4,
        consoleBind: '127.0.0.1:0',
        heartbeatMs: 20,
        stopMs: 60_000,
        startProcess: (source, events) => {
          const guest = new ScriptedGuest(source, events);
          rig.guests.push(guest);
          rig.wake();
          return guest;
        },
        ...options,
      },
    );
    cleanups.push(async () => {
      for (const guest of rig.guests) guest.end('stopped');
      await rig.runner.close();
      await rig.bus.close();
    });
    return rig;
  }
  async send(command: Init<RunnerCommand>): Promise<RunnerReply> {
    return this.sendBytes(messages.RunnerCommand.encode({ id: newId(), ...command }));
  }
  async sendBytes(bytes: Uint8Array): Promise<RunnerReply> {
    return messages.RunnerReply.decode(
      await this.bus.request(subjects.runnerCommand('r1'), bytes, { timeoutMs: 5_000 }),
    );
  }
  start = (run = 1, guestId = 'g-1', memoryMib = 256, id = newId()): Promise<RunnerReply> =>
    this.send({
      id,
      start: {
        guestId,
        guestName: `name of ${guestId}`,
        run,
        spec: { vmxPath: 'a/a.vmx', vmxText: 'x = "y"', memoryMib, vcpus: 1 },
        disks: { target: 'unix:/disks' },
      },
    });
  shutDown = (graceMs: number, run = 1): Promise<RunnerReply> =>
    this.send({ id: newId(), stop: { guestId: 'g-1', run, graceMs } });
  memory = (wantedMib?: number, run = 1): Promise<RunnerReply> =>
    this.send({ memory: { guestId: 'g-1', run, wantedMib } });
  /** A guest of 256 MiB that runs. */
  async running(): Promise<ScriptedGuest> {
    await this.start();
    const guest = await this.guest(0);
    guest.run();
    await this.report('RUN_PHASE_RUNNING');
    return guest;
  }
  stop = (run = 1, guestId = 'g-1', id = newId()): Promise<RunnerReply> => this.send({ id, stop: { guestId, run } });
  /** Waits for what a heartbeat or an event brings. The test's time limit ends a wait in vain. */
  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }
  guest = (index: number): Promise<ScriptedGuest> => this.until(() => this.guests[index]);
  report = (phase: RunReport['phase'], run = 1, guestId = 'g-1'): Promise<RunReport> =>
    this.until(() => this.reports().find((r) => r.phase === phase && r.run === run && r.guestId === guestId));
  reports = (): readonly RunReport[] => this.heartbeats.at(-1)?.runs ?? [];
  verbs = (guestId = 'g-1'): string[] => this.events.filter((e) => e.subjectId === guestId).map((e) => e.verb);
  private wake(): void {
    for (const resume of this.waiting) resume();
    this.waiting.clear();
  }
}

describe('a run from start to end', () => {
  test('is told by heartbeats and events, with its console, until a stop confirms its end', async () => {
    const rig = await Rig.start();

    expect(await rig.start()).toEqual({});
    const guest = await rig.guest(0);
    expect(guest.source).toMatchObject({
      guestId: 'g-1',
      guestName: 'name of g-1',
      run: 1,
      vmxPath: 'a/a.vmx',
      vmxText: 'x = "y"',
      disks: 'unix:/disks',
      console: { bind: '127.0.0.1:0' },
    });
    expect((await rig.report('RUN_PHASE_STARTING')).console).toBeUndefined();

    guest.run();
    const running = await rig.until(() =>
      rig.reports().find((r) => r.phase === 'RUN_PHASE_RUNNING' && r.console !== undefined && r.stats !== undefined),
    );
    expect(running.console).toEqual({ endpoint: { target: '127.0.0.1:4001' }, token: guest.source.console.token });
    expect(running.stats).toMatchObject({ instructions: 1000, cpuMs: 5, haltedMs: 1 });
    expect(rig.heartbeats.at(-1)!.capacity).toEqual({ memoryMib: 1024, vcpus: 4, usedMemoryMib: 256, usedVcpus: 1 });

    guest.end('power-off');
    expect(await rig.report('RUN_PHASE_ENDED')).toMatchObject({
      why: 'power-off',
      message: expect.stringMatching(/powered itself off/) as string,
    });
    expect((await rig.report('RUN_PHASE_ENDED')).console).toBeUndefined();
    await rig.until(() => (rig.verbs().length === 3 ? true : undefined));
    expect(rig.verbs()).toEqual(['starting', 'running', 'stopped']);

    expect(await rig.stop()).toEqual({});
    await rig.until(() => (rig.reports().length === 0 ? true : undefined));
  });

  test('a crash says how', async () => {
    const rig = await Rig.start();
    await rig.start();

    (await rig.guest(0)).fail('kernel.missing', 'a/a.vmx:3: tomei.kernel: vmlinuz is not in the pool');

    expect(await rig.report('RUN_PHASE_CRASHED')).toMatchObject({
      why: 'kernel.missing',
      message: expect.stringMatching(/vmlinuz/) as string,
    });
    const crashed = await rig.until(() => rig.events.find((e) => e.verb === 'crashed'));
    expect(crashed).toMatchObject({ guestName: 'name of g-1', runnerId: 'r1', run: 1, source: 'runner/r1' });
    expect(crashed.message).toMatch(/vmlinuz/);
  });

  test('a starter that throws is a crash of the guest, not of the runner', async () => {
    const rig = await Rig.start({
      startProcess: () => {
        throw new Error('EAGAIN');
      },
    });

    expect(await rig.start()).toEqual({});

    expect((await rig.report('RUN_PHASE_CRASHED')).message).toMatch(/EAGAIN/);
  });

  test('a reset that the guest asks for is the next process of the same run, with another console', async () => {
    const rig = await Rig.start();
    await rig.start();
    const first = await rig.guest(0);
    first.run();
    await rig.report('RUN_PHASE_RUNNING');

    first.end('reset');
    const second = await rig.guest(1);
    await rig.until(() => rig.reports().find((r) => r.phase === 'RUN_PHASE_STARTING' && r.console === undefined));
    second.serveConsole('127.0.0.1:9');
    second.run();

    const report = await rig.until(() => rig.reports().find((r) => r.console?.endpoint?.target === '127.0.0.1:9'));
    expect(report.run).toBe(1);
    await rig.until(() => (rig.verbs().length === 4 ? true : undefined));
    expect(rig.verbs()).toEqual(['starting', 'running', 'starting', 'running']);
  });

  test('what a guest warns of is told, and not without end', async () => {
    const rig = await Rig.start();
    await rig.start();
    const guest = await rig.guest(0);

    for (let i = 0; i < 300; i++) guest.events.warning?.(`trouble ${i}`);
    guest.end('power-off');

    await rig.until(() => (rig.verbs().includes('stopped') ? true : undefined));
    expect(rig.verbs().filter((verb) => verb === 'warning')).toHaveLength(100);
  });
});

describe('commands', () => {
  test('the same command again has the same answer and no second effect', async () => {
    const rig = await Rig.start();

    expect(await rig.start(1, 'g-1', 256, 'command-1')).toEqual({});
    expect(await rig.start(1, 'g-1', 256, 'command-1')).toEqual({});
    const refused = await rig.start(1, 'g-2', 9999, 'command-2');
    expect(refused.trouble).toMatchObject({ code: 'runner.no-room', retryable: true });
    expect(await rig.start(1, 'g-2', 9999, 'command-2')).toEqual(refused);

    await rig.guest(0);
    expect(rig.guests).toHaveLength(1);
  });

  test('a run that is there is started once, an older one never', async () => {
    const rig = await Rig.start();

    expect(await rig.start(3)).toEqual({});
    expect(await rig.start(3)).toEqual({});
    expect((await rig.start(2)).trouble?.code).toBe('guest.stale-run');

    await rig.guest(0);
    expect(rig.guests).toHaveLength(1);
  });

  test('a newer run begins when the older one has closed its disks', async () => {
    const rig = await Rig.start();
    await rig.start(1);
    const old = await rig.guest(0);
    old.obedient = false;
    old.run();
    await rig.report('RUN_PHASE_RUNNING');

    expect(await rig.start(2)).toEqual({});
    await rig.report('RUN_PHASE_STOPPING', 1);
    await rig.report('RUN_PHASE_STARTING', 2);
    expect(rig.guests).toHaveLength(1);

    old.end('stopped');
    expect((await rig.guest(1)).source.run).toBe(2);
    expect((await rig.report('RUN_PHASE_ENDED', 1)).why).toBe('stopped');
  });

  test('a stop powers off; of a run that is not there it does nothing', async () => {
    const rig = await Rig.start();
    await rig.start();
    const guest = await rig.guest(0);

    expect(await rig.stop(7)).toEqual({});
    expect(await rig.stop(1, 'g-9')).toEqual({});
    expect(guest.asked).toEqual([]);

    expect(await rig.stop()).toEqual({});
    expect(guest.asked).toEqual(['stop']);
    expect((await rig.report('RUN_PHASE_ENDED')).why).toBe('stopped');
  });

  test('a shutdown presses the power button, once, and waits for the guest to end', async () => {
    const rig = await Rig.start();
    await rig.start();
    const guest = await rig.guest(0);
    guest.run();
    await rig.report('RUN_PHASE_RUNNING');

    expect(await rig.shutDown(60_000)).toEqual({});
    expect(await rig.shutDown(60_000)).toEqual({});
    expect((await rig.report('RUN_PHASE_STOPPING')).message).toMatch(/power button/);
    expect(guest.asked).toEqual(['power button']);

    guest.end('power-off');
    expect((await rig.report('RUN_PHASE_ENDED')).why).toBe('power-off');
  });

  test('a shutdown that takes too long ends in a power-off, and so does a stop behind it', async () => {
    const rig = await Rig.start();
    await rig.start();
    const guest = await rig.guest(0);
    guest.run();
    await rig.report('RUN_PHASE_RUNNING');

    await rig.shutDown(20);
    expect(await rig.report('RUN_PHASE_ENDED')).toMatchObject({
      why: 'stopped',
      message: expect.stringMatching(/did not end within 1 s/) as string,
    });
    expect(guest.asked).toEqual(['power button', 'stop']);

    await rig.start(2);
    const next = await rig.guest(1);
    next.run();
    await rig.report('RUN_PHASE_RUNNING', 2);
    await rig.shutDown(60_000, 2);
    await rig.stop(2);
    expect((await rig.report('RUN_PHASE_ENDED', 2)).why).toBe('stopped');
    expect(next.asked).toEqual(['power button', 'stop']);
  });

  test('a stop ends a run that has not begun yet, and its process never starts', async () => {
    const rig = await Rig.start();
    await rig.start(1);
    const old = await rig.guest(0);
    old.obedient = false;
    await rig.start(2);

    await rig.stop(2);
    old.end('stopped');

    expect((await rig.report('RUN_PHASE_ENDED', 2)).why).toBe('stopped');
    expect(rig.guests).toHaveLength(1);
  });

  test('a guest that does not end in time is ended by force', async () => {
    const rig = await Rig.start({ stopMs: 20 });
    await rig.start();
    const guest = await rig.guest(0);
    guest.obedient = false;

    await rig.stop();

    expect(await rig.report('RUN_PHASE_ENDED')).toMatchObject({
      why: 'stopped',
      message: expect.stringMatching(/by force/) as string,
    });
    expect(guest.asked.slice(0, 2)).toEqual(['stop', 'kill']);
    await rig.until(() => rig.events.find((e) => e.verb === 'warning'));
  });

  test.each([
    ['bytes that are no command', Uint8Array.of(0xff, 0xff, 0xff), 'message.malformed'],
    ['an unknown kind', messages.RunnerCommand.encode({ id: 'x' }), 'command.unknown'],
    ['no id', messages.RunnerCommand.encode({ stop: { guestId: 'g-1', run: 1 } }), 'command.malformed'],
    ['a bad id', messages.RunnerCommand.encode({ id: 'x', start: { guestId: 'a/b', run: 1 } }), 'guest.bad-id'],
    ['no spec', messages.RunnerCommand.encode({ id: 'x', start: { guestId: 'g', run: 1 } }), 'command.malformed'],
  ])('%s: refused with a code', async (_, bytes, code) => {
    const rig = await Rig.start();

    expect((await rig.sendBytes(bytes)).trouble?.code).toBe(code);
    expect(rig.guests).toHaveLength(0);
  });
});

describe('memory', () => {
  const MIB = 2 ** 20;
  const balloon = { hasDriver: true, wantedPages: 0, actualPages: 0, givenBytes: 0, isAsked: false };
  const statistics = {
    ...{ swapIn: 1, swapOut: 2, majorFaults: 3, minorFaults: 4, freeMemory: 5, totalMemory: 6 },
    ...{ availableMemory: 7, diskCaches: 8, hugetlbAllocations: 9, hugetlbFailures: 10 },
  };

  test('is told as it is when the driver has answered, in bytes', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();
    const old = { ...balloon, statistics: { ...statistics, freeMemory: 0 } };
    const told = { ...balloon, wantedPages: 512, actualPages: 256, givenBytes: 77, statistics };
    const looks = [old, { ...old, isAsked: true }, { ...old, isAsked: true }, told];
    guest.balloonNow = () => Promise.resolve(looks.shift());

    expect(await rig.memory()).toEqual({
      memory: {
        ...{ sizeBytes: 256 * MIB, wantedBytes: 254 * MIB, balloonBytes: MIB, givenBytes: 77, hasDriver: true },
        statistics: {
          ...{ swapInBytes: 1, swapOutBytes: 2, majorFaults: 3, minorFaults: 4, freeBytes: 5, totalBytes: 6 },
          ...{ availableBytes: 7, cachesBytes: 8, hugetlbAllocations: 9, hugetlbFailures: 10 },
        },
      },
    });
    expect([guest.asked, looks]).toEqual([[], []]);
  });

  test('of a driver that does not answer, or is not there, is what is known', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();

    guest.balloonNow = () => Promise.resolve({ ...balloon, isAsked: true, statistics });
    expect((await rig.memory()).memory?.statistics?.freeBytes).toBe(5);
    guest.balloonNow = () => Promise.resolve({ ...balloon, hasDriver: false });
    const { memory } = await rig.memory();
    expect(memory).toMatchObject({ hasDriver: false, wantedBytes: 256 * MIB, balloonBytes: 0 });
    expect(memory).not.toHaveProperty('statistics');
  });

  test('is set by what is to be in the balloon, between 16 MiB and all that the guest has', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();
    guest.balloonNow = () => Promise.resolve(balloon);

    for (const mib of [16, 100, 256]) expect((await rig.memory(mib)).trouble).toBeUndefined();
    for (const [mib, words] of [
      [0, /leave it 16/],
      [15, /leave it 16/],
      [257, /memsize/],
    ] as const)
      // prettier-ignore
      expect((await rig.memory(mib)).trouble).toMatchObject({
        code: 'guest.bad-memory',
        message: expect.stringMatching(words) as string,
      });
    expect(guest.asked).toEqual(['61440 pages', '39936 pages', '0 pages']);
  });

  test.each<[string, ScriptedGuest['balloonNow'], string, boolean]>([
    ['without a balloon', undefined, 'guest.no-balloon', false],
    ['without a driver', () => Promise.resolve({ ...balloon, hasDriver: false }), 'guest.no-balloon-driver', true],
    ['that ends', () => Promise.reject(new TomeiError('guest.ended', 'x')), 'guest.not-running', false],
    ['that never answers', () => new Promise(() => undefined), 'guest.busy', true],
  ])('a guest %s is left as it is, and that is said', async (_, balloonNow, code, retryable) => {
    const rig = await Rig.start();
    const guest = await rig.running();
    guest.balloonNow = balloonNow;

    expect((await rig.memory(100)).trouble).toMatchObject({ code, retryable });
    expect(guest.asked).toEqual([]);
  });

  test('is of the run that is asked for, while it runs', async () => {
    const rig = await Rig.start();
    await rig.start();
    expect((await rig.memory()).trouble?.code).toBe('guest.not-running');
    const guest = await rig.guest(0);
    guest.run();
    await rig.report('RUN_PHASE_RUNNING');

    expect((await rig.memory(undefined, 2)).trouble?.code).toBe('guest.not-running');
    guest.end('power-off');
    await rig.report('RUN_PHASE_ENDED');
    expect((await rig.memory()).trouble?.code).toBe('guest.not-running');
  });

  test('a guest that answers slowly keeps no other command waiting', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();
    const answer = Promise.withResolvers<typeof balloon>();
    guest.balloonNow = () => answer.promise;
    const asked = rig.memory();

    expect(await rig.stop()).toEqual({});
    answer.resolve(balloon);
    expect((await asked).memory?.sizeBytes).toBe(256 * MIB);
  });
});

describe('the runner', () => {
  test('leaves in order: says so, stops its guests, tells their ends, and is seen without them last', async () => {
    const rig = await Rig.start();
    await rig.start();
    const guest = await rig.guest(0);
    guest.obedient = false;
    guest.run();
    await rig.report('RUN_PHASE_RUNNING');

    const closing = rig.runner.close();
    await rig.until(() => (rig.heartbeats.at(-1)?.draining === true ? true : undefined));
    expect(rig.runner.readiness()).toMatch(/stopped/);
    expect((await rig.start(1, 'g-2')).trouble?.code).toBe('runner.draining');
    await rig.report('RUN_PHASE_STOPPING');
    guest.end('stopped');
    await closing;

    await rig.until(() => (rig.reports().length === 0 ? true : undefined));
    const told = rig.heartbeats.filter((h) => h.draining).map((h) => h.runs[0]?.phase);
    expect(told.filter((phase, i) => i === 0 || phase !== told[i - 1])).toEqual([
      'RUN_PHASE_RUNNING',
      'RUN_PHASE_STOPPING',
      'RUN_PHASE_ENDED',
      undefined,
    ]);
    expect(rig.verbs('r1')).toEqual(['draining']);
    expect(rig.verbs()).toEqual(['starting', 'running', 'stopped']);
    await expect(rig.start(1, 'g-2')).rejects.toMatchObject({ code: 'peer.unavailable' });
  });

  test('guests keep running while the bus is away, and what happened is told afterwards', async () => {
    const rig = await Rig.start();
    await rig.start();
    const guest = await rig.guest(0);
    guest.run();
    await rig.report('RUN_PHASE_RUNNING');

    rig.bus.setConnected(false);
    expect(rig.runner.readiness()).toMatch(/bus/);
    expect(guest.asked).toEqual([]);
    guest.end('power-off');
    rig.bus.setConnected(true);

    expect((await rig.report('RUN_PHASE_ENDED')).why).toBe('power-off');
    await rig.until(() => rig.events.find((e) => e.verb === 'stopped'));
    expect(rig.runner.readiness()).toBeUndefined();
  });

  test('refuses an id that does not fit into a subject', async () => {
    await expect(Rig.start({ id: 'a.b' })).rejects.toMatchObject({ code: 'runner.bad-id' });
  });

  test('no log line has a console token', async () => {
    const rig = await Rig.start();
    await rig.start();
    const guest = await rig.guest(0);
    guest.run();
    guest.end('power-off');
    await rig.report('RUN_PHASE_ENDED');

    expect(JSON.stringify(rig.log.entries)).not.toContain(guest.source.console.token);
    expect(guest.source.console.token.length).toBeGreaterThan(40);
  });

  test('counts guests, and forgets those that are gone', async () => {
    const rig = await Rig.start();
    await rig.start();
    (await rig.guest(0)).run();
    await rig.report('RUN_PHASE_RUNNING');
    await rig.until(() => (rig.heartbeats.filter((h) => h.runs[0]?.stats !== undefined).length > 2 ? true : undefined));

    const text = await metricsText([rig.metrics]);
    expect(text).toContain('tomei_runner_guests{phase="RUN_PHASE_RUNNING",service="vcpu-runner"} 1');
    expect(text).toMatch(/tomei_guest_instructions\{guest_id="g-1".*\} 1000/);
    expect(text).toMatch(/tomei_guest_time_seconds\{guest_id="g-1",use="compiled".*\} 0\.005/);
    expect(text).toMatch(/tomei_guest_exits\{guest_id="g-1",cause="device-memory".*\} 3/);
    expect(text).toMatch(/tomei_guest_virtualization_seconds\{guest_id="g-1",work="hypervisor".*\} 0\.00025/);
    expect(text).toMatch(/tomei_guest_overhead_ratio\{guest_id="g-1".*\} 0\.5/);
    expect(text).toMatch(/tomei_guest_tlb_flushes\{guest_id="g-1",scope="nonGlobal".*\} 20/);
    expect(text).toMatch(/tomei_guest_page_table_writes\{guest_id="g-1",kind="written".*\} 40/);
    expect(text).toMatch(/tomei_guest_translations_kept\{guest_id="g-1".*\} 7/);
    expect(text).toMatch(/tomei_guest_regions\{guest_id="g-1".*\} 5/);
    expect(text).toMatch(/tomei_guest_translating_thread_seconds\{guest_id="g-1".*\} 0\.25/);
    expect(rig.heartbeats.at(-1)!.runs[0]!.stats).toEqual({
      ...{ instructions: 1000, cpuMs: 5, haltedMs: 1, interpretedMs: 2, compiledMs: 5, translatingMs: 1, devicesMs: 2 },
      ...{ systemMs: 2, overhead: 0.5 },
      exits: {
        ...{ port: 4, deviceMemory: 3, hypervisor: 8, privileged: 9, tlbMiss: 2 },
        ...{ exception: 1, interrupt: 5, halt: 6, slice: 7 },
      },
      translations: {
        ...{ flushesWhole: 1, flushesNonGlobal: 20, flushesPage: 300 },
        ...{ kept: 7, written: 40, writtenBatches: 5, marked: 6 },
      },
      ...{ regions: 5, compiledBytes: 4096 },
    });

    await rig.stop();
    await rig.report('RUN_PHASE_ENDED');
    const seen = rig.heartbeats.length;
    await rig.until(() => (rig.heartbeats.length > seen + 2 ? true : undefined));
    expect(await metricsText([rig.metrics])).not.toContain('guest_id="g-1"');
  });
});
