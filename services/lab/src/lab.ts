/** A lab: the four services in one process, over a bus and a store in memory, behind one HTTP port. */
import { mkdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fastify } from 'fastify';
import { startGateway } from '@tomei/console-gateway';
import { messages, subjects, type Event } from '@tomei/contracts';
import { startController } from '@tomei/controller';
import { startDiskService } from '@tomei/disk-service';
import { TomeiError, messageOf } from '@tomei/kit';
import {
  MemoryBus,
  MemoryStore,
  Metrics,
  closeRefusedUpgrades,
  hostGuard,
  isLoopback,
  listen,
  opsRoutes,
  quietLog,
  type Log,
  type RunningService,
  type ServiceParts,
} from '@tomei/service';
import { defaultMemoryMib, defaultVcpus, startRunner } from '@tomei/vcpu-runner';
import { LabApi, type LabGuest } from './api.ts';
import { makePrivateFolder } from './private-folder.ts';

export interface LabOptions {
  /** The folder with guests: their `.vmx` files and disks, at any depth. */
  readonly pool: string;
  /** Default 127.0.0.1; on any other address everybody who reaches it is let in, and a warning says so. */
  readonly host?: string | undefined;
  /** Default 8006; 0: any free one. */
  readonly port?: number | undefined;
  /** Guests to power on, by the place of their `.vmx` in the pool: one that cannot be is an error, not a warning. */
  readonly powerOn?: readonly string[] | 'all' | undefined;
  /** For guests together; what this host has to spare by default. */
  readonly memoryMib?: number | undefined;
  readonly vcpus?: number | undefined;
  /** The log of each service; silent by default. */
  readonly log?: ((service: string) => Log) | undefined;
  /** What happens in the lab, in its order, from its start to its end. */
  readonly onEvent?: ((event: Event) => void) | undefined;
  /** What a person should know, such as a `.vmx` that cannot be registered. */
  readonly onWarning?: ((text: string) => void) | undefined;
}
export interface Lab {
  readonly url: string;
  /** What was registered at the start. */
  readonly guests: readonly LabGuest[];
  /** Powers guests off in order, and lets go of everything. Safe to call twice. */
  close(): Promise<void>;
}

export const LAB_HOST = '127.0.0.1';
export const LAB_PORT = 8006;
/** Of the HTTP server's, for its runner: the two are in one process. */
const RUNNER_WAIT_MS = 10_000;
const LOOK_AGAIN_MS = 20;
const PAGES = resolve(import.meta.dirname, '../../../packages/web/dist');

