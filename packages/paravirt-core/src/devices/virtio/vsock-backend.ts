/** What a vsock device needs of the host's end of its connections. */
import { backendKind } from '../../machine/device.ts';

export interface VsockBackend {
  /** The guest's context identifier (5.10.4): 3 to 2^32 - 2. */
  readonly cid: number;
  /** Hands over a whole packet of the guest, header first. That it is done with comes later, by the handler, never before this returns. */
  submit(id: number, packet: Uint8Array): void;
  /** The driver has reset the device: all of its connections are gone. */
  reset(): void;
  /** Who hears that a packet is done with; there is one handler, which the device sets when it is built. */
  onDone(handler: (id: number) => void): void;
}
export const vsockBackend = backendKind<VsockBackend>('vsock');
