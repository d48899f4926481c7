/** A guest's console: its screen and serial lines, with what one does to them. */
import { useEffect, type ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { useCluster, useNow } from '../ui/app-context.ts';
import { Icon } from '../ui/icons.tsx';
import { Link } from '../ui/navigation.tsx';
import { LinkBanner } from '../ui/top-bar.tsx';
import { findGuest } from '../watch/cluster-state.ts';
import { ConsoleView } from './console-view.tsx';
import './console.css';

const AGE_STEP_MS = 10_000;

interface ConsolePageProps {
  readonly idOrName: string;
  readonly onHelp: () => void;
}

export function ConsolePage({ idOrName, onHelp }: ConsolePageProps): ReactNode {
  const cluster = useCluster();
  const now = useNow(AGE_STEP_MS);
  const guest = findGuest(cluster, idOrName);
  useTitle(guest);
  if (guest !== undefined) {
    return (
      <div className="console-page">
        <ConsoleView key={guest.id} guest={guest} now={now} onHelp={onHelp} banner={<LinkBanner />} />
      </div>
    );
  }
  return (
    <main id="main" className="page-wait" tabIndex={-1}>
      {cluster.isSynced ? (
        <>
          <h1>No guest is called “{idOrName}”</h1>
          <p>It may have been removed, or have got another name.</p>
        </>
      ) : (
        <p role="status">{cluster.link === 'connecting' ? 'Connecting…' : 'Loading…'}</p>
      )}
      <p>
        <Link href="/" className="button">
          <Icon name="back" />
          To the library
        </Link>
      </p>
    </main>
  );
}

function useTitle(guest: GuestView | undefined): void {
  const title = guest === undefined ? 'Tomei' : `${guest.name} – Tomei`;
  useEffect(() => {
    document.title = title;
  }, [title]);
}
