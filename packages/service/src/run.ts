/** From `main.ts` to a running service: configuration, parts, signals, and an end that loses nothing. */
import { EXIT, TomeiError, messageOf } from '@tomei/kit';
import type { Bus } from './bus/bus.ts';
import { MemoryBus } from './bus/memory-bus.ts';
import { NatsBus } from './bus/nats-bus.ts';
import { commonConfig, type CommonConfig } from './common-config.ts';
import { defineConfig, type Config, type ConfigFields, type ConfigOf } from './config.ts';
import { createLog, type Log } from './log.ts';
import { Metrics } from './metrics.ts';
import { startOpsServer, type OpsServer } from './ops.ts';
import type { RunningService, ServiceParts } from './service.ts';
import { MemoryStore } from './store/memory-store.ts';
import { RedisStore } from './store/redis-store.ts';
import type { Store } from './store/store.ts';

/** After an error that nobody caught, nothing is sure: what does not end within this time is left as it is. */
const BROKEN_CLOSE_MS = 5_000;

export interface ServiceProgram<F extends ConfigFields> {
  /** Of the service, as logs and metrics have it: `controller`. */
  readonly name: string;
  readonly config: Config<F>;
  /** Which servers of the cluster it needs. What it does not need is given to it as an empty one in memory. */
  readonly uses: { readonly bus: boolean; readonly store: boolean };
  /** Called once the servers that it needs have been there. What it throws ends the program with 1. */
  readonly start: (parts: ServiceParts, config: ConfigOf<F> & CommonConfig) => Promise<RunningService>;
}

/**
 * Runs a service until it is told to end, and then ends the process: 0 after SIGTERM or SIGINT, 1 after an error, 2 when the
 * configuration is wrong. A second signal ends it at once. `--help` prints what can be set.
 */
export async function runService<F extends ConfigFields>(program: ServiceProgram<F>): Promise<never> {
  const { name } = program;
  const config = defineConfig({ ...commonConfig.fields, ...program.config.fields });
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
    process.stdout.write(`${name}: set by variables of the environment.\n\n${config.help()}`);
    process.exit(EXIT.ok);
  }
  let settings: ConfigOf<F> & CommonConfig;
  try {
    settings = config.load(process.env) as unknown as ConfigOf<F> & CommonConfig;
  } catch (error) {
    process.stderr.write(`${name}: ${messageOf(error)}\n`);
    process.exit(EXIT.usage);
  }
  const log = createLog({ name, level: settings.logLevel });
  const life = new Life(log);
  try {
    await life.live(program, settings);
  } catch (error) {
    const fields = error instanceof TomeiError ? { code: error.code, why: error.message } : { error };
    log.fatal(fields, 'the service cannot run');
    await life.end(EXIT.failed);
  }
  return new Promise(() => undefined);
}

/** One service in one process. */
class Life {
  private readonly log: Log;
  private readonly ending = Promise.withResolvers<void>();
  private isEnding = false;
  private bus: Bus | undefined;
  private store: Store | undefined;
  private ops: OpsServer | undefined;
  private running: RunningService | undefined;
  private readonly away = new Set<string>();
  private starting: Promise<RunningService> | undefined;

  constructor(log: Log) {
    this.log = log;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (this.isEnding) {
        log.warn({ signal }, 'a second signal: ending at once');
        process.exit(EXIT.failed);
      }
      log.info({ signal }, 'ending: taking nothing new, finishing what is under way');
      void this.end(EXIT.ok);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    const onBug = (error: unknown): void => {
      log.fatal({ error }, 'an error that nobody caught');
      setTimeout(() => process.exit(EXIT.failed), BROKEN_CLOSE_MS).unref();
      void this.end(EXIT.failed);
    };
    process.on('uncaughtException', onBug);
    process.on('unhandledRejection', onBug);
  }

  async live<F extends ConfigFields>(
    { name, uses, start }: ServiceProgram<F>,
    settings: ConfigOf<F> & CommonConfig,
  ): Promise<void> {
    const { log } = this;
    const metrics = new Metrics(name).collectProcess();
    const common = { name, log };
    this.bus = uses.bus ? new NatsBus({ ...common, url: settings.natsUrl }) : new MemoryBus();
    this.store = uses.store ? new RedisStore({ ...common, url: settings.redisUrl }) : new MemoryStore();
    const present = [this.watched(this.bus, 'the message bus'), this.watched(this.store, 'the store')];
    const readiness = (): string | undefined => this.readiness();
    this.ops = await startOpsServer({
      metrics: [metrics],
      readiness,
      host: settings.opsHost,
      port: settings.opsPort,
    });
    log.info({ opsPort: this.ops.port, pid: process.pid }, 'starting');
    await Promise.race([Promise.all(present), this.ending.promise]);
    if (this.isEnding) return;
    this.starting = start({ log, metrics, bus: this.bus, store: this.store }, settings);
    this.running = await this.starting;
    if (!this.isEnding) log.info({}, 'started');
  }
  /** Keeps in mind whether it is there; fulfilled when it has been there for the first time. */
  private watched(part: { onConnection(handler: (connected: boolean) => void): unknown }, what: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    part.onConnection((connected) => {
      if (connected) {
        this.away.delete(what);
        resolve();
      } else this.away.add(what);
    });
    return promise;
  }
  private readiness(): string | undefined {
    if (this.isEnding) return 'it is ending';
    if (this.away.size > 0) return `waiting for ${[...this.away].join(' and ')}`;
    return this.running === undefined ? 'it is starting' : this.running.readiness();
  }

  /** Ends everything in order, and the process. */
  async end(code: number): Promise<void> {
    if (this.isEnding) return;
    this.isEnding = true;
    this.ending.resolve();
    let exitCode = code;
    const step = async (what: string, work: (() => Promise<unknown> | undefined) | undefined): Promise<void> => {
      try {
        await work?.();
      } catch (error) {
        exitCode = EXIT.failed;
        this.log.error({ error, what }, 'a part did not end well');
      }
    };
    // A service that is still starting is let finish, so that it can be closed.
    this.running ??= await this.starting?.catch(() => undefined);
    await step('service', () => this.running?.close());
    await step('bus', () => this.bus?.close());
    await step('store', () => this.store?.close());
    await step('ops', () => this.ops?.close());
    this.log.info({ exitCode }, 'ended');
    process.exit(exitCode);
  }
}
