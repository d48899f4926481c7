/** What happened lately, newest first. */
import type { ReactNode } from 'react';
import type { EventView, GuestView } from '../api/views.ts';
import { describeEvent, formatAgo } from '../ui/format.ts';
import { Link } from '../ui/navigation.tsx';
import { guestPath } from '../ui/route.ts';

const SHOWN = 30;

interface EventListProps {
  readonly events: readonly EventView[];
  readonly guests: ReadonlyMap<string, GuestView>;
  readonly now: number;
}

export function EventList({ events, guests, now }: EventListProps): ReactNode {
  const newest = events.slice(-SHOWN).reverse();
  return (
    <section className="panel" aria-labelledby="events-title">
      <h2 id="events-title">Recent events</h2>
      {newest.length === 0 && <p className="nothing">Power-ons, crashes and moves of guests are told here.</p>}
      <ol className="events" data-testid="events">
        {newest.map((event) => {
          const { subject, words, tone } = describeEvent(event);
          const guest = event.noun === 'guest' ? guests.get(event.subjectId) : undefined;
          return (
            <li key={event.sequence} className={`event ${tone}`}>
              <span className="event-mark" aria-hidden="true" />
              <div>
                <p>
                  {guest ? <Link href={guestPath(guest)}>{subject}</Link> : <strong>{subject}</strong>} {words}
                </p>
                {event.message !== '' && <p className="event-message">{event.message}</p>}
              </div>
              <time dateTime={new Date(event.at).toISOString()} title={new Date(event.at).toLocaleString()}>
                {formatAgo(event.at, now)}
              </time>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
