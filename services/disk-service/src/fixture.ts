/** What the tests of this service share: a pool with a service on it, raw clients, the service as a process that can be killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DisksService,
  PoolService,
  type Init,
  type OpenRequest,
  type OpenResponse,
  type TransferRequest,
  type TransferResponse,
} from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import {
  MemoryBus,
  MemoryStore,
  Metrics,
  memoryLog,
  rpcClient,
  type ClientDuplex,
  type LogEntry,
  type RpcClient,
} from '@tomei/service';
import { createVmdk } from '@tomei/vmdk';
import { startDiskService, type DiskService, type DiskServiceOptions } from './service.ts';

export const MIB = 1 << 20;

/** A folder that goes away with `await using`, and a service on it. */
export class Bench implements AsyncDisposable {
  readonly folder: string;
  readonly metrics = new Metrics('disk-service');
  readonly target: string;
  /** Milliseconds of the service's clock; it stands still until a test moves it. */
  now = 1_000;
  /** Those whose streams a test may break. */
  readonly clients: RawClient[] = [];
  private readonly log = memoryLog();
  private readonly open: { close(): unknown }[] = [];
  private service: DiskService | undefined;
  private options: Partial<DiskServiceOptions>;

  private constructor(folder: string, options: Partial<DiskServiceOptions>) {
    this.folder = folder;
    this.options = options;
    this.target = `unix:${folder}/service.sock`;
  }
  static async start(options: Partial<DiskServiceOptions> = {}): Promise<Bench> {
    const bench = new Bench(await mkdtemp(join(tmpdir(), 'tomei-disks-')), options);
    await bench.up();
    return bench;
  }
  /** Starts the service (again): another process as far as anybody can tell. */
  async up(options: Partial<DiskServiceOptions> = {}): Promise<void> {
    this.options = { ...this.options, ...options };
    this.service = await startDiskService(
      // Each start has metrics of its own, as each process has; a test reads those of the first.
      {
        log: this.log,
        metrics: this.service === undefined ? this.metrics : new Metrics('disk-service'),
        bus: new MemoryBus(),
        store: new MemoryStore(),
      },
      { pool: this.folder, bind: this.target, now: () => this.now, ...this.options },
    );
  }
  async down(): Promise<void> {
    await this.running.close();
  }
  get running(): DiskService {
    return this.service!;
  }
  get logged(): readonly LogEntry[] {
    return this.log.entries;
  }
  path(name: string): string {
    return join(this.folder, name);
  }
  async disk(name = 'a.vmdk', sizeBytes = 16 * MIB): Promise<string> {
    await createVmdk(this.path(name), { sizeBytes });
    return name;
  }
  /** Lets time pass, and what is due in it happen. */
  async pass(ms: number): Promise<void> {
    this.now += ms;
    await this.running.expireLeases();
  }
  /** Closed at the end. */
  own<T extends { close(): unknown }>(one: T): T {
    this.open.push(one);
    return one;
  }
  disks(): RpcClient<typeof DisksService> {
    return this.own(rpcClient(DisksService, this.target));
  }
  pool(): RpcClient<typeof PoolService>['calls'] {
    return this.own(rpcClient(PoolService, this.target)).calls;
  }
  async metric(line: RegExp): Promise<readonly string[]> {
    return (await this.metrics.registry.metrics()).split('\n').filter((one) => line.test(one));
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.open.reverse()) await one.close();
    await this.service?.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A client without comforts: what it sends is what goes out. */
export class RawClient {
  readonly lease: OpenResponse;
  readonly stream: ClientDuplex<TransferResponse, TransferRequest>;
  private readonly answers = new Map<number, PromiseWithResolvers<RawAnswer>>();
  private readonly pieces = new Map<number, Uint8Array[]>();
  /** In the order in which requests were answered. */
  readonly order: number[] = [];
  readonly over: Promise<unknown>;
  private lastId = 0;

  constructor(client: RpcClient<typeof DisksService>, lease: OpenResponse, listen = true) {
    this.lease = lease;
    this.stream = client.calls.transfer();
    this.over = listen ? this.listen() : Promise.resolve();
  }
  static async open(bench: Bench, request: Init<OpenRequest>): Promise<RawClient> {
    const client = bench.disks();
    return new RawClient(client, await client.calls.open({ guestId: 'g-1', run: 1, path: 'a.vmdk', ...request }));
  }
  /** The answer to one request; never throws. `as`: another lease or epoch than its own. */
  ask(body: Init<TransferRequest>, as: { leaseId?: string; epoch?: number } = {}): Promise<RawAnswer> {
    const id = ++this.lastId;
    const answer = Promise.withResolvers<RawAnswer>();
    this.answers.set(id, answer);
    this.stream.send({ id, leaseId: this.lease.leaseId, epoch: this.lease.epoch, ...as, ...body });
    return answer.promise;
  }
  read(offset: number, length: number): Promise<RawAnswer> {
    return this.ask({ read: { offset, length } });
  }
  write(offset: number, data: Uint8Array): Promise<RawAnswer> {
    return this.ask({ write: { offset, data } });
  }
  close(): void {
    this.stream.cancel();
  }
  private async listen(): Promise<unknown> {
    try {
      for await (const { id, data, more, trouble, contentId } of this.stream.messages) {
        const pieces = this.pieces.get(id) ?? [];
        this.pieces.set(id, [...pieces, data]);
        if (more) continue;
        this.order.push(id);
        const answer = {
          code: trouble?.code ?? 'ok',
          message: trouble?.message ?? '',
          contentId,
          pieces: [...pieces, data],
        };
        this.answers.get(id)?.resolve({ ...answer, data: Buffer.concat(answer.pieces) });
      }
      return undefined;
    } catch (error) {
      return error;
    }
  }
}
export interface RawAnswer {
  /** `ok`, or the code of the trouble. */
  readonly code: string;
  readonly message: string;
  readonly contentId: string;
  readonly data: Uint8Array;
  readonly pieces: readonly Uint8Array[];
}

/** The code with which a promise is refused; `ok` when it is not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    if (error instanceof TomeiError) return error.code;
    throw error;
  }
}

/** disk-service as a process of its own, as a cluster runs it. */
export class ServiceProcess {
  readonly target: string;
  private readonly child: ChildProcess;
  private readonly gone: Promise<unknown>;
  private output = '';

  private constructor(folder: string, target: string) {
    this.target = target;
    this.child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
      env: {
        PATH: process.env['PATH'],
        TOMEI_POOL: folder,
        TOMEI_BIND: target,
        TOMEI_OPS_HOST: '127.0.0.1',
        TOMEI_OPS_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.gone = once(this.child, 'exit');
  }
  /** Fulfilled when it serves. */
  static async start(folder: string, target: string): Promise<ServiceProcess> {
    const made = new ServiceProcess(folder, target);
    await new Promise<void>((resolve, reject) => {
      const hear = (text: string): void => {
        made.output += text;
        if (made.output.includes('disks are served')) resolve();
      };
      made.child.stdout!.setEncoding('utf8').on('data', hear);
      made.child.stderr!.setEncoding('utf8').on('data', hear);
      made.child.once('exit', () => reject(new Error(`disk-service ended: ${made.output}`)));
    });
    return made;
  }
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.child.kill(signal);
    await this.gone; // at once when it is gone already
  }
}

/** A small seeded generator (mulberry32): whole numbers below `n`. */
export function seeded(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}
/** Bytes that are not zero and tell sectors apart. */
export function pattern(length: number, seed: number): Uint8Array {
  const random = seeded(seed);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 4) bytes.fill(1 + random(255), i, i + 4);
  return bytes;
}
