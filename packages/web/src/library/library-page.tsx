/** The library: every guest of the cluster, the runners that carry them, and what happened lately. */
import { useEffect, useState, type ReactNode } from 'react';
import { Icon } from '../ui/icons.tsx';
import { plural } from '../ui/format.ts';
import { useCluster, useNow } from '../ui/app-context.ts';
import { guestsByName } from '../watch/cluster-state.ts';
import { EmptyLibrary } from './empty-library.tsx';
import { EventList } from './event-list.tsx';
import { GuestCard } from './guest-card.tsx';
import { RegisterModal } from './register-modal.tsx';
import { RunnerList } from './runner-list.tsx';
import './library.css';

const AGE_STEP_MS = 10_000;

interface LibraryPageProps {
  readonly isRegisterOpen: boolean;
  readonly setRegisterOpen: (isOpen: boolean) => void;
}

export function LibraryPage({ isRegisterOpen, setRegisterOpen }: LibraryPageProps): ReactNode {
  const cluster = useCluster();
  const now = useNow(AGE_STEP_MS);
  const [search, setSearch] = useState('');
  const guests = guestsByName(cluster);
  const wanted = search.trim().toLowerCase();
  const found = guests.filter((guest) =>
    `${guest.name} ${guest.vmxPath} ${guest.phase}`.toLowerCase().includes(wanted),
  );
  const running = guests.filter((guest) => guest.phase === 'running').length;

  useEffect(() => {
    document.title = running === 0 ? 'Tomei' : `Tomei (${running} running)`;
  }, [running]);

  return (
    <main id="main" className="library" tabIndex={-1}>
      <section className="guests" aria-labelledby="guests-title">
        <div className="guests-head">
          <h1 id="guests-title">Library</h1>
          {cluster.isSynced && guests.length > 0 && (
            <p className="guests-count" data-testid="guests-count">
              {plural(guests.length, 'guest')}, {running} running
            </p>
          )}
          <span className="spring" />
          {guests.length > 0 && (
            <label className="search">
              <span className="unseen">Search for a guest</span>
              <Icon name="search" />
              <input
                id="search"
                type="search"
                placeholder="Search"
                value={search}
                onChange={(event) => setSearch(event.target.value)}
              />
            </label>
          )}
          {guests.length > 0 && (
            <button
              type="button"
              className="button primary"
              onClick={() => setRegisterOpen(true)}
              data-testid="register"
            >
              <Icon name="plus" />
              Register a guest
            </button>
          )}
        </div>
        {!cluster.isSynced && <WaitingCards />}
        {cluster.isSynced && guests.length === 0 && <EmptyLibrary onRegister={() => setRegisterOpen(true)} />}
        {found.length > 0 && (
          <ul className="cards" aria-label="Guests">
            {found.map((guest) => (
              <li key={guest.id}>
                <GuestCard guest={guest} now={now} />
              </li>
            ))}
          </ul>
        )}
        {guests.length > 0 && found.length === 0 && (
          <p className="nothing">
            No guest is called “{search.trim()}”.{' '}
            <button type="button" className="button" onClick={() => setSearch('')}>
              Show all
            </button>
          </p>
        )}
      </section>
      <aside className="side" aria-label="Cluster">
        <RunnerList runners={[...cluster.runners.values()]} isSynced={cluster.isSynced} now={now} />
        <EventList events={cluster.events} guests={cluster.guests} now={now} />
      </aside>
      {isRegisterOpen && <RegisterModal guests={guests} onClose={() => setRegisterOpen(false)} />}
    </main>
  );
}

function WaitingCards(): ReactNode {
  return (
    <div role="status">
      <span className="unseen">Loading the guests</span>
      <div className="cards" aria-hidden="true">
        {[1, 2, 3].map((each) => (
          <div key={each} className="card waiting">
            <div className="thumb" />
            <div className="card-body" />
          </div>
        ))}
      </div>
    </div>
  );
}
