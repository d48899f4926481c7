/** The stream of block requests, from clients that ask for what there is not, too much, or never read their answers. */
import { connect } from 'node:http2';
import { connect as socketAt } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Bench, MIB, RawClient, codeOf, pattern, seeded } from './fixture.ts';
import { MAX_DISCARD_BYTES, MAX_TRANSFER_BYTES } from './transfer.ts';
import { Budget, Outbox } from './in-flight.ts';

const open = async (bench: Bench): Promise<RawClient> => bench.own(await RawClient.open(bench, {}));

describe('requests', () => {
  test('many at once over several leases are each answered with their own bytes', async () => {
    await using bench = await Bench.start();
    const seed = 11;
    const random = seeded(seed);
    for (const name of ['a.vmdk', 'b.vmdk']) await bench.disk(name, 4 * MIB);
    const client = await open(bench);
    const other = await bench.disks().calls.open({ path: 'b.vmdk', guestId: 'g-2', run: 1 });
    const sectors = Array.from({ length: 128 }, (_, i) => i * 64);
    const lease = (i: number): object => (i % 2 === 0 ? {} : { leaseId: other.leaseId, epoch: other.epoch });
    const written = sectors.map((sector, i) => ({ offset: sector * 512, data: pattern(512 * (1 + random(16)), i) }));
    for (const answer of await Promise.all(written.map((write, i) => client.ask({ write }, lease(i)))))
      expect(answer.code).toBe('ok');

    const read = await Promise.all(
      written.map(({ offset, data }, i) => client.ask({ read: { offset, length: data.length } }, lease(i))),
    );

    read.forEach(({ data }, i) => expect(Buffer.compare(data, written[i]!.data)).toBe(0));
    expect(client.order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 256 }, (_, i) => i + 1));
  });
  test('a short one does not wait for a long one before it', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const client = await open(bench);
    await client.write(0, pattern(MIB, 1));
    client.order.length = 0;
    await Promise.all([client.read(0, MIB), client.read(0, MIB), client.ask({ renew: {} })]);
    expect(client.order[0]).toBe(4);
  });
  test('a long read comes in pieces of a quarter of a MiB, in order', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const client = await open(bench);
    const bytes = pattern(MIB, 2);
    await client.write(0, bytes);
    const { pieces, data } = await client.read(512, MIB - 512);
    expect(pieces.map(({ length }) => length)).toEqual([262_144, 262_144, 262_144, 262_144 - 512]);
    expect(Buffer.compare(data, bytes.subarray(512))).toBe(0);
  });
  test('discards forget, flushes and pins answer, and the next write gives the content another name', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const client = await open(bench);
    await client.write(0, pattern(MIB, 2));
    const first = await client.ask({ pin: {} });
    expect(first).toMatchObject({ code: 'ok', contentId: expect.stringMatching(/^[0-9a-f]{8}$/) as string });
    expect((await client.ask({ pin: {} })).contentId).toBe(first.contentId);
    expect((await client.ask({ discard: { offset: 0, length: MIB } })).code).toBe('ok');
    expect((await client.ask({ pin: {} })).contentId).not.toBe(first.contentId);
    expect(Buffer.compare((await client.read(0, MIB)).data, Buffer.alloc(MIB))).toBe(0);
    expect((await client.ask({ flush: {} })).code).toBe('ok');
    expect(await bench.metric(/^tomei_disk_(?:requests|bytes)_total\{/)).toEqual(
      expect.arrayContaining([
        'tomei_disk_requests_total{kind="pin",service="disk-service"} 3',
        `tomei_disk_bytes_total{kind="write",service="disk-service"} ${MIB}`,
      ]),
    );
  });
});

