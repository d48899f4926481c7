/** What the pages know of the cluster, and how each message of `GET /api/v1/watch` changes it. Pure: no page, no network. */
import type { EventView, GuestView, RunnerView } from '../api/views.ts';

/** `connecting`: for the first time; `retrying`: it was lost, what is shown may be old. */
export type Link = 'connecting' | 'live' | 'retrying';

export interface ClusterState {
  readonly link: Link;
  /** The first whole state is there: an empty list means that there are no guests. */
  readonly isSynced: boolean;
  readonly guests: ReadonlyMap<string, GuestView>;
  readonly runners: ReadonlyMap<string, RunnerView>;
  /** Newest last, at most `EVENTS_KEPT`. */
  readonly events: readonly EventView[];
  /** What came since the connection was made and before `synced`; whatever is not in it by then is gone. Undefined: synced. */
  readonly fresh: { readonly guests: ReadonlySet<string>; readonly runners: ReadonlySet<string> } | undefined;
  /** The last message of the server that this page could not read. */
  readonly fault: string | undefined;
}

export type WatchMessage =
  | { readonly kind: 'opened' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'synced' }
  | { readonly kind: 'guest'; readonly guest: GuestView }
  | { readonly kind: 'guest-gone'; readonly id: string }
  | { readonly kind: 'runner'; readonly runner: RunnerView }
  | { readonly kind: 'runner-gone'; readonly id: string }
  | { readonly kind: 'events'; readonly events: readonly EventView[] }
  | { readonly kind: 'fault'; readonly message: string };

export const EVENTS_KEPT = 200;

export const NOTHING_KNOWN: ClusterState = {
  link: 'connecting',
  isSynced: false,
  guests: new Map(),
  runners: new Map(),
  events: [],
  fresh: undefined,
  fault: undefined,
};

/** The state after `message`; the same object when nothing changes. */
export function reduce(state: ClusterState, message: WatchMessage): ClusterState {
  switch (message.kind) {
    case 'opened':
      return { ...state, link: 'live', fresh: { guests: new Set(), runners: new Set() }, fault: undefined };
    case 'lost':
      return { ...state, link: state.link === 'connecting' ? 'connecting' : 'retrying', fresh: undefined };
    case 'synced':
      return synced(state);
    case 'guest': {
      const guests = new Map(state.guests).set(message.guest.id, message.guest);
      return { ...state, guests, fresh: withFresh(state, 'guests', message.guest.id) };
    }
    case 'guest-gone': {
      const guests = new Map(state.guests);
      return guests.delete(message.id) ? { ...state, guests } : state;
    }
    case 'runner': {
      const runners = new Map(state.runners).set(message.runner.id, message.runner);
      return { ...state, runners, fresh: withFresh(state, 'runners', message.runner.id) };
    }
    case 'runner-gone': {
      const runners = new Map(state.runners);
      return runners.delete(message.id) ? { ...state, runners } : state;
    }
    case 'events': {
      const events = mergeEvents(state.events, message.events);
      return events === state.events ? state : { ...state, events };
    }
    case 'fault':
      return { ...state, fault: message.message };
  }
}

function withFresh(state: ClusterState, what: 'guests' | 'runners', id: string): ClusterState['fresh'] {
  return state.fresh && { ...state.fresh, [what]: new Set(state.fresh[what]).add(id) };
}

/** Guests and runners that vanished while there was no connection are told by nobody: they are those that did not come again. */
function synced(state: ClusterState): ClusterState {
  const { fresh } = state;
  if (fresh === undefined) return { ...state, isSynced: true };
  const guests = new Map([...state.guests].filter(([id]) => fresh.guests.has(id)));
  const runners = new Map([...state.runners].filter(([id]) => fresh.runners.has(id)));
  return { ...state, isSynced: true, guests, runners, fresh: undefined };
}

/** Both lists in order, each event once: an event comes from the list and again from the watch. */
function mergeEvents(known: readonly EventView[], more: readonly EventView[]): readonly EventView[] {
  const sequences = new Set(known.map((event) => event.sequence));
  const added = more.filter((event) => !sequences.has(event.sequence));
  if (added.length === 0) return known;
  return [...known, ...added].sort((a, b) => a.sequence - b.sequence).slice(-EVENTS_KEPT);
}

/** Guests by name, as people read names: `box 2` before `box 10`. */
export function guestsByName(state: ClusterState): readonly GuestView[] {
  return [...state.guests.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** The guest that an address names: by id, else by name. */
export function findGuest(state: ClusterState, idOrName: string): GuestView | undefined {
  return state.guests.get(idOrName) ?? [...state.guests.values()].find((guest) => guest.name === idOrName);
}
