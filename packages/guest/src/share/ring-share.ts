/** A shared folder, as the vCPU thread has it: two rings to the server on the I/O thread, each message with its number before it. */
import { ByteRing } from '@tomei/kit';
import type { ShareBackend } from '@tomei/paravirt-core';
import { decodeNumbered, type NumberedMessage } from '../numbered-message.ts';
import { NumberedOutlet } from '../numbered-outlet.ts';

/** Shared memory of one share, named from the vCPU's side. */
export interface ShareRings {
  readonly requests: SharedArrayBuffer;
  readonly answers: SharedArrayBuffer;
}
/** Room for the longest message, and for more behind it. */
const RING_BYTES = 1 << 20;
export const allocateShareRings = (): ShareRings => ({
  requests: ByteRing.allocate(RING_BYTES),
  answers: ByteRing.allocate(RING_BYTES),
});

export class RingShare implements ShareBackend {
  readonly tag: string;
  private readonly requests: NumberedOutlet;
  private readonly answers: ByteRing;
  private readonly isMute: boolean;
  private unanswered = 0;
  private handler: (id: number, answer: Uint8Array) => void = () => undefined;

  /** `isMute`: what the guest asks reaches nobody. */
  constructor(tag: string, rings: ShareRings, isMute: boolean) {
    this.tag = tag;
    this.requests = new NumberedOutlet(rings.requests);
    this.answers = new ByteRing(rings.answers);
    this.isMute = isMute;
  }
  submit(id: number, message: Uint8Array): void {
    if (this.isMute) return;
    this.unanswered++;
    this.requests.push({ id, bytes: message });
  }
  reset(): void {
    this.unanswered -= this.requests.drop();
  }
  onAnswer(handler: (id: number, answer: Uint8Array) => void): void {
    this.handler = handler;
  }
  /** Passes on what waits for room. Whether something was sent since the last question. */
  flush(): boolean {
    return this.requests.flush();
  }
  /** Whether requests wait for room in the ring. */
  get isWaiting(): boolean {
    return this.requests.isWaiting;
  }
  /** Requests whose answer was not taken yet. */
  get outstanding(): number {
    return this.unanswered;
  }
  /** The next answer; undefined when there is none. */
  take(): NumberedMessage | undefined {
    const message = this.answers.readMessage();
    if (message === undefined) return undefined;
    this.unanswered--;
    return decodeNumbered(message);
  }
  /** Gives it to the guest. */
  deliver({ id, bytes }: NumberedMessage): void {
    this.handler(id, bytes);
  }
}
