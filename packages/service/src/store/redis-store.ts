/** The store of a cluster: Redis. It may be away at any time, also at first; every call ends within its time. */
import { Redis } from 'ioredis';
import { TomeiError, messageOf } from '@tomei/kit';
import { Announced } from '../bus/listeners.ts';
import type { Log } from '../log.ts';
import { deadline, delays, unlessAborted } from '../patience.ts';
import { checkKey, checkOwner, checkValue, conflict, prefixOf, unavailable } from './keys.ts';
import { KEYS, SCRIPTS, type ScriptedRedis } from './redis-scripts.ts';
import type { Entry, Lease, Store } from './store.ts';

const TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** Answers that pass: the server loads its data, is a replica now, is full, cannot write to its disk. */
const PASSING = /^(?:LOADING|READONLY|BUSY|OOM|MISCONF|MASTERDOWN|TRYAGAIN|NOAUTH|NOREPLICAS|CLUSTERDOWN)\b/;

export interface RedisStoreOptions {
  /** `redis://[user:password@]host:port[/database]` */
  readonly url: string;
  readonly name: string;
  readonly log: Log;
  /** How long one call takes at most; default 3,000. */
  readonly timeoutMs?: number;
}

export class RedisStore implements Store {
  private readonly redis: Redis & ScriptedRedis;
  private readonly connection = new Announced(false);
  private readonly timeoutMs: number;
  private readonly closing = new AbortController();
  private readonly log: Log;
  private readonly server: string;
  private toldAway = false;
  private lastError: string | undefined;

  /** Begins to connect, and does not wait for it. Throws `config.bad` for a URL that is none. */
  constructor({ url, name, log, timeoutMs = TIMEOUT_MS }: RedisStoreOptions) {
    this.server = serverOf(url);
    this.timeoutMs = timeoutMs;
    this.log = log;
    const wait = delays();
    this.redis = new Redis(url, {
      connectionName: name.replaceAll(/[^!-~]/g, '-'),
      connectTimeout: CONNECT_TIMEOUT_MS,
      enableOfflineQueue: false,
      // Whether a command was carried out before the connection broke is not known: it is never sent twice.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => wait.next(),
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
      scripts: SCRIPTS,
    }) as unknown as Redis & ScriptedRedis;
    this.redis.on('ready', () => {
      wait.reset();
      this.toldAway = false;
      this.log.info({ server: this.server }, 'the store is connected');
      this.connection.set(true);
    });
    this.redis.on('close', () => {
      this.connection.set(false);
      this.tellAway();
    });
    this.redis.on('error', (error: unknown) => {
      this.lastError = messageOf(error);
    });
  }

