/** One `Attach` stream to a guest's console (proto/tomei/v1/console.proto). What comes on it is checked before anybody sees it. */
import {
  ConsoleService,
  type ConsoleAttached,
  type ConsoleInput,
  type ConsoleOutput,
  type Frame,
  type Init,
} from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { rpcClient, type ClientDuplex, type RpcClient } from '@tomei/service';

/** COM1 to COM4 are ports 0 to 3. */
export const SERIAL_PORTS = 4;
/** Of a clipboard, in bytes of UTF-8: what console.proto says, with what is no UTF-8 replaced by three bytes. */
const LONGEST_TEXT = 3 * 65_436;
/** How long a guest's process may take to say its first word. */
const HELLO_MS = 10_000;
/** What takes longer to take in than this is followed by as long a rest. */
const HEAVY_MS = 20;

export interface AttachmentEvents {
  /** First, once. */
  attached(attached: ConsoleAttached): void;
  /** Throws `frame.bad`, which ends the stream. */
  frame(frame: Frame): void;
  serial(port: number, bytes: Uint8Array): void;
  /** The guest has copied a text. */
  copied(text: string): void;
}
export interface AttachmentSettings {
  readonly guestId: string;
  /** What a gRPC client dials, and what has to be shown there. */
  readonly target: string;
  readonly token: string;
  readonly on: AttachmentEvents;
  readonly helloMs?: number;
}

export class Attachment {
  private readonly settings: AttachmentSettings;
  private readonly client: RpcClient<typeof ConsoleService>;
  private readonly stream: ClientDuplex<ConsoleOutput, ConsoleInput>;
  private lastFrame: number | undefined;
  private isSilent = false;

  /** Dials. */
  constructor(settings: AttachmentSettings) {
    this.settings = settings;
    this.client = rpcClient(ConsoleService, settings.target);
    this.stream = this.client.calls.attach();
  }

  /**
   * Until the guest ends it, or `close`: returns the guest's reason, undefined when it gave none. Throws `console.silent`,
   * `console.bad-answer`, `frame.bad`, and what the call throws.
   */
  async run(): Promise<string | undefined> {
    const { token, target, helloMs = HELLO_MS } = this.settings;
    const patience = setTimeout(() => {
      this.isSilent = true;
      this.stream.cancel();
    }, helloMs);
    let isAttached = false;
    try {
      this.stream.send({ hello: { token } });
      for await (const output of this.stream.messages) {
        if (!isAttached) {
          this.greet(output.attached);
          isAttached = true;
          clearTimeout(patience);
        } else if (output.ended !== undefined) {
          return output.ended.why;
        } else {
          const since = performance.now();
          this.take(output);
          const tookMs = performance.now() - since;
          // Other guests' viewers are served by the same thread: none keeps it busy for more than half of the time.
          if (tookMs > HEAVY_MS) await this.rest(tookMs);
        }
      }
      if (this.isSilent)
        throw new TomeiError('console.silent', `the console at ${target} did not answer within ${helloMs} ms`, {
          retryable: true,
        });
      return undefined;
    } finally {
      clearTimeout(patience);
      this.close();
    }
  }

  /** Never waits: false says that `drained` should be awaited before more is sent. */
  send(input: Init<ConsoleInput>): boolean {
    return this.stream.send(input);
  }

  drained(): Promise<void> {
    return this.stream.drained();
  }

  /** Safe to call twice. */
  close(): void {
    this.stream.cancel();
    this.client.close();
  }

  private async rest(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    const { signal } = this.stream;
    signal.addEventListener('abort', resolve as () => void, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', resolve as () => void);
  }

  private greet(attached: ConsoleAttached | undefined): void {
    const { guestId, on } = this.settings;
    if (attached === undefined) throw this.bad('it did not begin with `attached`');
    if (attached.guestId !== guestId) throw this.bad(`it is the console of guest ${JSON.stringify(attached.guestId)}`);
    if (attached.serialPorts.some((port) => port >= SERIAL_PORTS)) throw this.bad('it names a serial port above COM4');
    on.attached(attached);
  }

  private take({ frame, serial, copied }: ConsoleOutput): void {
    const { on } = this.settings;
    if (frame !== undefined) {
      if (this.lastFrame !== undefined && frame.number <= this.lastFrame)
        throw this.bad(`frame ${frame.number} came after frame ${this.lastFrame}`);
      on.frame(frame);
      this.lastFrame = frame.number;
      // At once, not when viewers have seen it: those that are slow skip frames, and are no reason to show others less.
      this.stream.send({ ack: { frame: frame.number } });
    }
    if (copied !== undefined) {
      const bytes = Buffer.byteLength(copied.text);
      if (bytes > LONGEST_TEXT) throw this.bad(`it has a text of ${bytes} bytes for the clipboard`);
      on.copied(copied.text);
    }
    if (serial !== undefined) {
      if (serial.port >= SERIAL_PORTS) throw this.bad(`it has a serial port ${serial.port}`);
      on.serial(serial.port, serial.data);
    }
  }

  private bad(what: string): TomeiError {
    const { guestId, target } = this.settings;
    return new TomeiError('console.bad-answer', `the console of guest ${guestId} at ${target}: ${what}`);
  }
}
