/** Viewers of screens, on real sockets, with guests that show what the test says. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryStore } from '@tomei/service';
import { RfbClient, viewTcp } from './testing/rfb-client.ts';
import { Rig } from './testing/rig.ts';

const RED = 0x0000ff;
const GREEN = 0x00ff00;
const BLUE = 0xff0000;
const WHOLE = { x: 0, y: 0, width: 64, height: 48 };

let rig: Rig;
const start = async (options: Parameters<typeof Rig.start>[0] = {}): Promise<Rig> => {
  await rig.close();
  rig = await Rig.start(options);
  return rig;
};
beforeEach(async () => {
  rig = await Rig.start();
});
afterEach(() => rig.close());

const shows = (colour: number) => (client: RfbClient) =>
  client.width === 64 && client.dot(1, 1) === colour && client.dot(63, 47) === colour;
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};

describe('a viewer over WebSocket', () => {
  test('sees the picture and what changes in it, under the name of the guest', async () => {
    const id = await rig.register({ name: 'tiny' });
    const guest = await rig.powerOn(id);
    guest.paint(WHOLE, RED);
    const { client } = rig.view('tiny');

    await client.until(shows(RED));
    guest.paint({ x: 10, y: 10, width: 1, height: 1 }, GREEN);
    await client.until((c) => c.dot(10, 10) === GREEN);

    expect(client.name).toBe('tiny');
    expect(client.dot(11, 10)).toBe(RED);
  });

  test('sees a picture of another size', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const { client } = rig.view(id);
    await client.until(shows(0));

    guest.resize(80, 30, BLUE);

    await client.until((c) => c.width === 80 && c.dot(79, 29) === BLUE);
    expect(client.height).toBe(30);
  });

  test('works the keyboard and the mouse; what it holds is let go when it leaves', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const { client, socket } = rig.view(id);
    await client.until(shows(0));

    client.key(0x61, true);
    client.key(0x61, false);
    client.key(0xffe3, true);
    await guest.until((g) => g.keys.length === 3);
    client.pointer(1, 10, 10);
    client.pointer(1, 14, 9);
    await guest.until((g) => g.pointers.some(({ buttons }) => buttons === 1) && g.pointers.length > 1);
    socket.close();
    await guest.until((g) => g.keys.length === 4);

    expect(guest.keys).toEqual([
      { code: 0x1e, down: true },
      { code: 0x1e, down: false },
      { code: 0x1d, down: true },
      { code: 0x1d, down: false },
    ]);
    const [first, second] = guest.pointers.flatMap(({ at }) => at ?? []);
    expect([second!.x > first!.x, second!.y < first!.y]).toEqual([true, true]);
  });

  test('that only watches has no keys and no mouse', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const watching = rig.view(id, { query: '?viewOnly=true' });
    const working = rig.view(id);
    await Promise.all([watching.client.until(shows(0)), working.client.until(shows(0))]);

    watching.client.key(0x62, true);
    watching.client.pointer(1, 3, 3);
    // Its next picture shows that the gateway has read its keys.
    const { updates } = watching.client;
    guest.paint(WHOLE, RED);
    await watching.client.until((c) => c.updates > updates);
    working.client.key(0x61, true);
    await guest.until((g) => g.keys.length > 0);

    expect(guest.keys).toEqual([{ code: 0x1e, down: true }]);
    expect(guest.pointers).toEqual([]);
  });

  test('pastes into the guest what it has copied, and gets what the guest copies, unless it only watches', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const watching = rig.view(id, { query: '?viewOnly=true' });
    const working = rig.view(id);
    await Promise.all([watching.client.until(shows(0)), working.client.until(shows(0))]);

    watching.client.cutText('not this');
    working.client.cutText('x'.repeat(65_437));
    working.client.cutText('caf\xe9');
    await guest.until((g) => g.texts.length > 0);
    guest.sendRaw({ copied: { text: 'from the guest: 漢\xe9' } });
    await working.client.until((c) => c.texts.length > 0);
    guest.paint(WHOLE, RED);
    await watching.client.until(shows(RED));

    expect(guest.texts).toEqual(['café']);
    expect(working.client.texts).toEqual(['from the guest: ?\xe9']);
    expect(watching.client.texts).toEqual([]);
  });

  test('has to know the password, if there is one', async () => {
    const id = await rig.register({ spec: { vnc: { port: 0, password: 'open sesame' } } });
    const guest = await rig.powerOn(id);
    guest.paint(WHOLE, RED);
    const wrong = rig.view(id, { password: 'sesame' });
    const right = rig.view(id, { password: 'open ses' });

    await right.client.until(shows(RED));

    await expect(wrong.client.ready).rejects.toThrow();
    expect(wrong.client.updates).toBe(0);
    expect(JSON.stringify(rig.log.entries)).not.toContain('sesame');
  });
});

describe('many viewers', () => {
  test('that guess the password have to wait, however many connections they have open; others have not', async () => {
    const clock = { ms: 0 };
    await start({ now: () => clock.ms });
    const id = await rig.register({ spec: { vnc: { port: 0, password: 'secret' } } });
    const guest = await rig.powerOn(id);
    guest.paint(WHOLE, RED);
    const connections = Array.from({ length: 8 }, () => rig.view(id, { password: 'guess' }));

    const ends = await Promise.all(connections.map(({ client }) => client.closed));
    const early = await rig.view(id, { password: 'secret' }).client.closed;

    expect(ends.filter((why) => why === 'Wrong password')).toHaveLength(5);
    expect(ends.filter((why) => why === 'Too many wrong passwords: try again in 10 s')).toHaveLength(3);
    expect(early).toMatch(/^Too many wrong passwords/);
    clock.ms += 10_000;
    await rig.view(id, { password: 'secret' }).client.until(shows(RED));
  });

  test('share one stream from the guest', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const viewers = Array.from({ length: 50 }, () => rig.view(id));
    await Promise.all(viewers.map(({ client }) => client.until(shows(0))));

    guest.paint(WHOLE, GREEN);
    await Promise.all(viewers.map(({ client }) => client.until(shows(GREEN))));

    expect(guest.attachments).toBe(1);
    expect(await rig.metric('tomei_console_viewers', 'kind="rfb-websocket"')).toBe(50);
  });

  test('go on when one of them stops reading, and that one is ended', async () => {
    await start({ limits: { stalledMs: 500 } });
    const id = await rig.register();
    const guest = await rig.powerOn(id, { width: 800, height: 600 });
    const good = rig.view(id);
    const stuck = rig.view(id, { asksOn: false });
    await Promise.all([good.client.until((c) => c.width === 800), stuck.client.ready]);
    stuck.socket.pause();

    // More pictures than any socket's buffers hold, every one of which the good viewer gets.
    for (let i = 1; i <= 30; i++) {
      for (let n = 0; n < 5; n++) stuck.client.ask(false);
      guest.paint({ x: 0, y: 0, width: 800, height: 600 }, i);
      await good.client.until((c) => c.dot(799, 599) === i);
    }

    await rigLog((text) => text.includes('it took nothing for 500 ms'));
    expect(await rig.metric('tomei_console_viewers_ended_total', 'why="stalled"')).toBe(1);
    expect(await rig.metric('tomei_console_viewers', 'kind="rfb-websocket"')).toBe(1);
    expect(good.client.updates).toBeGreaterThanOrEqual(30);
    expect(await rig.metric('tomei_console_encoded_bytes_total', 'encoding="raw"')).toBeGreaterThan(30 * 800 * 600 * 4);
  });

  test('are not disturbed by one that sends garbage', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const good = rig.view(id);
    await good.client.until(shows(0));
    const garbage = rig.view(id);
    await garbage.client.ready;

    garbage.socket.send(Buffer.alloc(1000, 0xee));
    await garbage.client.closed;
    guest.paint(WHOLE, RED);

    await good.client.until(shows(RED));
    expect(await rig.metric('tomei_console_viewers_ended_total', 'why="error"')).toBe(1);
  });

  test('are limited, for each guest', async () => {
    await start({ limits: { viewersPerGuest: 2 } });
    const id = await rig.register();
    const other = await rig.register();
    await rig.powerOn(id);
    const two = [rig.view(id), rig.view(id)];
    await Promise.all(two.map(({ client }) => client.ready));

    const third = await rig.view(id).client.closed;

    expect(third).toContain('429');
    await rig.view(other).client.ready;
  });
});

/** Fulfilled when the log, as text, is as wanted. */
async function rigLog(condition: (text: string) => boolean): Promise<void> {
  while (!condition(JSON.stringify(rig.log.entries))) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a viewer stays connected', () => {
  test('while the guest powers off and on again', async () => {
    const id = await rig.register({ name: 'steady' });
    const first = await rig.powerOn(id);
    first.paint(WHOLE, RED);
    const { client } = rig.view(id);
    await client.until(shows(RED));

    await first.end('power-off');
    await rig.observe(id, 'GUEST_PHASE_OFF');
    await client.until((c) => c.dot(0, 0) !== RED);
    const second = await rig.powerOn(id, { run: 2 });
    second.paint(WHOLE, GREEN);
    await client.until(shows(GREEN));
    client.key(0x61, true);
    await second.until((g) => g.keys.length === 1);

    expect(second.attachments).toBe(1);
  });

  test('when the guest moves to another runner while the old process still talks', async () => {
    const id = await rig.register();
    const old = await rig.powerOn(id);
    old.paint(WHOLE, RED);
    const { client } = rig.view(id);
    await client.until(shows(RED));

    const other = await rig.powerOn(id, { run: 2 });
    other.paint(WHOLE, GREEN);

    await client.until(shows(GREEN));
  });

  test('when it came before the guest ran at all', async () => {
    const id = await rig.register({ name: 'late' });
    const { client } = rig.view('late');
    await client.until((c) => c.dots.some((dot) => dot !== 0));

    const guest = await rig.powerOn(id);
    guest.paint(WHOLE, BLUE);

    await client.until(shows(BLUE));
  });

  test('when the process dies and comes back under the same run', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    guest.paint(WHOLE, RED);
    const { client } = rig.view(id);
    await client.until(shows(RED));

    await guest.close();
    const again = await rig.powerOn(id);
    again.paint(WHOLE, GREEN);

    await client.until(shows(GREEN));
  });

  test('when the guest sends what cannot be shown', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    guest.paint(WHOLE, RED);
    const { client } = rig.view(id);
    await client.until(shows(RED));

    const rectangle = { x: 60, y: 0, width: 8, height: 1, rgba: new Uint8Array(32) };
    guest.sendRaw({ frame: { number: 1000, width: 64, height: 48, rectangles: [rectangle] } });
    await guest.until((g) => g.attachments > 1);
    guest.paint(WHOLE, GREEN);

    await client.until(shows(GREEN));
    expect(JSON.stringify(rig.log.entries)).toContain('frame.bad');
  });

  test('while the store is away; and is served again when it is back', async () => {
    const store = new MemoryStore();
    await start({ store });
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const { client } = rig.view(id);
    await client.until(shows(0));

    store.setConnected(false);
    guest.paint(WHOLE, RED);
    await client.until(shows(RED));
    const refused = await rig.view(id).client.closed;
    await guest.close();
    await rigLog((text) => text.includes('store.unavailable'));
    store.setConnected(true);
    const again = await rig.powerOn(id, { run: 2 });
    again.paint(WHOLE, GREEN);

    await client.until(shows(GREEN));
    expect(refused).toContain('503');
  });
});

