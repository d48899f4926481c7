/** One RFB viewer, on whatever connection it came: its session, its outbox, its place at the guest's link. */
import { randomBytes } from 'node:crypto';
import { messageOf, type TomeiError } from '@tomei/kit';
import { RfbSession, type ViewerSession } from '@tomei/rfb';
import type { ConsoleLink, LinkViewer } from '../link/console-link.ts';
import type { Links } from '../link/links.ts';
import type { GatewayMetrics, ViewerKind } from '../metrics.ts';
import type { Limits } from '../options.ts';
import { Outbox, type Wire } from './outbox.ts';
import type { Pumped, Rounds } from './rounds.ts';
import type { EndedBy, Viewer, Viewers } from './viewers.ts';
import type { WrongPasswords } from './wrong-passwords.ts';

/** What viewers of one gateway share. */
export interface ViewerParts {
  readonly links: Links;
  readonly rounds: Rounds;
  readonly viewers: Viewers;
  readonly metrics: GatewayMetrics;
  readonly limits: Limits;
  readonly wrongPasswords: WrongPasswords;
}
export interface RfbViewerSettings {
  readonly kind: ViewerKind;
  readonly guestId: string;
  /** Shown as the title. */
  readonly name: string;
  /** Empty: nobody is asked. */
  readonly password: string;
  /** Address of the other side, for `WrongPasswords`. */
  readonly peer: string;
  readonly viewOnly: boolean;
}

/** Besides pictures, of which there is never more than one under way: answers to what the viewer asks for. */
const ANSWERS_BYTES = 1 << 20;

const FRAMEBUFFER_UPDATE = 0;
/** Of a clipboard, in bytes of UTF-8 (console.proto). */
const LONGEST_TEXT = 65_436;
/** RFC 6143, 7.7, and rfbproto. */
const ENCODING_NAMES: Readonly<Record<number, string>> = { 0: 'raw', 1: 'copyrect', 7: 'tight', 16: 'zrle' };

export class RfbViewer implements Viewer, Pumped, LinkViewer {
  readonly kind: ViewerKind;
  readonly guestId: string;
  private readonly parts: ViewerParts;
  private readonly wire: Wire;
  private readonly outbox: Outbox;
  /** Absent until the link has something to show. */
  private session: ViewerSession | undefined;
  private readonly link: ConsoleLink;
  private readonly leave: () => void;
  private readonly since = performance.now();
  private isReady = false;
  private isOver = false;
  private isPaused = false;
  /** Frames since the last update that was sent. */
  private frames = 0;
  private endedBy: EndedBy = 'error';
  private closeCode = 'viewer.refused';

  /** Throws `viewers.too-many`. */
  constructor(parts: ViewerParts, settings: RfbViewerSettings, wire: Wire) {
    const { links, viewers, rounds } = parts;
    this.parts = parts;
    this.wire = wire;
    this.kind = settings.kind;
    this.guestId = settings.guestId;
    viewers.checkRoom(settings.guestId);
    this.outbox = new Outbox(
      wire,
      () => rounds.add(this),
      () => performance.now(),
    );
    let link: ConsoleLink | undefined;
    this.leave = links.join(settings.guestId, (joined) => {
      link = joined;
      return this;
    });
    this.link = link!;
    viewers.add(this);
    // A viewer has nothing to say before it is spoken to.
    wire.pause();
    void this.link.settled.then(() => this.begin(settings)).catch((error: unknown) => this.refuse(messageOf(error)));
  }

