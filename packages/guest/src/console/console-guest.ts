/** What a console needs of the guest that it belongs to. */
import type { DisplayView } from '@tomei/paravirt-core';
import type { InputEvent } from '../protocol.ts';

/** The screen at a time of the guest's clock, in nanoseconds. Its memory goes on changing. */
export interface ScreenView {
  readonly view: DisplayView;
  readonly time: number;
}
export interface ConsoleGuest {
  /** The ports that are there, 0 for COM1. */
  readonly serialPorts: readonly number[];
  /** Whether a screen of another size can be asked for. */
  readonly resizable: boolean;
  /** What the screen shows now. Rejected with `guest.ended` when the guest is gone. */
  look(): Promise<ScreenView>;
  /** The picture as a PNG file, and the characters of a text screen. Rejected as `look`. */
  screenshot(): Promise<{ readonly png: Uint8Array; readonly text: readonly string[] }>;
  /** A key, the mouse, a text for the clipboard, or the size that the screen should have. Left out when the guest takes none for long. */
  input(event: InputEvent): void;
  /** Bytes for a serial port that is there. Left out, with a warning, when the guest reads none for long. */
  type(port: number, bytes: Uint8Array): void;
}
/** How the console's callers know the guest. */
export interface ConsoleIdentity {
  /** Empty for a guest that no cluster knows. */
  readonly guestId: string;
  readonly run: number;
}
