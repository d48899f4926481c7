/** Tells screen readers what changes by itself; nothing is seen of it. */
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { changesInWords } from '../watch/announce.ts';
import { useCluster } from './app-context.ts';

export function Announcer(): ReactNode {
  const { guests, isSynced, fresh } = useCluster();
  const told = useRef(guests);
  const [words, setWords] = useState('');
  useEffect(() => {
    // The first state is no change, and after a reconnect only the whole of it is.
    if (isSynced && fresh === undefined && told.current.size > 0) {
      const changes = changesInWords(told.current, guests);
      if (changes.length > 0) setWords(changes.join(' '));
    }
    if (fresh === undefined) told.current = guests;
  }, [guests, isSynced, fresh]);
  return (
    <div className="unseen" role="status" aria-live="polite">
      {words}
    </div>
  );
}
