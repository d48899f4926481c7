/**
 * One stream between a program of the guest and one of the host, at the host's end: credit in both directions (OASIS virtio 1.2,
 * 5.10.6.3), and how it ends (5.10.6.6). Counts of bytes are modulo 2^32, as they are on the wire.
 */
import type { Socket } from 'node:net';
import { SHUTDOWN_RECEIVE, SHUTDOWN_SEND, VSOCK_OP, type VsockHeader } from '@tomei/paravirt-core';

/** Room for what the host's program has not taken yet. */
export const CONNECTION_BYTES = 256 * 1024;
/** Data of one packet. */
const PIECE_BYTES = 16 * 1024;

/** What a packet to the guest says beside the addresses of its connection. */
export interface Outgoing {
  readonly op: number;
  readonly flags?: number;
  readonly bufAlloc: number;
  readonly fwdCnt: number;
}
export interface ConnectionEnd {
  /** Sends a packet of this connection. */
  send(what: Outgoing, body?: Uint8Array): void;
  /** Whether packets are to wait: there are enough on their way. */
  isFull(): boolean;
  /** It is over: nothing more is heard of it. */
  over(): void;
}

export class Connection {
  private readonly end: ConnectionEnd;
  private readonly socket: Socket;
  private hasBegun = false;
  private isOver = false;
  /** Of the guest: its room in all, what it has passed on, and what was sent to it. */
  private peerRoom = 0;
  private peerForwarded = 0;
  private sent = 0;
  private hasAsked = false;
  /** Of this end: what came, what the program has taken, and what of that the guest knows. */
  private received = 0;
  private forwarded = 0;
  private told = 0;
  /** Directions that are shut: the guest's own, and this end's. */
  private guestShut = 0;
  private hostShut = 0;

  /** The socket is paused, allows half-open streams, and is this connection's from now on. It may not be connected yet. */
  constructor(socket: Socket, end: ConnectionEnd) {
    this.socket = socket;
    this.end = end;
    socket.on('error', () => undefined);
    socket.on('close', () => this.hostGone());
  }

  /** Asks the guest for it. */
  request(): void {
    this.send(VSOCK_OP.request);
  }
  /** Both ends are there: answers the guest's request, or takes its answer, whose credit is `from`. */
  open(from: VsockHeader, answers: boolean): void {
    if (this.isOver) return;
    this.hasBegun = true;
    this.hearCredit(from);
    if (answers) this.send(VSOCK_OP.response);
    this.socket.on('readable', () => this.pump());
    this.socket.on('end', () => this.shut(SHUTDOWN_SEND));
    this.pump();
  }
  get isOpen(): boolean {
    return this.hasBegun;
  }

  /** A packet of the guest's for an open connection. */
  hear(header: VsockHeader, body: Uint8Array): void {
    this.hearCredit(header);
    switch (header.op) {
      case VSOCK_OP.rw:
        this.take(body);
        break;
      case VSOCK_OP.creditRequest:
        this.tellCredit();
        break;
      case VSOCK_OP.creditUpdate:
        break;
      case VSOCK_OP.shutdown:
        this.guestShuts(header.flags);
        break;
      default:
        this.reset();
        return;
    }
    this.pump();
  }

  private hearCredit({ bufAlloc, fwdCnt }: VsockHeader): void {
    this.peerRoom = bufAlloc;
    this.peerForwarded = fwdCnt;
    this.hasAsked = false;
  }
  /** Bytes that the guest has room for. One that counts wrong has none. */
  private get credit(): number {
    const underway = (this.sent - this.peerForwarded) >>> 0;
    return Math.max(0, this.peerRoom - underway);
  }

  /** From the program to the guest, as far as there is credit. */
  pump(): void {
    if (!this.isOpen || this.isOver) return;
    const { socket } = this;
    // The guest hears nothing more: what the program still says is lost.
    if ((this.guestShut & SHUTDOWN_RECEIVE) !== 0) return void socket.resume();
    while (socket.readableLength > 0 && this.credit > 0 && !this.end.isFull()) {
      const bytes = socket.read(Math.min(socket.readableLength, this.credit, PIECE_BYTES)) as Buffer | null;
      if (bytes === null) return;
      this.sent = (this.sent + bytes.length) >>> 0;
      this.send(VSOCK_OP.rw, 0, bytes);
    }
    // An empty read is what tells of the end.
    if (socket.readableLength === 0) socket.read(0);
    else if (this.credit === 0 && !this.hasAsked) {
      this.hasAsked = true;
      this.send(VSOCK_OP.creditRequest);
    }
  }

  /** From the guest to the program. */
  private take(body: Uint8Array): void {
    const isTooMuch = ((this.received - this.forwarded) >>> 0) + body.length > CONNECTION_BYTES;
    if (isTooMuch || (this.guestShut & SHUTDOWN_SEND) !== 0) return this.reset();
    this.received = (this.received + body.length) >>> 0;
    this.socket.write(body, () => {
      this.forwarded = (this.forwarded + body.length) >>> 0;
      if ((this.forwarded - this.told) >>> 0 >= CONNECTION_BYTES / 4) this.tellCredit();
    });
  }
  private tellCredit(): void {
    if (!this.isOver) this.send(VSOCK_OP.creditUpdate);
  }

  private guestShuts(flags: number): void {
    this.guestShut |= flags & (SHUTDOWN_RECEIVE | SHUTDOWN_SEND);
    if ((this.guestShut & SHUTDOWN_SEND) !== 0) this.socket.end();
    // Nothing goes either way: the driver waits for this to forget it.
    if (this.guestShut === (SHUTDOWN_RECEIVE | SHUTDOWN_SEND)) this.reset();
  }
  private shut(flags: number): void {
    if (this.isOver || (this.hostShut & flags) === flags) return;
    this.hostShut |= flags;
    this.send(VSOCK_OP.shutdown, this.hostShut);
  }
  private hostGone(): void {
    if (this.isOver) return;
    if (this.isOpen) this.shut(SHUTDOWN_RECEIVE | SHUTDOWN_SEND);
    else this.reset();
  }

  /** Ends it for the guest at once; the program still gets what was sent to it. */
  reset(): void {
    if (this.isOver) return;
    this.send(VSOCK_OP.rst);
    this.close();
  }
  /** The guest has ended it, or is gone. */
  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.end.over();
    this.socket.resume();
    this.socket.destroySoon();
  }

  private send(op: number, flags = 0, body?: Uint8Array): void {
    this.told = this.forwarded;
    this.end.send({ op, flags, bufAlloc: CONNECTION_BYTES, fwdCnt: this.forwarded }, body);
  }
}
