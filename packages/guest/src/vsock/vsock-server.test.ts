/** The host's end of virtio sockets: real unix sockets on one side, packets as a guest's driver sends them on the other. */
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Doorbell } from '@tomei/kit';
import {
  SHUTDOWN_RECEIVE,
  SHUTDOWN_SEND,
  VSOCK_HEADER_BYTES,
  VSOCK_OP,
  decodeVsockHeader,
  encodeVsockPacket,
  type VsockHeader,
} from '@tomei/paravirt-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONNECTION_BYTES } from './connection.ts';
import { RingVsock, allocateVsockRings } from './ring-vsock.ts';
import { MOST_CONNECTIONS, VsockServer } from './vsock-server.ts';

const CID = 5;
const HOST = 2;
interface Heard extends VsockHeader {
  readonly body: Buffer;
}
let folder: string;
let path: string;
let guest: GuestSide;
const servers: Server[] = [];
const sockets: Socket[] = [];

/** A guest's driver: sends any packet, and hears what comes. */
class GuestSide {
  readonly server: VsockServer;
  readonly ring: RingVsock;
  readonly done: number[] = [];
  private readonly bell = new Doorbell(Doorbell.allocate());
  private readonly heard: Heard[] = [];
  private lastId = 0;

  constructor() {
    const rings = allocateVsockRings();
    this.server = new VsockServer({ cid: CID, socket: path, rings }, this.bell);
    this.ring = new RingVsock(CID, rings, false);
  }
  send(packet: Partial<VsockHeader>, body = ''): void {
    const usual = { sourceCid: CID, targetCid: HOST, sourcePort: 1000, targetPort: 80, type: 1, op: VSOCK_OP.rw };
    const header = { ...usual, flags: 0, bufAlloc: 1 << 20, fwdCnt: 0, ...packet };
    this.ring.submit(++this.lastId, encodeVsockPacket(header, Buffer.from(body, 'latin1')));
    this.look();
  }
  /** Both ends take what there is. */
  look(): void {
    this.ring.flush();
    this.server.poll();
    for (let id = this.ring.takeDone(); id !== undefined; id = this.ring.takeDone()) this.done.push(id);
    for (let { waiting } = this.ring; waiting !== undefined; waiting = this.ring.waiting) {
      const packet = this.ring.took(waiting, waiting.length - VSOCK_HEADER_BYTES);
      this.heard.push({ ...decodeVsockHeader(packet), body: Buffer.from(packet.subarray(VSOCK_HEADER_BYTES)) });
    }
  }
  /** The next packet. */
  async next(): Promise<Heard> {
    for (;;) {
      const { ticket } = this.bell;
      this.look();
      const packet = this.heard.shift();
      if (packet !== undefined) return packet;
      await this.bell.waitAsync(ticket);
    }
  }
  /** The next packet that is none of these operations. */
  async nextBut(...ops: readonly number[]): Promise<Heard> {
    for (;;) {
      const packet = await this.next();
      if (!ops.includes(packet.op)) return packet;
    }
  }
  /** What has come and was not asked for. */
  get rest(): readonly Heard[] {
    this.look();
    return this.heard.splice(0);
  }
}
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-vsock-'));
  path = join(folder, 'v.sock');
  guest = new GuestSide();
  await guest.server.listen();
});
afterEach(async () => {
  guest.server.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true });
});

/** A program of the host that connects. */
async function program(text: string): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}
const text = async (socket: Socket): Promise<string> => String((await once(socket, 'data'))[0]);
/** A connection that a program of the host has opened to port 52 of the guest. */
async function opened(bufAlloc = 1 << 20): Promise<{ socket: Socket; port: number }> {
  const socket = await program('CONNECT 52\n');
  const { op, sourcePort: port } = await guest.next();
  expect(op).toBe(VSOCK_OP.request);
  guest.send({ op: VSOCK_OP.response, sourcePort: 52, targetPort: port, bufAlloc });
  expect(await text(socket)).toBe(`OK ${port}\n`);
  return { socket, port };
}

