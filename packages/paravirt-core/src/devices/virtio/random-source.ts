/** Where a guest's random numbers come from. */
import { backendKind } from '../../machine/device.ts';

export interface RandomSource {
  /** Asks for so many bytes, at least 1. They come later, by the handler, never before this returns. */
  request(bytes: number): void;
  /** Who takes them; there is one handler, which the device sets when it is built. */
  onBytes(handler: (bytes: Uint8Array) => void): void;
}
export const randomSource = backendKind<RandomSource>('random');
