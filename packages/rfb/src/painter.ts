/** Keeps one viewer's picture like the guest's: what it asked for, what differs, and the updates that follow. */
import { capabilitiesOf, type Capabilities } from './capabilities.ts';
import { copyRect } from './encodings/copy-rect.ts';
import { ZlibStreams } from './encodings/zlib-streams.ts';
import { FixedView } from './fixed-view.ts';
import type { Framebuffer, FrameChange } from './framebuffer.ts';
import type { Rectangle } from './geometry.ts';
import { SERVER_FORMAT, createPackers, type PixelFormat } from './pixel-format.ts';
import { writeCursor } from './pseudo/cursor.ts';
import { BY_SERVER, RESIZED, writeDesktopSize, writeExtendedDesktopSize, type Size } from './pseudo/desktop-size.ts';
import { writeExtendedKeys, writeRelativePointer } from './pseudo/qemu.ts';
import { Region } from './region.ts';
import { UpdateWriter } from './update-writer.ts';
import type { SentRectangle } from './viewer.ts';
import { ViewerDamage } from './viewer-damage.ts';

/** Said once to a viewer that understands it, in an update with dots. */
type Announcement = 'cursor' | 'scanCodes' | 'relativePointer';
const ANNOUNCEMENTS: readonly Announcement[] = ['cursor', 'scanCodes', 'relativePointer'];
/** A viewer that asks for more pieces than this before it gets any has them rounded up. */
const MAX_REQUEST_RECTANGLES = 32;

export interface PainterOptions {
  readonly framebuffer: Framebuffer;
  readonly cursor: 'arrow' | 'none';
  readonly viewOnly: boolean;
  /** See `ViewerEvents.sent`. */
  readonly onSent?: ((rectangle: SentRectangle) => void) | undefined;
}

export class Painter {
  private readonly options: PainterOptions;
  private readonly streams = new ZlibStreams();
  private packers = createPackers(SERVER_FORMAT);
  private capabilities: Capabilities = capabilitiesOf([]);
  /** The size that the viewer knows. */
  private size: Size;
  private readonly damage: ViewerDamage;
  /** Instead of the guest's picture, while its size is another and the viewer cannot follow. */
  private fixedView: FixedView | undefined;
  private requested = Region.empty;
  private continuous: Rectangle | undefined;
  private readonly announced = new Set<Announcement>();
  private owesSize = false;
  private readonly stopListening: () => void;

  /** To be made when the viewer is told the picture's size. */
  constructor(options: PainterOptions) {
    this.options = options;
    const { framebuffer } = options;
    this.size = { width: framebuffer.width, height: framebuffer.height };
    this.damage = new ViewerDamage(framebuffer.width, framebuffer.height);
    this.stopListening = framebuffer.onChange((change) => this.note(change));
  }

  stop(): void {
    this.stopListening();
  }

  get knownSize(): Size {
    return this.size;
  }

  get isContinuous(): boolean {
    return this.continuous !== undefined;
  }

  /** Whether the viewer was asked to send movement instead of positions. */
  get isPointerRelative(): boolean {
    return this.capabilities.relativePointer && this.announced.has('relativePointer');
  }

  setFormat(format: PixelFormat): void {
    this.packers = createPackers(format);
  }

  setCapabilities(capabilities: Capabilities): void {
    this.capabilities = capabilities;
    if (!capabilities.canCopy) this.damage.flattenCopies();
  }

  /** FramebufferUpdateRequest. */
  request(area: Rectangle, incremental: boolean): void {
    // rfbproto, "EnableContinuousUpdates": "The server must ignore all incremental update requests".
    if (incremental && this.continuous !== undefined) return;
    const wanted = Region.of(area).intersect(this.whole);
    this.requested = this.requested.union(wanted).coarsened(MAX_REQUEST_RECTANGLES, this.picture);
    if (incremental) return;
    for (const part of wanted.rectangles()) this.damage.addDamage(part);
    this.owesSize = this.capabilities.extendedDesktopSize;
  }

  /** EnableContinuousUpdates; undefined ends them. */
  setContinuous(area: Rectangle | undefined): void {
    this.continuous = area;
  }

