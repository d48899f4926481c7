/** The controller: heartbeats and records in, steps and the HTTP API out. */
import type { ServerResponse } from 'node:http';
import type { FastifyPluginAsync } from 'fastify';
import { newId, subjects } from '@tomei/contracts';
import { messageOf } from '@tomei/kit';
import {
  EventPublisher,
  GuestRecords,
  type RunningService,
  type ServiceParts,
  type Subscription,
} from '@tomei/service';
import { apiRoutes } from './api/routes.ts';
import { EventLog } from './event-log.ts';
import { Feed } from './feed.ts';
import { GuestMemory } from './guest-memory.ts';
import { Guests } from './guests.ts';
import { createMeters, type Meters } from './meters.ts';
import { Actor } from './reconcile/act.ts';
import { Leader } from './reconcile/leader.ts';
import { Loop } from './reconcile/loop.ts';
import { plan } from './reconcile/plan.ts';
import { Pool } from './registration.ts';
import { Runners, isGuestId } from './runners.ts';
import { guestView, runnerView } from './views.ts';

export interface ControllerOptions {
  /** Where disk-service is, as this controller and the runners reach it. */
  readonly disks: string;
  /** A runner that is silent for so long is lost. Default 5000. */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** How long another controller waits for one that is gone. Default 5000. */
  readonly leaseMs?: number | undefined;
  readonly now?: () => number;
}
export interface Controller extends RunningService {
  readonly routes: FastifyPluginAsync;
  readonly isLeader: boolean;
}

const BUS = 'the message bus';
const HEARTBEAT_TIMEOUT_MS = 5_000;
const LEASE_MS = 5_000;
/** Between two looks at which runners have gone silent. */
const WATCH_MS = 250;
/** Between two looks at everything, whatever was or was not heard. */
const RESYNC_MS = 2_000;

export function startController(parts: ServiceParts, options: ControllerOptions): Promise<Controller> {
  return Promise.resolve(new RunningController(parts, options));
}

class RunningController implements Controller {
  readonly routes: FastifyPluginAsync;
  private readonly parts: ServiceParts;
  private readonly now: () => number;
  private readonly records: GuestRecords;
  private readonly runners: Runners;
  private readonly publisher: EventPublisher;
  private readonly eventLog: EventLog;
  private readonly feed: Feed;
  private readonly pool: Pool;
  private readonly actor: Actor;
  private readonly loop: Loop;
  private readonly leader: Leader;
  private readonly meters: Meters;
  private readonly clients = new Set<ServerResponse>();
  private readonly subscriptions: Subscription[] = [];
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly away = new Set<string>();
  private readonly patienceMs: number;
  private watchedMs: number;
  private closing: Promise<void> | undefined;

  constructor(parts: ServiceParts, options: ControllerOptions) {
    const { bus, store, log } = parts;
    const now = (this.now = options.now ?? Date.now);
    this.parts = parts;
    this.records = new GuestRecords(store);
    this.patienceMs = options.heartbeatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS;
    this.watchedMs = now();
    this.runners = new Runners({ timeoutMs: this.patienceMs, now });
    this.publisher = new EventPublisher({ bus, source: 'controller', log, now });
    this.eventLog = new EventLog(bus, log);
    this.pool = new Pool(options.disks);
    this.meters = createMeters(parts.metrics, { runners: this.runners, isLeader: () => this.leader.isLeader });
    this.actor = new Actor({
      records: this.records,
      runners: this.runners,
      bus,
      events: this.publisher,
      disks: options.disks,
      now,
      isLeader: () => this.leader.isLeader,
    });
    this.loop = new Loop({ look: (id) => this.look(id), log, onOutcome: (outcome) => this.meters.looked(outcome) });
    this.leader = new Leader({
      store,
      owner: newId(),
      ttlMs: options.leaseMs ?? LEASE_MS,
      log,
      now,
      onLead: () => {
        this.actor.forgetAccepted();
        this.loop.start();
        void this.touchAll();
      },
      onLose: () => this.loop.stop(),
    });
    this.feed = new Feed({
      guests: () => this.records.list(),
      guestView,
      runners: () => this.runners.list().map(runnerView),
      log,
    });
    const guests = new Guests({
      records: this.records,
      pool: this.pool,
      events: this.publisher,
      now,
      onWanted: (id) => this.wanted(id),
    });
    this.routes = apiRoutes({
      guests,
      memory: new GuestMemory({ guests, runners: this.runners, bus }),
      records: this.records,
      runners: this.runners,
      pool: this.pool,
      events: this.eventLog,
      feed: this.feed,
      clients: this.clients,
      log,
    });
    this.listen();
    this.leader.start();
  }

