/**
 * The host's end of a guest's virtio sockets, at unix sockets as Firecracker has them: a program connects to PATH, writes `CONNECT PORT`
 * and a newline, reads `OK` and a port, and speaks to the guest's program at PORT; a guest's program that connects to the host's port
 * P reaches who listens at PATH_P. It trusts no guest: what each may hold is bounded.
 */
import { connect, type Server, type Socket } from 'node:net';
import { ByteRing, TomeiError, messageOf, type Doorbell } from '@tomei/kit';
import {
  HOST_CID,
  VSOCK_HEADER_BYTES,
  VSOCK_OP,
  VSOCK_TYPE_STREAM,
  decodeVsockHeader,
  encodeVsockPacket,
  type VsockHeader,
} from '@tomei/paravirt-core';
import { decodeNumbered } from '../numbered-message.ts';
import { MOST_SOCKET_PATH, listenAtSocket } from '../unix-listener.ts';
import { Connection } from './connection.ts';
import { RESET, type VsockRings } from './ring-vsock.ts';

/** Connections of a guest, in whatever state. */
export const MOST_CONNECTIONS = 512;
/** Programs that have not said yet where they want to. */
const MOST_GREETED = 64;
/** `CONNECT`, a space, a port and a newline. */
const MOST_LINE = 32;
/** Bytes on their way to the guest from which on programs wait, and from which on even refusals are lost. */
const FULL_BYTES = 256 * 1024;
const MOST_UNSENT_BYTES = 4 << 20;
/** Of the host's ends of connections that it asks for. */
const FIRST_PORT = 2 ** 30;
/** When to look again whether a full ring has room. */
const RETRY_MS = 10;
const MOST_PORT = 0xffff_fffe;

export interface VsockPlace {
  readonly cid: number;
  /** Absent: nobody is there. */
  readonly socket?: string;
  readonly rings: VsockRings;
}

const keyOf = (guestPort: number, hostPort: number): string => `${guestPort} ${hostPort}`;

export class VsockServer {
  private readonly place: VsockPlace;
  private readonly bell: Doorbell;
  private readonly output: ByteRing;
  private readonly dones: ByteRing;
  private readonly input: ByteRing;
  private readonly connections = new Map<string, Connection>();
  /** Of those that the host asks for and the guest has not answered: what tells the program. */
  private readonly asked = new Map<string, () => void>();
  private readonly greeted = new Set<Socket>();
  private readonly unsent: Uint8Array[] = [];
  private unsentBytes = 0;
  private readonly undone: number[] = [];
  private lastPort = FIRST_PORT - 1;
  private server: Server | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  /** `bell` is rung when something is there for the vCPU thread. */
  constructor(place: VsockPlace, bell: Doorbell) {
    this.place = place;
    this.bell = bell;
    this.output = new ByteRing(place.rings.output);
    this.dones = new ByteRing(place.rings.done);
    this.input = new ByteRing(place.rings.input);
  }

