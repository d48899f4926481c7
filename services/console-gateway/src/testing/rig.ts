/** A whole gateway for tests: bus and store in memory, a port of its own, guests that show what the test says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messages, newGuestId, type Guest, type GuestPhase, type Init } from '@tomei/contracts';
import { EventPublisher, GuestRecords, MemoryBus, MemoryStore, Metrics, memoryLog, type Store } from '@tomei/service';
import { startGateway, type Gateway } from '../gateway.ts';
import type { GatewayOptions } from '../options.ts';
import { startGatewayServer, type GatewayServer } from '../server.ts';
import { viewWebSocket, type RfbClientOptions } from './rfb-client.ts';
import { ScriptedGuest, type ScriptedGuestOptions } from './scripted-guest.ts';

export class Rig {
  readonly log = memoryLog();
  readonly metrics = new Metrics('console-gateway');
  readonly bus = new MemoryBus();
  readonly store: Store;
  readonly records: GuestRecords;
  readonly events: EventPublisher;
  readonly gateway: Gateway;
  readonly server: GatewayServer;
  private readonly folder: string;
  private readonly guests = new Set<ScriptedGuest>();
  private sockets = 0;

  private constructor(parts: { folder: string; store: Store }) {
    this.folder = parts.folder;
    this.store = parts.store;
    this.records = new GuestRecords(this.store);
    this.events = new EventPublisher({ bus: this.bus, source: 'test', log: this.log });
    this.gateway = undefined as never;
    this.server = undefined as never;
  }
  /** `store`: what the gateway and the test use; a test may take it away. */
  static async start(
    options: GatewayOptions & { readonly store?: Store; readonly controllerUrl?: string } = {},
  ): Promise<Rig> {
    const { store = new MemoryStore(), controllerUrl = 'http://127.0.0.1:1', ...rest } = options;
    const folder = await mkdtemp(join(tmpdir(), 'gateway-'));
    const rig = new Rig({ folder, store });
    const parts = { log: rig.log, metrics: rig.metrics, bus: rig.bus, store };
    const pace = { lingerMs: 50, retryMs: 10, maxRetryMs: 100, frozenMs: 50, recheckMs: 200, screenMs: 50 };
    const gateway = await startGateway(parts, { ...rest, pace: { ...pace, ...rest.pace } });
    const server = await startGatewayServer(gateway, {
      host: '127.0.0.1',
      port: 0,
      controllerUrl,
      metrics: [rig.metrics],
    });
    return Object.assign(rig, { gateway, server });
  }

  /** A guest of the cluster that is off. */
  async register(settings: { readonly name?: string; readonly spec?: Init<Guest['spec']> } = {}): Promise<string> {
    const id = newGuestId();
    await this.records.create(
      messages.Guest.make({
        id,
        name: settings.name ?? `guest ${id}`,
        createdMs: Date.now(),
        spec: { vmxPath: 'a/a.vmx', ...settings.spec },
        desired: { power: 'POWER_OFF' },
        observed: { phase: 'GUEST_PHASE_OFF' },
      }),
    );
    return id;
  }
  /** Starts a process with the guest's console, and tells the cluster. */
  async powerOn(guestId: string, options: Partial<ScriptedGuestOptions> = {}): Promise<ScriptedGuest> {
    const run = options.run ?? 1;
    const token = `token-${++this.sockets}`;
    const bind = `unix:${join(this.folder, `${this.sockets}.sock`)}`;
    const guest = await ScriptedGuest.start({ guestId, token, bind, ...options });
    this.guests.add(guest);
    await this.observe(guestId, 'GUEST_PHASE_RUNNING', {
      run,
      console: { endpoint: { target: guest.target }, token: options.token ?? token },
    });
    return guest;
  }
  /** What a controller writes, with the event that goes with it. */
  async observe(guestId: string, phase: GuestPhase, more: Init<Guest['observed']> = {}): Promise<void> {
    const observed = messages.GuestObserved.make({ phase, ...more });
    await this.records.update(guestId, (guest) => ({ ...guest, observed }));
    this.events.emit({ noun: 'guest', subjectId: guestId, verb: phase.slice('GUEST_PHASE_'.length).toLowerCase() });
  }

  url(path: string): string {
    return `${this.server.url}${path}`;
  }
  view(guestId: string, options: RfbClientOptions & { readonly query?: string } = {}) {
    const { query = '' } = options;
    return viewWebSocket(
      this.url(`/console/guests/${encodeURIComponent(guestId)}/rfb${query}`).replace('http', 'ws'),
      options,
    );
  }
  /** Value of a metric; labels as in `{kind="serial"}` are looked for in the sample's line. */
  async metric(name: string, ...labels: readonly string[]): Promise<number> {
    const text = await (await fetch(this.url('/metrics'))).text();
    const line = text
      .split('\n')
      .find((one) => one.startsWith(`${name}{`) && labels.every((label) => one.includes(label)));
    return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1));
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.gateway.close();
    await Promise.all([...this.guests].map((guest) => guest.close()));
    await this.events.close();
    await this.bus.close();
    await this.store.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
