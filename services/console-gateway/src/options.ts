/** What a gateway is told, and the bounds that it holds its viewers to. */

/** Bounds of what viewers can make the gateway do. Tests make them smaller. */
export interface Limits {
  /** Viewers of one guest, of all kinds together. */
  readonly viewersPerGuest: number;
  readonly viewers: number;
  /** A viewer is ended when nothing that waits for it has gone out for so long. */
  readonly stalledMs: number;
  /** From connecting to the end of the handshake: a person types a password meanwhile. */
  readonly handshakeMs: number;
  /** One WebSocket message from a viewer. */
  readonly messageBytes: number;
  /** What a serial port's viewer that comes later is shown. */
  readonly scrollbackBytes: number;
  /** Serial output that waits for one viewer; what comes beyond it is skipped. */
  readonly serialBacklogBytes: number;
}

/** When the gateway talks to guests and to the store. */
export interface Pace {
  /** The link to a guest that nobody watches any more is kept for so long. */
  readonly lingerMs: number;
  /** Between tries to reach a guest, growing from the first to the second. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** A frozen picture stays so long before the screen says what became of the guest. */
  readonly frozenMs: number;
  /** Between readings of a guest's record, and of all for VNC ports, when no event asks for one. */
  readonly recheckMs: number;
  /** A screenshot as old as this is still given. */
  readonly screenMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  viewersPerGuest: 100,
  viewers: 1000,
  stalledMs: 30_000,
  handshakeMs: 120_000,
  messageBytes: 256 << 10,
  scrollbackBytes: 64 << 10,
  serialBacklogBytes: 256 << 10,
};
export const DEFAULT_PACE: Pace = {
  lingerMs: 5000,
  retryMs: 100,
  maxRetryMs: 2000,
  frozenMs: 2000,
  recheckMs: 5000,
  screenMs: 1000,
};

export interface GatewayOptions {
  /** Where VNC ports of guests listen; default 127.0.0.1: whoever reaches them and knows the password, if there is one, is in. */
  readonly vncHost?: string | undefined;
  /** Folder of the built pages; absent: none are served. */
  readonly pages?: string | undefined;
  /** Origins besides the gateway's own whose pages may open consoles, such as `https://tomei.example`. */
  readonly allowedOrigins?: readonly string[] | undefined;
  readonly limits?: Partial<Limits> | undefined;
  readonly pace?: Partial<Pace> | undefined;
  /** Milliseconds of a clock that only goes forward, for the pauses after wrong passwords. */
  readonly now?: (() => number) | undefined;
}
