/**
 * A small RFB viewer for tests and benchmarks (RFC 6143): raw pictures, CopyRect, sizes, keys, passwords. Of Tight and ZRLE it reads
 * where they end and not what they show. It trusts its server.
 */
import { createCipheriv } from 'node:crypto';
import { connect } from 'node:net';
import { WebSocket } from 'ws';

export interface RfbClientOptions {
  readonly password?: string;
  /** By number; raw, CopyRect and DesktopSize by default. */
  readonly encodings?: readonly number[];
  /** Asks for the next picture when one has come; default true. */
  readonly asksOn?: boolean;
}

const RAW = 0;
const COPY_RECT = 1;
const TIGHT = 7;
const ZRLE = 16;
const DESKTOP_SIZE = -223;
const EXTENDED_DESKTOP_SIZE = -308;
const BY_THIS_VIEWER = 1;
const SECURITY_VNC = 2;

/** 32 bits a dot, little-endian, red first in memory: what the picture below has. RFC 6143, 7.4. */
const PIXEL_FORMAT = Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0]);

type Steps = Generator<number, void, Buffer>;

export class RfbClient {
  width = 0;
  height = 0;
  /** One word a dot: red + green * 2^8 + blue * 2^16. */
  dots = new Uint32Array(0);
  name = '';
  /** FramebufferUpdates that came. */
  updates = 0;
  /** What the guest has copied. */
  readonly texts: string[] = [];
  /** What became of sizes that were asked for: rfbproto's numbers. */
  readonly answers: number[] = [];
  bytes = 0;
  /** Fulfilled at the end of the handshake. */
  readonly ready: Promise<void>;
  /** Fulfilled with the reason when the connection is over. */
  readonly closed: Promise<string>;
  private readonly options: RfbClientOptions;
  private readonly write: (bytes: Uint8Array) => void;
  private readonly readiness = Promise.withResolvers<void>();
  private readonly ending = Promise.withResolvers<string>();
  private readonly waiting = new Set<() => void>();
  private readonly steps: Steps;
  private pieces: Buffer[] = [];
  private available = 0;
  private needed: number;

  constructor(write: (bytes: Uint8Array) => void, options: RfbClientOptions = {}) {
    this.options = options;
    this.write = write;
    this.ready = this.readiness.promise;
    this.closed = this.ending.promise;
    this.ready.catch(() => undefined);
    this.steps = this.talk();
    this.needed = this.steps.next().value as number;
  }

