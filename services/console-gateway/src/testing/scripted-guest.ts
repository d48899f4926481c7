/** A guest's console that shows what a test tells it: the real service on a real gRPC server, without a guest behind it. */
import {
  ConsoleService,
  type ConsoleInput,
  type ConsoleOutput,
  type Init,
  type KeyInput,
  type PointerInput,
} from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { encodePng } from '@tomei/paravirt-core';
import { serve, startRpcServer, type Duplex, type RpcServer } from '@tomei/service';

export interface ScriptedGuestOptions {
  readonly guestId: string;
  readonly token: string;
  /** `unix:/path` or `host:0`. */
  readonly bind: string;
  readonly run?: number;
  readonly width?: number;
  readonly height?: number;
  readonly serialPorts?: readonly number[];
  /** Its screen gets the size that viewers ask for. */
  readonly resizable?: boolean;
  readonly onKey?: (key: KeyInput, guest: ScriptedGuest) => void;
}
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
/** Frames that are not acknowledged yet; more wait, as a real guest's do. */
const MAX_UNDER_WAY = 3;

export class ScriptedGuest {
  readonly keys: KeyInput[] = [];
  readonly pointers: PointerInput[] = [];
  readonly texts: string[] = [];
  /** What viewers typed, by port, as Latin-1. */
  readonly typed: string[] = ['', '', '', ''];
  width: number;
  height: number;
  /** Attach streams that there were. */
  attachments = 0;
  screenshots = 0;
  private readonly options: ScriptedGuestOptions;
  private readonly streams = new Set<ScriptedStream>();
  private dots: Uint32Array;
  private server!: RpcServer;
  private waiting: (() => void)[] = [];

  private constructor(options: ScriptedGuestOptions) {
    this.options = options;
    this.width = options.width ?? 64;
    this.height = options.height ?? 48;
    this.dots = new Uint32Array(this.width * this.height).fill(0xff000000);
  }
  static async start(options: ScriptedGuestOptions): Promise<ScriptedGuest> {
    const guest = new ScriptedGuest(options);
    guest.server = await startRpcServer({
      bind: options.bind,
      services: [
        serve(ConsoleService, {
          attach: (stream) => guest.attach(stream),
          // eslint-disable-next-line @typescript-eslint/require-await -- a handler's shape
          screenshot: async ({ token }) => {
            if (token !== options.token) throw new TomeiError('console.denied', 'this is not the token');
            guest.screenshots++;
            const { width, height } = guest;
            return {
              png: encodePng({ width, height, rgba: guest.cut({ x: 0, y: 0, width, height }) }),
              text: ['login:', ''],
            };
          },
        }),
      ],
    });
    return guest;
  }

