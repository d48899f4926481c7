/**
 * The I/O thread's side of the virtio console: each port listens at a unix socket for one program at a time. What the guest sends
 * waits for a program that reads slowly, and the guest waits then; what a program sends waits for the guest.
 */
import type { Server, Socket } from 'node:net';
import { ByteRing, TomeiError, messageOf, type Doorbell } from '@tomei/kit';
import { listenAtSocket } from '../unix-listener.ts';
import type { PortRings } from './ring-port.ts';

/** When to look again whether the guest has read. */
const RETRY_MS = 10;
const READ_BYTES = 1 << 16;

export interface PortPlace {
  readonly name: string;
  /** Absent: nobody is ever there. */
  readonly socket?: string;
  readonly rings: PortRings;
}

class PortServer {
  readonly place: PortPlace;
  private readonly output: ByteRing;
  private readonly input: ByteRing;
  private readonly open: Int32Array;
  private readonly bell: Doorbell;
  private server: Server | undefined;
  private client: Socket | undefined;
  private rest: Buffer | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(place: PortPlace, bell: Doorbell) {
    this.place = place;
    this.output = new ByteRing(place.rings.output);
    this.input = new ByteRing(place.rings.input);
    this.open = new Int32Array(place.rings.open);
    this.bell = bell;
  }

  async listen(): Promise<void> {
    const { name, socket: path } = this.place;
    if (path === undefined) return;
    try {
      this.server = await listenAtSocket(path, (client) => this.greet(client));
    } catch (error) {
      throw new TomeiError('port.socket', `the port ${name} cannot listen at ${path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** One at a time: the bytes of two would be mixed. */
  private greet(client: Socket): void {
    if (this.client !== undefined) return void client.destroy();
    this.client = client;
    client.on('data', (bytes) => this.bring(bytes));
    client.on('drain', () => this.poll());
    client.on('error', () => undefined);
    client.on('close', () => this.left());
    Atomics.store(this.open, 0, 1);
    this.bell.ring();
  }
  private left(): void {
    this.client = undefined;
    Atomics.store(this.open, 0, 0);
    this.poll();
    this.bell.ring();
  }
  /** From the program to the guest. */
  private bring(bytes: Buffer): void {
    const written = this.input.write(bytes);
    this.bell.ring();
    if (written === bytes.length) return;
    this.rest = bytes.subarray(written);
    this.client?.pause();
    this.timer = setTimeout(() => {
      const { rest } = this;
      this.rest = undefined;
      if (rest !== undefined) this.bring(rest);
      if (this.rest === undefined) this.client?.resume();
    }, RETRY_MS);
  }
  /** From the guest to the program; what is left of one that went is nobody's. */
  poll(): void {
    let passed = false;
    while (this.output.used > 0 && this.client?.writableNeedDrain !== true) {
      const bytes = this.output.read(READ_BYTES);
      this.client?.write(bytes);
      passed = true;
    }
    if (passed) this.bell.ring();
  }
  close(): void {
    clearTimeout(this.timer);
    this.server?.close();
    this.client?.end();
    this.client?.unref();
  }
}

export class PortServers {
  private readonly servers: readonly PortServer[];

  /** `bell` is rung when something is there for the vCPU thread. */
  constructor(places: readonly PortPlace[], bell: Doorbell) {
    this.servers = places.map((place) => new PortServer(place, bell));
  }
  /** A port that cannot listen is warned of, and the guest runs with nobody there. */
  async listen(warn: (text: string) => void): Promise<void> {
    for (const server of this.servers) {
      try {
        await server.listen();
      } catch (error) {
        warn(messageOf(error));
      }
    }
  }
  /** Passes on what the guest sent. Call when the I/O bell rings. */
  poll(): void {
    for (const server of this.servers) server.poll();
  }
  close(): void {
    for (const server of this.servers) server.close();
  }
}
