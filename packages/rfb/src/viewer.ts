/** What a session tells its owner and is told by it. */
import type { Framebuffer } from './framebuffer.ts';

/** A key as the guest's PS/2 keyboard has it: set 1 make code, 0x01 to 0x7F, plus 0xE000 for extended keys. */
export interface KeyPress {
  readonly code: number;
  readonly down: boolean;
}

/** Relative movement as the guest's PS/2 mouse has it, and where the pointer is where the viewer says that. */
export interface PointerMove {
  /** Dots; right is positive. */
  readonly dx: number;
  /** Dots; down is positive. */
  readonly dy: number;
  /** Steps of the wheel; towards the person is positive. */
  readonly dz: number;
  /** Down now: bit 0 left, 1 right, 2 middle. */
  readonly buttons: number;
  /** Where it is on the picture, 0 to 65535 from left to right and from top to bottom. */
  readonly at?: { readonly x: number; readonly y: number };
}

/** See `ViewerEvents.sent`. */
export interface SentRectangle {
  readonly encoding: number;
  readonly bytes: number;
}

/** Called from inside `receive`, `pump` and `close`, in the order of events. Must not throw. A view-only viewer's input never gets here. */
export interface ViewerEvents {
  /** The viewer is through the handshake. `shared` false: it asked to be alone, which a console does not grant. */
  ready?(viewer: { readonly shared: boolean }): void;
  /** The viewer has answered the challenge. After a wrong answer it is gone. */
  password?(isRight: boolean): void;
  /** A rectangle of a picture goes out; `encoding` is its number (RFC 6143, 7.7), `bytes` its size with its head. */
  sent?(rectangle: SentRectangle): void;
  key?(key: KeyPress): void;
  pointer?(move: PointerMove): void;
  /** Text that the viewer's person copied, with line feeds at the ends of lines: up to 256 KiB. */
  cutText?(text: string): void;
  /** A picture of so many dots, at least one each way, is wanted. True: the guest has been asked, and the picture changes when it agrees. */
  resize?(size: { readonly width: number; readonly height: number }): boolean;
  /** Once, last. `why` is a sentence for a log: what the viewer did wrong, or what `close` was given. */
  closed?(why: string): void;
}

/** What a session is made of. */
export interface RfbSessionOptions {
  readonly framebuffer: Framebuffer;
  /** Shown in the viewer's title. */
  readonly name: string;
  /** Not empty; VNC Authentication uses its first 8 bytes. Undefined: nobody is asked. */
  readonly password?: string | undefined;
  /** Asked before a password is, and before one is looked at: a sentence for the viewer's person when none is to be tried now. */
  readonly refusal?: () => string | undefined;
  readonly viewOnly: boolean;
  /** The local cursor of viewers that draw one: a plain arrow (default), or none since the guest draws its own. */
  readonly cursor?: 'arrow' | 'none';
  /** `count` unpredictable bytes. */
  readonly random: (count: number) => Uint8Array;
  /** Takes whole messages to the viewer, in order. The session does not touch the bytes again. */
  readonly send: (bytes: Uint8Array) => void;
  /** Whether the way to the viewer has room for a picture. While it has not, damage adds up and frames are skipped. */
  readonly canSend: () => boolean;
  readonly on: ViewerEvents;
}

/** One viewer's side of the protocol. `RfbSession` is the only implementation; this is what its owner relies on. */
export interface ViewerSession {
  /** The reason why the session ended, or undefined while it goes on. The owner then closes the connection, after what was sent. */
  readonly closeReason: string | undefined;
  /** Takes bytes from the viewer, in pieces of any size, and pumps. Never throws: what is wrong ends the session. */
  receive(bytes: Uint8Array): void;
  /** To be called after frames were applied (as often as pictures should be sent) and when `canSend` has become true. Returns whether it sent a picture. */
  pump(): boolean;
  /** The guest has copied a text: the viewer's person may paste it. One that only watches does not get it. */
  cutText(text: string): void;
  /** Lets go: releases the viewer's keys and buttons in the guest, stops listening. Safe to call twice. */
  close(why: string): void;
}
