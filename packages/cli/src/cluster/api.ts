/** The HTTP API of a cluster or a lab, as the commands use it. Every error names the server. */
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { z } from 'zod';
import { TomeiError, messageOf } from '@tomei/kit';
import { schemas, type EventView, type GuestView, type MemoryView, type RunnerView, type StatsView } from './views.ts';

/** For one answer; a stream of events may be silent for as long as nothing happens. */
const ANSWER_MS = 30_000;
/** Between two tries to get the stream of events back. */
const RETRY_MS = 1_000;

export type PowerAction = 'on' | 'off' | 'reset' | 'shutdown';

export class ClusterApi {
  /** Without a slash at its end. */
  readonly server: string;

  /** Throws `usage.server`. */
  constructor(server: string) {
    this.server = serverOf(server);
  }

  guests = async (): Promise<GuestView[]> => (await this.ask('GET', '/api/v1/guests', schemas.guests)).guests;
  guest = (name: string): Promise<GuestView> => this.ask('GET', guestPath(name), schemas.guest);
  register = (vmx: string, name: string | undefined): Promise<GuestView> =>
    this.ask('POST', '/api/v1/guests', schemas.guest, { vmx, ...(name === undefined ? {} : { name }) });
  /** `graceSeconds` is of a shutdown: the server's own when undefined. */
  power = (name: string, action: PowerAction, graceSeconds?: number): Promise<GuestView> =>
    this.ask('POST', `${guestPath(name)}/power`, schemas.guest, {
      action,
      ...(graceSeconds === undefined ? {} : { graceSeconds }),
    });
  remove = (name: string): Promise<GuestView> => this.ask('DELETE', guestPath(name), schemas.guest);
  runners = async (): Promise<RunnerView[]> => (await this.ask('GET', '/api/v1/runners', schemas.runners)).runners;
  /** Of guests that run, counted from the start of their run. */
  stats = async (): Promise<StatsView[]> => (await this.ask('GET', '/api/v1/stats', schemas.stats)).guests;
  memory = (name: string): Promise<MemoryView> => this.ask('GET', `${guestPath(name)}/memory`, schemas.memory);
  setMemory = (name: string, wantedMiB: number): Promise<MemoryView> =>
    this.ask('PUT', `${guestPath(name)}/memory`, schemas.memory, { wantedMiB });
  files = async (): Promise<{ path: string; kind: string }[]> =>
    (await this.ask('GET', '/api/v1/files', schemas.files)).files;
  async events(limit: number, guest: string | undefined): Promise<EventView[]> {
    const query = new URLSearchParams({ limit: String(limit), ...(guest === undefined ? {} : { guest }) });
    return (await this.ask('GET', `/api/v1/events?${query.toString()}`, schemas.events)).events;
  }
  async screenPng(name: string): Promise<Uint8Array> {
    const response = await this.fetch('GET', `/console/guests/${encodeURIComponent(name)}/screen.png`);
    return new Uint8Array(await response.arrayBuffer());
  }
  async screenText(name: string): Promise<string> {
    return (await this.fetch('GET', `/console/guests/${encodeURIComponent(name)}/screen.txt`)).text();
  }

  /** Events behind a place in the stream, as they come, across lost connections, until the signal is aborted. */
  async follow(after: number, signal: AbortSignal, handle: (event: EventView) => void): Promise<void> {
    let last = after;
    let connectedOnce = false;
    const onEvent = ({ event, data }: EventSourceMessage): void => {
      if (event !== 'event') return;
      const view = this.checked(schemas.event, parsedJson(data), 'an event');
      if (view.sequence <= last) return;
      last = view.sequence;
      handle(view);
    };
    while (!signal.aborted) {
      try {
        const headers = { accept: 'text/event-stream', 'last-event-id': String(last) };
        const response = await this.fetch('GET', '/api/v1/watch', { headers, signal });
        connectedOnce = true;
        const parser = createParser({ onEvent });
        const decoder = new TextDecoder();
        for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
      } catch (error) {
        if (signal.aborted) return;
        const passes = error instanceof TomeiError ? error.retryable : true;
        // A server that was there comes back; one that never was is most likely not the one that is meant.
        if (!connectedOnce || !passes) throw error;
      }
      await pause(RETRY_MS, signal);
    }
  }

  private async ask<T>(method: string, path: string, schema: z.ZodType<T>, body?: object): Promise<T> {
    const response = await this.fetch(method, path, {
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return this.checked(schema, parsedJson(await response.text()), `${method} ${path}`);
  }
  /** Throws the server's own error, `server.unreachable` or `server.bad-answer`. */
  private async fetch(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const signal = init.signal ?? AbortSignal.timeout(ANSWER_MS);
    let response: Response;
    try {
      response = await fetch(`${this.server}${path}`, { ...init, method, signal });
    } catch (error) {
      throw this.unreachable(error);
    }
    if (response.ok) return response;
    throw this.errorOf(await response.text().catch(() => ''), response.status, path);
  }
  unreachable(error: unknown): TomeiError {
    // What undici says itself is "fetch failed"; the reason is its cause, or one of the causes of that.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const inner = cause instanceof AggregateError ? (cause.errors[0] as unknown) : cause;
    return new TomeiError(
      'server.unreachable',
      `no Tomei answers at ${this.server} (${messageOf(inner)}): start one with \`tomei lab\`, or name another with --server`,
      { cause: error, retryable: true },
    );
  }
  /** What an answer that is no success says. */
  errorOf(text: string, status: number, path: string): TomeiError {
    const said = schemas.trouble.safeParse(parsedJson(text));
    if (!said.success) return this.badAnswer(`${path}: status ${status} without a reason`);
    const { code, message, retryable } = said.data.error;
    return new TomeiError(code, message, { retryable });
  }
  private checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw this.badAnswer(`${what}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not what was asked for'}`);
  }
  private badAnswer(what: string): TomeiError {
    return new TomeiError(
      'server.bad-answer',
      `what answers at ${this.server} is no Tomei, or one of another version: ${what}`,
    );
  }
}

const guestPath = (name: string): string => `/api/v1/guests/${encodeURIComponent(name)}`;

function serverOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new TomeiError('usage.server', `--server ${text}: give a URL such as http://127.0.0.1:8006`);
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stop = (): void => resolve();
  signal.addEventListener('abort', stop, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', stop);
}
