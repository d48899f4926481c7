/** vcpu-runner: starts guests in processes of their own, supervises them, and tells the cluster how they are. */
import { messages, newId, runnerId, subjects } from '@tomei/contracts';
import { startGuest } from '@tomei/guest';
import { EventPublisher, type RunningService, type ServiceParts } from '@tomei/service';
import { capacityOf } from './admission.ts';
import { CommandDesk } from './commands.ts';
import { consoleAddresses } from './console-addresses.ts';
import type { GuestStarter } from './guest-run.ts';
import { RunnerMetrics } from './metrics.ts';
import { RunTable } from './run-table.ts';

export interface RunnerOptions {
  /** Unique in the cluster. */
  readonly id: string;
  /** What guests together may have. */
  readonly memoryMib: number;
  readonly vcpus: number;
  /** `host:0`, or `unix:/folder` in which each guest gets a socket. */
  readonly consoleBind: string;
  /** The name under which others reach this host; the host of `consoleBind` when absent. */
  readonly consoleAdvertise?: string | undefined;
  /** Default one second. */
  readonly heartbeatMs?: number | undefined;
  /** How long a guest that was asked to end may take to close its disks; 20 seconds. */
  readonly stopMs?: number | undefined;
  /** How guests are started; a test has its own. */
  readonly startProcess?: GuestStarter;
}

const HEARTBEAT_MS = 1_000;
const STOP_MS = 20_000;
const VERSION = '0.1.0';

/** Throws `runner.bad-id`. */
// eslint-disable-next-line @typescript-eslint/require-await -- services start asynchronously
export async function startRunner(parts: ServiceParts, options: RunnerOptions): Promise<RunningService> {
  return new Runner(parts, { ...options, id: runnerId(options.id) });
}

class Runner implements RunningService {
  private readonly parts: ServiceParts;
  private readonly options: RunnerOptions;
  private readonly instanceId = newId();
  private readonly events: EventPublisher;
  private readonly table: RunTable;
  private readonly metrics: RunnerMetrics;
  private readonly subscriptions: readonly { close(): Promise<void> }[];
  private readonly timer: NodeJS.Timeout;
  private connected = false;
  private beatIsDue = false;
  private closing: Promise<void> | undefined;

  constructor(parts: ServiceParts, options: RunnerOptions) {
    const { id, memoryMib, vcpus, consoleBind, consoleAdvertise } = options;
    const log = parts.log.child({ runnerId: id });
    this.parts = { ...parts, log };
    this.options = options;
    this.metrics = new RunnerMetrics(parts.metrics);
    this.events = new EventPublisher({ bus: parts.bus, source: `runner/${id}`, log });
    this.table = new RunTable(
      {
        log,
        events: this.events,
        runnerId: id,
        startProcess: options.startProcess ?? startGuest,
        consoleAddress: consoleAddresses(consoleBind, consoleAdvertise, this.instanceId),
        stopMs: options.stopMs ?? STOP_MS,
        changed: () => this.beatSoon(),
        ended: (phase) => this.metrics.ended(phase),
      },
      { runnerId: id, offers: { memoryMib, vcpus } },
    );
    const desk = new CommandDesk(this.table, log);
    this.subscriptions = [
      parts.bus.respond(subjects.runnerCommand(id), (bytes) => desk.answer(bytes)),
      parts.bus.onConnection((connected) => {
        this.connected = connected;
        if (connected) this.beatSoon();
      }),
    ];
    this.timer = setInterval(() => this.beat(), options.heartbeatMs ?? HEARTBEAT_MS);
    log.info({ memoryMib, vcpus, instanceId: this.instanceId }, 'the runner offers room');
  }
  readiness(): string | undefined {
    if (this.closing !== undefined) return 'its guests are being stopped';
    return this.connected ? undefined : 'waiting for the message bus';
  }
  close(): Promise<void> {
    return (this.closing ??= this.drain());
  }

  private async drain(): Promise<void> {
    const { id } = this.options;
    this.table.draining = true;
    this.events.emit({ noun: 'runner', subjectId: id, verb: 'draining', runnerId: id, message: '' });
    this.publish();
    await this.table.stopAll('its runner is leaving');
    clearInterval(this.timer);
    // How they ended is told before the runner is seen without them.
    this.publish();
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
    this.table.clear();
    this.publish();
    await this.events.close();
  }

  private beat(): void {
    for (const run of this.table.runs) void run.refreshStats();
    this.metrics.observe(this.table.runs);
    this.publish();
  }
  /** What changed in one turn is told once. */
  private beatSoon(): void {
    if (this.beatIsDue) return;
    this.beatIsDue = true;
    setImmediate(() => {
      this.beatIsDue = false;
      this.publish();
    });
  }
  private publish(): void {
    const { id, memoryMib, vcpus } = this.options;
    const { runs, draining } = this.table;
    try {
      const heartbeat = messages.RunnerHeartbeat.encode({
        runnerId: id,
        instanceId: this.instanceId,
        atMs: Date.now(),
        capacity: capacityOf({ offers: { memoryMib, vcpus }, runs }),
        runs: this.table.reports(),
        draining,
        version: VERSION,
      });
      this.parts.bus.publish(subjects.runnerHeartbeat(id), heartbeat);
    } catch (error) {
      this.parts.log.error({ error }, 'a heartbeat cannot be sent');
    }
  }
}
