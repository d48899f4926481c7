/** Calls of all four kinds over real sockets, and everything that may become of them. */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConsoleService, DisksService, PoolService, type FetchResponse, type TransferResponse } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { freePort } from '@tomei/testkit';
import { rpcClient, type CallOptions, type RpcClient } from './client.ts';
import { MAX_MESSAGE_BYTES, serve, startRpcServer, type Handlers, type RpcServer } from './server.ts';

/** Nothing here is measured: slow machines have room. */
const SOON = { timeout: 60_000, interval: 2 };

type PoolHandlers = Handlers<typeof PoolService>;
type DisksHandlers = Handlers<typeof DisksService>;

const never = (): never => {
  throw new Error('this call is not expected');
};
const pool = (handlers: Partial<PoolHandlers>): ReturnType<typeof serve> =>
  serve(PoolService, { list: never, info: never, create: never, fetch: never, ...handlers });
const disks = (handlers: Partial<DisksHandlers>): ReturnType<typeof serve> =>
  serve(DisksService, { open: never, transfer: never, close: never, ...handlers });

interface Bed {
  readonly server: RpcServer;
  readonly pool: RpcClient<typeof PoolService>;
  readonly disks: RpcClient<typeof DisksService>;
  readonly bugs: [unknown, string][];
}
async function open(
  handlers: { pool?: Partial<PoolHandlers>; disks?: Partial<DisksHandlers> },
  bind = '127.0.0.1:0',
): Promise<Bed> {
  const bugs: [unknown, string][] = [];
  const server = await startRpcServer({
    bind,
    services: [pool(handlers.pool ?? {}), disks(handlers.disks ?? {})],
    onBug: (error, path) => bugs.push([error, path]),
  });
  const clients = { pool: rpcClient(PoolService, server.target), disks: rpcClient(DisksService, server.target) };
  onTestFinished(async () => {
    clients.pool.close();
    clients.disks.close();
    await server.close();
  });
  return { server, ...clients, bugs };
}
async function collect<T>(all: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of all) list.push(one);
  return list;
}

describe('a call', () => {
  test('with one answer gets it whole', async () => {
    const bed = await open({
      pool: { info: ({ path }) => Promise.resolve({ path, sizeBytes: 2 ** 40, lease: { guestId: 'g', epoch: 7 } }) },
    });

    const info = await bed.pool.calls.info({ path: 'tiny/tiny.vmdk' });

    expect(info).toEqual({
      path: 'tiny/tiny.vmdk',
      createType: '',
      sizeBytes: 2 ** 40,
      allocatedBytes: 0,
      lease: { guestId: 'g', run: 0, epoch: 7 },
      warnings: [],
    });
  });

  test('with many answers gets them in order, and a slow reader slows the sender', async () => {
    let sent = 0;
    const COUNT = 2_000;
    const bed = await open({
      pool: {
        fetch: async function* () {
          await Promise.resolve();
          for (; sent < COUNT; sent++) yield { sizeBytes: sent, data: new Uint8Array(16_384) };
        },
      },
    });

    const sizes: number[] = [];
    let aheadAtFirst = 0;
    for await (const { sizeBytes } of bed.pool.calls.fetch({ path: 'a' })) {
      if (sizes.length === 0) {
        // As far as buffers reach, and then the sender waits.
        let before = -1;
        while (before !== sent) {
          before = sent;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        aheadAtFirst = sent;
      }
      sizes.push(sizeBytes);
    }

    expect(sizes).toEqual(Array.from({ length: COUNT }, (_, n) => n));
    expect(aheadAtFirst).toBeLessThan(COUNT / 2);
  });

  test('both ways has requests and answers going past each other', async () => {
    const bed = await open({
      disks: {
        transfer: async (stream) => {
          for await (const request of stream.messages) {
            if (!stream.send({ id: request.id, contentId: request.kind ?? '' })) await stream.drained();
          }
          stream.send({ id: 0, contentId: 'the end' });
        },
      },
    });

    const call = bed.disks.calls.transfer();
    call.send({ id: 1, flush: {} });
    call.send({ id: 2, read: { offset: 512, length: 512 } });
    const answers: TransferResponse[] = [];
    for await (const answer of call.messages) {
      answers.push(answer);
      if (answer.id === 2) call.end();
    }

    expect(answers.map(({ id, contentId }) => [id, contentId])).toEqual([
      [1, 'flush'],
      [2, 'read'],
      [0, 'the end'],
    ]);
    expect(call.signal.aborted).toBe(true);
    expect(call.send({ id: 3 })).toBe(false);
    await call.drained();
  });

  test('with many requests and one answer is not among ours: a stream both ways serves', () => {
    const all = [PoolService, DisksService, ConsoleService].flatMap((service) => Object.values(service));

    expect(all.filter(({ requestStream, responseStream }) => requestStream && !responseStream)).toEqual([]);
  });

  test('through a unix socket, also where one was left behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tomei-rpc-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const bind = `unix:${join(folder, 'x.sock')}`;
    const left = createServer();
    await new Promise<void>((resolve) => left.listen(join(folder, 'y.sock'), resolve));
    // Under another name it is not taken away when its server ends.
    await rename(join(folder, 'y.sock'), join(folder, 'x.sock'));
    await new Promise((resolve) => left.close(resolve));
    const bed = await open({ pool: { list: () => Promise.resolve({ files: [{ path: 'a' }] }) } }, bind);

    expect(bed.server.target).toBe(bind);
    expect((await bed.pool.calls.list({})).files).toMatchObject([{ path: 'a' }]);
  });

  test('a file where the socket should be is not removed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tomei-rpc-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, 'precious');
    await writeFile(path, 'text');

    await expect(startRpcServer({ bind: `unix:${path}`, services: [] })).rejects.toMatchObject({
      code: 'service.cannot-listen',
    });
    expect(await readFile(path, 'utf8')).toBe('text');
  });

  test('reaches the name that a server gives others', async () => {
    const server = await startRpcServer({ bind: '0.0.0.0:0', advertise: 'localhost', services: [pool({})] });
    onTestFinished(() => server.close());

    expect(server.target).toMatch(/^localhost:[1-9]\d*$/);
  });
});