  /** The messages that are due, none when the viewer waits for nothing or nothing has changed. They count as sent. */
  next(): Uint8Array[] {
    if (this.requested.isEmpty && this.continuous === undefined) return [];
    const messages: Uint8Array[] = [];
    if (!this.isFollowing) this.followSize(messages);
    else this.fixedView = undefined;
    if (this.owesSize) {
      this.owesSize = false;
      messages.push(this.sizeMessage());
    }
    const update = this.nextUpdate();
    if (update !== undefined) messages.push(update);
    return messages;
  }

  private get picture(): Rectangle {
    return { x: 0, y: 0, ...this.size };
  }

  private get whole(): Region {
    return Region.of(this.picture);
  }

  private get isFollowing(): boolean {
    const { width, height } = this.options.framebuffer;
    return width === this.size.width && height === this.size.height;
  }

  private note(change: FrameChange): void {
    if (change.resized) this.damage.reset(this.size.width, this.size.height);
    else this.damage.add(change, this.capabilities.canCopy && this.isFollowing && this.fixedView === undefined);
  }

  /** The guest's picture has another size than the viewer knows: tells it, or else shows it what fits. */
  private followSize(messages: Uint8Array[]): void {
    const { framebuffer } = this.options;
    const { desktopSize, extendedDesktopSize } = this.capabilities;
    if (!desktopSize && !extendedDesktopSize) {
      if (this.fixedView !== undefined) return;
      this.fixedView = new FixedView(this.size.width, this.size.height);
      this.damage.reset(this.size.width, this.size.height);
      return;
    }
    const wasAll = this.continuous !== undefined && Region.of(this.continuous).contains(this.picture);
    this.fixedView = undefined;
    this.size = { width: framebuffer.width, height: framebuffer.height };
    this.damage.reset(this.size.width, this.size.height);
    if (wasAll) this.continuous = this.picture;
    // What was asked for was of the old size. Dots never go into the same update: viewers may throw them away.
    this.requested = Region.empty;
    this.owesSize = false;
    messages.push(this.sizeMessage());
  }

  private sizeMessage(): Uint8Array {
    const update = new UpdateWriter();
    if (this.capabilities.extendedDesktopSize) writeExtendedDesktopSize(update, this.size, BY_SERVER, RESIZED);
    else writeDesktopSize(update, this.size);
    return this.finished(update);
  }

  private finished(update: UpdateWriter): Uint8Array {
    const { onSent } = this.options;
    if (onSent !== undefined) for (const rectangle of update.rectangles()) onSent(rectangle);
    return update.toBytes();
  }

  private nextUpdate(): Uint8Array | undefined {
    const { continuous } = this;
    const area = (continuous === undefined ? this.requested : this.requested.union(Region.of(continuous))).intersect(
      this.whole,
    );
    if (area.isEmpty) return undefined;
    const update = new UpdateWriter();
    this.writeAnnouncements(update);
    const due = this.damage.take(area);
    for (const copy of due.copies) copyRect.write(update.begin(copy, copyRect.id), copy);
    this.fixedView?.refresh(this.options.framebuffer, due.damage);
    for (const rectangle of due.damage) this.writeDots(update, rectangle);
    if (update.count === 0) return undefined;
    this.requested = Region.empty;
    return this.finished(update);
  }

  private writeDots(update: UpdateWriter, area: Rectangle): void {
    const { framebuffer } = this.options;
    const { encoding, level } = this.capabilities;
    const { packers, fixedView } = this;
    const encoded =
      fixedView === undefined
        ? framebuffer.encoded.encode(encoding, { picture: framebuffer, area, packers, level })
        : encoding.encode({ picture: fixedView, area, packers, level });
    for (const rectangle of encoded) rectangle.write(update.begin(rectangle, encoding.id), this.streams);
  }

  private writeAnnouncements(update: UpdateWriter): void {
    for (const announcement of ANNOUNCEMENTS) {
      if (!this.capabilities[announcement] || this.announced.has(announcement)) continue;
      // A viewer without input keeps its keys and its pointer to itself.
      if (this.options.viewOnly && announcement !== 'cursor') continue;
      this.announced.add(announcement);
      switch (announcement) {
        case 'cursor':
          writeCursor(update, this.options.cursor, this.packers.pixel);
          break;
        case 'scanCodes':
          writeExtendedKeys(update);
          break;
        case 'relativePointer':
          writeRelativePointer(update, this.size);
          break;
      }
    }
  }
}
