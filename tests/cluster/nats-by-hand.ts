/** The NATS client protocol spoken by hand: a second client, and one that does not care what belongs into a message. */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

export class RawNats implements Disposable {
  private readonly socket: Socket;
  private received = '';
  private readonly waiting = new Set<() => void>();

  static async connect(port: number): Promise<RawNats> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const client = new RawNats(socket);
    socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":false}\r\n');
    await client.flush();
    return client;
  }
  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.received += bytes.toString('latin1');
      for (const resume of this.waiting) resume();
      this.waiting.clear();
    });
  }
  publish(subject: string, bytes: Uint8Array): void {
    this.socket.write(`PUB ${subject} ${bytes.length}\r\n`);
    this.socket.write(bytes);
    this.socket.write('\r\n');
  }
  subscribe(pattern: string): void {
    this.socket.write(`SUB ${pattern} 1\r\n`);
  }
  /** Everything that was sent before has reached the server. */
  async flush(): Promise<void> {
    const seen = this.received.length;
    this.socket.write('PING\r\n');
    await this.until(() => this.received.slice(seen).includes('PONG\r\n'));
  }
  /** The first subject on which something came that fits. */
  async heard(pattern: RegExp): Promise<string> {
    const find = (): string | undefined =>
      [...this.received.matchAll(/^MSG (\S+) /gm)]
        .map(([, subject]) => subject!)
        .find((subject) => pattern.test(subject));
    await this.until(() => find() !== undefined);
    return find()!;
  }
  private async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiting.add(resolve));
  }
  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