  receive(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.pieces.push(Buffer.from(bytes));
    this.available += bytes.length;
    while (this.available >= this.needed) {
      const all = this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces);
      const part = all.subarray(0, this.needed);
      this.pieces = [all.subarray(this.needed)];
      this.available -= this.needed;
      const next = this.steps.next(part);
      if (next.done === true) return;
      this.needed = next.value;
    }
  }
  lost(why: string): void {
    this.readiness.reject(new Error(`the connection ended: ${why}`));
    this.ending.resolve(why);
    for (const check of [...this.waiting]) check();
  }

  /** Fulfilled as soon as the condition holds after a picture or a text. */
  until(condition: (client: this) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (!condition(this)) return;
      this.waiting.delete(check);
      resolve();
    };
    this.waiting.add(check);
    check();
    return promise;
  }
  dot(x: number, y: number): number {
    return (this.dots[y * this.width + x] ?? 0) & 0xffffff;
  }

  ask(incremental: boolean): void {
    const message = Buffer.alloc(10);
    message[0] = 3;
    message[1] = incremental ? 1 : 0;
    message.writeUInt16BE(this.width, 6);
    message.writeUInt16BE(this.height, 8);
    this.write(message);
  }
  key(keysym: number, down: boolean): void {
    const message = Buffer.alloc(8);
    message[0] = 4;
    message[1] = down ? 1 : 0;
    message.writeUInt32BE(keysym, 4);
    this.write(message);
  }
  /** Latin-1. */
  cutText(text: string): void {
    const head = Buffer.from([6, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(text.length, 4);
    this.write(Buffer.concat([head, Buffer.from(text, 'latin1')]));
  }
  /** One screen that is the whole picture. */
  setSize(width: number, height: number): void {
    const message = Buffer.alloc(24);
    message.writeUInt8(251, 0);
    message.writeUInt8(1, 6);
    for (const at of [2, 16]) message.writeUInt16BE(width, at);
    for (const at of [4, 18]) message.writeUInt16BE(height, at);
    this.write(message);
  }
  pointer(buttons: number, x: number, y: number): void {
    const message = Buffer.alloc(6);
    message[0] = 5;
    message[1] = buttons;
    message.writeUInt16BE(x, 2);
    message.writeUInt16BE(y, 4);
    this.write(message);
  }

  private *talk(): Steps {
    yield 12;
    this.write(Buffer.from('RFB 003.008\n'));
    const count = (yield 1)[0]!;
    if (count === 0) return this.lost((yield (yield 4).readUInt32BE()).toString());
    const types = yield count;
    const security = types.includes(SECURITY_VNC) ? SECURITY_VNC : types[0]!;
    this.write(Buffer.from([security]));
    if (security === SECURITY_VNC) this.write(responseTo(yield 16, this.options.password ?? ''));
    if ((yield 4).readUInt32BE() !== 0) {
      const why = (yield (yield 4).readUInt32BE()).toString();
      return this.lost(why);
    }
    this.write(Buffer.from([1]));
    const init = yield 24;
    this.resize(init.readUInt16BE(0), init.readUInt16BE(2));
    this.name = (yield init.readUInt32BE(20)).toString();
    const encodings = this.options.encodings ?? [RAW, COPY_RECT, DESKTOP_SIZE];
    const list = Buffer.alloc(4 + 4 * encodings.length);
    list[0] = 2;
    list.writeUInt16BE(encodings.length, 2);
    encodings.forEach((encoding, i) => list.writeInt32BE(encoding, 4 + 4 * i));
    this.write(Buffer.concat([Buffer.from([0, 0, 0, 0]), PIXEL_FORMAT, list]));
    this.readiness.resolve();
    if (this.options.asksOn !== false) this.ask(false);
    for (;;) yield* this.message();
  }
  private *message(): Steps {
    const type = (yield 1)[0]!;
    // Bell.
    if (type === 2) return;
    if (type === 3) {
      this.texts.push((yield (yield 7).readUInt32BE(3)).toString('latin1'));
      for (const check of [...this.waiting]) check();
      return;
    }
    if (type !== 0) throw new Error(`the server sent a message of type ${type}`);
    const count = (yield 3).readUInt16BE(1);
    for (let i = 0; i < count; i++) yield* this.rectangle();
    this.updates++;
    for (const check of [...this.waiting]) check();
    if (this.options.asksOn !== false) this.ask(true);
  }
  private *rectangle(): Steps {
    const head = yield 12;
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [number, number, number, number];
    const encoding = head.readInt32BE(8);
    if (encoding === DESKTOP_SIZE) this.resize(width, height);
    else if (encoding === EXTENDED_DESKTOP_SIZE) {
      yield (yield 4)[0]! * 16;
      if (x === BY_THIS_VIEWER) this.answers.push(y);
      else this.resize(width, height);
    } else if (encoding === COPY_RECT) {
      const from = yield 4;
      this.copy(x, y, width, height, from.readUInt16BE(0), from.readUInt16BE(2));
    } else if (encoding === RAW) {
      const content = yield width * height * 4;
      // A copy, so that it begins at a multiple of four bytes.
      const words = new Uint32Array(new Uint8Array(content).buffer);
      for (let row = 0; row < height; row++)
        this.dots.set(words.subarray(row * width, (row + 1) * width), (y + row) * this.width + x);
    } else if (encoding === ZRLE) {
      yield (yield 4).readUInt32BE();
    } else if (encoding === TIGHT) {
      yield* this.skipTight(width, height);
    } else throw new Error(`the server sent encoding ${encoding}, which was not offered`);
  }
  /** rfbproto, "Tight Encoding"; three bytes a dot in this pixel format. */
  private *skipTight(width: number, height: number): Steps {
    const control = (yield 1)[0]! >> 4;
    if (control === 8) {
      yield 3;
      return;
    }
    let rowBytes = width * 3;
    if ((control & 4) !== 0 && (yield 1)[0] === 1) {
      const colours = (yield 1)[0]! + 1;
      yield colours * 3;
      rowBytes = colours === 2 ? (width + 7) >> 3 : width;
    }
    let length = rowBytes * height;
    if (length >= 12) {
      length = 0;
      for (let shift = 0, byte = 0x80; (byte & 0x80) !== 0 && shift <= 14; shift += 7) {
        byte = (yield 1)[0]!;
        length |= (shift === 14 ? byte : byte & 0x7f) << shift;
      }
    }
    yield length;
  }
  private copy(x: number, y: number, width: number, height: number, fromX: number, fromY: number): void {
    const before = this.dots.slice();
    for (let row = 0; row < height; row++) {
      const from = (fromY + row) * this.width + fromX;
      this.dots.set(before.subarray(from, from + width), (y + row) * this.width + x);
    }
  }
  private resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.dots = new Uint32Array(width * height);
  }
}

/** RFC 6143, 7.2.2. */
function responseTo(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8);
  Buffer.from(password).copy(key);
  const mirrored = key.map((byte) =>
    [...byte.toString(2).padStart(8, '0')].reduceRight((sum, bit) => sum * 2 + Number(bit), 0),
  );
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([mirrored, mirrored, mirrored]), null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

/** A viewer, and the connection below it. */
export interface Connected<S> {
  readonly client: RfbClient;
  readonly socket: S;
}
export function viewWebSocket(url: string, options: RfbClientOptions = {}): Connected<WebSocket> {
  const socket = new WebSocket(url, ['binary']);
  const client = new RfbClient((bytes) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
  }, options);
  socket.on('message', (data) => client.receive(data as Buffer));
  socket.on('close', (code, reason) => client.lost(`${code} ${reason.toString()}`));
  socket.on('error', (error) => client.lost(error.message));
  return { client, socket };
}
export function viewTcp(port: number, options: RfbClientOptions = {}): Connected<ReturnType<typeof connect>> {
  const socket = connect(port, '127.0.0.1');
  const client = new RfbClient((bytes) => void socket.write(bytes), options);
  socket.on('data', (data) => client.receive(data));
  socket.on('close', () => client.lost('closed'));
  socket.on('error', (error) => client.lost(error.message));
  return { client, socket };
}