  get target(): string {
    return this.server.target;
  }
  /** Fulfilled when the condition holds; looked at whenever something has come. */
  until(condition: (guest: this) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (condition(this)) resolve();
      else this.waiting.push(check);
    };
    check();
    return promise;
  }

  /** Fills a rectangle with one colour (red + green * 2^8 + blue * 2^16). */
  paint(box: Box, colour: number): void {
    for (let y = box.y; y < box.y + box.height; y++)
      this.dots.fill((colour | 0xff000000) >>> 0, y * this.width + box.x, y * this.width + box.x + box.width);
    for (const stream of this.streams) stream.damage(box);
  }
  /** Lets `drawing` fill a rectangle: one word a dot, as wide as the rectangle. */
  draw(box: Box, drawing: (dots: Uint32Array, box: Box) => void): void {
    const dots = new Uint32Array(box.width * box.height);
    drawing(dots, box);
    for (let row = 0; row < box.height; row++)
      this.dots.set(dots.subarray(row * box.width, (row + 1) * box.width), (box.y + row) * this.width + box.x);
    for (const stream of this.streams) stream.damage(box);
  }
  resize(width: number, height: number, colour: number): void {
    this.width = width;
    this.height = height;
    this.dots = new Uint32Array(width * height);
    this.paint({ x: 0, y: 0, width, height }, colour);
  }
  /** The dots of a rectangle, four bytes each. */
  cut({ x, y, width, height }: Box): Uint8Array {
    const out = new Uint32Array(width * height);
    for (let row = 0; row < height; row++) {
      const from = (y + row) * this.width + x;
      out.set(this.dots.subarray(from, from + width), row * width);
    }
    return new Uint8Array(out.buffer);
  }
  print(port: number, text: string): void {
    for (const stream of this.streams) stream.send({ serial: { port, data: Buffer.from(text, 'latin1') } });
  }
  /** Anything at all, for what a real guest would not send. */
  sendRaw(output: Init<ConsoleOutput>): void {
    for (const stream of this.streams) stream.send(output);
  }
  /** Says good-bye, as a guest that powers off does, and stops serving. */
  async end(why: string): Promise<void> {
    for (const stream of this.streams) stream.end(why);
    await this.server.close(200);
  }
  /** Stops serving without a word, as a process that is killed. */
  close(): Promise<void> {
    return this.server.close(0);
  }

  private async attach(stream: Duplex<ConsoleInput, ConsoleOutput>): Promise<void> {
    const { guestId, token, run = 1, serialPorts = [0], resizable = false } = this.options;
    let scripted: ScriptedStream | undefined;
    const over = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const input of stream.messages) {
        if (scripted === undefined) {
          if (input.hello?.token !== token) throw new TomeiError('console.denied', 'this is not the token');
          this.attachments++;
          stream.send({ attached: { guestId, run, serialPorts, resizable } });
          scripted = new ScriptedStream(this, stream, over.resolve);
          this.streams.add(scripted);
          scripted.damage({ x: 0, y: 0, width: this.width, height: this.height });
        } else this.take(input, scripted);
        const { waiting } = this;
        this.waiting = [];
        for (const check of waiting) check();
      }
    })();
    try {
      await Promise.race([reading, over.promise]);
    } finally {
      if (scripted !== undefined) this.streams.delete(scripted);
    }
  }
  private take({ key, pointer, serial, ack, clipboard, screenSize }: ConsoleInput, stream: ScriptedStream): void {
    if (key !== undefined) {
      this.keys.push(key);
      this.options.onKey?.(key, this);
    }
    if (pointer !== undefined) this.pointers.push(pointer);
    if (clipboard !== undefined) this.texts.push(clipboard.text);
    if (screenSize !== undefined) this.resize(screenSize.width, screenSize.height, 0x80_40_20);
    if (serial !== undefined) this.typed[serial.port] += Buffer.from(serial.data).toString('latin1');
    if (ack !== undefined) stream.acknowledged(ack.frame);
  }
}

/** One viewer of the scripted guest: what changed is sent at once, or with the next acknowledgement. */
class ScriptedStream {
  private readonly guest: ScriptedGuest;
  private readonly stream: Duplex<ConsoleInput, ConsoleOutput>;
  readonly end: (why: string) => void;
  private sent = 0;
  private acked = 0;
  private waiting: Box | undefined;

  constructor(guest: ScriptedGuest, stream: Duplex<ConsoleInput, ConsoleOutput>, over: () => void) {
    this.guest = guest;
    this.stream = stream;
    this.end = (why) => {
      stream.send({ ended: { why } });
      over();
    };
  }
  send(output: Init<ConsoleOutput>): void {
    this.stream.send(output);
  }
  damage(box: Box): void {
    const before = this.waiting;
    this.waiting = before === undefined ? box : union(before, box);
    this.pass();
  }
  acknowledged(frame: number): void {
    this.acked = frame;
    this.pass();
  }
  private pass(): void {
    if (this.waiting === undefined || this.sent - this.acked >= MAX_UNDER_WAY) return;
    const { width, height } = this.guest;
    const box =
      this.waiting.width > width || this.waiting.height > height ? { x: 0, y: 0, width, height } : this.waiting;
    this.waiting = undefined;
    this.stream.send({
      frame: { number: ++this.sent, width, height, rectangles: [{ ...box, rgba: this.guest.cut(box) }] },
    });
  }
}

function union(a: Box, b: Box): Box {
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}
