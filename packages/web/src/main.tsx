/** Where the pages begin. */
// Before the pages' own styles, which build on it.
import './ui/base.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiClient } from './api/client.ts';
import { AppFrame } from './app-frame.tsx';
import { Preferences } from './ui/preferences.ts';
import { ClusterStore } from './watch/cluster-store.ts';

const api = new ApiClient();
const store = new ClusterStore(api);
store.start();

createRoot(document.querySelector('#root')!).render(
  <StrictMode>
    <AppFrame api={api} store={store} preferences={new Preferences()} />
  </StrictMode>,
);
