/** A serial line for tests: the test is the guest. */
import type { SerialEnd } from './serial-end.ts';

export class FakeSerial implements SerialEnd {
  /** All that was typed into the guest. */
  typed = '';
  /** What the guest does when something is typed. */
  answer: (typed: string) => void = () => undefined;
  private handler: (bytes: Uint8Array) => void = () => undefined;

  onData(handler: (bytes: Uint8Array) => void): void {
    this.handler = handler;
  }
  write(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString('latin1');
    this.typed += text;
    this.answer(text);
  }
  /** The guest writes. */
  say(text: string): void {
    this.handler(Buffer.from(text, 'latin1'));
  }
}
