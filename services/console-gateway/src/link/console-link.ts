/**
 * The one stream from a guest, however many watch. It finds the guest's console by its record, follows it through resets, power
 * cycles and moves to other runners, and keeps the picture that all viewers share.
 */
import { newId, type ConsoleAttached, type ConsoleInput, type Frame, type Guest, type Init } from '@tomei/contracts';
import { TomeiError, assert } from '@tomei/kit';
import { Framebuffer } from '@tomei/rfb';
import type { Log } from '@tomei/service';
import type { GatewayMetrics } from '../metrics.ts';
import type { Pace } from '../options.ts';
import { Attachment, SERIAL_PORTS, type AttachmentSettings } from './attachment.ts';
import { consoleOf, type GuestWatch } from './guest-watch.ts';
import { noticeFrame } from './notice.ts';
import { Scrollback } from './scrollback.ts';
import { Wakeup } from './wakeup.ts';

/** Whoever watches. Called from inside the link; must not throw. */
export interface LinkViewer {
  /** The picture has changed. */
  picture?(): void;
  serial?(port: number, bytes: Uint8Array): void;
  /** The guest has copied a text. */
  copied?(text: string): void;
  /** The console is there, with these serial ports. */
  attached?(serialPorts: readonly number[]): void;
  /** Last: the guest was deleted (`guest.missing`), or the gateway stops (`gateway.closing`). */
  gone(error: TomeiError): void;
}
/** `waiting`: for a guest that is off, starts, or cannot be reached. */
export const LINK_STATES = ['waiting', 'attached'] as const;
export type LinkState = (typeof LINK_STATES)[number];

/** How long a viewer waits for the first picture before it is shown a black one. */
const FIRST_PICTURE_MS = 1500;

export interface LinkParts {
  readonly watch: GuestWatch;
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  readonly pace: Pace;
  readonly scrollbackBytes: number;
}

export class ConsoleLink {
  readonly guestId: string;
  /** The picture; while the guest has none, a notice that says why. */
  readonly framebuffer = new Framebuffer();
  private readonly parts: LinkParts;
  private readonly instance = newId();
  private readonly log: Log;
  private readonly viewers = new Set<LinkViewer>();
  private readonly over = new AbortController();
  private readonly wakeup = new Wakeup();
  private readonly scrollbacks = Array.from({ length: SERIAL_PORTS }, (): Scrollback | undefined => undefined);
  private readonly running: Promise<void>;
  private readonly firstPicture = Promise.withResolvers<void>();
  private attachment: Attachment | undefined;
  /** What the guest said first; undefined while nothing is attached. */
  private attached: ConsoleAttached | undefined;
  private lastTrouble = '';
  private lastLive = -Infinity;
  private shown = '';
  private hasFrame = false;
  private hasSettled = false;
  private version = 0;
  private retryMs: number;

  constructor(guestId: string, parts: LinkParts) {
    this.guestId = guestId;
    this.parts = parts;
    this.log = parts.log.child({ guestId });
    this.retryMs = parts.pace.retryMs;
    const patience = setTimeout(this.firstPicture.resolve, FIRST_PICTURE_MS);
    void this.firstPicture.promise.then(() => {
      this.hasSettled = true;
      clearTimeout(patience);
    });
    this.framebuffer.onChange(() => {
      this.version++;
      this.firstPicture.resolve();
      for (const viewer of this.viewers) viewer.picture?.();
    });
    const stopListening = parts.watch.onEvent((id) => {
      if (id !== guestId) return;
      this.retryMs = parts.pace.retryMs;
      this.wakeup.wake();
    });
    parts.metrics.links.inc({ state: 'waiting' });
    this.running = this.run().finally(() => {
      stopListening();
      parts.metrics.links.dec({ state: this.state });
    });
  }

  get state(): LinkState {
    return this.attached === undefined ? 'waiting' : 'attached';
  }
  /** Another one after every change of the picture, and of every link; undefined while the picture is not the guest's own. */
  get pictureVersion(): string | undefined {
    return this.hasFrame ? `${this.instance}-${this.version}` : undefined;
  }
  /** Which of COM1 to COM4 (0 to 3) are there; undefined while nothing is attached. */
  get serialPorts(): readonly number[] | undefined {
    return this.attached?.serialPorts;
  }

