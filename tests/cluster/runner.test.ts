/** A runner with real guest processes, whose files and disks come from a real disk-service; the bus is the lab's. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConsoleService,
  PoolService,
  messages,
  newId,
  subjects,
  type Event,
  type Init,
  type RunReport,
  type RunnerCommand,
  type RunnerHeartbeat,
} from '@tomei/contracts';
import { startGuest } from '@tomei/guest';
import { MemoryBus, MemoryStore, Metrics, quietLog, rpcClient, type RunningService } from '@tomei/service';
import { startRunner } from '@tomei/vcpu-runner';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exit, say, smallKernel, spin, tripleFault } from '../guests/small-kernel.ts';
import { ServiceProcess } from './services.ts';

/** The reset line of the keyboard controller. */
const reset = [0xb0, 0xfe, 0xe6, 0x64, 0xfa, 0xf4];
/** What the guests are, by the name of their folder in the pool. */
const KERNELS: Readonly<Record<string, readonly number[]>> = {
  spins: [...say('up and running\n'), ...spin],
  exits: exit(2),
  falls: tripleFault(),
  resets: reset,
};
const MIB = 2 ** 20;

let folder: string;
let target: string;
let disks: ServiceProcess;
const bus = new MemoryBus();
let runner: RunningService;
const heartbeats: RunnerHeartbeat[] = [];
const events: Event[] = [];
const pids: number[] = [];
const waiting = new Set<() => void>();
const wake = (): void => {
  for (const resume of waiting) resume();
  waiting.clear();
};
async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise<void>((resolve) => waiting.add(resolve));
  }
}
const reports = (guestId: string): readonly RunReport[] =>
  (heartbeats.at(-1)?.runs ?? []).filter((report) => report.guestId === guestId);
const report = (guestId: string, phase: RunReport['phase'], run = 1): Promise<RunReport> =>
  until(() => reports(guestId).find((r) => r.phase === phase && r.run === run));
const send = async (command: Init<RunnerCommand>): Promise<void> => {
  const bytes = messages.RunnerCommand.encode({ id: newId(), ...command });
  const reply = await bus.request(subjects.runnerCommand('r1'), bytes, { timeoutMs: 10_000 });
  expect(messages.RunnerReply.decode(reply)).toEqual({});
};
const vmxOf = (name: string, kernel = 'kernel'): string =>
  `config.version = "8"
virtualHW.version = "8"
displayName = "${name}"
memsize = "16"
serial0.present = "TRUE"
ide0:0.present = "TRUE"
ide0:0.fileName = "disk.vmdk"
tomei.kernel = "${kernel}"
`;
const start = (name: string, run = 1, kernel?: string): Promise<void> =>
  send({
    start: {
      guestId: `g-${name}`,
      guestName: name,
      run,
      spec: { vmxPath: `${name}/${name}.vmx`, vmxText: vmxOf(name, kernel), memoryMib: 16, vcpus: 1 },
      disks: { target },
    },
  });
