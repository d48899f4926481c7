/** The host side of a network card as a device sees it: a wire that takes and brings whole Ethernet frames. */
import { backendKind } from '../machine/device.ts';

export interface NicBackend {
  /** A frame leaves the card: Ethernet header and payload, at least 14 bytes, without check sequence. It may be kept. */
  send(frame: Uint8Array): void;
  /**
   * Who takes frames that arrive, at least 14 bytes each, without check sequence; they are copied. The answer is false when the
   * card has no room: the frame is lost then, unless the backend offers it again.
   */
  onReceive(handler: (frame: Uint8Array) => boolean): void;
  /** Whether something is at the other end of the wire. */
  readonly linkUp: boolean;
  /** Who is told that `linkUp` changed. */
  onLink?(handler: () => void): void;
}
export const nicBackend = backendKind<NicBackend>('nic');