  /** Lets programs of the host connect. Throws `vsock.socket`. */
  async listen(): Promise<void> {
    const { socket: path } = this.place;
    if (path === undefined) return;
    try {
      this.server = await listenAtSocket(path, (client) => this.greet(client), { allowHalfOpen: true });
    } catch (error) {
      const what = `the guest's virtio sockets cannot be reached at ${path}: ${messageOf(error)}`;
      throw new TomeiError('vsock.socket', what, { cause: error });
    }
  }
  /** Takes what the guest sent. Call when the I/O bell rings. */
  poll(): void {
    for (let message = this.output.readMessage(); message !== undefined; message = this.output.readMessage()) {
      const { id, bytes } = decodeNumbered(message);
      if (bytes.length === RESET.length) this.driverReset();
      else {
        this.hear(bytes);
        this.undone.push(id);
      }
    }
    this.pass();
  }
  /** The guest knows of none of its connections any more. */
  private driverReset(): void {
    for (const connection of [...this.connections.values()]) connection.close();
    this.unsent.length = 0;
    this.unsentBytes = 0;
  }
  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.server?.close();
    for (const client of this.greeted) client.destroy();
    for (const connection of [...this.connections.values()]) connection.close();
  }

  /** Waits for the line in which a program says where it wants to. */
  private greet(client: Socket): void {
    client.on('error', () => undefined);
    if (this.isClosed || this.greeted.size >= MOST_GREETED) return void client.destroy();
    this.greeted.add(client);
    client.once('close', () => this.greeted.delete(client));
    let line = Buffer.alloc(0);
    const read = (): void => {
      const bytes = client.read() as Buffer | null;
      if (bytes === null) return void (client.readableEnded && client.destroy());
      line = Buffer.concat([line, bytes]);
      const end = line.indexOf('\n');
      if (end < 0 && line.length < MOST_LINE) return;
      client.off('readable', read);
      client.off('end', gaveUp);
      this.greeted.delete(client);
      const port = Number(
        /^CONNECT ([0-9]{1,10})\r?$/.exec(line.subarray(0, Math.max(0, end)).toString('latin1'))?.[1],
      );
      if (!(port <= MOST_PORT) || this.connections.size >= MOST_CONNECTIONS) return void client.destroy();
      if (end + 1 < line.length) client.unshift(line.subarray(end + 1));
      this.ask(client, port);
    };
    const gaveUp = (): void => void client.destroy();
    client.on('readable', read);
    client.once('end', gaveUp);
  }
  /** Asks the guest for a connection to one of its ports. */
  private ask(client: Socket, guestPort: number): void {
    do this.lastPort = this.lastPort >= MOST_PORT ? FIRST_PORT : this.lastPort + 1;
    while (this.connections.has(keyOf(guestPort, this.lastPort)));
    const hostPort = this.lastPort;
    const connection = this.add(client, guestPort, hostPort);
    this.asked.set(keyOf(guestPort, hostPort), () => client.write(`OK ${hostPort}\n`));
    connection.request();
    this.pass();
  }
  private add(socket: Socket, guestPort: number, hostPort: number): Connection {
    const key = keyOf(guestPort, hostPort);
    const ends = { sourcePort: hostPort, targetPort: guestPort, type: VSOCK_TYPE_STREAM };
    const connection = new Connection(socket, {
      send: ({ op, flags = 0, bufAlloc, fwdCnt }, body) => {
        this.send({ ...ends, op, flags, bufAlloc, fwdCnt }, body);
        this.pass();
      },
      isFull: () => this.unsentBytes >= FULL_BYTES,
      over: () => {
        this.connections.delete(key);
        this.asked.delete(key);
      },
    });
    this.connections.set(key, connection);
    return connection;
  }

  /** A packet of the guest's. */
  private hear(packet: Uint8Array): void {
    const header = decodeVsockHeader(packet);
    const { sourcePort, targetPort, op, type } = header;
    // Whoever sends in another one's name, or to another one, is not answered.
    if (header.sourceCid !== this.place.cid || header.targetCid !== HOST_CID) return;
    const key = keyOf(sourcePort, targetPort);
    const connection = this.connections.get(key);
    if (connection === undefined) {
      if (op === VSOCK_OP.request && type === VSOCK_TYPE_STREAM) this.accept(header);
      else if (op !== VSOCK_OP.rst) this.refuse(header);
    } else if (op === VSOCK_OP.rst) connection.close();
    else if (type !== VSOCK_TYPE_STREAM) connection.reset();
    else if (connection.isOpen) connection.hear(header, packet.subarray(VSOCK_HEADER_BYTES));
    else {
      const welcome = this.asked.get(key);
      if (op !== VSOCK_OP.response || welcome === undefined) return connection.reset();
      welcome();
      connection.open(header, false);
    }
  }
  /** A program of the guest wants to a port of the host. */
  private accept(header: VsockHeader): void {
    const { socket: path } = this.place;
    const { sourcePort, targetPort } = header;
    const target = `${path}_${targetPort}`;
    const isPossible = path !== undefined && Buffer.byteLength(target) <= MOST_SOCKET_PATH;
    if (!isPossible || this.isClosed || this.connections.size >= MOST_CONNECTIONS) return this.refuse(header);
    const socket = connect({ path: target, allowHalfOpen: true });
    const connection = this.add(socket, sourcePort, targetPort);
    socket.once('connect', () => connection.open(header, true));
  }
  private refuse({ sourcePort, targetPort, type }: VsockHeader): void {
    const ends = { sourcePort: targetPort, targetPort: sourcePort };
    this.send({ ...ends, type, op: VSOCK_OP.rst, flags: 0, bufAlloc: 0, fwdCnt: 0 });
  }

  private send(what: Omit<VsockHeader, 'length' | 'sourceCid' | 'targetCid'>, body?: Uint8Array): void {
    // A guest that takes nothing and asks for ever. Data never comes so far.
    if (this.unsentBytes >= MOST_UNSENT_BYTES) return;
    const packet = encodeVsockPacket({ ...what, sourceCid: HOST_CID, targetCid: this.place.cid }, body);
    this.unsent.push(packet);
    this.unsentBytes += packet.length;
  }
  /** Gives the vCPU thread what there is, as far as its rings have room. */
  private pass(): void {
    clearTimeout(this.timer);
    const wasFull = this.unsentBytes >= FULL_BYTES;
    const [before, doneBefore] = [this.unsent.length, this.undone.length];
    while (this.undone.length > 0 && this.dones.capacity - this.dones.used >= 4)
      this.dones.write(new Uint8Array(Uint32Array.of(this.undone.shift()!).buffer));
    while (this.unsent.length > 0 && this.input.writeMessage(this.unsent[0]!))
      this.unsentBytes -= this.unsent.shift()!.length;
    if (this.unsent.length < before || this.undone.length < doneBefore) this.bell.ring();
    if (this.isClosed) return;
    if (this.unsent.length > 0 || this.undone.length > 0) this.timer = setTimeout(() => this.pass(), RETRY_MS);
    if (wasFull && this.unsentBytes < FULL_BYTES) for (const connection of this.connections.values()) connection.pump();
  }
}
