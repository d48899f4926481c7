/** One viewer: RFB 3.8, the server's side (RFC 6143). Bytes in, bytes out; its owner has the connection and the time. */
import { TomeiError, assert, messageOf } from '@tomei/kit';
import { ByteQueue, NEED_MORE } from './byte-queue.ts';
import { ByteWriter } from './byte-writer.ts';
import { capabilitiesOf } from './capabilities.ts';
import { Clipboard, plainText } from './clipboard.ts';
import { broken, readClientMessage, type ClientMessage } from './client-messages.ts';
import { Pace, fenceAnswer, fenceGreeting, isFenceRequest, isSyncNext } from './fences.ts';
import { Handshake } from './handshake.ts';
import { Keyboard } from './keyboard.ts';
import { Painter } from './painter.ts';
import { COLOUR_MAP_FORMAT } from './pixel-format.ts';
import { Pointer } from './pointer.ts';
import {
  BY_THIS_VIEWER,
  FORWARDED,
  INVALID_LAYOUT,
  PROHIBITED,
  isLayout,
  writeExtendedDesktopSize,
} from './pseudo/desktop-size.ts';
import { UpdateWriter } from './update-writer.ts';
import type { KeyPress, PointerMove, RfbSessionOptions, SentRectangle, ViewerSession } from './viewer.ts';

const SET_COLOUR_MAP_ENTRIES = 1;
const END_OF_CONTINUOUS_UPDATES = 150;
/** Answers that wait because the viewer does not read; one that asks for more is cut off. */
const MAX_UNREAD_ANSWERS = 1000;

type Message<K extends ClientMessage['kind']> = Extract<ClientMessage, { kind: K }>;

/** See `ViewerSession`. */
export class RfbSession implements ViewerSession {
  private readonly options: RfbSessionOptions;
  private readonly queue = new ByteQueue();
  private readonly handshake: Handshake;
  /** Once the viewer is through the handshake. */
  private painter: Painter | undefined;
  private readonly keyboard = new Keyboard();
  private readonly pointer = new Pointer();
  private pace: Pace | undefined;
  /** Of a viewer that takes any text. */
  private clipboard: Clipboard | undefined;
  private hasContinuousUpdates = false;
  /** The answer that goes out just before the next message is carried out. */
  private heldAnswer: Uint8Array | undefined;
  /** What the guest has copied, until there is room for it. */
  private heldText: string | undefined;
  private skipping = 0;
  private unreadAnswers = 0;
  private reason: string | undefined;

  /** Sends the server's version at once. */
  constructor(options: RfbSessionOptions) {
    assert(options.password !== '', 'a VNC password is not empty');
    this.options = options;
    const { framebuffer, name, password, refusal, random, send, on } = options;
    const onPassword = (isRight: boolean): void => on.password?.(isRight);
    this.handshake = new Handshake({ name, password, refusal, onPassword, random, send, size: () => framebuffer });
  }

  get closeReason(): string | undefined {
    return this.reason;
  }

  receive(bytes: Uint8Array): void {
    this.guard(() => {
      this.queue.push(bytes);
      this.readMessages();
      return this.sendPictures();
    });
  }

  pump(): boolean {
    return this.guard(() => this.sendPictures());
  }

  cutText(text: string): void {
    this.guard(() => {
      if (this.painter === undefined || this.options.viewOnly) return false;
      this.heldText = text;
      return this.sendPictures();
    });
  }

  close(why: string): void {
    if (this.reason !== undefined) return;
    this.reason = why;
    this.painter?.stop();
    this.emitKeys(this.keyboard.release());
    this.emitPointer(this.pointer.release());
    this.options.on.closed?.(why);
  }

  /** Whatever goes wrong in here is the end of this viewer's session, and of no other's. */
  private guard(work: () => boolean): boolean {
    if (this.reason !== undefined) return false;
    try {
      return work();
    } catch (error) {
      this.close(error instanceof TomeiError ? error.message : `internal error: ${messageOf(error)}`);
      return false;
    }
  }

  private readMessages(): void {
    if (this.painter === undefined) {
      const result = this.handshake.advance(this.queue);
      if (result === undefined) return;
      const { framebuffer, cursor = 'arrow', viewOnly, on } = this.options;
      const onSent = on.sent && ((rectangle: SentRectangle) => on.sent?.(rectangle));
      this.painter = new Painter({ framebuffer, cursor, viewOnly, onSent });
      on.ready?.(result);
    }
    // A listener may have closed the session.
    while (this.reason === undefined) {
      const skipped = Math.min(this.skipping, this.queue.length);
      this.queue.skip(skipped);
      this.skipping -= skipped;
      if (this.skipping > 0) return;
      const message = readClientMessage(this.queue);
      if (message === NEED_MORE) return;
      this.answerHeldFence();
      this.carryOut(message, this.painter);
    }
  }