describe('an error of a handler', () => {
  const failing = (error: unknown): Promise<Bed> =>
    open({
      pool: {
        info: () => Promise.reject(error),
        fetch: async function* () {
          yield { sizeBytes: 1 };
          await Promise.resolve();
          throw error;
        },
      },
      disks: {
        transfer: (stream) => {
          stream.send({ id: 1 });
          return Promise.reject(error);
        },
      },
    });
  const reasons = async (bed: Bed): Promise<unknown[]> => {
    const call = bed.disks.calls.transfer();
    const all = [bed.pool.calls.info({}), collect(bed.pool.calls.fetch({})), collect(call.messages)];
    return (await Promise.allSettled<unknown>(all)).map((settled) => settled.status === 'rejected' && settled.reason);
  };

  test('arrives with its code, its message and whether trying again helps', async () => {
    const bed = await failing(new TomeiError('disk.busy', 'disk ä/x is busy: wait', { retryable: true }));

    for (const reason of await reasons(bed)) {
      expect(reason).toBeInstanceOf(TomeiError);
      expect(reason).toMatchObject({ code: 'disk.busy', message: 'disk ä/x is busy: wait', retryable: true });
    }
    expect(bed.bugs).toEqual([]);
  });

  test('that is a bug says nothing of itself, and is told to the server', async () => {
    const bug = new Error('password is hunter2');
    const bed = await failing(bug);

    for (const reason of await reasons(bed)) {
      expect(reason).toMatchObject({ code: 'service.internal', retryable: false });
      expect((reason as Error).message).not.toContain('hunter2');
    }
    expect(bed.bugs.map(([error, path]) => [error === bug, path]).toSorted()).toEqual([
      [true, '/tomei.v1.Disks/Transfer'],
      [true, '/tomei.v1.Pool/Fetch'],
      [true, '/tomei.v1.Pool/Info'],
    ]);
  });

  test.each([
    ['file.missing', status.NOT_FOUND],
    ['disk.exists', status.ALREADY_EXISTS],
    ['path.bad-path', status.INVALID_ARGUMENT],
    ['message.too-large', status.RESOURCE_EXHAUSTED],
    ['console.denied', status.PERMISSION_DENIED],
    ['disk.stale-epoch', status.FAILED_PRECONDITION],
  ])('%s is the status %i to clients that know no codes', async (code, expected) => {
    const { server } = await failing(new TomeiError(code, 'no'));
    const client = new Client(server.target, credentials.createInsecure());
    onTestFinished(() => client.close());
    const { path, requestSerialize, responseDeserialize } = PoolService.info;

    const error = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (failure) => resolve(failure));
    });

    expect(error).toMatchObject({ code: expected, details: 'no' });
  });

  test('that is thrown before anything is awaited is an answer, too', async () => {
    const bed = await open({});

    for (const reason of await reasons(bed)) expect(reason).toMatchObject({ code: 'service.internal' });
  });
});

