/** One viewer of a serial port: what the port puts out, as it comes; what the viewer types, back. Bytes in both directions. */
import { TomeiError } from '@tomei/kit';
import type { ConsoleLink, LinkViewer } from '../link/console-link.ts';
import { Outbox, type Wire } from './outbox.ts';
import type { ViewerParts } from './rfb-viewer.ts';
import type { EndedBy, Viewer } from './viewers.ts';

export interface SerialViewerSettings {
  readonly guestId: string;
  /** COM1 to COM4 are 0 to 3. */
  readonly port: number;
  readonly viewOnly: boolean;
}

/** Input goes on in pieces of this size, so that a long paste does not keep a key waiting. */
const PIECE_BYTES = 4096;
/** What may be typed before the console is there; a line of a script, not a paste. */
const HELD_BYTES = 16 << 10;
const SKIPPED = Buffer.from('\r\n[some output was skipped]\r\n');

export class SerialViewer implements Viewer, LinkViewer {
  readonly kind = 'serial';
  readonly guestId: string;
  private readonly parts: ViewerParts;
  private readonly settings: SerialViewerSettings;
  private readonly wire: Wire;
  private readonly outbox: Outbox;
  private readonly link: ConsoleLink;
  private readonly leave: () => void;
  /** Output was left out; when there is room, the port's last output follows. */
  private isBehind = false;
  private isOver = false;
  private isPaused = false;
  /** Typed while the gateway was still reaching the guest's console. */
  private held: Uint8Array[] | undefined;

  /** Throws `viewers.too-many`. */
  constructor(parts: ViewerParts, settings: SerialViewerSettings, wire: Wire) {
    this.parts = parts;
    this.settings = settings;
    this.wire = wire;
    this.guestId = settings.guestId;
    parts.viewers.checkRoom(settings.guestId);
    this.outbox = new Outbox(
      wire,
      () => this.catchUp(),
      () => performance.now(),
    );
    let link: ConsoleLink | undefined;
    this.leave = parts.links.join(settings.guestId, (joined) => {
      link = joined;
      return this;
    });
    this.link = link!;
    parts.viewers.add(this);
    this.put(this.link.scrollback(settings.port));
    if (this.link.serialPorts !== undefined) this.attached(this.link.serialPorts);
  }

  attached(serialPorts: readonly number[]): void {
    const { port } = this.settings;
    if (serialPorts.includes(port)) return this.release();
    const has = serialPorts.length === 0 ? 'none' : serialPorts.join(', ');
    this.gone(
      new TomeiError(
        'serial.missing',
        `the guest has no serial port ${port}; it has ${has}. Set serial${port}.present`,
      ),
    );
  }

  serial(port: number, bytes: Uint8Array): void {
    if (port !== this.settings.port || this.isOver) return;
    if (this.isBehind || this.outbox.pendingBytes > this.parts.limits.serialBacklogBytes) this.isBehind = true;
    else this.put(bytes);
  }

  /** Bytes from the viewer. */
  receive(bytes: Uint8Array): void {
    if (this.isOver || this.settings.viewOnly || this.hold(bytes)) return;
    const { port } = this.settings;
    let hasRoom = true;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES)
      hasRoom = this.link.send({ serial: { port, data: bytes.subarray(at, at + PIECE_BYTES) } });
    if (hasRoom || this.isPaused) return;
    // Input that the guest does not take in stays with the viewer.
    this.isPaused = true;
    this.wire.pause();
    void this.link.drained().then(() => {
      this.isPaused = false;
      if (!this.isOver) this.wire.resume();
    });
  }

  /** Keeps what comes before it is known whether there is a console. */
  private hold(bytes: Uint8Array): boolean {
    if (this.held === undefined) {
      if (this.link.serialPorts !== undefined || this.link.isSettled) return false;
      this.held = [];
      // Then it is off, or cannot be reached: of such a guest nothing remains of what is typed.
      void this.link.settled.then(() => this.release());
    }
    const waiting = this.held.reduce((sum, early) => sum + early.length, 0);
    if (waiting + bytes.length <= HELD_BYTES) this.held.push(bytes);
    return true;
  }
  private release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const early of held) this.receive(early);
  }

  /** The connection is gone. */
  lost(): void {
    this.end('left', 'the connection was closed', '');
  }

  gone(error: TomeiError): void {
    this.end(error.code === 'gateway.closing' ? 'closing' : 'guest-gone', error.message, error.code);
  }

  /** The connection cannot be used for a serial port. */
  refuse(why: string): void {
    this.end('error', why, 'viewer.refused');
  }

  check(): void {
    const { stalledMs } = this.parts.limits;
    if (this.outbox.stalledMs > stalledMs) this.end('stalled', `it took nothing for ${stalledMs} ms`, '');
  }

  private catchUp(): void {
    if (!this.isBehind || this.isOver) return;
    this.isBehind = false;
    this.put(SKIPPED);
    this.put(this.link.scrollback(this.settings.port));
  }

  private put(bytes: Uint8Array): void {
    this.parts.metrics.bytesOut.inc({ kind: this.kind }, bytes.length);
    this.outbox.send(bytes);
  }

  private end(by: EndedBy, why: string, code: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.leave();
    this.parts.viewers.remove(this, by, why);
    if (by === 'left' || by === 'stalled') this.wire.destroy();
    else this.wire.end(code, why);
  }
}