  /** Whether the guest that is attached can be asked for a screen of another size. */
  get resizable(): boolean {
    return this.attached?.resizable === true;
  }

  /** Fulfilled when there is something to show, or a moment later: who looks just once should not see a screen that is black. */
  get settled(): Promise<void> {
    return this.firstPicture.promise;
  }

  /** Whether `settled` has been fulfilled. */
  get isSettled(): boolean {
    return this.hasSettled;
  }

  add(viewer: LinkViewer): void {
    this.viewers.add(viewer);
  }
  remove(viewer: LinkViewer): void {
    this.viewers.delete(viewer);
  }

  /** What a serial port (0 to 3) put out last. */
  scrollback(port: number): Uint8Array {
    return this.scrollbacks[port]?.tail() ?? new Uint8Array(0);
  }

  /** Input for the guest; of one that is off nothing remains of it. False: await `drained` before more is sent. */
  send(input: Init<ConsoleInput>): boolean {
    return this.attached === undefined || this.attachment === undefined || this.attachment.send(input);
  }
  async drained(): Promise<void> {
    await this.attachment?.drained();
  }

  /** Ends the stream; viewers are told `why`. Safe to call twice. */
  async close(why: TomeiError): Promise<void> {
    this.over.abort();
    this.firstPicture.resolve();
    this.attachment?.close();
    await this.running;
    this.tellGone(why);
  }

  private async run(): Promise<void> {
    const { pace } = this.parts;
    const { signal } = this.over;
    while (!signal.aborted) {
      const guest = await this.read();
      if (signal.aborted) return;
      if (guest === 'gone') {
        this.tellGone(new TomeiError('guest.missing', `guest ${this.guestId} was deleted`));
        await this.wakeup.nap(pace.recheckMs, signal);
        continue;
      }
      const console = guest === undefined ? undefined : consoleOf(guest);
      if (guest !== undefined && console !== undefined) {
        const livedMs = await this.attach(guest, console);
        // A console that goes on ending at once is not asked for ever faster.
        if (livedMs > pace.maxRetryMs) this.retryMs = pace.retryMs;
        if (livedMs === 0) this.show(guest);
        await this.wakeup.nap(this.nextRetryMs(), signal);
        continue;
      }
      const isSettled = guest !== undefined && this.show(guest);
      await this.wakeup.nap(isSettled ? pace.recheckMs : this.nextRetryMs(), signal);
    }
  }

  private nextRetryMs(): number {
    const now = this.retryMs;
    this.retryMs = Math.min(now * 2, this.parts.pace.maxRetryMs);
    return now;
  }

  /** The guest's record; undefined while the store does not answer. */
  private async read(): Promise<Guest | 'gone' | undefined> {
    try {
      return (await this.parts.watch.records.get(this.guestId))?.guest ?? 'gone';
    } catch (error) {
      this.tell(error, 'the record of a guest cannot be read');
      return undefined;
    }
  }

  /** How long there was a stream that is now over, in milliseconds; 0: there was none. */
  private async attach(guest: Guest, at: { readonly target: string; readonly token: string }): Promise<number> {
    let attachedAt: number | undefined;
    const attachment = this.dial({
      guestId: this.guestId,
      ...at,
      on: {
        attached: (attached) => {
          attachedAt = performance.now();
          this.lastTrouble = '';
          this.log.info({ target: at.target, run: attached.run }, 'a console is attached');
          // A guest begins with what its ports put out last.
          for (const scrollback of this.scrollbacks) scrollback?.clear();
          this.become(attached);
        },
        frame: (frame) => this.takeFrame(frame),
        serial: (port, bytes) => this.takeSerial(port, bytes),
        copied: (text) => {
          for (const viewer of this.viewers) viewer.copied?.(text);
        },
      },
    });
    if (attachment === undefined) return 0;
    this.attachment = attachment;
    let isOver = false;
    const watching = this.followRecord(attachment, at, () => isOver);
    try {
      const why = await attachment.run();
      if (attachedAt !== undefined) this.log.info({ why, guest: guest.name }, 'a console is gone');
    } catch (error) {
      if (!this.over.signal.aborted) this.tell(error, 'a console cannot be attached, or broke');
    }
    isOver = true;
    this.wakeup.wake();
    await watching;
    this.attachment = undefined;
    if (this.hasFrame) this.lastLive = performance.now();
    this.become(undefined);
    return attachedAt === undefined ? 0 : Math.max(1, performance.now() - attachedAt);
  }