describe('the link to a guest', () => {
  test('is let go when nobody watches any more', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const first = rig.view(id);
    await first.client.until(shows(0));

    first.socket.close();
    await rigLog((text) => text.includes('a console is gone'));
    const second = rig.view(id);
    await second.client.until(shows(0));

    expect(guest.attachments).toBe(2);
  });

  test.each(['', 'nowhere', '%%%', 'unix:', 'dns:///a b', 'ipv4:999.1.1.1:1', 'http://localhost:1', 'unix:/no/such'])(
    'outlives a record that says the console is at %j',
    async (target) => {
      const id = await rig.register();
      await rig.observe(id, 'GUEST_PHASE_RUNNING', { console: { endpoint: { target }, token: 'x' } });
      const { client } = rig.view(id);
      await client.until((c) => c.dots.some((dot) => dot !== 0));

      const guest = await rig.powerOn(id);
      guest.paint(WHOLE, GREEN);

      await client.until(shows(GREEN));
    },
  );

  test('never shows its token to a log, nor to a guest that is another', async () => {
    const id = await rig.register();
    const other = await rig.register();
    const guest = await rig.powerOn(id, { token: 'very-secret' });
    await rig.observe(other, 'GUEST_PHASE_RUNNING', {
      console: { endpoint: { target: guest.target }, token: 'very-secret' },
    });
    guest.paint(WHOLE, RED);
    const { client } = rig.view(other);

    await rigLog((text) => text.includes('console.bad-answer'));
    await client.until((c) => c.updates > 0);

    expect(client.dot(0, 0)).not.toBe(RED);
    expect(JSON.stringify(rig.log.entries)).not.toContain('very-secret');
  });
});