describe('what is wrong with a call itself', () => {
  test('bytes that are no such message are refused, and the server goes on', async () => {
    const bed = await open({ pool: { list: () => Promise.resolve({}) } });
    const client = new Client(bed.server.target, credentials.createInsecure());
    onTestFinished(() => client.close());
    const send = (path: string, bytes: Buffer): Promise<ServiceError | null> =>
      new Promise((resolve) => {
        const raw = (all: Buffer): Buffer => all;
        client.makeUnaryRequest(path, raw, raw, bytes, (error) => resolve(error));
      });

    for (const bytes of ['ff', '0affffffff0f', '08', '0a05616263']) {
      expect(await send('/tomei.v1.Pool/List', Buffer.from(bytes, 'hex'))).not.toBeNull();
    }
    expect(await send('/tomei.v1.Pool/None', Buffer.alloc(0))).toMatchObject({ code: status.UNIMPLEMENTED });
    expect(await bed.pool.calls.list({})).toEqual({ files: [] });
  });

  test('a call that the server does not know', async () => {
    const bed = await open({});
    const other = { later: { ...PoolService.list, path: '/tomei.v1.Pool/Later' } };
    const client = rpcClient(other, bed.server.target);
    onTestFinished(() => client.close());

    await expect(client.calls.later({})).rejects.toMatchObject({ code: 'peer.unimplemented', retryable: false });
  });

  test.each(['to the server', 'from the server'])('a message %s that is too large', async (way) => {
    const large = 'x'.repeat(MAX_MESSAGE_BYTES + 1);
    const bed = await open({
      pool: { info: ({ path }) => Promise.resolve({ path: path === 'small' ? large : path }) },
    });

    const call = bed.pool.calls.info({ path: way === 'to the server' ? large : 'small' });

    await expect(call).rejects.toMatchObject({ code: 'message.too-large', retryable: false });
    expect((await bed.pool.calls.info({ path: 'x' })).path).toBe('x');
  });

  test('a message in a stream that is too large ends the stream', async () => {
    const bed = await open({
      disks: {
        transfer: async (stream) => {
          for await (const { id } of stream.messages) stream.send({ id });
        },
      },
    });

    const call = bed.disks.calls.transfer();
    call.send({ id: 1, write: { offset: 0, data: new Uint8Array(MAX_MESSAGE_BYTES + 1) } });

    await expect(collect(call.messages)).rejects.toMatchObject({ code: 'message.too-large' });
  });

  test('nobody listens there', async () => {
    const target = `127.0.0.1:${await freePort()}`;
    const client = rpcClient(PoolService, target);
    onTestFinished(() => client.close());

    await expect(client.calls.list({})).rejects.toMatchObject({
      code: 'peer.unavailable',
      retryable: true,
      data: { target },
    });
    await expect(collect(client.calls.fetch({}))).rejects.toMatchObject({ code: 'peer.unavailable' });
  });

  test('the address is taken', async () => {
    const { server } = await open({});

    await expect(startRpcServer({ bind: server.target, services: [] })).rejects.toMatchObject({
      code: 'service.cannot-listen',
      message: expect.stringContaining(server.target) as string,
    });
  });
});