  private carryOut(message: ClientMessage, painter: Painter): void {
    switch (message.kind) {
      case 'pixel-format':
        painter.setFormat(message.format);
        if (!message.format.trueColour) this.answer(colourMap());
        return;
      case 'encodings':
        this.setEncodings(message, painter);
        return;
      case 'update-request':
        painter.request(message.area, message.incremental);
        return;
      case 'key':
        this.emitKeys(this.keyboard.keysym(message.keysym, message.down));
        return;
      case 'scan-code':
        this.emitKeys(this.keyboard.scanCode(message.xtCode, message.keysym, message.down));
        return;
      case 'pointer':
        this.emitPointer(
          this.pointer.moveTo(
            message.x,
            message.y,
            message.buttons,
            painter.isPointerRelative ? undefined : painter.knownSize,
          ),
        );
        return;
      case 'cut-text':
        if (!this.options.viewOnly) this.options.on.cutText?.(message.text);
        return;
      case 'clipboard':
        this.exchange(message);
        return;
      case 'skip':
        this.skipping = message.count;
        return;
      case 'continuous-updates':
        painter.setContinuous(message.enable ? message.area : undefined);
        if (!message.enable) this.answer(new Uint8Array([END_OF_CONTINUOUS_UPDATES]));
        return;
      case 'fence':
        this.fence(message);
        return;
      case 'desktop-size':
        this.resize(message, painter);
        return;
    }
  }

  private setEncodings({ ids }: Message<'encodings'>, painter: Painter): void {
    const capabilities = capabilitiesOf(ids);
    painter.setCapabilities(capabilities);
    // Each is greeted once, the first time that the viewer names it.
    if (capabilities.extendedClipboard && this.clipboard === undefined && !this.options.viewOnly) {
      this.clipboard = new Clipboard();
      this.answer(this.clipboard.greeting());
    }
    if (capabilities.fence && this.pace === undefined) {
      this.pace = new Pace();
      this.answer(fenceGreeting());
    }
    if (capabilities.continuousUpdates && !this.hasContinuousUpdates) {
      this.hasContinuousUpdates = true;
      this.answer(new Uint8Array([END_OF_CONTINUOUS_UPDATES]));
    }
  }

  private exchange({ flags, data }: Message<'clipboard'>): void {
    if (this.clipboard === undefined) throw broken('text for the extended clipboard, which was not offered');
    const { answer, text } = this.clipboard.received(flags, data);
    if (answer !== undefined) this.answer(answer);
    if (text !== undefined) this.options.on.cutText?.(text);
  }

  private fence({ flags, payload }: Message<'fence'>): void {
    if (!isFenceRequest(flags)) this.pace?.answered(payload);
    else if (isSyncNext(flags)) this.heldAnswer = fenceAnswer(flags, payload);
    else this.answer(fenceAnswer(flags, payload));
  }

  private answerHeldFence(): void {
    if (this.heldAnswer === undefined) return;
    this.answer(this.heldAnswer);
    this.heldAnswer = undefined;
  }

  private resize({ width, height, screens }: Message<'desktop-size'>, painter: Painter): void {
    const { viewOnly, on } = this.options;
    const ask = (): number => (!viewOnly && on.resize?.({ width, height }) === true ? FORWARDED : PROHIBITED);
    const update = new UpdateWriter(),
      status = isLayout({ width, height }, screens) ? ask() : INVALID_LAYOUT;
    writeExtendedDesktopSize(update, painter.knownSize, BY_THIS_VIEWER, status);
    this.answer(update.toBytes());
  }

  /** Sends something small that has to go out whether the viewer reads or not. */
  private answer(bytes: Uint8Array): void {
    this.unreadAnswers = this.options.canSend() ? 0 : this.unreadAnswers + 1;
    if (this.unreadAnswers > MAX_UNREAD_ANSWERS) {
      throw new TomeiError('viewer.not-reading', 'the viewer asks and asks and does not read the answers');
    }
    this.options.send(bytes);
  }

  private sendPictures(): boolean {
    const { painter, pace } = this;
    if (painter === undefined || this.reason !== undefined) return false;
    this.sendText();
    if (!this.options.canSend() || pace?.hasRoom === false) return false;
    const messages = painter.next();
    for (const message of messages) this.options.send(message);
    if (messages.length === 0) return false;
    if (painter.isContinuous && pace !== undefined) {
      this.options.send(pace.sent(messages.reduce((sum, message) => sum + message.length, 0)));
    }
    return true;
  }

  private sendText(): void {
    const { heldText } = this;
    if (heldText === undefined || !this.options.canSend()) return;
    this.heldText = undefined;
    this.options.send(this.clipboard?.offer(heldText) ?? plainText(heldText));
  }

  private emitKeys(keys: readonly KeyPress[]): void {
    if (!this.options.viewOnly) for (const key of keys) this.options.on.key?.(key);
  }

  private emitPointer(move: PointerMove | undefined): void {
    if (!this.options.viewOnly && move !== undefined) this.options.on.pointer?.(move);
  }
}

/** SetColourMapEntries (RFC 6143, 7.6.2) for all 256 indexes of `COLOUR_MAP_FORMAT`. */
function colourMap(): Uint8Array {
  const { redMax, greenMax, blueMax, redShift, greenShift, blueShift } = COLOUR_MAP_FORMAT;
  const out = new ByteWriter().u8(SET_COLOUR_MAP_ENTRIES).zeros(1).u16(0).u16(256);
  for (let index = 0; index < 256; index++) {
    const intensity = (max: number, shift: number): number => Math.round((((index >> shift) & max) * 0xffff) / max);
    out.u16(intensity(redMax, redShift)).u16(intensity(greenMax, greenShift)).u16(intensity(blueMax, blueShift));
  }
  return out.toBytes();
}
