/** For tests: the far end of a console, as a gateway would do it. */
import { inflateSync } from 'node:zlib';
import {
  ConsoleService,
  type ConsoleInput,
  type ConsoleOutput,
  type Frame as FrameMessage,
  type Init,
} from '@tomei/contracts';
import { copyWithin, type Frame } from '@tomei/paravirt-core';
import { rpcClient, type ClientDuplex, type RpcClient } from '@tomei/service';

/** The picture after a message. Throws when the message does not fit the picture before. */
export function applyFrame(before: Frame | undefined, message: Init<FrameMessage>): Frame {
  const { width = 0, height = 0, copies = [], rectangles = [] } = message;
  const sameSize = before?.width === width && before.height === height;
  // Dots that nobody sent stay zero, which no picture has: alpha is always 255.
  const picture = { width, height, rgba: sameSize ? before.rgba.slice() : new Uint8Array(width * height * 4) };
  for (const c of copies)
    copyWithin(picture, {
      ...{ x: c.x ?? 0, y: c.y ?? 0, width: c.width ?? 0, height: c.height ?? 0 },
      ...{ fromX: c.fromX ?? 0, fromY: c.fromY ?? 0 },
    });
  for (const r of rectangles) {
    const { x = 0, y = 0, width: w = 0, height: h = 0, rgba = new Uint8Array(0), deflated = false } = r;
    const dots = deflated ? inflateSync(rgba) : rgba;
    if (dots.length !== w * h * 4 || x + w > width || y + h > height) throw new Error('a rectangle that does not fit');
    for (let row = 0; row < h; row++)
      picture.rgba.set(dots.subarray(row * w * 4, (row + 1) * w * 4), ((y + row) * width + x) * 4);
  }
  return picture;
}

/** Attached to a console; takes everything in as it comes. */
export class Viewer {
  readonly client: RpcClient<typeof ConsoleService>;
  readonly messages: ConsoleOutput[] = [];
  readonly frames: FrameMessage[] = [];
  picture: Frame | undefined;
  /** By port, as Latin-1. */
  readonly serial: string[] = ['', '', '', ''];
  /** How the stream ended; the promise is never rejected. */
  readonly over: Promise<unknown>;
  acknowledges: boolean;
  private readonly stream: ClientDuplex<ConsoleOutput, ConsoleInput>;
  private readonly waiting = new Set<() => void>();
  private ended = false;
  private readonly gate = Promise.withResolvers<void>();

  constructor(target: string, token: string, { acknowledges = true, reads = true, service = ConsoleService } = {}) {
    this.client = rpcClient(service, target);
    this.acknowledges = acknowledges;
    if (reads) this.gate.resolve();
    this.stream = this.client.calls.attach();
    this.over = this.read().then(
      () => undefined,
      (error: unknown) => error,
    );
    void this.over.then(() => {
      this.ended = true;
      this.wake();
    });
    this.send({ hello: { token } });
  }
  /** Begins to read, when it was made not to. */
  startReading(): void {
    this.gate.resolve();
  }
  send(message: Init<ConsoleInput>): void {
    this.stream.send(message);
  }
  type(port: number, text: string): void {
    this.send({ serial: { port, data: Buffer.from(text, 'latin1') } });
  }
  acknowledge(frame: number): void {
    this.send({ ack: { frame } });
  }
  /** Waits until the condition holds. Throws when the stream ends before. */
  async until<T>(what: string, look: () => T | undefined | false): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      if (this.ended) throw new Error(`the console ended before: ${what}`, { cause: await this.over });
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }
  close(): void {
    this.gate.resolve();
    this.stream.cancel();
    this.client.close();
  }

  private async read(): Promise<void> {
    for await (const message of this.stream.messages) {
      this.messages.push(message);
      const { frame, serial } = message;
      if (serial !== undefined) this.serial[serial.port] += Buffer.from(serial.data).toString('latin1');
      if (frame !== undefined) {
        this.frames.push(frame);
        this.picture = applyFrame(this.picture, frame);
        if (this.acknowledges) this.acknowledge(frame.number);
      }
      this.wake();
      // Not before the first message: grpc-js takes everything in for a reader that never began.
      await this.gate.promise;
    }
  }
  private wake(): void {
    for (const resume of this.waiting) resume();
    this.waiting.clear();
  }
}
