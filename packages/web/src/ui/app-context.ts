/** What every part of the pages reaches: the API, the state of the cluster, preferences, and the ways to speak to the person. */
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import type { ApiClient } from '../api/client.ts';
import type { ClusterState } from '../watch/cluster-state.ts';
import type { ClusterStore } from '../watch/cluster-store.ts';
import type { Preferences } from './preferences.ts';

export interface Question {
  readonly title: string;
  readonly text: string;
  /** The button that does it. */
  readonly action: string;
}

export interface App {
  readonly api: ApiClient;
  readonly store: ClusterStore;
  readonly preferences: Preferences;
  /** Shows a failure until it is closed. */
  readonly fail: (what: string, error: unknown) => void;
  /** Says that something went well, for a while. */
  readonly tell: (words: string) => void;
  /** Asks before something that cannot be undone. */
  readonly confirm: (question: Question) => Promise<boolean>;
}

export const AppContext = createContext<App | undefined>(undefined);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === undefined) throw new Error('useApp outside of AppContext');
  return app;
}

export function useCluster(): ClusterState {
  const { store } = useApp();
  return useSyncExternalStore(store.subscribe, store.snapshot);
}

/** Now, in milliseconds, renewed every `everyMs`: for ages that grow on the page. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** Runs one action at a time: the button is busy meanwhile, and a failure is shown. What it changes comes by the watch. */
export function useAction(): [isBusy: boolean, run: (what: string, action: () => Promise<unknown>) => void] {
  const { fail } = useApp();
  const [isBusy, setBusy] = useState(false);
  const run = (what: string, action: () => Promise<unknown>): void => {
    setBusy(true);
    action()
      .catch((error: unknown) => fail(what, error))
      .finally(() => setBusy(false));
  };
  return [isBusy, run];
}
