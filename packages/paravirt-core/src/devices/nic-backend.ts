/** The host side of a network card as a device sees it: a wire that takes and brings whole Ethernet frames. */
import { backendKind } from '../machine/device.ts';
import type { Offload } from './offload.ts';

export interface NicBackend {
  /**
   * Where a frame of so many bytes is put together that `send` is given next, which copies nothing then: until the next call of either.
   * Undefined, or absent: use an array of your own.
   */
  frame?(length: number): Uint8Array | undefined;
  /**
   * A frame leaves the card: Ethernet header and payload, at least 14 bytes, without check sequence. It may be kept. `offload` is what is
   * left to do (`isPossible`): only where `takesOffloads`.
   */
  send(frame: Uint8Array, offload?: Offload): void;
  /** Whether frames may be sent with something left to do. */
  readonly takesOffloads?: boolean;
  /**
   * Who takes frames that arrive, at least 14 bytes each, without check sequence; they are copied. The answer is false when the
   * card has no room: the frame is lost then, unless the backend offers it again.
   */
  onReceive(handler: (frame: Uint8Array) => boolean): void;
  /**
   * Who takes frames with something left to do, likewise. Undefined is the answer where the card cannot do it: what the frame becomes on a
   * wire is offered to `onReceive` then.
   */
  onOffloaded?(handler: (frame: Uint8Array, offload: Offload) => boolean | undefined): void;
  /** Whether something is at the other end of the wire. */
  readonly linkUp: boolean;
  /** Who is told that `linkUp` changed. */
  onLink?(handler: () => void): void;
}
export const nicBackend = backendKind<NicBackend>('nic');
