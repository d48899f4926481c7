/** The port at which a debugger attaches: one connection at a time, its bytes through rings to the vCPU thread and back. */
import { createServer, type Server, type Socket } from 'node:net';
import { ByteRing, TomeiError, messageOf, type Doorbell } from '@tomei/kit';
import { DEBUGGER_CHUNK, FROM_DEBUGGER, type DebuggerRings } from './debug-session.ts';

/** Whoever reaches the port owns the guest: it is this machine's alone. */
const LOOPBACK = '127.0.0.1';
const UNIX = 'unix:';
/** When to look again whether a full ring has room. */
const RETRY_MS = 5;

/** Where to listen: a port, `host:port` or `unix:/path`. Throws `gdb.bad-address`. */
function placeOf(where: string): { readonly path: string } | { readonly host: string; readonly port: number } {
  if (where.startsWith(UNIX)) return { path: where.slice(UNIX.length) };
  const at = where.lastIndexOf(':'),
    text = where.slice(at + 1),
    port = Number(text);
  if (!/^\d+$/.test(text) || port > 0xffff)
    throw new TomeiError('gdb.bad-address', `--gdb ${where}: give a port, host:port or unix:/path`);
  return { host: at <= 0 ? LOOPBACK : where.slice(0, at), port };
}
/** Throws `gdb.bad-address` for what is none. */
export const checkAddress = (where: string): void => void placeOf(where);

export class GdbServer {
  /** What to tell GDB after `target remote`. */
  readonly address: string;
  private readonly server: Server;
  private readonly input: ByteRing;
  private readonly output: ByteRing;
  private readonly vcpuBell: Doorbell;
  private socket: Socket | undefined;
  private waiting: Uint8Array[] = [];

  private constructor(server: Server, address: string, rings: DebuggerRings, vcpuBell: Doorbell) {
    this.server = server;
    this.address = address;
    this.input = new ByteRing(rings.input);
    this.output = new ByteRing(rings.output);
    this.vcpuBell = vcpuBell;
    server.on('connection', (socket) => this.connected(socket));
  }
  /** Throws `gdb.cannot-listen` with the host's word for why, or `gdb.bad-address`. */
  static async open(where: string, rings: DebuggerRings, vcpuBell: Doorbell): Promise<GdbServer> {
    const place = placeOf(where),
      server = createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(place, resolve);
      });
    } catch (cause) {
      throw new TomeiError('gdb.cannot-listen', `--gdb ${where}: ${messageOf(cause)}`, { cause });
    }
    const bound = server.address();
    const address =
      bound === null || typeof bound === 'string'
        ? (bound ?? where)
        : `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
    return new GdbServer(server, address, rings, vcpuBell);
  }

  private connected(socket: Socket): void {
    if (this.socket !== undefined) return void socket.destroy();
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Uint8Array) => {
      for (let at = 0; at < bytes.length; at += DEBUGGER_CHUNK)
        this.tell(FROM_DEBUGGER.bytes, bytes.subarray(at, at + DEBUGGER_CHUNK));
      if (this.waiting.length > 0) socket.pause();
    });
    socket.on('close', () => {
      this.socket = undefined;
      this.tell(FROM_DEBUGGER.closed);
    });
    // What the guest said to the one before is nobody's.
    this.output.read(this.output.used);
    this.tell(FROM_DEBUGGER.opened);
  }
  private tell(kind: number, bytes: Uint8Array = new Uint8Array(0)): void {
    const message = new Uint8Array(1 + bytes.length);
    message[0] = kind;
    message.set(bytes, 1);
    this.waiting.push(message);
    this.passIn();
  }
  private passIn(): void {
    while (this.waiting.length > 0 && this.input.writeMessage(this.waiting[0]!)) this.waiting.shift();
    this.vcpuBell.ring();
    if (this.waiting.length > 0) setTimeout(() => this.passIn(), RETRY_MS).unref();
    else this.socket?.resume();
  }
  /** Passes on what the vCPU thread has left. */
  poll(): void {
    for (let bytes = this.output.read(DEBUGGER_CHUNK); bytes.length > 0; bytes = this.output.read(DEBUGGER_CHUNK)) {
      this.socket?.write(bytes);
      // There is room for more.
      this.vcpuBell.ring();
    }
  }
  close(): void {
    this.poll();
    this.socket?.end();
    this.server.close();
  }
}