/** Throws `pool.missing`, `service.cannot-listen`, and what a guest of `powerOn` cannot be registered or started for. */
export async function startLab(options: LabOptions): Promise<Lab> {
  const pool = resolve(options.pool);
  await checkPool(pool);
  const lab = new RunningLab({ ...options, pool });
  try {
    await lab.open();
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function checkPool(pool: string): Promise<void> {
  const found = await stat(pool).catch((cause: unknown) => {
    throw new TomeiError('pool.missing', `${pool} cannot be used as the pool of guests: ${messageOf(cause)}`, {
      cause,
    });
  });
  if (!found.isDirectory())
    throw new TomeiError('pool.missing', `${pool} is no folder: name the one that holds the guests' folders`);
}

class RunningLab implements Lab {
  url = '';
  readonly guests: LabGuest[] = [];
  private readonly options: LabOptions;
  private readonly host: string;
  private readonly bus = new MemoryBus({ onError: (error) => this.log('bus').error({ error }, 'a handler failed') });
  private readonly store = new MemoryStore();
  private readonly metrics: Metrics[] = [];
  private readonly services: RunningService[] = [];
  /** What was started, in that order; it is ended the other way round. */
  private readonly ends: (() => Promise<void>)[] = [];
  private closing: Promise<void> | undefined;

  constructor(options: LabOptions) {
    this.options = options;
    this.host = options.host ?? LAB_HOST;
  }

  async open(): Promise<void> {
    const { options, host } = this;
    if (!isLoopback(host))
      this.warn(`everybody who can reach ${host} may use all guests: there are no users and passwords yet`);
    this.ends.push(
      () => this.store.close(),
      () => this.bus.close(),
    );
    this.followEvents();
    const folder = await makePrivateFolder();
    this.ends.push(() => folder.remove());
    const consoles = join(folder.path, 'c');
    await mkdir(consoles, { mode: 0o700 });

    const disks = await startDiskService(this.parts('disk-service'), {
      pool: options.pool,
      bind: `unix:${join(folder.path, 'disks.sock')}`,
    });
    this.started(disks);
    // The runner is ended when nothing orders it to place its guests anew, and before its disks are.
    const runner = await startRunner(this.parts('vcpu-runner'), {
      id: 'lab',
      memoryMib: options.memoryMib ?? defaultMemoryMib(),
      vcpus: options.vcpus ?? defaultVcpus(),
      consoleBind: `unix:${consoles}`,
    });
    this.started(runner);
    const controller = await startController(this.parts('controller'), { disks: disks.target });
    this.started(controller);
    const gateway = await startGateway(this.parts('console-gateway'), { vncHost: host, pages: PAGES });

    const app = fastify({ logger: false, forceCloseConnections: true, routerOptions: { maxParamLength: 500 } });
    this.ends.push(() => app.close());
    this.started(gateway);
    app.addHook('onRequest', hostGuard({ bind: host, allowed: [] }));
    app.addHook('onResponse', closeRefusedUpgrades);
    await app.register(opsRoutes({ metrics: this.metrics, readiness: () => this.readiness() }));
    await app.register(controller.routes);
    await app.register(gateway.routes);
    ({ url: this.url } = await listen(app, host, options.port ?? LAB_PORT));
    await this.populate(new LabApi(app));
  }
  close(): Promise<void> {
    return (this.closing ??= this.endAll());
  }

  /** Registers what the pool has, and powers on what was asked for. */
  private async populate(api: LabApi): Promise<void> {
    const { powerOn = [] } = this.options;
    const wanted = powerOn === 'all' ? [] : powerOn;
    const found = await api.vmxFiles();
    for (const vmx of new Set([...wanted, ...found])) {
      try {
        this.guests.push(await api.register(vmx));
      } catch (error) {
        if (wanted.includes(vmx) || !(error instanceof TomeiError)) throw error;
        this.warn(`${vmx} is not registered: ${error.message}`);
      }
    }
    if (powerOn.length === 0) return;
    const patience = AbortSignal.timeout(RUNNER_WAIT_MS);
    while (!patience.aborted && !(await api.hasRunner())) await delay(LOOK_AGAIN_MS);
    for (const guest of this.guests)
      if (powerOn === 'all' || wanted.includes(guest.vmxPath)) await api.powerOn(guest.id);
  }
  private followEvents(): void {
    const { onEvent } = this.options;
    if (onEvent === undefined) return;
    const following = this.bus.follow(subjects.everyEvent, 'all', ({ bytes }) => onEvent(messages.Event.decode(bytes)));
    // What was told just now is still on its way to the handler.
    this.ends.push(() => delay(LOOK_AGAIN_MS).then(() => following.close()));
  }
  private readiness(): string | undefined {
    return this.services.map((service) => service.readiness()).find((waits) => waits !== undefined);
  }
  private parts(service: string): ServiceParts {
    const metrics = new Metrics(service);
    if (this.metrics.length === 0) metrics.collectProcess();
    this.metrics.push(metrics);
    return { log: this.log(service), metrics, bus: this.bus, store: this.store };
  }
  private started(service: RunningService): void {
    this.services.push(service);
    this.ends.push(() => service.close());
  }
  private log(service: string): Log {
    return this.options.log?.(service) ?? quietLog();
  }
  private warn(text: string): void {
    this.options.onWarning?.(text);
  }
  /** One part that does not end well keeps no other from ending. */
  private async endAll(): Promise<void> {
    for (let end = this.ends.pop(); end !== undefined; end = this.ends.pop()) {
      try {
        await end();
      } catch (error) {
        this.log('lab').error({ error }, 'a part of the lab did not end well');
      }
    }
  }
}
