/** Random bytes of the host for the guest's entropy device. */
import type { RandomSource } from '@tomei/paravirt-core';

export class HostRandom implements RandomSource {
  private wanted = 0;
  private handler: (bytes: Uint8Array) => void = () => undefined;

  request(bytes: number): void {
    this.wanted = bytes;
  }
  onBytes(handler: (bytes: Uint8Array) => void): void {
    this.handler = handler;
  }
  get isAsked(): boolean {
    return this.wanted > 0;
  }
  /** Bytes that were asked for; undefined when none were. */
  take(): Uint8Array | undefined {
    if (this.wanted === 0) return undefined;
    // Not loaded for guests that never ask: it takes Node longer than anything else of the thread's.
    const bytes = process.getBuiltinModule('node:crypto').getRandomValues(new Uint8Array(this.wanted));
    this.wanted = 0;
    return bytes;
  }
  /** Gives them to the guest. */
  deliver(bytes: Uint8Array): void {
    this.wanted = 0;
    this.handler(bytes);
  }
}
