/** The controller's HTTP API from a page: every answer is checked, every failure is a TomeiError. */
import { TomeiError, messageOf } from '@tomei/kit';
import { flag, parseJson, shape, text, type Parser } from './check.ts';
import { parseEvents, parseFiles, parseGuest, type EventView, type FileView, type GuestView } from './views.ts';

export type PowerAction = 'on' | 'off' | 'reset' | 'shutdown';

interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean };
}
const parseFailure = shape<Failure>({ error: shape<Failure['error']>({ code: text, message: text, retryable: flag }) });

/** What of `fetch` is used, so that tests can answer. */
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** Of one server; `fetch` is the browser's. Throws the server's own error, or `server.unreachable`, `server.failed`, `answer.malformed`. */
export class ApiClient {
  private readonly fetch: Fetch;

  constructor(fetch: Fetch = (url, init) => globalThis.fetch(url, init)) {
    this.fetch = fetch;
  }

  register(vmx: string, name: string): Promise<GuestView> {
    const body = name === '' ? { vmx } : { vmx, name };
    return this.send('POST', '/api/v1/guests', parseGuest, body);
  }

  power(id: string, action: PowerAction): Promise<GuestView> {
    return this.send('POST', `/api/v1/guests/${encodeURIComponent(id)}/power`, parseGuest, { action });
  }

  /** Powers it off and forgets it; its files stay. */
  unregister(id: string): Promise<GuestView> {
    return this.send('DELETE', `/api/v1/guests/${encodeURIComponent(id)}`, parseGuest);
  }

  async files(): Promise<readonly FileView[]> {
    return (await this.send('GET', '/api/v1/files?folder=', parseFiles)).files;
  }

  /** The newest `limit` events, oldest first. */
  async events(limit: number): Promise<readonly EventView[]> {
    return (await this.send('GET', `/api/v1/events?limit=${limit}`, parseEvents)).events;
  }

  /** The characters of a text screen; empty when the guest shows graphics. */
  async screenText(id: string): Promise<string> {
    const answer = await this.request('GET', `/console/guests/${encodeURIComponent(id)}/screen.txt`);
    return answer.text();
  }

  private async send<T>(method: string, url: string, parse: Parser<T>, body?: unknown): Promise<T> {
    const answer = await this.request(method, url, body);
    return parseJson(await answer.text(), parse, 'answer');
  }

  private async request(method: string, url: string, body?: unknown): Promise<Response> {
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'content-type': 'application/json' };
    }
    let answer: Response;
    try {
      answer = await this.fetch(url, init);
    } catch (error) {
      throw new TomeiError('server.unreachable', `The server does not answer (${messageOf(error)}): is it running?`, {
        cause: error,
        retryable: true,
      });
    }
    if (!answer.ok) throw await failureOf(answer, `${method} ${url}`);
    return answer;
  }
}

async function failureOf(answer: Response, what: string): Promise<TomeiError> {
  try {
    const { error } = parseJson(await answer.text(), parseFailure, 'answer');
    return new TomeiError(error.code, error.message, { retryable: error.retryable });
  } catch {
    // Something between page and controller answered: a proxy, or a gateway whose controller is away.
    return new TomeiError('server.failed', `${what} was answered with HTTP status ${answer.status} and no reason`, {
      retryable: answer.status >= 500,
    });
  }
}
