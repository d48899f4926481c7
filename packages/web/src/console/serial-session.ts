/** One viewer of a serial line: xterm.js over a WebSocket of binary frames, connected anew when it is lost. Knows nothing of React. */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { Reconnect } from '../watch/back-off.ts';
import { IDLE, closeReason, consoleUrl, type LinkState } from './link-state.ts';
import { serialTextOf } from './typing.ts';

/** What one message to the gateway holds at most: a long paste goes in pieces. */
const PIECE_BYTES = 1024;
const SCROLLBACK_LINES = 5000;

/** Dark on light pages too: programs choose their colours for a dark terminal, and the screen beside it is a dark one. */
const THEME = {
  background: '#0b0f14',
  foreground: '#d8dee6',
  cursor: '#5eead4',
  cursorAccent: '#0b0f14',
  selectionBackground: '#2f5a68',
};

export interface SerialOptions {
  readonly guestId: string;
  /** 0: COM1. */
  readonly port: number;
  readonly isViewOnly: boolean;
  readonly onState: (state: LinkState) => void;
  readonly onSize: (columns: number, rows: number) => void;
}

export class SerialSession {
  private readonly options: SerialOptions;
  private readonly terminal: Terminal;
  private readonly fitAddon = new FitAddon();
  private readonly resizes: ResizeObserver;
  private readonly reconnect = new Reconnect(() => this.connect());
  private readonly encoder = new TextEncoder();
  private socket: WebSocket | undefined;
  private isViewOnly: boolean;
  /** The gateway itself lets nothing through on this connection. */
  private isBoundToView = false;
  private isClosed = false;

  /** Opens a terminal in `target`, which must stay in the page. */
  constructor(target: HTMLElement, options: SerialOptions) {
    this.options = options;
    this.isViewOnly = options.isViewOnly;
    this.terminal = new Terminal({
      cursorBlink: !window.matchMedia('(prefers-reduced-motion: reduce)').matches,
      fontFamily: 'ui-monospace, "Cascadia Mono", "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: 14,
      // Below this, rows cut off the underscores of some fonts.
      lineHeight: 1.15,
      scrollback: SCROLLBACK_LINES,
      // Buffer lines as text for screen readers.
      screenReaderMode: true,
      theme: THEME,
    });
    this.terminal.loadAddon(this.fitAddon);
    this.terminal.open(target);
    // One tab stop, the console's frame, leads here; this one would hold the Tab key from then on.
    if (this.terminal.textarea !== undefined) this.terminal.textarea.tabIndex = -1;
    this.terminal.onData((data) => this.send(this.encoder.encode(data)));
    // Mouse reports of old encodings are bytes, one a character.
    this.terminal.onBinary((data) => this.send(Uint8Array.from(data, (character) => character.charCodeAt(0))));
    this.terminal.onResize(({ cols, rows }) => options.onSize(cols, rows));
    this.resizes = new ResizeObserver(() => this.fit());
    this.resizes.observe(target);
    this.fit();
    options.onSize(this.terminal.cols, this.terminal.rows);
    this.connect();
  }

  close(): void {
    this.isClosed = true;
    this.reconnect.cancel();
    this.resizes.disconnect();
    this.drop();
    this.terminal.dispose();
    this.options.onState(IDLE);
  }

  retryNow(): void {
    this.reconnect.now();
  }

  setViewOnly(isViewOnly: boolean): void {
    this.isViewOnly = isViewOnly;
    this.terminal.options.disableStdin = isViewOnly;
    if (!isViewOnly && this.isBoundToView) this.reconnect.now();
  }

  focus(): void {
    this.terminal.focus();
  }

  blur(): void {
    this.terminal.blur();
  }

  /** Sends text as if it had been typed. False when nobody takes it now. */
  type(text: string): boolean {
    if (this.isViewOnly || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.send(this.encoder.encode(serialTextOf(text)));
    return true;
  }

  /** A serial line knows no size: this types the shell command that tells the guest. */
  sendSize(): boolean {
    return this.type(`stty rows ${this.terminal.rows} cols ${this.terminal.cols}\n`);
  }

  private fit(): void {
    // A hidden tab has no size; fitting would make it one column wide.
    if (this.terminal.element?.offsetParent === null) return;
    this.fitAddon.fit();
  }

  private send(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.isViewOnly || this.socket?.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) this.socket.send(bytes.subarray(at, at + PIECE_BYTES));
  }

  private drop(): void {
    const { socket } = this;
    this.socket = undefined;
    socket?.close();
  }

  private connect(): void {
    this.reconnect.cancel();
    this.drop();
    if (this.isClosed) return;
    this.options.onState({ kind: 'connecting' });
    this.isBoundToView = this.isViewOnly;
    const { guestId, port } = this.options;
    const socket = new WebSocket(consoleUrl(window.location, guestId, `serial/${port}`, this.isViewOnly));
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    socket.addEventListener('open', () => {
      if (this.socket !== socket) return;
      this.reconnect.succeeded();
      // The gateway begins with what was said last: on a second connection it would stand there twice.
      this.terminal.reset();
      this.options.onState({ kind: 'live' });
    });
    socket.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (this.socket !== socket) return;
      this.terminal.write(typeof data === 'string' ? data : new Uint8Array(data));
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      const delayMs = this.reconnect.failed();
      this.options.onState({ kind: 'waiting', reason: closeReason(code, reason), delayMs });
    });
  }
}