const stop = (name: string, run = 1): Promise<void> => send({ stop: { guestId: `g-${name}`, run } });
const verbs = (name: string): string[] => events.filter((e) => e.subjectId === `g-${name}`).map((e) => e.verb);
async function leaseOf(name: string): Promise<{ guestId: string; run: number } | undefined> {
  const client = rpcClient(PoolService, target);
  try {
    return (await client.calls.info({ path: `${name}/disk.vmdk` })).lease;
  } finally {
    client.close();
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-runner-'));
  const pool = join(folder, 'pool');
  for (const [name, code] of Object.entries(KERNELS)) {
    await mkdir(join(pool, name), { recursive: true });
    await writeFile(join(pool, name, 'kernel'), smallKernel(code));
  }
  target = `unix:${join(folder, 'disks.sock')}`;
  disks = await (
    await ServiceProcess.start('disk-service', { TOMEI_POOL: pool, TOMEI_BIND: target, TOMEI_OPS_HOST: '127.0.0.1' })
  ).ready();
  const client = rpcClient(PoolService, target);
  for (const name of Object.keys(KERNELS))
    await client.calls.create({ path: `${name}/disk.vmdk`, sizeBytes: MIB, createType: 'monolithicSparse' });
  client.close();

  bus.subscribe(subjects.everyHeartbeat, (_, bytes) => {
    heartbeats.push(messages.RunnerHeartbeat.decode(bytes));
    wake();
  });
  bus.follow(subjects.everyEvent, 'all', ({ bytes }) => {
    events.push(messages.Event.decode(bytes));
    wake();
  });
  runner = await startRunner(
    { bus, store: new MemoryStore(), log: quietLog(), metrics: new Metrics('vcpu-runner') },
    {
      id: 'r1',
      memoryMib: 1024,
      vcpus: 8,
      consoleBind: `unix:${folder}`,
      heartbeatMs: 200,
      startProcess: (source, heard) => {
        const guest = startGuest(source, heard);
        pids.push(guest.pid);
        return guest;
      },
    },
  );
});
afterAll(async () => {
  await runner?.close();
  await bus.close();
  await disks?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('a runner with real guests', () => {
  test('boots a guest of the pool, serves its console to who knows the token, and powers it off in order', async () => {
    await start('spins');
    const running = await until(() =>
      reports('g-spins').find((r) => r.phase === 'RUN_PHASE_RUNNING' && r.console !== undefined),
    );
    expect(await leaseOf('spins')).toMatchObject({ guestId: 'g-spins', run: 1 });

    const { endpoint, token } = running.console!;
    const gateway = rpcClient(ConsoleService, endpoint!.target);
    const call = gateway.calls.attach();
    call.send({ hello: { token } });
    let said = '';
    for await (const { serial } of call.messages) {
      said += Buffer.from(serial?.data ?? []).toString('latin1');
      if (said.includes('up and running')) break;
    }
    call.cancel();
    await expect(gateway.calls.screenshot({ token: 'guessed' })).rejects.toThrow();
    gateway.close();
    await until(() => (reports('g-spins')[0]?.stats?.instructions ? true : undefined));

    await stop('spins');
    expect(await report('g-spins', 'RUN_PHASE_ENDED')).toMatchObject({ why: 'stopped' });
    expect(await leaseOf('spins')).toBeUndefined();
    await stop('spins');
    await until(() => (reports('g-spins').length === 0 ? true : undefined));
    expect(verbs('spins').filter((verb) => verb !== 'warning')).toEqual(['starting', 'running', 'stopped']);
  });

  test('a guest that ends by itself is told with its status', async () => {
    await start('exits');

    expect(await report('g-exits', 'RUN_PHASE_ENDED')).toMatchObject({
      why: 'exit',
      message: expect.stringMatching(/status 5/) as string,
    });
  });

  test('a triple fault is a crash of the guest', async () => {
    await start('falls');

    expect(await report('g-falls', 'RUN_PHASE_CRASHED')).toMatchObject({ why: 'triple-fault' });
  });

  test('a kernel that is not in the pool is a crash that names it', async () => {
    await start('falls', 2, 'nowhere');

    const crashed = await report('g-falls', 'RUN_PHASE_CRASHED', 2);
    expect(crashed.message).toMatch(/falls\.vmx:8: tomei\.kernel: .*nowhere/);
  });

  test('a process that dies takes nothing else with it, and the next run gets its disk', async () => {
    await start('spins', 2);
    await report('g-spins', 'RUN_PHASE_RUNNING', 2);

    process.kill(pids.at(-1)!, 'SIGKILL');
    expect(await report('g-spins', 'RUN_PHASE_CRASHED', 2)).toMatchObject({
      why: 'guest.crashed',
      message: expect.stringMatching(/SIGKILL/) as string,
    });
    await start('spins', 3);

    await report('g-spins', 'RUN_PHASE_RUNNING', 3);
    expect(await leaseOf('spins')).toMatchObject({ guestId: 'g-spins', run: 3 });
    await stop('spins', 3);
    await report('g-spins', 'RUN_PHASE_ENDED', 3);
  });

  test('a guest that resets itself begins anew in the same run', async () => {
    await start('resets');

    await until(() => (verbs('resets').filter((verb) => verb === 'running').length >= 2 ? true : undefined));

    expect(reports('g-resets').map(({ run }) => run)).toEqual([1]);
    await stop('resets');
    expect((await report('g-resets', 'RUN_PHASE_ENDED')).why).toBe('stopped');
  });
});
