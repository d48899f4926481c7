/**
 * A guest's console, served by its own process: pictures, serial ports, keys and mouse, for whoever knows the token. It is loaded only
 * for guests that have one.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ConsoleService, type ConsoleInput, type ConsoleOutput } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { serve, startRpcServer, type Duplex, type RpcServer } from '@tomei/service';
import type { ConsoleOptions } from '../protocol.ts';
import { ByteTail } from './byte-tail.ts';
import { Caller } from './caller.ts';
import type { ConsoleGuest, ConsoleIdentity, ScreenView } from './console-guest.ts';
import { helloOf } from './input.ts';
import { Screen } from './screen.ts';

/** What a new caller hears of each port's past. */
const HISTORY_BYTES = 64 << 10;
/** Made for one, the gateway; a new one comes before an old one is known to be gone. */
const MOST_CALLERS = 8;
const HELLO_LIMIT_MS = 10_000;
/** How long the last messages may take when the guest has ended. */
const FAREWELL_MS = 500;

export class GuestConsole {
  private readonly guest: ConsoleGuest;
  private readonly identity: ConsoleIdentity;
  private readonly tokenHash: Buffer;
  /**
   * A network is worth the time: a screen of text shrinks to a tenth and less. Over a socket of one machine both ways cost about the
   * same for what shrinks (a desktop of 1024x768: 26 ms of both sides' time raw, 16 ms deflated; text: 11 and 15), and noise three
   * times as much deflated.
   */
  private readonly deflate: boolean;
  private readonly screen: Screen;
  private readonly callers = new Map<Caller, Promise<void>>();
  private readonly history: ByteTail[];
  private taking: ReturnType<ConsoleGuest['screenshot']> | undefined;
  private server: RpcServer | undefined;

  /** Listens. `onBug` hears of errors that are nobody's fault but ours. Throws `service.cannot-listen`. */
  static async open(
    guest: ConsoleGuest,
    identity: ConsoleIdentity,
    { bind, advertise, token }: ConsoleOptions,
    onBug: (error: unknown) => void,
  ): Promise<GuestConsole> {
    const console = new GuestConsole(guest, identity, { token, deflate: !bind.startsWith('unix:'), onBug });
    const handlers = serve(ConsoleService, {
      attach: (stream) => console.attach(stream),
      screenshot: async (request) => {
        console.admit(request.token);
        return console.screenshot();
      },
    });
    console.server = await startRpcServer({ bind, advertise, services: [handlers], onBug });
    return console;
  }
  private constructor(
    guest: ConsoleGuest,
    identity: ConsoleIdentity,
    { token, deflate, onBug }: { token: string; deflate: boolean; onBug: (error: unknown) => void },
  ) {
    this.guest = guest;
    this.identity = identity;
    this.tokenHash = hashOf(token);
    this.deflate = deflate;
    this.screen = new Screen(() => guest.look(), onBug);
    this.history = Array.from({ length: Math.max(-1, ...guest.serialPorts) + 1 }, () => new ByteTail(HISTORY_BYTES));
  }

  /** What a gateway dials. */
  get target(): string {
    return this.server?.target ?? '';
  }
  /** The guest wrote to a serial port. The array is kept. */
  serial(port: number, bytes: Uint8Array): void {
    this.history[port]?.push(bytes);
    for (const caller of this.callers.keys()) caller.serial(port, bytes);
  }
  /** The guest has copied a text. */
  copied(text: string): void {
    for (const caller of this.callers.keys()) caller.copied(text);
  }
  /** Tells every caller how the guest ended, with its last picture, and stops serving. Takes no longer than a moment. */
  async end(why: string, last?: ScreenView): Promise<void> {
    if (last !== undefined && this.callers.size > 0) this.screen.show(last);
    for (const caller of this.callers.keys()) caller.end(why);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FAREWELL_MS);
    await Promise.race([Promise.all(this.callers.values()), late]);
    clearTimeout(timer);
    await this.server?.close(FAREWELL_MS);
  }

  /** Throws `console.denied`. Comparing hashes takes the same time however much of the token is right. */
  private admit(token: string): void {
    if (timingSafeEqual(hashOf(token), this.tokenHash)) return;
    throw new TomeiError('console.denied', 'the console wants the token of this run of the guest');
  }
  private async attach(stream: Duplex<ConsoleInput, ConsoleOutput>): Promise<void> {
    const messages = stream.messages[Symbol.asyncIterator]();
    this.admit(helloOf(await firstOf(messages)));
    if (this.callers.size >= MOST_CALLERS)
      throw new TomeiError('console.busy', `${MOST_CALLERS} callers are attached; detach one`, { retryable: true });
    const { guest, identity, screen, deflate } = this;
    const history = this.history.map((tail) => fromALine(tail));
    const caller = new Caller(stream, { guest, identity, screen, history, deflate });
    const running = caller.run(messages).finally(() => this.callers.delete(caller));
    this.callers.set(
      caller,
      running.catch(() => undefined),
    );
    await running;
  }
  /** Pictures cost time: whoever asks while one is being made gets that one. */
  private async screenshot(): Promise<{ png: Uint8Array; text: readonly string[] }> {
    this.taking ??= this.guest.screenshot().finally(() => (this.taking = undefined));
    return this.taking;
  }
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** The first message, or undefined when there is none. Throws `console.no-hello` when it does not come. */
async function firstOf(messages: AsyncIterator<ConsoleInput>): Promise<ConsoleInput | undefined> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new TomeiError('console.no-hello', `no hello came within ${HELLO_LIMIT_MS} ms; send it first`)),
    HELLO_LIMIT_MS,
  );
  try {
    const first = await Promise.race([messages.next(), promise]);
    return first.done === true ? undefined : first.value;
  } finally {
    clearTimeout(timer);
  }
}

/** The past of a port; when its beginning is lost, from the next line on: no half of a character or of an escape sequence. */
function fromALine(tail: ByteTail): Uint8Array {
  const bytes = tail.all();
  if (tail.dropped === 0) return bytes;
  return bytes.subarray(bytes.indexOf(0x0a) + 1);
}
