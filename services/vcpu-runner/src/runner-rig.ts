/** For tests: a runner with scripted guests, and the cluster's side of its bus. */
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
import { MemoryBus, MemoryStore, Metrics, memoryLog, type RunningService } from '@tomei/service';
import { startRunner, type RunnerOptions } from './runner.ts';
import { ScriptedGuest } from './scripted-guest.ts';

const cleanups: (() => Promise<void>)[] = [];
/** Ends all that were started. */
export async function closeRigs(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
}

export class Rig {
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
