/** The HTTP API over a real pool service and a real bus and store in memory; what people send wrongly included. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { messages, newId, subjects } from '@tomei/contracts';
import { GuestRecords } from '@tomei/service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiRig, POOL_FILES, type Method } from './api-rig.ts';
import { MOST_CLIENTS, admit, type WatchParts } from './watch.ts';

const MOST_TEXT = 200_000;

describe('the HTTP API', () => {
  let rig: ApiRig;
  beforeEach(async () => {
    rig = await ApiRig.start();
  });
  afterEach(() => rig.close());
  const call: ApiRig['call'] = (...request) => rig.call(...request);
  const JSON_TYPE = { 'content-type': 'application/json' };

  test('registers a guest, shows it, and forgets it', async () => {
    const made = await call('POST', '/guests', { vmx: 'tiny/tiny.vmx' });
    expect(made.statusCode).toBe(201);
    const view = made.json<{ id: string }>();
    expect(view).toMatchObject({
      name: 'tiny',
      phase: 'off',
      power: 'off',
      run: 0,
      memoryMiB: 64,
      vcpus: 1,
      vmxPath: 'tiny/tiny.vmx',
      disks: [{ slot: 'ide0:0', path: 'tiny/tiny.vmdk' }],
      runner: null,
      console: false,
      deleting: false,
      vnc: null,
    });

    expect((await call('GET', '/guests/TINY')).json()).toMatchObject({ id: view.id });
    expect((await call('GET', '/guests')).json()).toMatchObject({ guests: [{ id: view.id }] });
    expect((await call('DELETE', `/guests/${view.id}`)).statusCode).toBe(202);
  });

  test('tells what running guests have done, of their last run, as runners report it', async () => {
    const id = await rig.register();
    expect((await call('GET', '/stats')).json()).toEqual({ guests: [] });
    const exits = {
      port: 1,
      deviceMemory: 2,
      hypervisor: 8,
      privileged: 9,
      tlbMiss: 3,
      exception: 4,
      interrupt: 5,
      halt: 6,
      slice: 7,
    };
    const translations = {
      flushesWhole: 1,
      flushesNonGlobal: 2,
      flushesPage: 3,
      written: 4,
      writtenBatches: 5,
      marked: 6,
      kept: 7,
    };
    const stats = {
      ...{
        instructions: 8,
        cpuMs: 9,
        haltedMs: 10,
        interpretedMs: 11,
        compiledMs: 12,
        translatingMs: 13,
        devicesMs: 14,
        systemMs: 17,
      },
      ...{ exits, overhead: 0.5, translations, regions: 15, compiledBytes: 16 },
    };
    const heard = (...runs: object[]): void =>
      rig.bus.publish(
        subjects.runnerHeartbeat('r-1'),
        messages.RunnerHeartbeat.encode({
          ...{ runnerId: 'r-1', instanceId: newId(), atMs: 1, draining: false, version: '' },
          runs: runs.map((run) => ({ guestId: id, why: '', message: '', ...run })) as never,
        }),
      );

    heard({ run: 1, phase: 'RUN_PHASE_ENDED', stats }, { run: 2, phase: 'RUN_PHASE_RUNNING', stats });
    await vi.waitFor(async () => expect((await call('GET', '/stats')).json<{ guests: [] }>().guests).toHaveLength(1));

    expect((await call('GET', '/stats')).json()).toEqual({
      guests: [
        {
          ...{
            id,
            name: 'tiny',
            phase: expect.any(String) as string,
            run: 2,
            runner: 'r-1',
            instructions: 8,
            cpuMs: 9,
          },
          time: { interpreted: 11, compiled: 12, translating: 13, devices: 14, system: 17, idle: 10 },
          ...{ exits, overhead: 0.5, translations, regions: 15, compiledBytes: 16 },
        },
      ],
    });
  });

  test('a VNC password is said to be there, and shown nowhere', async () => {
    const made = await call('POST', '/guests', { vmx: 'tiny/screen.vmx' });

    expect(made.json()).toMatchObject({ vnc: { port: 5901, password: true } });
    expect(made.json<{ warnings: string[] }>().warnings).toEqual([
      expect.stringMatching(/^tiny\/screen\.vmx:\d+: RemoteDisplay/),
    ]);
    expect(made.body).not.toContain('s3cr3t');
    expect((await call('GET', '/guests')).body).not.toContain('s3cr3t');
  });

  test.each<[string, object | string, Record<string, string>, number, string]>([
    ['a field that nobody knows', { vmx: 'tiny/tiny.vmx', boot: 'now' }, {}, 400, 'request.bad'],
    ['no field', {}, {}, 400, 'request.bad'],
    ['no JSON', '{', JSON_TYPE, 400, 'request.bad'],
    [
      'another type of content, as a form of another site has',
      '{"vmx":"tiny/tiny.vmx"}',
      { 'content-type': 'text/plain' },
      415,
      'request.bad-type',
    ],
    ['a body without end', JSON.stringify({ vmx: 'x'.repeat(100_000) }), JSON_TYPE, 413, 'request.too-large'],
    [
      'a request from a page of another site',
      { vmx: 'tiny/tiny.vmx' },
      { 'sec-fetch-site': 'cross-site' },
      403,
      'origin.denied',
    ],
    ['a .vmx that is not there', { vmx: 'tiny/none.vmx' }, {}, 404, 'pool.missing'],
    ['a .vmx with a mistake', { vmx: 'tiny/odd.vmx' }, {}, 400, 'vmx.value'],
    ['a disk that is not there', { vmx: 'tiny/nodisk.vmx' }, {}, 404, 'disk.missing'],
    ['a name that is none', { vmx: 'tiny/tiny.vmx', name: '../x' }, {}, 400, 'guest.bad-name'],
  ])('refuses to register with %s', async (_, payload, headers, status, code) => {
    const answer = await call('POST', '/guests', payload, headers);

    expect(answer.json()).toMatchObject({ error: { code } });
    expect(answer.statusCode).toBe(status);
    expect((await call('GET', '/guests')).json()).toEqual({ guests: [] });
  });

  test('a name and a VNC port are had once', async () => {
    await call('POST', '/guests', { vmx: 'tiny/screen.vmx' });

    const again = await call('POST', '/guests', { vmx: 'tiny/tiny.vmx', name: 'Screen' });
    expect([again.statusCode, again.json()]).toMatchObject([409, { error: { code: 'guest.exists' } }]);
    const port = await call('POST', '/guests', { vmx: 'tiny/other.vmx' });
    expect([port.statusCode, port.json()]).toMatchObject([409, { error: { code: 'guest.port-taken' } }]);
  });

  test.each<[Method, string, object | undefined, number, string]>([
    ['GET', '/guests/nobody', undefined, 404, 'guest.missing'],
    ['DELETE', '/guests/nobody', undefined, 404, 'guest.missing'],
    ['POST', '/guests/nobody/power', { action: 'on' }, 404, 'guest.missing'],
    ['POST', '/guests/nobody/power', { action: 'explode' }, 400, 'request.bad'],
    ['GET', '/guests/nobody/memory', undefined, 404, 'guest.missing'],
    ['PUT', '/guests/nobody/memory', { wantedMiB: 64 }, 404, 'guest.missing'],
    ['PUT', '/guests/nobody/memory', {}, 400, 'request.bad'],
    ['PUT', '/guests/nobody/memory', { wantedMiB: 0 }, 400, 'request.bad'],
    ['PUT', '/guests/nobody/memory', { wantedMiB: 1.5 }, 400, 'request.bad'],
    ['PUT', '/guests/nobody/memory', { wantedMiB: '64' }, 400, 'request.bad'],
    ['PUT', '/guests/nobody/memory', { wantedMiB: 2 ** 32 }, 400, 'request.bad'],
    ['PUT', '/guests/nobody/memory', { wantedMiB: 64, force: true }, 400, 'request.bad'],
    ['GET', '/disk', undefined, 400, 'request.bad'],
    ['GET', '/events?limit=0', undefined, 400, 'request.bad'],
    ['GET', '/events?limit=x', undefined, 400, 'request.bad'],
    ['GET', '/files?flder=x', undefined, 400, 'request.bad'],
    ['GET', '/nothing', undefined, 404, 'request.unknown-path'],
    ['POST', '/disks', { path: 'a.vmdk', sizeBytes: -1 }, 400, 'request.bad'],
  ])('%s %s is answered with a status and a stable code', async (method, path, body, status, code) => {
    const answer = await call(method, path, body);

    expect([answer.statusCode, answer.json()]).toMatchObject([status, { error: { code } }]);
  });

  test('the legal moves', async () => {
    const { id } = (await call('POST', '/guests', { vmx: 'tiny/tiny.vmx' })).json<{ id: string }>();
    const power = async (action: string): Promise<unknown[]> => {
      const answer = await call('POST', `/guests/${id}/power`, { action });
      const body = answer.json<{ power?: string; run?: number; error?: { code: string } }>();
      return [answer.statusCode, body.error?.code ?? `${body.power}/${body.run}`];
    };

    expect(await power('reset')).toEqual([409, 'guest.not-running']);
    expect(await power('on')).toEqual([202, 'on/1']);
    expect(await power('on')).toEqual([202, 'on/1']);
    expect(await power('reset')).toEqual([202, 'on/2']);
    expect(await power('off')).toEqual([202, 'off/2']);
    expect(await power('off')).toEqual([202, 'off/2']);
    expect(await power('shutdown')).toEqual([202, 'off/2']);
  });

  test('without the store: 503, and why; with it again all is there', async () => {
    await call('POST', '/guests', { vmx: 'tiny/tiny.vmx' });
    rig.store.setConnected(false);

    const answer = await call('GET', '/guests');
    expect([answer.statusCode, answer.json()]).toMatchObject([
      503,
      { error: { code: 'store.unavailable', retryable: true } },
    ]);
    expect(rig.controller.readiness()).toMatch(/store/);
    rig.store.setConnected(true);
    expect(rig.controller.readiness()).toBeUndefined();
    expect((await call('GET', '/guests')).json()).toMatchObject({ guests: [{ name: 'tiny' }] });
  });

  test('disks, files and the description of it all', async () => {
    expect((await call('GET', '/files')).json<{ files: unknown[] }>().files).toHaveLength(
      Object.keys(POOL_FILES).length,
    );
    expect((await call('GET', '/disk?path=tiny/tiny.vmdk')).json()).toMatchObject({
      type: 'monolithicSparse',
      sizeBytes: 1024,
    });
    expect((await call('POST', '/disks', { path: 'new.vmdk', sizeBytes: 4096 })).statusCode).toBe(201);
    const api = (await call('GET', '/openapi.json')).json<{ openapi: string; paths: Record<string, unknown> }>();
    expect(api.openapi).toMatch(/^3\./);
    expect(Object.keys(api.paths).toSorted()).toEqual([
      '/api/v1/disk',
      '/api/v1/disks',
      '/api/v1/events',
      '/api/v1/files',
      '/api/v1/guests',
      '/api/v1/guests/{idOrName}',
      '/api/v1/guests/{idOrName}/memory',
      '/api/v1/guests/{idOrName}/power',
      '/api/v1/runners',
      '/api/v1/stats',
      '/api/v1/watch',
    ]);
  });

  describe('watching', () => {
    let port: number;
    beforeEach(async () => {
      await rig.app.listen({ host: '127.0.0.1', port: 0 });
      port = (rig.app.server.address() as AddressInfo).port;
    });
    const open = (headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/api/v1/watch`, { headers, signal: AbortSignal.timeout(20_000) });
    /** Reads until the text matches. */
    async function until(reader: ReadableStreamDefaultReader<Uint8Array>, pattern: RegExp): Promise<string> {
      let text = '';
      const decoder = new TextDecoder();
      while (!pattern.test(text)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`ended without ${String(pattern)}:\n${text}`);
        text = (text + decoder.decode(value, { stream: true })).slice(-MOST_TEXT);
      }
      return text;
    }

    test('the first state of a large cluster arrives whole', async () => {
      const records = new GuestRecords(rig.store);
      const message = 'x'.repeat(1_000);
      for (let i = 0; i < 3_000; i++)
        await records.create(messages.Guest.make({ id: `g-${i}`, name: `guest ${i}`, observed: { message } }));
      const reader = (await open()).body!.getReader();

      expect(await until(reader, /event: synced\n/)).toContain('"id":"g-999"');
    });

    test('of too many who watch the last is refused', () => {
      const clients = new Set(Array.from({ length: MOST_CLIENTS }, () => ({}) as ServerResponse));

      expect(() => admit({ clients } as WatchParts)).toThrow(
        expect.objectContaining({ code: 'watch.too-many', retryable: true }) as Error,
      );
      clients.delete([...clients][0]!);
      expect(() => admit({ clients } as WatchParts)).not.toThrow();
    });

    test('all guests, synced, then what changes and what happens', async () => {
      const { id } = (await call('POST', '/guests', { vmx: 'tiny/tiny.vmx' })).json<{ id: string }>();
      const answer = await open();
      expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
      const reader = answer.body!.getReader();

      const first = await until(reader, /event: synced\n/);
      expect(first).toMatch(new RegExp(`event: guest\\ndata: \\{"id":"${id}"`));
      await call('POST', `/guests/${id}/power`, { action: 'on' });
      await until(reader, /"power":"on"/);
      await call('DELETE', `/guests/${id}`);
      await until(reader, new RegExp(`event: guest-gone\\ndata: \\{"id":"${id}"\\}`));
      await reader.cancel();
    });

    test('who comes back hears what was missed, in order and once', async () => {
      for (const verb of ['starting', 'running', 'stopped']) {
        const event = { id: newId(), noun: 'guest', subjectId: 'g-x', verb, source: 'test' };
        await rig.bus.emit(subjects.event(event), messages.Event.encode(event), { id: event.id });
      }

      const reader = (await open({ 'last-event-id': '1' })).body!.getReader();
      const text = await until(reader, /event: synced\n/);

      expect([...text.matchAll(/^id: (\d+)$/gm)].map((m) => m[1])).toEqual(['2', '3']);
      await reader.cancel();
    });

    test('who does not read is let go, and others are told all the same', async () => {
      const slow = connect(port, '127.0.0.1');
      slow.pause();
      slow.on('error', () => undefined);
      const gone = once(slow, 'close');
      slow.write('GET /api/v1/watch HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
      const reader = (await open()).body!.getReader();
      await until(reader, /event: synced\n/);

      const message = 'x'.repeat(60_000);
      const last = 400;
      const reading = until(reader, new RegExp(`^id: ${last}$`, 'm'));
      for (let i = 1; i <= last; i++) {
        const event = { id: newId(), noun: 'guest', subjectId: 'g-x', verb: 'warning', source: 'test', message };
        await rig.bus.emit(subjects.event(event), messages.Event.encode(event), { id: event.id });
        if (i % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
      }

      await reading;
      await reader.cancel();
      slow.resume();
      await gone;
    });
  });

  test('records hold what the answers do not show', async () => {
    const { id } = (await call('POST', '/guests', { vmx: 'tiny/screen.vmx' })).json<{ id: string }>();

    const record = await new GuestRecords(rig.store).get(id);
    expect(record?.guest.spec).toMatchObject({
      vmxText: POOL_FILES['tiny/screen.vmx'],
      vnc: { password: 's3cr3t-and-long' },
    });
  });
});