describe('who may connect over WebSocket', () => {
  const refusal = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
    const { hostname, port } = new URL(rig.server.url);
    const socket = connect(Number(port), hostname);
    const lines = { host: `${hostname}:${port}`, connection: 'Upgrade', upgrade: 'websocket', ...headers };
    socket.write(
      `GET ${path} HTTP/1.1\r\n${Object.entries(lines)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString();
  };

  test('is a page of this very host, one that was named, or a program', async () => {
    await start({ allowedOrigins: ['https://tomei.example'] });
    const id = await rig.register();
    const path = `/console/guests/${id}/rfb`;
    const own = new URL(rig.server.url).origin;

    expect(await refusal(path, { origin: 'http://evil.example' })).toMatch(/^HTTP\/1.1 403[^]*origin.denied/);
    expect(await refusal(path, { origin: 'null' })).toMatch(/^HTTP\/1.1 403/);
    expect(await refusal(path, { origin: own })).toMatch(/^HTTP\/1.1 101/);
    expect(await refusal(path, { origin: 'https://tomei.example' })).toMatch(/^HTTP\/1.1 101/);
    expect(await refusal(path)).toMatch(/^HTTP\/1.1 101/);
  });

  test('has to name a guest that is there, and things that are', async () => {
    const id = await rig.register();

    expect(await refusal('/console/guests/nobody/rfb')).toMatch(/^HTTP\/1.1 404[^]*guest.missing/);
    expect(await refusal(`/console/guests/${id}/serial/4`)).toMatch(/^HTTP\/1.1 400[^]*request.bad/);
    expect(await refusal(`/console/guests/${id}/rfb?viewOnly=maybe`)).toMatch(/^HTTP\/1.1 400[^]*request.bad/);
    const plain = await fetch(rig.url(`/console/guests/${id}/rfb`));
    expect(plain.status).toBe(426);
  });

  test('is closed when it sends text, or a message that is too large', async () => {
    await start({ limits: { messageBytes: 1024 } });
    const id = await rig.register();
    const talking = rig.view(id);
    const large = rig.view(id);
    await Promise.all([talking.client.ready, large.client.ready]);

    talking.socket.send('hello');
    large.socket.send(Buffer.alloc(2000));

    expect(await talking.client.closed).toMatch(/^4000 viewer.refused: a text message/);
    expect(await large.client.closed).toMatch(/^1009/);
  });

  test('is told when the guest is deleted, and when the gateway stops', async () => {
    const id = await rig.register();
    const staying = rig.view(await rig.register());
    const { client } = rig.view(id);
    await Promise.all([client.ready, staying.client.ready]);

    await rig.records.remove(id);
    rig.events.emit({ noun: 'guest', subjectId: id, verb: 'deleted' });
    const deleted = await client.closed;
    await rig.gateway.close();

    expect(deleted).toMatch(/^4404 guest.missing: /);
    expect(await staying.client.closed).toMatch(/^1001 gateway.closing: /);
  });
});

describe('VNC over TCP', () => {
  test('is open for guests that want it, with their password, as long as they are there', async () => {
    const port = await freePort();
    const id = await rig.register({ spec: { vnc: { port, password: 'secret' } } });
    rig.events.emit({ noun: 'guest', subjectId: id, verb: 'registered' });
    const guest = await rig.powerOn(id);
    guest.paint(WHOLE, RED);
    await rigLog((text) => text.includes('a VNC port is open'));

    const right = viewTcp(port, { password: 'secret' });
    const wrong = viewTcp(port, { password: 'guess' });
    await right.client.until(shows(RED));
    right.client.key(0x61, true);
    await guest.until((g) => g.keys.length === 1);
    await expect(wrong.client.ready).rejects.toThrow();
    await rig.records.remove(id);
    rig.events.emit({ noun: 'guest', subjectId: id, verb: 'deleted' });
    await right.client.closed;

    await rigLog((text) => text.includes('a VNC port is closed'));
    expect(rig.gateway.vncPorts.size).toBe(0);
    right.socket.destroy();
    wrong.socket.destroy();
  });

  test('goes on without a port that somebody else has, and opens it when it is free', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const id = await rig.register({ spec: { vnc: { port } } });
    await rig.powerOn(id);
    await rigLog((text) => text.includes('a VNC port cannot be opened'));

    expect(await rig.metric('tomei_console_vnc_ports', 'state="failed"')).toBe(1);
    taken.close();
    await rigLog((text) => text.includes('a VNC port is open'));

    expect(rig.gateway.vncPorts.get(id)).toBe(port);
  });

  const hasVncSnapshot = spawnSync('vncsnapshot', ['-help']).error === undefined;
  test.skipIf(!hasVncSnapshot)('shows the picture to vncsnapshot (skipped when it is not installed)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'snapshot-'));
    const port = await freePort();
    const id = await rig.register({ spec: { vnc: { port } } });
    const guest = await rig.powerOn(id, { width: 160, height: 120 });
    guest.paint({ x: 0, y: 0, width: 160, height: 120 }, GREEN);
    await rigLog((text) => text.includes('a VNC port is open'));
    const { spawn } = await import('node:child_process');
    const file = join(folder, 'picture.jpg');

    const program = spawn('vncsnapshot', ['-quiet', `127.0.0.1::${port}`, file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    program.stderr.on('data', (text: Buffer) => (said += text.toString()));
    program.stdout.on('data', (text: Buffer) => (said += text.toString()));
    const [code] = (await once(program, 'exit')) as [number];

    expect({ code, said }).toMatchObject({ code: 0 });
    expect(jpegSize(readFileSync(file))).toEqual({ width: 160, height: 120 });
    rmSync(folder, { recursive: true });
  });
});

/** Of the start-of-frame segment (ITU T.81, B.2.2). */
function jpegSize(file: Buffer): { width: number; height: number } {
  for (let at = 2; ; at += 2 + file.readUInt16BE(at + 2))
    if (file[at + 1] === 0xc0) return { width: file.readUInt16BE(at + 7), height: file.readUInt16BE(at + 5) };
}
