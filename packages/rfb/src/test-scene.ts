/** For tests: a session with everything that came out of it written down. */
import { Framebuffer } from './framebuffer.ts';
import { RfbSession } from './session.ts';
import type { KeyPress, PointerMove, RfbSessionOptions, SentRectangle } from './viewer.ts';

export class TestScene {
  readonly framebuffer: Framebuffer;
  readonly session: RfbSession;
  readonly sent: Uint8Array[] = [];
  readonly keys: KeyPress[] = [];
  readonly moves: PointerMove[] = [];
  readonly texts: string[] = [];
  readonly endings: string[] = [];
  readonly rectangles: SentRectangle[] = [];
  shared: boolean | undefined;
  canSend = true;

  constructor(options: Partial<RfbSessionOptions> = {}) {
    this.framebuffer = options.framebuffer ?? new Framebuffer(4, 2);
    this.session = new RfbSession({
      framebuffer: this.framebuffer,
      name: 'guest',
      viewOnly: false,
      random: (count) => Uint8Array.from({ length: count }, (_, i) => i),
      send: (bytes) => void this.sent.push(bytes),
      canSend: () => this.canSend,
      on: {
        ready: ({ shared }) => (this.shared = shared),
        key: (key) => void this.keys.push(key),
        pointer: (move) => void this.moves.push(move),
        cutText: (text) => void this.texts.push(text),
        sent: (rectangle) => void this.rectangles.push(rectangle),
        closed: (why) => void this.endings.push(why),
      },
      ...options,
    });
  }

  /** Through the handshake of 3.8 without a password; what was sent for it is forgotten. */
  connect(): this {
    this.receive('52 46 42 20 30 30 33 2e 30 30 38 0a  01  01');
    this.sent.length = 0;
    return this;
  }

  /** Bytes, or hexadecimal text of them. */
  receive(...messages: (Uint8Array | string)[]): this {
    for (const message of messages) {
      this.session.receive(typeof message === 'string' ? Buffer.from(message.replaceAll(/\s/g, ''), 'hex') : message);
    }
    return this;
  }

  /** What was sent since the last time, as hexadecimal text. */
  hex(): string {
    return Buffer.concat(this.sent.splice(0)).toString('hex');
  }
}

/** Hexadecimal text without the spaces that make it readable. */
export const hex = (text: string): string => text.replaceAll(/\s/g, '');