  onConnection(handler: (connected: boolean) => void): { close(): void } {
    const watching = this.connection.watch(handler);
    return { close: () => void watching.close() };
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key);
    const text = await this.run((redis) => redis.hget(KEYS.values, key));
    return text === null ? undefined : entryOf(key, text);
  }
  async list(prefix: string): Promise<readonly Entry[]> {
    const start = prefixOf(prefix);
    // No key has a letter behind '~'.
    const [first, last] = start === '' ? ['-', '+'] : [`[${start}`, `(${start}\x7f`];
    const flat = await this.run((redis) => redis.tomeiList(KEYS.values, KEYS.index, first, last));
    return Array.from({ length: flat.length / 2 }, (_, at) => entryOf(flat[2 * at]!, flat[2 * at + 1]!));
  }
  async put(key: string, value: string, { expect }: { readonly expect?: number } = {}): Promise<number> {
    checkKey(key);
    checkValue(key, value);
    const { values, index, version } = KEYS;
    const [done, now] = await this.run((redis) =>
      redis.tomeiPut(values, index, version, key, value, String(expect ?? '')),
    );
    if (done === 0) throw conflict(key, expect!, Number(now));
    return Number(now);
  }
  async delete(key: string, { expect }: { readonly expect?: number } = {}): Promise<boolean> {
    checkKey(key);
    const { values, index } = KEYS;
    const [done, version] = await this.run((redis) => redis.tomeiDelete(values, index, key, String(expect ?? '')));
    if (done === 0) throw conflict(key, expect!, Number(version));
    return version !== '0';
  }

  async acquire(name: string, owner: string, ttlMs: number): Promise<Lease | undefined> {
    checkKey(name);
    checkOwner(owner);
    const epoch = await this.run((redis) =>
      redis.tomeiAcquire(KEYS.lease(name), KEYS.epochs, name, owner, Math.ceil(ttlMs)),
    );
    return epoch === null ? undefined : { name, owner, epoch: Number(epoch) };
  }
  async renew({ name, owner, epoch }: Lease, ttlMs: number): Promise<boolean> {
    checkKey(name);
    const key = KEYS.lease(name);
    return (await this.run((redis) => redis.tomeiRenew(key, `${epoch} ${owner}`, Math.ceil(ttlMs)))) === 1;
  }
  async release({ name, owner, epoch }: Lease): Promise<void> {
    checkKey(name);
    await this.run((redis) => redis.tomeiRelease(KEYS.lease(name), `${epoch} ${owner}`));
  }

  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    this.connection.set(false);
    // Waits for what is under way; a server that does not answer is not waited for.
    const bound = deadline(1_000);
    if (this.redis.status === 'ready') await unlessAborted(this.redis.quit(), bound.signal).catch(() => undefined);
    bound.clear();
    this.redis.disconnect();
  }

  /** One command, all in all within the time for it. */
  private async run<T>(command: (redis: Redis & ScriptedRedis) => Promise<T>): Promise<T> {
    const bound = deadline(this.timeoutMs, this.closing.signal);
    try {
      if (!(await this.connection.until(true, bound.signal))) throw this.unavailable();
      const work = command(this.redis).then((value) => ({ value }));
      const done = await unlessAborted(work, bound.signal);
      if (done !== undefined) return done.value;
      // A server that has stopped answering keeps its connection: begin anew, so that its state is known.
      if (!this.closing.signal.aborted) this.redis.disconnect(true);
      throw this.unavailable(`no answer within ${this.timeoutMs} ms`);
    } catch (error) {
      throw this.errorOf(error);
    } finally {
      bound.clear();
    }
  }
  private errorOf(error: unknown): TomeiError {
    if (error instanceof TomeiError) return error;
    const text = messageOf(error);
    const isReply = error instanceof Error && error.name === 'ReplyError';
    if (!isReply || PASSING.test(text)) return this.unavailable(text, error);
    return new TomeiError('store.failed', `the store at ${this.server} refused a command: ${text}`, { cause: error });
  }
  private unavailable(why = this.lastError ?? 'not connected', cause?: unknown): TomeiError {
    return unavailable(this.closing.signal.aborted ? 'it is closed' : `${this.server}: ${why}`, cause);
  }
  /** Once, until it is there again. */
  private tellAway(): void {
    if (this.toldAway || this.closing.signal.aborted) return;
    this.toldAway = true;
    const why = this.lastError ?? 'the connection broke';
    this.log.warn({ server: this.server, why }, 'the store cannot be reached; trying again');
  }
}

/** Host and port, for people; never the password beside it. */
function serverOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['redis:', 'rediss:'].includes(parsed.protocol))
    throw new TomeiError('config.bad', 'the URL of Redis is not like redis://host:6379');
  return `${parsed.hostname}:${parsed.port === '' ? 6379 : parsed.port}`;
}
function entryOf(key: string, text: string): Entry {
  const [, version, value] = /^(\d+) ([^]*)$/.exec(text) ?? [];
  if (value !== undefined) return { key, version: Number(version), value };
  throw new TomeiError('store.failed', `the record ${key} of the store is not one that Tomei wrote`);
}
