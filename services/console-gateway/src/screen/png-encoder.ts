/**
 * PNG files, made in a thread of its own: a screen takes 50 to 200 milliseconds, in which nobody's keys should wait. The thread starts
 * with the first picture.
 */
import { Worker } from 'node:worker_threads';
import { TomeiError, messageOf } from '@tomei/kit';
import type { PngAnswer, PngRequest } from './png-worker.ts';

type Waiting = ReturnType<typeof Promise.withResolvers<Uint8Array>>;

export class PngEncoder {
  private worker: Worker | undefined;
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;

  /** The picture is copied at once. Throws `screen.not-encoded` when the thread ends. */
  encode(picture: { readonly width: number; readonly height: number; readonly rgba: Uint8Array }): Promise<Uint8Array> {
    const { width, height } = picture;
    const rgba = picture.rgba.slice();
    const request: PngRequest = { id: ++this.lastId, width, height, rgba };
    const waiting = Promise.withResolvers<Uint8Array>();
    this.waiting.set(request.id, waiting);
    this.worker ??= this.start();
    this.worker.postMessage(request, [rgba.buffer]);
    return waiting.promise;
  }

  /** What is not finished fails. Safe to call twice. */
  async close(): Promise<void> {
    await this.worker?.terminate();
  }

  private start(): Worker {
    const worker = new Worker(new URL('png-worker.ts', import.meta.url));
    worker.on('message', ({ id, png }: PngAnswer) => {
      this.waiting.get(id)?.resolve(png);
      this.waiting.delete(id);
    });
    let cause: unknown;
    worker.on('error', (error) => (cause = error));
    worker.on('exit', () => {
      if (this.worker === worker) this.worker = undefined;
      const why = cause === undefined ? 'the gateway stops' : messageOf(cause);
      const error = new TomeiError('screen.not-encoded', `the picture was not finished: ${why}`, {
        cause,
        retryable: true,
      });
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    });
    return worker;
  }
}
