/** A VNC viewer over TCP, as small as RFC 6143 allows: raw pictures, keys, a password. It shares no code with the server. */
import { createCipheriv } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** 32 bits a dot, little-endian, red first. RFC 6143, 7.4. */
const PIXEL_FORMAT = Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0]);
const DESKTOP_SIZE = -223;

export class VncViewer {
  width = 0;
  height = 0;
  updates = 0;
  /** Why the connection is over. */
  closed: string | undefined;
  private dots = new Uint32Array(0);
  private readonly socket: Socket;
  private received = Buffer.alloc(0);
  private readonly waiting = new Set<() => void>();

  /** Undefined: nobody listens there. Throws when the password is refused. */
  static async connect(port: number, password: string): Promise<VncViewer | undefined> {
    const viewer = new VncViewer(port);
    try {
      await viewer.shakeHands(password);
    } catch (error) {
      viewer.close();
      if (viewer.closed?.includes('ECONNREFUSED') === true) return undefined;
      throw error;
    }
    void viewer.watch().catch((error: unknown) => {
      viewer.closed ??= String(error);
      viewer.wake();
    });
    return viewer;
  }
  private constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.wake();
    });
    this.socket.on('error', (error) => (this.closed ??= error.message));
    this.socket.on('close', () => {
      this.closed ??= 'closed';
      this.wake();
    });
  }

  get colours(): number {
    return new Set(this.dots).size;
  }
  /** Presses and releases the key with this keysym. */
  press(keysym: number): void {
    for (const down of [1, 0]) {
      const message = Buffer.from([4, down, 0, 0, 0, 0, 0, 0]);
      message.writeUInt32BE(keysym, 4);
      this.socket.write(message);
    }
  }
  /** Throws when the connection ends before the condition holds. */
  async until(condition: (viewer: this) => boolean): Promise<void> {
    while (!condition(this)) {
      if (this.closed !== undefined) throw new Error(`the viewer was closed: ${this.closed}`);
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }
  close(): void {
    this.socket.destroy();
  }

  private wake(): void {
    for (const resume of this.waiting) resume();
    this.waiting.clear();
  }
  private async take(count: number): Promise<Buffer> {
    await this.until(() => this.received.length >= count);
    const bytes = this.received.subarray(0, count);
    this.received = this.received.subarray(count);
    return bytes;
  }
  private async shakeHands(password: string): Promise<void> {
    await this.take(12);
    this.socket.write('RFB 003.008\n');
    const types = await this.take((await this.take(1))[0]!);
    const type = types.includes(2) ? 2 : 1;
    this.socket.write(Buffer.from([type]));
    if (type === 2) this.socket.write(encryptWith(password, await this.take(16)));
    if ((await this.take(4)).readUInt32BE() !== 0) throw new Error('the password was refused');
    this.socket.write(Buffer.from([1]));
    const init = await this.take(24);
    this.resize(init.readUInt16BE(0), init.readUInt16BE(2));
    await this.take(init.readUInt32BE(20));
    const encodings = Buffer.from([2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    encodings.writeInt32BE(DESKTOP_SIZE, 8);
    this.socket.write(Buffer.concat([Buffer.from([0, 0, 0, 0]), PIXEL_FORMAT, encodings]));
  }
  private async watch(): Promise<never> {
    for (let isFirst = true; ; isFirst = false) {
      this.ask(!isFirst);
      let type = (await this.take(1))[0];
      for (; type !== 0; type = (await this.take(1))[0])
        if (type === 3) await this.take((await this.take(7)).readUInt32BE(3));
      const count = (await this.take(3)).readUInt16BE(1);
      for (let i = 0; i < count; i++) await this.rectangle();
      this.updates++;
      this.wake();
    }
  }
  private ask(incremental: boolean): void {
    const message = Buffer.from([3, incremental ? 1 : 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    message.writeUInt16BE(this.width, 6);
    message.writeUInt16BE(this.height, 8);
    this.socket.write(message);
  }
  private async rectangle(): Promise<void> {
    const head = await this.take(12);
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [number, number, number, number];
    if (head.readInt32BE(8) === DESKTOP_SIZE) return this.resize(width, height);
    const content = await this.take(width * height * 4);
    for (let row = 0, at = 0; row < height; row++)
      for (let to = (y + row) * this.width + x, end = to + width; to < end; to++, at += 4)
        this.dots[to] = content.readUInt32LE(at) & 0xffffff;
  }
  private resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.dots = new Uint32Array(width * height);
  }
}

/** RFC 6143, 7.2.2: the password is the key of DES, with the bits of each byte the other way round. */
function encryptWith(password: string, content: Uint8Array): Buffer {
  const key = Buffer.alloc(8);
  Buffer.from(password).copy(key);
  return encryptDes(key, content);
}
/** The file in which VNC programs keep a password: DES again, under a key that everybody knows. */
export function passwordFile(password: string): Buffer {
  const content = Buffer.alloc(8);
  Buffer.from(password).copy(content);
  return encryptDes(Buffer.from([23, 82, 107, 6, 35, 78, 88, 7]), content);
}
function encryptDes(key: Buffer, content: Uint8Array): Buffer {
  const mirrored = key.map((byte) =>
    [...byte.toString(2).padStart(8, '0')].reduceRight((sum, bit) => sum * 2 + Number(bit), 0),
  );
  // Three times the same key makes triple DES a single one, which OpenSSL 3 has no longer by itself.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([mirrored, mirrored, mirrored]), null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(content), cipher.final()]);
}
