/**
 * Somebody who is attached. Whatever they do, the guest goes on: what they are owed is the newest picture, and the last bytes of each
 * serial port; what they have not taken in time they never see.
 */
import type { ConsoleInput, ConsoleOutput, Init } from '@tomei/contracts';
import type { Damage, Frame } from '@tomei/paravirt-core';
import type { Duplex } from '@tomei/service';
import { ByteTail } from './byte-tail.ts';
import type { ConsoleGuest, ConsoleIdentity } from './console-guest.ts';
import { nextFrame } from './frame-messages.ts';
import {
  ackedFrame,
  clipboardEvent,
  keyEvent,
  pointerEvent,
  refuseHello,
  screenSizeEvent,
  serialBytes,
} from './input.ts';
import type { Screen } from './screen.ts';

/** Pictures that may be under way without an acknowledgement. */
const MOST_UNDER_WAY = 2;
/** Serial output that waits for a caller, by port. */
const SERIAL_BACKLOG = 256 << 10;
const SERIAL_CHUNK = 32 << 10;

export interface CallerParts {
  readonly guest: ConsoleGuest;
  readonly identity: ConsoleIdentity;
  readonly screen: Screen;
  /** What each port said last. */
  readonly history: readonly Uint8Array[];
  /** Whether large rectangles are deflated. */
  readonly deflate: boolean;
}

export class Caller {
  private readonly stream: Duplex<ConsoleInput, ConsoleOutput>;
  private readonly parts: CallerParts;
  private readonly owed: ByteTail[];
  private readonly keysDown = new Set<number>();
  private buttonsDown = 0;
  private shown: Frame | undefined;
  /** What the guest copied last, until it is sent. */
  private text: string | undefined;
  private sent = 0;
  private acknowledged = 0;
  private ending: string | undefined;
  private isOver = false;
  private bell = Promise.withResolvers<void>();

  constructor(stream: Duplex<ConsoleInput, ConsoleOutput>, parts: CallerParts) {
    this.stream = stream;
    this.parts = parts;
    this.owed = parts.history.map((bytes) => {
      const tail = new ByteTail(SERIAL_BACKLOG);
      if (bytes.length > 0) tail.push(bytes);
      return tail;
    });
  }

  /** Works until the caller leaves, the guest ends, or the caller sends something wrong: then it throws `console.bad-input`. */
  async run(messages: AsyncIterator<ConsoleInput>): Promise<void> {
    const leave = this.parts.screen.watch(() => this.wake());
    const gone = (): void => this.wake();
    this.stream.signal.addEventListener('abort', gone, { once: true });
    const sending = this.send(),
      taking = this.take(messages);
    // Whichever ends first ends the other; what that one then throws is of no interest.
    sending.catch(() => undefined);
    taking.catch(() => undefined);
    try {
      await Promise.race([sending, taking]);
    } finally {
      this.isOver = true;
      this.wake();
      leave();
      this.stream.signal.removeEventListener('abort', gone);
      this.letGo();
    }
  }
  serial(port: number, bytes: Uint8Array): void {
    this.owed[port]?.push(bytes);
    this.wake();
  }
  copied(text: string): void {
    this.text = text;
    this.wake();
  }
  /** What is owed is still sent, then the reason, then nothing more. */
  end(why: string): void {
    this.ending = why;
    this.wake();
  }

  private wake(): void {
    this.bell.resolve();
  }
  private async put(message: Init<ConsoleOutput>): Promise<void> {
    if (!this.isOver && !this.stream.send(message)) await this.stream.drained();
  }
  private async send(): Promise<void> {
    const { guestId, run } = this.parts.identity;
    const { serialPorts, resizable } = this.parts.guest;
    await this.put({ attached: { guestId, run, serialPorts, resizable } });
    while (!this.isOver && !this.stream.signal.aborted) {
      this.bell = Promise.withResolvers();
      const { ending } = this;
      const sent = [await this.sendSerial(), await this.sendText(), await this.sendFrame(ending !== undefined)];
      if (sent.includes(true)) continue;
      if (ending !== undefined) return this.put({ ended: { why: ending } });
      await this.bell.promise;
    }
  }
  private async sendText(): Promise<boolean> {
    const { text } = this;
    if (text === undefined) return false;
    this.text = undefined;
    await this.put({ copied: { text } });
    return true;
  }
  private async sendSerial(): Promise<boolean> {
    let any = false;
    for (const [port, tail] of this.owed.entries()) {
      if (tail.length === 0) continue;
      any = true;
      const { dropped } = tail;
      if (dropped > 0) await this.put({ serial: { port, data: lostMark(dropped) } });
      await this.put({ serial: { port, data: tail.take(SERIAL_CHUNK) } });
    }
    return any;
  }
  /** True when there was a picture to send, and room for it. At the end there is room for one more. */
  private async sendFrame(isLast: boolean): Promise<boolean> {
    const { screen } = this.parts;
    const after = screen.picture;
    if (after === undefined || after === this.shown) return false;
    if (!isLast && this.sent - this.acknowledged >= MOST_UNDER_WAY) return false;
    const before = this.shown;
    const damage = before === undefined ? wholeOf(after) : screen.damageSince(before);
    if (damage.copies.length === 0 && damage.rectangles.length === 0) {
      this.shown = after;
      return false;
    }
    const { message, shown } = await nextFrame(before, after, damage, {
      number: this.sent + 1,
      deflate: this.parts.deflate,
    });
    this.sent++;
    this.shown = shown;
    await this.put({ frame: message });
    return true;
  }

  private async take(messages: AsyncIterator<ConsoleInput>): Promise<void> {
    const { guest, screen } = this.parts;
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      if (this.isOver) return;
      const { hello, key, pointer, serial, ack, clipboard, screenSize } = next.value;
      if (hello !== undefined) refuseHello();
      if (key !== undefined) {
        guest.input(keyEvent(key));
        if (key.down) this.keysDown.add(key.code);
        else this.keysDown.delete(key.code);
        screen.soon();
      }
      if (pointer !== undefined) {
        guest.input(pointerEvent(pointer));
        this.buttonsDown = pointer.buttons;
        screen.soon();
      }
      if (clipboard !== undefined) guest.input(clipboardEvent(clipboard));
      if (screenSize !== undefined) guest.input(screenSizeEvent(screenSize, guest.resizable));
      if (serial !== undefined) {
        const { port, data } = serialBytes(serial, guest.serialPorts);
        guest.type(port, data);
      }
      if (ack !== undefined) {
        this.acknowledged = Math.max(this.acknowledged, ackedFrame(ack.frame, this.sent));
        this.wake();
      }
    }
  }
  /** Nobody is left to release what this caller holds down. */
  private letGo(): void {
    const { guest } = this.parts;
    for (const code of this.keysDown) guest.input({ kind: 'key', code, down: false });
    if (this.buttonsDown !== 0) guest.input({ kind: 'mouse', dx: 0, dy: 0, dz: 0, buttons: 0 });
  }
}

const wholeOf = ({ width, height }: Frame): Damage => ({ copies: [], rectangles: [{ x: 0, y: 0, width, height }] });
const lostMark = (bytes: number): Uint8Array =>
  new TextEncoder().encode(`\r\n[${bytes} bytes left out: the reader was too slow]\r\n`);
