/** The HTTP API and the WebSockets as a test uses them: from outside, with nothing of the services' code. */
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';

/** What the tests read of a guest. */
export interface GuestView {
  readonly id: string;
  readonly name: string;
  readonly phase: string;
  readonly power: 'on' | 'off';
  readonly run: number;
  readonly runner: string | null;
  readonly message: string;
}
export interface EventView {
  readonly sequence: number;
  readonly noun: string;
  readonly verb: string;
  readonly subjectId: string;
  readonly message: string;
}
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}
/** A boot on a machine that has much else to do. */
const EXPECT_MS = 120_000;
/** Between two looks at something that nobody announces. */
const LOOK_AGAIN_MS = 100;

export class Api {
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }
  /** The status and the body, whatever they are. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(new URL(path, this.url), {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, body: isJson ? (JSON.parse(text) as unknown) : text };
  }
  /** As `call`, and throws unless the request was good. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.call(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as T;
  }
  register = (vmx: string, name?: string): Promise<GuestView> =>
    this.ask('POST', '/api/v1/guests', { vmx, ...(name === undefined ? {} : { name }) });
  guest = (name: string): Promise<GuestView> => this.ask('GET', `/api/v1/guests/${name}`);
  power = (name: string, action: 'on' | 'off' | 'reset'): Promise<GuestView> =>
    this.ask('POST', `/api/v1/guests/${name}/power`, { action });
  async events(guest: string): Promise<readonly EventView[]> {
    const { events } = await this.ask<{ events: EventView[] }>('GET', `/api/v1/events?limit=500&guest=${guest}`);
    return events;
  }
  /** Waits until the guest is as it should be. The test's own time limit ends a wait in vain, and says for what. */
  async until(name: string, what: string, condition: (guest: GuestView) => boolean): Promise<GuestView> {
    return eventually(`${name}: ${what}`, async () => {
      const guest = await this.guest(name);
      return condition(guest) ? guest : undefined;
    });
  }
  screenText = async (name: string): Promise<string> =>
    String((await this.call('GET', `/console/guests/${name}/screen.txt`)).body);
}

/** Looks again and again until there is something. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, limitMs = 240_000): Promise<T> {
  const until = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error(`never came to it: ${what}`);
    await delay(LOOK_AGAIN_MS);
  }
}

/** A guest's serial port over WebSocket. */
export class SerialConsole implements Disposable {
  output = '';
  private from = 0;
  private closed: string | undefined;
  private readonly socket: WebSocket;
  private readonly waiting = new Set<() => void>();

  constructor(url: string, guest: string, { port = 0, viewOnly = false } = {}) {
    const address = new URL(`/console/guests/${guest}/serial/${port}${viewOnly ? '?viewOnly=true' : ''}`, url);
    address.protocol = 'ws:';
    this.socket = new WebSocket(address);
    const wake = (): void => {
      for (const resume of this.waiting) resume();
      this.waiting.clear();
    };
    this.socket.on('message', (data) => {
      this.output += (data as Buffer).toString('latin1');
      wake();
    });
    this.socket.on('error', (error) => (this.closed ??= error.message));
    this.socket.on('close', (code, reason) => {
      this.closed ??= `${code} ${reason.toString()}`;
      wake();
    });
  }
  /** Sent when the connection is there. */
  send(text: string): void {
    const send = (): void => this.socket.send(Buffer.from(text, 'latin1'));
    if (this.socket.readyState === WebSocket.CONNECTING) this.socket.once('open', send);
    else send();
  }
  /** Waits for output behind the match before, and returns it up to and with the match. Throws with what came instead. */
  async expect(pattern: RegExp, limitMs = EXPECT_MS): Promise<string> {
    const until = performance.now() + limitMs;
    for (;;) {
      const text = this.output.slice(this.from);
      const match = pattern.exec(text);
      if (match !== null) {
        this.from += match.index + match[0].length;
        return text.slice(0, match.index + match[0].length);
      }
      if (this.closed !== undefined)
        throw new Error(`closed (${this.closed}) without ${String(pattern)}:\n${text.slice(-2000)}`);
      const leftMs = until - performance.now();
      if (leftMs <= 0) throw new Error(`no ${String(pattern)} in:\n${text.slice(-2000)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}
