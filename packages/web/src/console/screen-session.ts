/** One viewer of a guest's screen: noVNC over a WebSocket, connected anew when it is lost. Knows nothing of React. */
import RFB from '@novnc/novnc';
import { Reconnect } from '../watch/back-off.ts';
import { IDLE, closeReason, consoleUrl, type LinkState } from './link-state.ts';
import { SHIFT_KEYSYM, type Keystroke } from './typing.ts';

export interface ScreenListeners {
  onState(state: LinkState): void;
  /** The picture's size in dots, whenever it changes. */
  onSize(width: number, height: number): void;
  /** The guest has copied a text. */
  onCopied(text: string): void;
}

/** Of a guest's clipboard, in bytes of UTF-8. */
const LONGEST_TEXT = 65_436;
/** Between keystrokes of a paste: a PS/2 keyboard brings some hundred bytes a second, and guests have small buffers. */
const TYPING_PAUSE_MS = 15;

export class ScreenSession {
  private readonly target: HTMLElement;
  private readonly guestId: string;
  private readonly listeners: ScreenListeners;
  private readonly reconnect = new Reconnect(() => this.connect());
  private rfb: RFB | undefined;
  private sizes: MutationObserver | undefined;
  private password = '';
  private isViewOnly: boolean;
  /** The gateway itself lets nothing through on this connection. */
  private isBoundToView = false;
  private isScaled = true;
  private isResizing = false;
  private isClosed = false;
  private isLive = false;
  /** What was wrong with the last password; empty: nothing. */
  private complaint = '';

  /** Puts its canvas into `target`, which must stay in the page. */
  constructor(target: HTMLElement, guestId: string, isViewOnly: boolean, listeners: ScreenListeners) {
    this.target = target;
    this.guestId = guestId;
    this.isViewOnly = isViewOnly;
    this.listeners = listeners;
    this.connect();
  }

  close(): void {
    this.isClosed = true;
    this.reconnect.cancel();
    this.drop();
    this.listeners.onState(IDLE);
  }

  retryNow(): void {
    this.reconnect.now();
  }

  /** Answers a `password` state. It is kept for later connections of this page only. */
  givePassword(password: string): void {
    this.password = password;
    this.listeners.onState({ kind: 'connecting' });
    this.rfb?.sendCredentials({ password });
  }

  /** Scaled to the room there is, or dot for dot. */
  setScaled(isScaled: boolean): void {
    this.isScaled = isScaled;
    if (this.rfb !== undefined) this.rfb.scaleViewport = isScaled;
  }

  /** The guest is asked for a screen as large as the room there is, now and whenever that changes. */
  setResizing(isResizing: boolean): void {
    this.isResizing = isResizing;
    if (this.rfb !== undefined) this.rfb.resizeSession = isResizing;
  }

  setViewOnly(isViewOnly: boolean): void {
    this.isViewOnly = isViewOnly;
    if (this.rfb !== undefined) this.rfb.viewOnly = isViewOnly;
    if (!isViewOnly && this.isBoundToView) this.reconnect.now();
  }

  focus(): void {
    this.rfb?.focus();
  }

  blur(): void {
    this.rfb?.blur();
  }

  sendCtrlAltDel(): void {
    this.rfb?.sendCtrlAltDel();
  }

  /** Types one key after another; `onProgress` hears how many are done. Ends early when `signal` says so or the connection is lost. */
  async type(keystrokes: readonly Keystroke[], signal: AbortSignal, onProgress: (done: number) => void): Promise<void> {
    const { rfb } = this;
    for (const [i, { keysym, code, shift }] of keystrokes.entries()) {
      if (signal.aborted || rfb === undefined || this.rfb !== rfb) return;
      if (shift) rfb.sendKey(SHIFT_KEYSYM, 'ShiftLeft', true);
      rfb.sendKey(keysym, code, true);
      rfb.sendKey(keysym, code, false);
      if (shift) rfb.sendKey(SHIFT_KEYSYM, 'ShiftLeft', false);
      onProgress(i + 1);
      await new Promise((resolve) => setTimeout(resolve, TYPING_PAUSE_MS));
    }
  }

  /** Gives the guest a text for its clipboard. The answer says why not; undefined: it is on its way. */
  paste(text: string): string | undefined {
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > LONGEST_TEXT)
      return `The text has ${bytes} bytes, and a guest takes ${LONGEST_TEXT}: give it in parts.`;
    if (this.rfb === undefined || !this.isLive) return 'The screen is not connected: try again when it is.';
    this.rfb.clipboardPasteFrom(text);
    return undefined;
  }

  /** What is on the screen now, as a PNG; undefined when there is no picture. */
  picture(): Promise<Blob | undefined> {
    const { rfb } = this;
    if (rfb === undefined || !this.isLive) return Promise.resolve(undefined);
    return new Promise((resolve) => rfb.toBlob((blob) => resolve(blob ?? undefined), 'image/png'));
  }

  private drop(): void {
    const { rfb } = this;
    this.rfb = undefined;
    this.isLive = false;
    this.sizes?.disconnect();
    rfb?.disconnect();
  }

  private connect(): void {
    this.reconnect.cancel();
    this.drop();
    if (this.isClosed) return;
    this.listeners.onState({ kind: 'connecting' });
    this.isBoundToView = this.isViewOnly;
    const socket = new WebSocket(consoleUrl(window.location, this.guestId, 'rfb', this.isViewOnly));
    let reason = '';
    let refusal = '';
    socket.addEventListener('close', (event) => {
      reason = closeReason(event.code, event.reason);
    });
    const options = this.password === '' ? {} : { credentials: { password: this.password } };
    const rfb = new RFB(this.target, socket, options);
    this.rfb = rfb;
    rfb.background = 'transparent';
    rfb.scaleViewport = this.isScaled;
    rfb.clipViewport = false;
    rfb.resizeSession = this.isResizing;
    rfb.viewOnly = this.isViewOnly;
    const isCurrent = (): boolean => this.rfb === rfb;

    rfb.addEventListener('connect', () => {
      if (!isCurrent()) return;
      this.isLive = true;
      this.complaint = '';
      this.reconnect.succeeded();
      this.watchSize(rfb);
      this.listeners.onState({ kind: 'live' });
    });
    rfb.addEventListener('credentialsrequired', () => {
      if (isCurrent()) this.listeners.onState({ kind: 'password', complaint: this.complaint });
    });
    rfb.addEventListener('clipboard', (event) => {
      if (isCurrent()) this.listeners.onCopied(event.detail.text);
    });
    rfb.addEventListener('securityfailure', (event) => {
      if (!isCurrent()) return;
      if (this.password !== '') this.complaint = 'That password was not right.';
      this.password = '';
      refusal = event.detail.reason ?? 'The gateway refused this viewer';
    });
    rfb.addEventListener('disconnect', () => {
      if (!isCurrent()) return;
      this.rfb = undefined;
      this.isLive = false;
      const words = refusal || reason || 'The connection was cut';
      this.listeners.onState({ kind: 'waiting', reason: words, delayMs: this.reconnect.failed() });
    });
  }

  private watchSize(rfb: RFB): void {
    const canvas = this.target.querySelector('canvas');
    if (canvas === null) return;
    // Keys that arrive here are the guest's: a screen reader passes them on.
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', 'Screen of the guest');
    const tell = (): void => {
      if (this.rfb === rfb) this.listeners.onSize(canvas.width, canvas.height);
    };
    this.sizes = new MutationObserver(tell);
    this.sizes.observe(canvas, { attributes: true, attributeFilter: ['width', 'height'] });
    tell();
  }
}