describe('a program of the host', () => {
  it('reaches one of the guest, and what it said too early arrives', async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const socket = await program('CONNECT 52\nhello');
    const request = await guest.next();
    expect(request).toMatchObject({ sourceCid: HOST, targetCid: CID, targetPort: 52, type: 1, op: VSOCK_OP.request });
    expect(request.bufAlloc).toBe(CONNECTION_BYTES);
    const port = request.sourcePort;
    guest.send({ op: VSOCK_OP.response, sourcePort: 52, targetPort: port });
    expect(await text(socket)).toBe(`OK ${port}\n`);
    expect(await guest.next()).toMatchObject({ op: VSOCK_OP.rw, length: 5, body: Buffer.from('hello') });
    guest.send({ sourcePort: 52, targetPort: port }, 'and back');
    expect(await text(socket)).toBe('and back');
    expect(guest.done).toEqual([1, 2]);
  });
  it('is let go when the guest has nobody at that port', async () => {
    const socket = await program('CONNECT 53\n');
    const { sourcePort } = await guest.next();
    socket.resume();
    guest.send({ op: VSOCK_OP.rst, sourcePort: 53, targetPort: sourcePort });
    await once(socket, 'end');
    expect(guest.rest).toEqual([]);
  });
  it.each(['GET / HTTP/1.0\n', 'CONNECT \n', 'CONNECT 4294967295\n', 'CONNECT 1 2\n', 'connect 1\n', 'x'.repeat(40)])(
    'that says %j is let go',
    async (line) => {
      const socket = await program(line);
      socket.resume();
      await once(socket, 'end');
      expect(guest.rest).toEqual([]);
    },
  );
  it('sends no more than the guest has room for, and asks for more', async () => {
    const { socket, port } = await opened(1000);
    const said = Buffer.from(Array.from({ length: 2500 }, (_, i) => 97 + (i % 26)));
    socket.write(said);
    const heard: Buffer[] = [];
    for (const fwdCnt of [1000, 2000, 2500]) {
      for (let bytes = Buffer.concat(heard).length; bytes < fwdCnt;) {
        const packet = await guest.next();
        if (packet.op === VSOCK_OP.creditRequest) continue;
        expect(packet.op).toBe(VSOCK_OP.rw);
        heard.push(packet.body);
        bytes += packet.length;
        expect(bytes).toBeLessThanOrEqual(fwdCnt);
      }
      if (fwdCnt < 2500) expect((await guest.next()).op).toBe(VSOCK_OP.creditRequest);
      guest.send({ op: VSOCK_OP.creditUpdate, sourcePort: 52, targetPort: port, bufAlloc: 1000, fwdCnt });
    }
    expect(Buffer.concat(heard).equals(said)).toBe(true);
  });
  it('shuts its half, and hears the guest to the end', async () => {
    const { socket, port } = await opened();
    socket.end('the last');
    expect((await guest.next()).body.toString()).toBe('the last');
    expect(await guest.next()).toMatchObject({ op: VSOCK_OP.shutdown, flags: SHUTDOWN_SEND });
    guest.send({ sourcePort: 52, targetPort: port }, 'an answer');
    expect(await text(socket)).toBe('an answer');
    guest.send({ op: VSOCK_OP.shutdown, sourcePort: 52, targetPort: port, flags: SHUTDOWN_RECEIVE | SHUTDOWN_SEND });
    await once(socket.resume(), 'end');
    expect((await guest.nextBut(VSOCK_OP.creditUpdate)).op).toBe(VSOCK_OP.rst);
  });
  it('that goes away is gone for the guest', async () => {
    const { socket, port } = await opened();
    socket.destroy();
    expect((await guest.next()).op).toBe(VSOCK_OP.shutdown);
    // Whether that was half or all of it, the guest finds out by sending.
    guest.send({ sourcePort: 52, targetPort: port }, 'x'.repeat(1000));
    guest.send({ sourcePort: 52, targetPort: port }, 'x'.repeat(1000));
    expect(await guest.nextBut(VSOCK_OP.creditUpdate)).toMatchObject({
      op: VSOCK_OP.shutdown,
      flags: SHUTDOWN_RECEIVE | SHUTDOWN_SEND,
    });
  });
  it('hears of a reset of the device as of an end', async () => {
    const { socket } = await opened();
    socket.resume();
    guest.ring.reset();
    guest.look();
    await once(socket, 'end');
  });
});

describe('a program of the guest', () => {
  it('reaches one of the host by its port, and no other', async () => {
    const server = createServer({ allowHalfOpen: true }).listen(`${path}_1234`);
    servers.push(server);
    await once(server, 'listening');
    guest.send({ op: VSOCK_OP.request, sourcePort: 9, targetPort: 1234 });
    const [client] = (await once(server, 'connection')) as [Socket];
    sockets.push(client);
    expect(await guest.next()).toMatchObject({ op: VSOCK_OP.response, sourcePort: 1234, targetPort: 9 });
    guest.send({ sourcePort: 9, targetPort: 1234 }, 'ask');
    expect(await text(client)).toBe('ask');
    client.end('answer');
    expect((await guest.next()).body.toString()).toBe('answer');

    guest.send({ op: VSOCK_OP.request, sourcePort: 9, targetPort: 1235 });
    expect(await guest.nextBut(VSOCK_OP.shutdown)).toMatchObject({ op: VSOCK_OP.rst, sourcePort: 1235, targetPort: 9 });
  });
  it('may send on as the program of the host reads, for as long as it likes', async () => {
    const { socket, port } = await opened();
    const piece = 'y'.repeat(32 * 1024);
    let heard = 0;
    socket.on('data', (bytes: Buffer) => void (heard += bytes.length));
    let [sent, forwarded] = [0, 0];
    while (sent < 2 << 20) {
      while (sent - forwarded + piece.length > CONNECTION_BYTES) {
        const update = await guest.next();
        expect(update.op).toBe(VSOCK_OP.creditUpdate);
        forwarded = update.fwdCnt;
      }
      guest.send({ sourcePort: 52, targetPort: port }, piece);
      sent += piece.length;
    }
    await expect.poll(() => heard).toBe(sent);
  });
  it('that sends beyond its credit is cut off', async () => {
    const { port } = await opened();
    // Nobody reads: beyond what the host's sockets hold there is this end's room and no more.
    for (let i = 0; i < 40; i++) guest.send({ sourcePort: 52, targetPort: port }, 'z'.repeat(64 * 1024));
    expect((await guest.nextBut(VSOCK_OP.creditUpdate)).op).toBe(VSOCK_OP.rst);
  });
  it('cannot have more connections than there are', async () => {
    const server = createServer((socket) => void sockets.push(socket)).listen(`${path}_7`);
    servers.push(server);
    await once(server, 'listening');
    for (let i = 0; i < MOST_CONNECTIONS; i++) guest.send({ op: VSOCK_OP.request, sourcePort: i, targetPort: 7 });
    for (let i = 0; i < MOST_CONNECTIONS; i++) expect((await guest.next()).op).toBe(VSOCK_OP.response);
    guest.send({ op: VSOCK_OP.request, sourcePort: 9999, targetPort: 7 });
    expect((await guest.next()).op).toBe(VSOCK_OP.rst);
    guest.send({ op: VSOCK_OP.rst, sourcePort: 0, targetPort: 7 });
    guest.send({ op: VSOCK_OP.request, sourcePort: 9999, targetPort: 7 });
    expect((await guest.next()).op).toBe(VSOCK_OP.response);
  });
});