  private begin(settings: RfbViewerSettings): void {
    if (this.isOver) return;
    const { metrics, rounds, wrongPasswords } = this.parts;
    const { guestId, peer } = settings;
    this.session = new RfbSession({
      framebuffer: this.link.framebuffer,
      name: settings.name,
      password: settings.password === '' ? undefined : settings.password,
      refusal: () => {
        const why = wrongPasswords.refusal(guestId, peer);
        if (why !== undefined) this.endedBy = 'refused';
        return why;
      },
      viewOnly: settings.viewOnly,
      random: randomBytes,
      send: (bytes) => {
        metrics.bytesOut.inc({ kind: this.kind }, bytes.length);
        if (this.isReady) this.count(bytes);
        this.outbox.send(bytes);
      },
      canSend: () => this.outbox.hasRoom,
      on: {
        ready: () => {
          this.isReady = true;
        },
        sent: ({ encoding, bytes }) =>
          metrics.bytesByEncoding.inc({ encoding: ENCODING_NAMES[encoding] ?? 'other' }, bytes),
        password: (isRight) => wrongPasswords.tried(guestId, peer, isRight),
        key: (key) => this.pass(this.link.send({ key })),
        pointer: (pointer) => this.pass(this.link.send({ pointer })),
        cutText: (text) => this.passText(text),
        resize: (size) => this.askForSize(size),
        closed: (why) => this.ended(why),
      },
    });
    this.wire.resume();
    rounds.add(this);
  }

  /** Bytes from the viewer. */
  receive(bytes: Uint8Array): void {
    if (this.isOver) return;
    this.session?.receive(bytes);
    if (this.outbox.pendingBytes > this.mostPending()) this.end('stalled', 'it asks for answers and takes none');
  }

  /** The connection is gone. */
  lost(): void {
    this.end('left', 'the connection was closed');
  }

  /** The connection cannot be used for RFB. */
  refuse(why: string): void {
    this.end('error', why);
  }

  picture(): void {
    this.frames++;
    this.parts.rounds.add(this);
  }

  pump(): void {
    if (!this.isOver) this.session?.pump();
  }

  copied(text: string): void {
    this.session?.cutText(text);
  }

  gone(error: TomeiError): void {
    this.end(error.code === 'gateway.closing' ? 'closing' : 'guest-gone', error.message, error.code);
  }

  check(): void {
    const { stalledMs, handshakeMs } = this.parts.limits;
    if (this.outbox.stalledMs > stalledMs) this.end('stalled', `it took nothing for ${stalledMs} ms`);
    else if (!this.isReady && performance.now() - this.since > handshakeMs)
      this.end('stalled', `no handshake within ${handshakeMs} ms`);
  }

  /** A session sends whole messages: RFC 6143, 7.6.1. */
  private count(message: Uint8Array): void {
    if (message[0] !== FRAMEBUFFER_UPDATE) return;
    const { updatesOut, skipped } = this.parts.metrics;
    updatesOut.inc();
    if (this.frames > 1) skipped.inc(this.frames - 1);
    this.frames = 0;
  }

  private mostPending(): number {
    const { width, height } = this.link.framebuffer;
    return 2 * width * height * 4 + ANSWERS_BYTES;
  }

  /** Input that the guest does not take in stays with the viewer. */
  private pass(hasRoom: boolean): void {
    if (hasRoom || this.isPaused) return;
    this.isPaused = true;
    this.wire.pause();
    void this.link.drained().then(() => {
      this.isPaused = false;
      if (!this.isOver) this.wire.resume();
    });
  }

  /** A guest's clipboard has its limit; the protocol has no word for a text that is too long. */
  private passText(text: string): void {
    if (Buffer.byteLength(text) <= LONGEST_TEXT) this.pass(this.link.send({ clipboard: { text } }));
  }

  private askForSize(screenSize: { readonly width: number; readonly height: number }): boolean {
    const { resizable } = this.link;
    if (resizable) this.pass(this.link.send({ screenSize }));
    return resizable;
  }

  private end(by: EndedBy, why: string, code?: string): void {
    if (this.isOver) return;
    this.endedBy = by;
    this.closeCode = code ?? this.closeCode;
    if (this.session === undefined) this.ended(why);
    else this.session.close(why);
  }
  /** Called by the session, once, whoever ended it. */
  private ended(why: string): void {
    this.isOver = true;
    this.parts.rounds.delete(this);
    this.leave();
    this.parts.viewers.remove(this, this.endedBy, why);
    if (this.endedBy === 'left' || this.endedBy === 'stalled') this.wire.destroy();
    else this.wire.end(this.closeCode, why);
  }
}