describe('what makes no sense', () => {
  test('is told on its own request, and the stream goes on', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const client = await open(bench);
    const { epoch } = client.lease;
    const cases: readonly [string, Parameters<RawClient['ask']>][] = [
      ['disk.bad-request', [{}]],
      ['disk.unknown-lease', [{ flush: {} }, { leaseId: '' }]],
      ['disk.unknown-lease', [{ flush: {} }, { leaseId: 'x'.repeat(5000) }]],
      ['disk.stale-lease', [{ flush: {} }, { epoch: epoch + 1 }]],
      ['disk.stale-lease', [{ flush: {} }, { epoch: 0 }]],
      ['disk.out-of-range', [{ read: { offset: 16 * MIB, length: 512 } }]],
      ['disk.out-of-range', [{ read: { offset: 16 * MIB - 512, length: 1024 } }]],
      ['disk.out-of-range', [{ read: { offset: 1, length: 512 } }]],
      ['disk.out-of-range', [{ read: { offset: 0, length: 100 } }]],
      ['disk.out-of-range', [{ read: { offset: Number.MAX_SAFE_INTEGER - 511, length: 512 } }]],
      ['disk.out-of-range', [{ write: { offset: 16 * MIB, data: new Uint8Array(512) } }]],
      ['disk.out-of-range', [{ write: { offset: 0, data: new Uint8Array(511) } }]],
      ['disk.too-large', [{ read: { offset: 0, length: 0xffff_fe00 } }]],
      ['disk.too-large', [{ read: { offset: 0, length: MAX_TRANSFER_BYTES + 512 } }]],
      ['disk.too-large', [{ write: { offset: 0, data: new Uint8Array(MAX_TRANSFER_BYTES + 512) } }]],
      ['disk.too-large', [{ discard: { offset: 0, length: MAX_DISCARD_BYTES + 512 } }]],
      ['ok', [{ read: { offset: 0, length: 0 } }]],
      ['ok', [{ write: { offset: 0 } }]],
    ];

    const answers = await Promise.all(cases.map(([, request]) => client.ask(...request)));

    expect(answers.map(({ code }) => code)).toEqual(cases.map(([code]) => code));
    for (const { message } of answers) expect(message).not.toContain(bench.folder);
    expect((await client.read(0, 512)).code).toBe('ok');
  });
  test('a message that is too large ends its stream and nothing else', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const bad = await open(bench);
    void bad.write(0, new Uint8Array(9 * MIB));
    expect(await codeOf(bad.over.then((error) => Promise.reject(error as Error)))).toBe('message.too-large');
    const good = bench.own(new RawClient(bench.disks(), bad.lease));
    expect((await good.read(0, 512)).code).toBe('ok');
  });
  test('bytes that are no message end their stream and nothing else', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const session = connect('http://localhost', {
      createConnection: () => socketAt(bench.target.slice('unix:'.length)),
    });
    const garbage = Buffer.from([0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/tomei.v1.Disks/Transfer',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const status = new Promise<unknown>((resolve) => {
      stream.on('trailers', (headers) => resolve(headers['grpc-status']));
      stream.on('response', (headers) => headers['grpc-status'] !== undefined && resolve(headers['grpc-status']));
    });
    stream.resume().write(garbage);
    expect(['3', '13']).toContain(await status);
    session.destroy();
    expect((await (await open(bench)).read(0, 512)).code).toBe('ok');
  });
});

describe('a client that never reads', () => {
  test('is read from no more, and holds up neither others nor whoever takes its disk over', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    await bench.disk('b.vmdk');
    const calls = bench.disks();
    const lease = await calls.calls.open({ path: 'a.vmdk', guestId: 'g-1', run: 1 });
    const lazy = bench.own(new RawClient(calls, lease, false));
    // 2,000 reads of 1 MiB: what the service would hold of them without a bound is 2 GB.
    for (let i = 0; i < 2000; i++) void lazy.read(0, MIB);
    const other = bench.own(await RawClient.open(bench, { path: 'b.vmdk', guestId: 'g-2' }));
    for (let i = 0; i < 50; i++) expect((await other.read(0, 65_536)).code).toBe('ok');

    const next = bench.own(await RawClient.open(bench, { run: 2 }));

    expect((await next.write(0, pattern(512, 1))).code).toBe('ok');
    const [read] = await bench.metric(/^tomei_disk_bytes_total\{kind="read"/);
    // Its budget of 8 MiB, and what the connection itself takes.
    expect(Number(read!.split(' ')[1]) - 50 * 65_536).toBeLessThan(12 * MIB);
  });
  test('does not keep the service from ending', async () => {
    await using bench = await Bench.start();
    await bench.disk();
    const calls = bench.disks();
    const lazy = new RawClient(calls, await calls.calls.open({ path: 'a.vmdk', guestId: 'g-1', run: 1 }), false);
    for (let i = 0; i < 20; i++) void lazy.read(0, MIB);
    await bench.disks().calls.close({ leaseId: 'none', epoch: 1 });
    calls.close();
    await bench.down();
    expect(bench.running.readiness()).toBe('shutting down');
  });
});

test('a budget lets one in when the others have left, and something larger than itself alone', async () => {
  const budget = new Budget(10);
  await budget.take(6);
  const order: string[] = [];
  const large = budget.take(50).then(() => order.push('large'));
  await Promise.resolve();
  order.push('left');
  budget.give(6);
  await large;
  expect(order).toEqual(['left', 'large']);
});
test('an outbox waits for room once, however many send', async () => {
  const drained = Promise.withResolvers<void>();
  let asked = 0;
  const outbox = new Outbox<number>({
    send: () => false,
    drained: () => {
      asked++;
      return drained.promise;
    },
  });
  const sent = [outbox.send(1), outbox.send(2), outbox.send(3)];
  drained.resolve();
  await Promise.all(sent);
  expect(asked).toBe(1);
});
