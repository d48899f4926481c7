/** Holds the state of the cluster for the pages: one EventSource, opened anew when it is lost, and the events from before it. */
import { messageOf } from '@tomei/kit';
import type { ApiClient } from '../api/client.ts';
import { parseJson, type Parser } from '../api/check.ts';
import { parseEvent, parseGone, parseGuest, parseRunner } from '../api/views.ts';
import { Reconnect } from './back-off.ts';
import { EVENTS_KEPT, NOTHING_KNOWN, reduce, type ClusterState, type WatchMessage } from './cluster-state.ts';

/** One per page. Listeners hear of changes after the turn of the event loop in which they came. */
export class ClusterStore {
  private readonly api: ApiClient;
  private readonly listeners = new Set<() => void>();
  private readonly reconnect = new Reconnect(() => this.open());
  private state: ClusterState = NOTHING_KNOWN;
  private source: EventSource | undefined;
  /** Messages of one turn of the event loop are shown together: the first sync is many. */
  private isTelling = false;

  constructor(api: ApiClient) {
    this.api = api;
  }

  /** Connects. `close` ends it. */
  start(): void {
    this.open();
  }

  close(): void {
    this.reconnect.cancel();
    this.source?.close();
  }

  /** A person does not want to wait for the next attempt. */
  retryNow(): void {
    this.reconnect.now();
  }

  readonly snapshot = (): ClusterState => this.state;

  /** Calls `listener` after changes; the answer unsubscribes. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private open(): void {
    this.source?.close();
    const source = new EventSource('/api/v1/watch');
    this.source = source;
    source.onopen = () => {
      this.reconnect.succeeded();
      this.apply({ kind: 'opened' });
      void this.loadEvents();
    };
    source.onerror = () => {
      this.apply({ kind: 'lost' });
      // The browser comes back by itself after a cut, with the id of the last event; after an answer other than 200 it does not.
      if (source.readyState === EventSource.CLOSED) this.reconnect.failed();
    };
    this.listen(source, 'guest', parseGuest, (guest) => ({ kind: 'guest', guest }));
    this.listen(source, 'guest-gone', parseGone, ({ id }) => ({ kind: 'guest-gone', id }));
    this.listen(source, 'runner-gone', parseGone, ({ id }) => ({ kind: 'runner-gone', id }));
    this.listen(source, 'runner', parseRunner, (runner) => ({ kind: 'runner', runner }));
    this.listen(source, 'event', parseEvent, (event) => ({ kind: 'events', events: [event] }));
    source.addEventListener('synced', () => this.apply({ kind: 'synced' }));
  }

  private listen<T>(source: EventSource, name: string, parse: Parser<T>, message: (value: T) => WatchMessage): void {
    source.addEventListener(name, (event: MessageEvent<string>) => {
      let value: T;
      try {
        value = parseJson(event.data, parse, name);
      } catch (error) {
        this.apply({ kind: 'fault', message: messageOf(error) });
        return;
      }
      this.apply(message(value));
    });
  }

  private async loadEvents(): Promise<void> {
    try {
      this.apply({ kind: 'events', events: await this.api.events(EVENTS_KEPT) });
    } catch (error) {
      this.apply({ kind: 'fault', message: messageOf(error) });
    }
  }

  private apply(message: WatchMessage): void {
    const next = reduce(this.state, message);
    if (next === this.state) return;
    this.state = next;
    if (this.isTelling) return;
    this.isTelling = true;
    queueMicrotask(() => {
      this.isTelling = false;
      for (const listener of this.listeners) listener();
    });
  }
}