describe('giving up', () => {
  /** Handlers that wait until their caller is gone. */
  const waiting = async (): Promise<Bed & { begun: Promise<void>; gone: Promise<void> }> => {
    const begun = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const wait = async (signal: AbortSignal): Promise<void> => {
      begun.resolve();
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      gone.resolve();
    };
    const bed = await open({
      pool: {
        info: async (_, { signal }) => {
          await wait(signal);
          return {};
        },
        fetch: async function* (_, { signal }) {
          yield { sizeBytes: 1 };
          await wait(signal);
        },
      },
      disks: { transfer: async (_, { signal }) => wait(signal) },
    });
    return { ...bed, begun: begun.promise, gone: gone.promise };
  };
  const kinds: [string, (bed: Bed, options: CallOptions) => Promise<unknown>][] = [
    ['one answer', (bed, options) => bed.pool.calls.info({}, options)],
    ['many answers', (bed, options) => collect(bed.pool.calls.fetch({}, options))],
    ['both ways', (bed, options) => collect(bed.disks.calls.transfer(options).messages)],
  ];

  test.each(kinds)('a call with %s by its signal: both sides know', async (_, start) => {
    const bed = await waiting();
    const giveUp = new AbortController();
    const call = start(bed, { signal: giveUp.signal });
    const failed = expect(call).rejects.toMatchObject({ code: 'peer.cancelled', retryable: false });
    await bed.begun;

    giveUp.abort();

    await failed;
    await bed.gone;
    expect(bed.bugs).toEqual([]);
  });

  test.each(kinds)('a call with %s that takes too long: both sides know', async (_, start) => {
    const bed = await waiting();

    await expect(start(bed, { deadlineMs: 100 })).rejects.toMatchObject({ code: 'peer.timeout', retryable: true });

    await bed.gone;
  });

  test.each(kinds)('a call with %s before it begins', async (_, start) => {
    const bed = await waiting();

    await expect(start(bed, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'peer.cancelled' });
  });

  test('reading early ends the call for the server, and throws nothing', async () => {
    const bed = await waiting();

    let first: FetchResponse | undefined;
    for await (const response of bed.pool.calls.fetch({})) {
      first = response;
      break;
    }

    expect(first?.sizeBytes).toBe(1);
    await bed.gone;
  });

  test('a stream both ways by its own cancel ends its messages without an error', async () => {
    const bed = await waiting();
    const call = bed.disks.calls.transfer();
    const all = collect(call.messages);
    await bed.begun;

    call.cancel();

    expect(await all).toEqual([]);
    expect(call.signal.aborted).toBe(true);
    await bed.gone;
  });

  test('a handler that stops reading early still answers, or fails with its own error', async () => {
    let fails = false;
    const bed = await open({
      disks: {
        transfer: async (stream) => {
          for await (const { id } of stream.messages) {
            stream.send({ id });
            break;
          }
          if (fails) throw new TomeiError('lease.stale', 'this lease is gone');
        },
      },
    });
    const talk = (): Promise<TransferResponse[]> => {
      const call = bed.disks.calls.transfer();
      for (let id = 1; id <= 50; id++) call.send({ id, write: { offset: 0, data: new Uint8Array(4096) } });
      return collect(call.messages);
    };

    expect((await talk()).map(({ id }) => id)).toEqual([1]);
    fails = true;
    await expect(talk()).rejects.toMatchObject({ code: 'lease.stale' });
  });
});

describe('a server that ends', () => {
  test('lets calls finish that are under way, and takes no new ones', async () => {
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const bed = await open({
      pool: {
        info: async () => {
          begun.resolve();
          await gate.promise;
          return { path: 'done' };
        },
      },
    });
    const call = bed.pool.calls.info({});
    await begun.promise;

    const closing = bed.server.close(60_000);
    await expect(bed.disks.calls.open({})).rejects.toMatchObject({ code: 'peer.unavailable' });
    gate.resolve();

    expect((await call).path).toBe('done');
    await closing;
    await bed.server.close();
  });

  test('ends those that take longer than its grace, and their handlers know', async () => {
    const begun = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const bed = await open({
      disks: {
        transfer: async (stream, { signal }) => {
          signal.addEventListener('abort', () => gone.resolve());
          begun.resolve();
          for await (const { id } of stream.messages) stream.send({ id });
        },
      },
    });
    const failed = expect(collect(bed.disks.calls.transfer().messages)).rejects.toMatchObject({
      code: expect.stringMatching(/^peer\.(?:unavailable|cancelled)$/) as string,
    });
    await begun.promise;

    await bed.server.close(1);

    await failed;
    await gone.promise;
  });

  test('and comes back at its address is used again by the same client', async () => {
    const handlers = { pool: { list: () => Promise.resolve({ files: [{ path: 'a' }] }) } };
    const first = await open(handlers);
    await first.pool.calls.list({});
    await first.server.close();
    await expect(first.pool.calls.list({})).rejects.toMatchObject({ code: 'peer.unavailable' });

    const second = await startRpcServer({ bind: first.server.target, services: [pool(handlers.pool)] });
    onTestFinished(() => second.close());

    await expect
      .poll(
        () =>
          first.pool.calls.list({}).then(
            ({ files }) => files.length,
            () => 0,
          ),
        SOON,
      )
      .toBe(1);
  });
});
