import { afterEach, describe, expect, test } from 'vitest';
import { messages } from '@tomei/contracts';
import { metricsText } from '@tomei/service';
import { Rig, closeRigs } from './runner-rig.ts';

afterEach(closeRigs);

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