  get isLeader(): boolean {
    return this.leader.isLeader;
  }
  readiness(): string | undefined {
    if (this.closing !== undefined) return 'it is ending';
    return this.away.size > 0 ? `waiting for ${[...this.away].join(' and ')}` : undefined;
  }
  close(): Promise<void> {
    this.closing ??= this.closeNow();
    return this.closing;
  }

  private listen(): void {
    const { bus, store, log } = this.parts;
    const watchOver = (what: string, isThere: boolean): void => {
      if (isThere) this.away.delete(what);
      else this.away.add(what);
    };
    this.subscriptions.push(
      bus.onConnection((isThere) => {
        watchOver(BUS, isThere);
        // While nothing can be heard, nobody is silent.
        this.runners.setListening(isThere);
        if (isThere) void this.touchAll({ anew: true });
      }),
      bus.subscribe(subjects.everyHeartbeat, (subject, bytes) => this.heard(subject, bytes)),
      // Another controller, or this one, has written what somebody wants.
      bus.subscribe(subjects.everyWanted, (subject) => {
        const id = subject.split('.').at(-2) ?? '';
        if (isGuestId(id)) this.loop.touch(id);
        this.feed.touch();
      }),
    );
    const stored = store.onConnection((isThere) => {
      watchOver('the store', isThere);
      if (isThere) void this.touchAll({ anew: true });
    });
    this.subscriptions.push({ close: () => Promise.resolve(stored.close()) });
    this.timers.push(
      setInterval(() => this.watchRunners(), WATCH_MS),
      setInterval(() => void this.touchAll(), RESYNC_MS),
    );
    log.info({}, 'listening for runners');
  }
  private heard(subject: string, bytes: Uint8Array): void {
    try {
      for (const id of this.runners.hear(bytes)) this.loop.touch(id);
      this.feed.touch();
    } catch (error) {
      // Anybody who reaches the bus can write there.
      this.parts.log.warn({ subject, why: messageOf(error) }, 'a heartbeat is not readable and is passed over');
    }
  }
  private wanted(id: string): void {
    this.loop.touch(id);
    this.feed.touch();
    this.parts.bus.publish(subjects.wanted(id), new Uint8Array(0));
  }

  /** One look at one guest. */
  private async look(id: string): Promise<number | undefined> {
    const guest = (await this.records.get(id))?.guest;
    const named = guest?.observed?.runnerId ?? '';
    const runner = named === '' ? undefined : this.runners.get(named);
    const step = plan({
      guest,
      runs: this.runners.runsOf(id),
      runner,
      isSettled: this.runners.isSettled,
      nowMs: this.now(),
      acceptedMs: guest === undefined ? undefined : this.actor.acceptedMs(guest),
    });
    if (step === undefined) return undefined;
    const again = await this.actor.act(id, step);
    this.meters.stepped(step.kind);
    this.feed.touch();
    return again;
  }
  private watchRunners(): void {
    const now = this.now();
    // The host slept, or this process was held up: heartbeats wait to be read, or have not been sent, and nobody is lost for that.
    if (Math.abs(now - this.watchedMs) > this.patienceMs / 2) this.runners.setListening(!this.away.has(BUS));
    this.watchedMs = now;
    const changes = this.runners.changes();
    if (changes.length === 0) return;
    for (const { runnerId, verb, message } of changes) {
      this.parts.log.info({ runnerId, verb, why: message }, 'a runner has changed');
      if (this.leader.isLeader) this.publisher.emit({ noun: 'runner', subjectId: runnerId, runnerId, verb, message });
    }
    this.feed.touch();
    void this.touchAll({ anew: true });
  }
  /** Everything is looked at again: what was missed is seen then. */
  private async touchAll({ anew = false } = {}): Promise<void> {
    if (!this.leader.isLeader) return;
    try {
      if (anew) this.loop.forgive();
      const ids = (await this.records.list()).map(({ id }) => id);
      const reported = this.runners.runs().map(({ report }) => report.guestId);
      for (const id of new Set([...ids, ...reported])) this.loop.touch(id);
    } catch (error) {
      this.parts.log.debug({ why: messageOf(error) }, 'guests cannot be listed now');
    }
  }

  private async closeNow(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    for (const client of this.clients) client.end();
    this.feed.close();
    await this.leader.close();
    await this.loop.stop();
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
    await this.publisher.close();
    await this.eventLog.close();
    this.pool.close();
  }
}