  /** Undefined when the address in the record is none. */
  private dial(settings: AttachmentSettings): Attachment | undefined {
    try {
      return new Attachment(settings);
    } catch (error) {
      this.tell(error, 'a console cannot be dialled');
      return undefined;
    }
  }

  /** Ends a stream when the record says that the guest runs elsewhere or anew. A record without a console says nothing yet. */
  private async followRecord(
    attachment: Attachment,
    at: { readonly target: string; readonly token: string },
    isOver: () => boolean,
  ): Promise<void> {
    const { signal } = this.over;
    for (;;) {
      await this.wakeup.nap(this.parts.pace.recheckMs, signal);
      if (isOver() || signal.aborted) return;
      const guest = await this.read();
      if (guest === undefined) continue;
      const now = guest === 'gone' ? undefined : consoleOf(guest);
      const isElsewhere = now !== undefined && (now.target !== at.target || now.token !== at.token);
      if (guest !== 'gone' && !isElsewhere) continue;
      this.log.info({}, 'a guest runs anew');
      attachment.close();
      return;
    }
  }

  private become(attached: ConsoleAttached | undefined): void {
    const { links } = this.parts.metrics;
    links.dec({ state: this.state });
    this.attached = attached;
    links.inc({ state: this.state });
    this.hasFrame = false;
    if (attached !== undefined) for (const viewer of this.viewers) viewer.attached?.(attached.serialPorts);
  }

  private takeFrame(frame: Frame): void {
    const { framesIn, frameBytesIn } = this.parts.metrics;
    this.framebuffer.apply(frame);
    framesIn.inc();
    frameBytesIn.inc(frame.rectangles.reduce((sum, { rgba }) => sum + rgba.length, 0));
    this.hasFrame = true;
    this.shown = '';
  }

  private takeSerial(port: number, bytes: Uint8Array): void {
    this.parts.metrics.serialIn.inc(bytes.length);
    const scrollback = (this.scrollbacks[port] ??= new Scrollback(this.parts.scrollbackBytes));
    scrollback.add(bytes);
    for (const viewer of this.viewers) viewer.serial?.(port, bytes);
  }

  /** Says on the screen what became of the guest. False: the last picture stays a while, since a new one may come at once. */
  private show(guest: Guest): boolean {
    const lines = noticeOf(guest);
    const isEnded = guest.observed?.phase === 'GUEST_PHASE_OFF' || guest.observed?.phase === 'GUEST_PHASE_CRASHED';
    if (!isEnded && performance.now() - this.lastLive < this.parts.pace.frozenMs) return false;
    const text = lines.join('\n');
    if (text === this.shown) return true;
    this.shown = text;
    this.framebuffer.apply(noticeFrame(this.framebuffer.width, this.framebuffer.height, lines));
    return true;
  }

  /** One line of the log for a trouble that stays the same. */
  private tell(error: unknown, message: string): void {
    const code = error instanceof TomeiError ? error.code : 'bug';
    if (code === this.lastTrouble) return;
    this.lastTrouble = code;
    this.log.warn({ error }, message);
  }

  private tellGone(error: TomeiError): void {
    for (const viewer of [...this.viewers]) {
      this.viewers.delete(viewer);
      viewer.gone(error);
    }
    assert(this.viewers.size === 0, 'nobody is left');
  }
}

const NOTICES: Partial<Record<NonNullable<Guest['observed']>['phase'], string>> = {
  GUEST_PHASE_OFF: 'powered off',
  GUEST_PHASE_PENDING: 'waits for a runner with room',
  GUEST_PHASE_STARTING: 'is starting',
  GUEST_PHASE_RUNNING: 'is running; its screen is being fetched',
  GUEST_PHASE_STOPPING: 'is powering off',
  GUEST_PHASE_CRASHED: 'crashed',
  GUEST_PHASE_LOST: 'was lost with its runner',
};
function noticeOf({ name, observed }: Guest): readonly string[] {
  const what = NOTICES[observed?.phase ?? 'GUEST_PHASE_OFF'] ?? 'powered off';
  const why = observed?.message ?? '';
  return why === '' ? [name, what] : [name, what, why];
}
