/**
 * A network between the guest processes of one user: every process has a connection to every other, so that whoever goes takes
 * nothing along, and nobody has to be first. Each listens at a socket in the network's folder, and calls those that it finds there.
 * It is a hub: a frame goes to all, and the cards choose. What somebody is too slow to take is lost to them, as on a wire.
 */
import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { TomeiError, messageOf } from '@tomei/kit';
import { FrameStream, NAME_BYTES, framed, greeting } from './frame-stream.ts';

/** Processes on one network; the rest is refused. */
export const MOST_PEERS = 64;
/** Bytes that may wait for one of them. */
const MOST_WAITING = 1 << 22;
const GREETING_MS = 5_000;
/** A socket at which nobody listens is a dead process's when it is older than this: younger, it may be about to listen. */
const STALE_MS = 10_000;

export interface SegmentParts {
  /** From `meetingPlace`. */
  readonly folder: string;
  /** A frame from another process, there until it returns. */
  readonly onFrame: (frame: Uint8Array) => void;
  /** Somebody misbehaved and was sent away; the network goes on. */
  readonly onTrouble: (error: TomeiError) => void;
}
interface Peer {
  readonly socket: Socket;
  /** The name of the one that called the other. */
  readonly caller: string;
}

export class NetworkSegment {
  /** Of frames that found no room on their way to somebody. */
  lost = 0;
  private readonly parts: SegmentParts;
  private readonly name = randomBytes(NAME_BYTES).toString('hex');
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly peers = new Map<string, Peer>();
  private closed = false;

  private constructor(parts: SegmentParts) {
    this.parts = parts;
    this.server = createServer((socket) => this.meet(socket, false));
    this.server.maxConnections = MOST_PEERS;
  }
  /** Throws `network.unreachable` where there can be no socket. */
  static async join(parts: SegmentParts): Promise<NetworkSegment> {
    const segment = new NetworkSegment(parts);
    try {
      await segment.listen();
      // Listening first: of two that come at once, at least one finds the other.
      await segment.callOthers();
    } catch (cause) {
      segment.close();
      throw new TomeiError('network.unreachable', `cannot meet other guests in ${parts.folder}: ${messageOf(cause)}`, {
        cause,
        data: { folder: parts.folder },
      });
    }
    return segment;
  }

  /** Processes that are connected now. */
  get others(): number {
    return this.peers.size;
  }
  send(frame: Uint8Array): void {
    if (this.peers.size === 0) return;
    const bytes = framed(frame);
    for (const { socket } of this.peers.values()) {
      if (socket.writableLength + bytes.length > MOST_WAITING) this.lost++;
      else socket.write(bytes);
    }
  }
  /** Leaves at once; the socket's name goes with it. */
  close(): void {
    this.closed = true;
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(join(this.parts.folder, this.name), () => {
        this.server.off('error', reject);
        // A failing accept, as for want of descriptors, is the caller's loss.
        this.server.on('error', () => undefined);
        resolve();
      });
    });
  }
  private async callOthers(): Promise<void> {
    const names = (await readdir(this.parts.folder)).filter((name) => name !== this.name);
    await Promise.all(names.slice(0, MOST_PEERS * 4).map((name) => this.call(join(this.parts.folder, name))));
  }
  private call(path: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(path);
      socket.once('connect', () => {
        this.meet(socket, true);
        resolve();
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code === 'ECONNREFUSED' ? removeStale(path) : undefined);
      });
    });
  }
  /** `called`: by this side. */
  private meet(socket: Socket, called: boolean): void {
    if (this.closed || this.sockets.size >= MOST_PEERS) return void socket.destroy();
    this.sockets.add(socket);
    const impatience = setTimeout(() => socket.destroy(), GREETING_MS);
    let from: string | undefined;
    const stream = new FrameStream({
      greeted: (name) => {
        clearTimeout(impatience);
        from = name;
        this.welcome(name, { socket, caller: called ? this.name : name });
      },
      // A connection that was one too many says nothing any more.
      frame: (bytes) => {
        if (from !== undefined && this.peers.get(from)?.socket === socket) this.parts.onFrame(bytes);
      },
    });
    socket.on('data', (bytes: Buffer) => {
      try {
        stream.push(bytes);
      } catch (error) {
        socket.destroy();
        if (error instanceof TomeiError) this.parts.onTrouble(error);
        else throw error;
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(impatience);
      this.sockets.delete(socket);
      if (from !== undefined && this.peers.get(from)?.socket === socket) this.peers.delete(from);
    });
    socket.write(greeting(this.name));
  }
  /** Two that called each other keep one of the two connections, and both the same: that of the lesser name's call. */
  private welcome(name: string, peer: Peer): void {
    const known = this.peers.get(name);
    const isLess = name === this.name || (known !== undefined && known.caller <= peer.caller);
    if (isLess) return void peer.socket.destroy();
    this.peers.set(name, peer);
    known?.socket.destroy();
  }
}

async function removeStale(path: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > STALE_MS) await rm(path, { force: true });
  } catch {
    // Somebody else was quicker.
  }
}
