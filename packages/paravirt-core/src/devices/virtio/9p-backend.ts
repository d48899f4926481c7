/** What a 9P device needs of the server of its share. */
import { backendKind } from '../../machine/device.ts';

export interface ShareBackend {
  /** By which a guest mounts it (mount tag): text of 1 to 255 bytes. */
  readonly tag: string;
  /** Hands over a whole message. Its answer comes later, by the handler, never before this returns. */
  submit(id: number, message: Uint8Array): void;
  /** The driver has reset the device, and waits for nothing of what it asked: what nobody has begun with may stay undone. */
  reset(): void;
  /** Who takes answers; there is one handler, which the device sets when it is built. Empty where there is no answer. */
  onAnswer(handler: (id: number, answer: Uint8Array) => void): void;
}
export const shareBackend = backendKind<ShareBackend>('share');