describe('a hostile guest', () => {
  it.each<[string, Partial<VsockHeader>]>([
    ['data for no connection', {}],
    ['an answer to no question', { op: VSOCK_OP.response }],
    ['a request for datagrams', { op: VSOCK_OP.request, type: 3 }],
    ['an operation that there is not', { op: 77 }],
  ])('gets a reset for %s', async (_what, packet) => {
    guest.send(packet);
    expect(await guest.next()).toMatchObject({ op: VSOCK_OP.rst, sourcePort: 80, targetPort: 1000 });
  });
  it('gets nothing for what is in another one’s name, or for another one', () => {
    guest.send({ op: VSOCK_OP.request, sourceCid: 6 });
    guest.send({ op: VSOCK_OP.request, targetCid: 6 });
    guest.send({ op: VSOCK_OP.request, targetCid: 2 ** 33 + HOST });
    guest.send({ op: VSOCK_OP.rst });
    expect(guest.rest).toEqual([]);
    expect(guest.done).toHaveLength(4);
  });
  it('cannot answer for a program of the host that it wants to reach itself', async () => {
    const server = createServer((socket) => void sockets.push(socket)).listen(`${path}_7`);
    servers.push(server);
    await once(server, 'listening');
    guest.send({ op: VSOCK_OP.request, sourcePort: 1, targetPort: 7 });
    guest.send({ op: VSOCK_OP.response, sourcePort: 1, targetPort: 7 });
    expect((await guest.next()).op).toBe(VSOCK_OP.rst);
  });
  it('harms nobody with packets of any kind (seeded)', async () => {
    let seed = 77;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => undefined));
      socket.on('data', (bytes: Buffer) => void (random(3) === 0 ? socket.end(bytes) : socket.write(bytes)));
    }).listen(`${path}_7`);
    servers.push(server);
    await once(server, 'listening');
    const { socket, port } = await opened();
    for (let round = 0; round < 5000; round++) {
      const sourcePort = random(4);
      guest.send(
        {
          ...{ sourcePort, targetPort: random(8) === 0 ? random(2 ** 32) : 7, op: random(10), flags: random(8) },
          ...{ bufAlloc: random(2) * random(2 ** 32), fwdCnt: random(3) === 0 ? random(2 ** 32) : random(5000) },
          type: random(20) === 0 ? random(4) : 1,
        },
        'q'.repeat(random(4) * random(2000)),
      );
      if (round % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(guest.done).toHaveLength(5001);
    guest.send({ sourcePort: 52, targetPort: port }, 'still here');
    expect(await text(socket)).toBe('still here');
  });
  it('that asks for ever and takes nothing is not remembered for ever', () => {
    // Nobody takes the answers, of which each is a reset.
    for (let i = 0; i < 200_000; i++) {
      guest.ring.submit(i, encodeVsockPacket({ sourceCid: CID, targetCid: HOST, sourcePort: 1, targetPort: 2, type: 1, op: VSOCK_OP.rw, flags: 0, bufAlloc: 0, fwdCnt: 0 })); // prettier-ignore
      if (i % 1000 === 0) {
        guest.ring.flush();
        guest.server.poll();
        while (guest.ring.takeDone() !== undefined);
      }
    }
    expect(guest.rest.length).toBeLessThan(130_000);
  });
});

it('a socket that cannot be listened at is told of', async () => {
  const other = new GuestSide();
  await expect(other.server.listen()).rejects.toMatchObject({
    code: 'vsock.socket',
    message: expect.stringMatching(/v\.sock: another program listens there/) as string,
  });
});
